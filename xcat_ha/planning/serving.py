"""Taking the role up: the phases that every change of primary ends with, planned or not."""

from __future__ import annotations

from functools import partial

from xcat_ha.interfaces import ROLE_SERVICES, Service, ServiceStates
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.jobs import sync_jobs
from xcat_ha.planning.operation import PhasePlanner, PlanningInput
from xcat_ha.planning.xcat_steps import (
    lanes_to_generate,
    step_to_await_tftp,
    step_to_await_xcatd,
    step_to_begin_tenure,
    step_to_note_services,
    step_to_prove_writable,
)
from xcat_ha.steps import Phase, Stage, in_order, side_by_side


def phases_to_serve(given: PlanningInput, new: Node, reachable: tuple[Node, ...]) -> tuple[PhasePlanner, ...]:
    """``new``, whose database is its own, takes identity and services. Only ``reachable`` nodes (``new`` among them) are touched."""
    return (
        PhasePlanner("acquire", partial(_acquire, given, new), needs_observation=False, outlives_reboot=False),
        PhasePlanner("start-xcatd", partial(_start_xcatd, given, new), needs_observation=False, outlives_reboot=False),
        PhasePlanner("serve", partial(_serve, given, new), outlives_reboot=False),
        PhasePlanner("settle", partial(_settle, given, reachable, new)),
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
    return Phase(
        name="start-xcatd",
        why="xCAT answers again, with data.",
        stages=_stages_to_start_xcatd(given, new, state.nodes[new.id].services),
    )


def _stages_to_start_xcatd(given: PlanningInput, new: Node, states: ServiceStates) -> tuple[Stage, ...]:
    start = given.drivers.services.steps_to_start(new, (Service.XCATD,), states)
    return (side_by_side(start), in_order(step_to_await_xcatd(given, new)))


def _serve(given: PlanningInput, new: Node, state: PairState) -> Phase:
    return Phase(
        name="serve",
        why="Name server, DHCP, consoles and exports are set up for the service address; they do not depend on each other.",
        stages=(_stage_of_services(given, new, state.nodes[new.id].services),),
    )


def _stage_of_services(given: PlanningInput, new: Node, states: ServiceStates) -> Stage:
    exports = given.drivers.images.steps_to_export(new) if given.drivers.images is not None else ()
    return side_by_side(*lanes_to_generate(given, new, states), exports, (step_to_await_tftp(new),))


def stages_to_serve(given: PlanningInput, node: Node, states: ServiceStates) -> tuple[Stage, ...]:
    """All services of the role on a node that has the identity already."""
    return (*_stages_to_start_xcatd(given, node, states), _stage_of_services(given, node, states))


def _settle(given: PlanningInput, reachable: tuple[Node, ...], new: Node, state: PairState) -> Phase:
    services = given.drivers.services
    disable = tuple(services.steps_to_disable(node, ROLE_SERVICES, state.nodes[node.id].services) for node in reachable)
    schedule = given.drivers.schedule.steps_to_start(new, sync_jobs(given.pair, new))
    return Phase(
        name="settle",
        why="Nothing of the role may start by itself at boot; copies flow the other way from now on; a record proves the database.",
        stages=(
            side_by_side(
                *disable,
                schedule,
                (step_to_prove_writable(given, new),),
                (step_to_note_services(new, state.nodes[new.id].services),),
            ),
        ),
    )
