"""A planned change of primary: failover and failback. The order is the design's, and it is the point of this module.

Everything that can be copied beforehand is copied while the old primary still serves; the old one yields the term, durably; xcatd stops;
the last copy is taken from a database nobody writes to; the address moves; xcatd starts; what xCAT generates is generated side by side;
all of it is proven.
"""

from __future__ import annotations

from functools import partial

from attrs import evolve

from xcat_ha.interfaces import Service
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.images import phases_for_images
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.serving import phases_to_serve
from xcat_ha.planning.sync import file_lanes
from xcat_ha.planning.terms import received, step_to_store
from xcat_ha.planning.witness import steps_to_inform
from xcat_ha.steps import Phase, in_order, side_by_side
from xcat_ha.term import StoredTerm

_SERVED = (Service.DHCP, Service.DNS, Service.TFTP)


def plan_handover(given: PlanningInput, old: Node, new: Node, *, verb: str = "failover") -> Operation:
    """Move the role from ``old`` to ``new`` while both are alive and connected; nothing is lost."""
    phases = (
        PhasePlanner("catch-up", partial(_catch_up, given, old, new), needs_observation=False),
        PhasePlanner("yield", partial(_yield, given, old, new), needs_observation=False),
        PhasePlanner("stop-xcatd", partial(_stop_xcatd, given, old)),
        PhasePlanner("last-copy", partial(_last_copy, given, old, new), needs_observation=False),
        PhasePlanner("release", partial(_release, given, old), needs_observation=False),
        *phases_to_serve(given, new, (old, new)),
        *phases_for_images(given, new),
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
        parameters={"old": old.id, "new": new.id, "term": given.term.words()},
    )


def term_after(given: PlanningInput, old: Node, new: Node) -> StoredTerm:
    """The term of the hand-over: the old primary gave the role up in peace."""
    return StoredTerm(given.term.counter + 1, new.id, old.id)


def _catch_up(given: PlanningInput, old: Node, new: Node, _state: PairState) -> Phase:
    database = received(given.drivers.replication.steps_to_sync(old, new), new, old, given.term)
    lanes = (database, *file_lanes(given, old, new, given.file_sets))
    return Phase(
        name="catch-up",
        why=f"What is copied while {old.id} still serves need not be copied while nobody does.",
        stages=(side_by_side(*lanes),),
    )


def _yield(given: PlanningInput, old: Node, new: Node, _state: PairState) -> Phase:
    term = term_after(given, old, new)
    return Phase(
        name="yield",
        why=f"From now on the role is {new.id}'s; {old.id} says so first, so that it never takes it back by itself.",
        stages=(
            in_order(step_to_store(old, term, f"{old.id} remembers, also after a reboot, that it gave the role up.")),
            in_order(step_to_store(new, term, f"{new.id} takes the last copies from {old.id}, and then none any more.")),
            side_by_side(steps_to_inform(given.pair, new, term)),
        ),
    )


def _stop_xcatd(given: PlanningInput, old: Node, state: PairState) -> Phase:
    steps = given.drivers.services.steps_to_stop(old, (Service.XCATD,), state.nodes[old.id].services)
    return Phase(name="stop-xcatd", why="Nothing may write after the last copy begins.", stages=(side_by_side(steps),))


def _last_copy(given: PlanningInput, old: Node, new: Node, state: PairState) -> Phase:
    term = term_after(given, old, new)
    database = received(given.drivers.replication.steps_to_hand_over(old, new), new, old, term)
    # xcatd does not run any more, and reading its tables past it would take seconds that nobody is served in: no new note of the images.
    lanes = (database, *file_lanes(evolve(given, term=term), old, new, given.file_sets, note_images=False))
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
    exports = given.drivers.images.steps_to_withdraw(old) if given.drivers.images is not None else ()
    return Phase(
        name="release",
        why=f"{old.id} must hold nothing of the role before {given.pair.other(old.id).id} takes it.",
        stages=(
            side_by_side(*stops, exports, given.drivers.schedule.steps_to_stop(old)),
            side_by_side(given.drivers.identity.steps_to_release(old, given.pair.identity)),
        ),
    )
