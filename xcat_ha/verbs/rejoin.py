"""Coming back as standby."""

from __future__ import annotations

from functools import partial

from attrs import evolve

from xcat_ha.errors import RefusedError, UnreachableError, XcatHaError
from xcat_ha.history import running_words
from xcat_ha.interfaces import ReplicaRole
from xcat_ha.models import Node
from xcat_ha.observation import PairState, Role
from xcat_ha.operations import Prepared, Result, Workshop, prepared
from xcat_ha.planning.rejoin import divergence, plan_rejoin
from xcat_ha.planning.sync import plan_sync
from xcat_ha.verbs.basis import ask_both, file_sets_of, given_for, online_site, still_primary
from xcat_ha.verbs.copying import FILES, prepare_sync
from xcat_ha.verbs.terms import term_of_primary

_TAKES_UP_ROLE_S = 60.0


def prepare_rejoin(workshop: Workshop) -> Prepared:
    """The node without the role becomes the standby of the primary, whatever it was; then its files are brought in step.

    The files are an operation of their own: should one set be refused, the node is a standby with a good copy all the same.

    Raises:
        RefusedError: it is in step already, or holds something of the role.
        UnknownStateError, UnreachableError: it is not known who is primary, or a node does not answer.
    """
    state = workshop.observe()
    primary = workshop.pair.node(state.require_primary())
    returned = workshop.pair.other(primary.id)
    term = term_of_primary(state, primary)
    there = state.nodes[returned.id]
    if not there.reachable:
        raise UnreachableError(f"{returned.id} did not answer: {there.trouble}", state="nothing was changed", hint="bring it up first")
    if there.role is not Role.STANDBY:
        raise RefusedError(
            f"{returned.id} is {there.role}: it still holds something of the role",
            state="nothing was changed",
            hint=f"its guard steps down within seconds; else run xcat-ha step-down on {returned.id}",
        )
    if there.term == term and there.replica.role is ReplicaRole.COPY and there.replica.healthy:
        raise RefusedError(f"{returned.id} is in step already", state="nothing was changed", hint="xcat-ha sync brings it up to now")
    site = online_site(workshop, primary)
    lost = _divergence_words(workshop, primary, returned)
    given = given_for(workshop, "rejoin", site, file_sets_of(workshop.pair, site), term)
    operation = plan_rejoin(given, primary, returned, lost)
    first = prepared(workshop, operation, given, state, why_not=partial(_why_not_rejoin, primary, returned))
    files = plan_sync(given, primary, returned, database=False)
    plan = evolve(first.plan, phases=(*first.plan.phases, *files.preview(state).phases))
    # A runbook goes through both in one.
    whole = evolve(operation, phases=(*operation.phases, *files.phases))
    outline = evolve(first.outline, operation=whole, plan=plan) if first.outline is not None else None
    return Prepared(plan, lambda: with_files(workshop, first.run(), primary, returned), outline)


def with_files(workshop: Workshop, first: Result, primary: Node, returned: Node) -> Result:
    """Bring the files of a node that has just rejoined in step; what came of both.

    Raises:
        XcatHaError: of the sync, saying that the rest is done.
    """
    _await_role(workshop, primary)
    try:
        second = prepare_sync(workshop, (FILES,)).run()
    except XcatHaError as error:
        raise type(error)(
            f"{returned.id} is the standby of {primary.id} again, but not all of its files are in step: {error.what}",
            where=error.where,
            state=f"its database is a copy of {primary.id}'s; nothing is unfinished; of the files: {error.state or 'see xcat-ha status'}",
            hint=f"{error.hint}; then xcat-ha sync files",
        ) from error
    return evolve(
        first,
        seconds=first.seconds + second.seconds,
        phases=(*first.phases, *second.phases),
        changed=first.changed or second.changed,
        notes=(*first.notes, *second.notes),
    )


def _await_role(workshop: Workshop, primary: Node) -> None:
    """A primary that was rebooted in the middle takes the role up only now that nothing is unfinished any more: its guard does it."""
    deadline = workshop.clock.monotonic() + _TAKES_UP_ROLE_S + workshop.pair.guard_interval_s
    while not _serves(workshop.observe(), primary) and workshop.clock.monotonic() < deadline:
        workshop.clock.sleep(1)


def _serves(state: PairState, primary: Node) -> bool:
    """It has all of the role, and its guard is not at work on it any more."""
    return state.nodes[primary.id].role is Role.PRIMARY and not running_words(state)


def _why_not_rejoin(primary: Node, returned: Node, now: PairState) -> str:
    moved = still_primary(primary)(now)
    if moved:
        return moved
    return "" if now.nodes[returned.id].role is Role.STANDBY else f"{returned.id} is {now.nodes[returned.id].role} now"


def _divergence_words(workshop: Workshop, primary: Node, returned: Node) -> str:
    replication = workshop.drivers.replication
    answers = ask_both(workshop, replication.question_for_contents)
    theirs, ours = (replication.interpret_contents(answers[node.id]) if answers else None for node in (returned, primary))
    if theirs is None or ours is None:
        return "not known, because the databases cannot be compared; the saved copy has all of it"
    return divergence(theirs, ours).words
