"""A planned change of primary: failover and failback. The order is the design's, and it is the point of this module.

Everything that can be copied beforehand is copied while the old primary still serves; xcatd stops; the last copy is taken from a
database nobody writes to; the address moves; xcatd starts; what xCAT generates is generated side by side; all of it is proven.
"""

from __future__ import annotations

from functools import partial

from xcat_ha.interfaces import ROLE_SERVICES, Service
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.jobs import sync_jobs
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.sync import file_lanes
from xcat_ha.planning.xcat_steps import (
    lanes_to_generate,
    step_to_await_tftp,
    step_to_await_xcatd,
    step_to_begin_tenure,
    step_to_prove_writable,
)
from xcat_ha.steps import Phase, in_order, side_by_side

_SERVED = (Service.DHCP, Service.DNS, Service.TFTP)


def plan_handover(given: PlanningInput, old: Node, new: Node, *, verb: str = "failover") -> Operation:
    """Move the role from ``old`` to ``new`` while both are alive and connected; nothing is lost."""
    phases = (
        PhasePlanner("catch-up", partial(_catch_up, given, old, new), needs_observation=False),
        PhasePlanner("stop-xcatd", partial(_stop_xcatd, given, old)),
        PhasePlanner("last-copy", partial(_last_copy, given, old, new), needs_observation=False),
        PhasePlanner("release", partial(_release, given, old), needs_observation=False),
        PhasePlanner("acquire", partial(_acquire, given, new), needs_observation=False, outlives_reboot=False),
        PhasePlanner("start-xcatd", partial(_start_xcatd, given, new), needs_observation=False, outlives_reboot=False),
        PhasePlanner("serve", partial(_serve, given, new), outlives_reboot=False),
        PhasePlanner("settle", partial(_settle, given, old, new)),
    )
    identity = given.pair.identity
    addresses = ", ".join(str(address.ip) for address in identity.addresses)
    return Operation(
        name=verb,
        summary=(
            f"Move the management role from {old.id} to {new.id}: {identity.hostname} ({addresses}), xcatd, DHCP, DNS, consoles, TFTP.",
            f"xCAT does not answer from the moment its daemon stops on {old.id} until it has started on {new.id}.",
            "Nothing that was written is lost: the last copy is taken after xcatd has stopped.",
        ),
        phases=phases,
        must_finish=True,
        parameters={"old": old.id, "new": new.id},
    )


def _catch_up(given: PlanningInput, old: Node, new: Node, _state: PairState) -> Phase:
    lanes = (given.drivers.replication.steps_to_sync(old, new), *file_lanes(given, old, new, given.file_sets))
    return Phase(
        name="catch-up",
        why=f"What is copied while {old.id} still serves need not be copied while nobody does.",
        stages=(side_by_side(*lanes),),
    )


def _stop_xcatd(given: PlanningInput, old: Node, state: PairState) -> Phase:
    steps = given.drivers.services.steps_to_stop(old, (Service.XCATD,), state.nodes[old.id].services)
    return Phase(name="stop-xcatd", why="Nothing may write after the last copy begins.", stages=(side_by_side(steps),))


def _last_copy(given: PlanningInput, old: Node, new: Node, state: PairState) -> Phase:
    lanes = (given.drivers.replication.steps_to_hand_over(old, new), *file_lanes(given, old, new, given.file_sets))
    # A console server that is still opening consoles takes long to stop, and nothing depends on it.
    consoles = given.drivers.services.steps_to_stop(old, (Service.CONSOLE,), state.nodes[old.id].services)
    return Phase(
        name="last-copy",
        why=f"{new.id} must have everything {old.id} has, before {old.id} gives anything up.",
        stages=(side_by_side(*lanes, consoles),),
    )


def _release(given: PlanningInput, old: Node, state: PairState) -> Phase:
    services = given.drivers.services
    states = state.nodes[old.id].services
    stops = [services.steps_to_stop(old, (service,), states) for service in _SERVED]
    return Phase(
        name="release",
        why=f"{old.id} must hold nothing of the role before {given.pair.other(old.id).id} takes it.",
        stages=(
            side_by_side(*stops, given.drivers.schedule.steps_to_stop(old)),
            side_by_side(given.drivers.identity.steps_to_release(old, given.pair.identity)),
        ),
    )


def _acquire(given: PlanningInput, new: Node, _state: PairState) -> Phase:
    identity = given.pair.identity
    replication = given.drivers.replication
    return Phase(
        name="acquire",
        why=f"{new.id} becomes {identity.hostname}, after making sure that nobody else answers for its addresses.",
        stages=(
            side_by_side(replication.steps_before_identity_change(new, identity)),
            side_by_side(given.drivers.identity.steps_to_acquire(new, identity)),
            side_by_side((*replication.steps_after_identity_change(new, identity), step_to_begin_tenure(given, new))),
        ),
    )


def _start_xcatd(given: PlanningInput, new: Node, state: PairState) -> Phase:
    start = given.drivers.services.steps_to_start(new, (Service.XCATD,), state.nodes[new.id].services)
    return Phase(
        name="start-xcatd",
        why="xCAT answers again, with data.",
        stages=(side_by_side(start), in_order(step_to_await_xcatd(given, new))),
    )


def _serve(given: PlanningInput, new: Node, state: PairState) -> Phase:
    states = state.nodes[new.id].services
    return Phase(
        name="serve",
        why="Name server, DHCP and consoles are set up for the service address; they do not depend on each other.",
        stages=(side_by_side(*lanes_to_generate(given, new, states), (step_to_await_tftp(given, new),)),),
    )


def _settle(given: PlanningInput, old: Node, new: Node, state: PairState) -> Phase:
    services = given.drivers.services
    disable = tuple(services.steps_to_disable(node, ROLE_SERVICES, state.nodes[node.id].services) for node in (old, new))
    schedule = given.drivers.schedule.steps_to_start(new, sync_jobs(given.pair, new))
    return Phase(
        name="settle",
        why="Nothing of the role may start by itself at boot; copies flow the other way from now on; a record proves the database.",
        stages=(side_by_side(*disable, schedule, (step_to_prove_writable(given, new),)),),
    )
