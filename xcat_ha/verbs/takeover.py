"""The unplanned change of primary: taking the role without the node that is down."""

from __future__ import annotations

import time

from attrs import evolve

from xcat_ha.errors import RefusedError, UnreachableError
from xcat_ha.interfaces import ReplicaRole
from xcat_ha.models import Node
from xcat_ha.observation import NodeState, PairState, Role
from xcat_ha.operations import Prepared, Reach, Result, Workshop, prepared
from xcat_ha.planning.images import images_on, sentences_about_images
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.term import NO_TERM
from xcat_ha.verbs.basis import given_for, offline_site
from xcat_ha.verbs.images import images_of, with_closing_list
from xcat_ha.verbs.terms import highest_term, refuse_conflict_unless_down


def prepare_takeover(workshop: Workshop, old: Node, *, confirmed: bool, allow_data_loss: bool, for_later: bool = False) -> Prepared:
    """The other node takes the role without ``old``.

    Args:
        workshop: what it works with.
        old: the node that is down (``confirmed``) or will be fenced.
        confirmed: the administrator says that it is down.
        allow_data_loss: go on although the copy is older than ``max_loss_s``, of unknown age, or not known to be good.
        for_later: only to be written as a runbook; ``old`` may answer, and may be this node. What is prepared cannot be run.

    Raises:
        RefusedError: ``old`` answers, the new node has the role already, or more would be lost than is allowed.
        UnknownStateError, UnreachableError: the new node does not answer, or what would be lost is not known.
    """
    new = workshop.pair.other(old.id)
    if workshop.local == old.id and not for_later:
        raise RefusedError(f"this is {old.id} itself", state="nothing was changed", hint=f"run it on {new.id}")
    state = workshop.observe(images=workshop.drivers.images is not None)
    refuse_conflict_unless_down(state, old)
    there, here = state.nodes[old.id], state.nodes[new.id]
    _require_able(state, old, new, confirmed=confirmed and not for_later)
    announced = _loss(workshop, here, there, allow_data_loss=allow_data_loss or for_later)
    site = offline_site(workshop, new)
    term = highest_term(state)
    given = given_for(workshop, "failover", site, (), term)
    plan = plan_takeover(given, old, new, confirmed=confirmed, announced=announced)
    operation = evolve(plan, summary=(*plan.summary, *_images_named(workshop, state, old, new)))
    down = frozenset({old.id})

    def why_not(now: PairState) -> str:
        if now.nodes[new.id].role is not Role.STANDBY:
            return f"{new.id} was standby when this was planned; now it is {now.nodes[new.id].role}"
        return "" if now.nodes[new.id].term in {here.term, None} else f"the term of {new.id} was raised meanwhile"

    # A power switch fences a node that does not answer; then nothing else can be asked of that node either. Nor on the day it is for.
    left_out = down if confirmed or for_later or not there.reachable else frozenset[str]()
    made = prepared(workshop, operation, given, state, why_not=why_not, reach=Reach(left_out, down))
    if for_later:
        return evolve(made, run=_only_a_runbook)
    return with_closing_list(workshop, made, new)


def _only_a_runbook() -> Result:
    raise RefusedError(
        "this was prepared to be written as a runbook, without asking what would be lost",
        state="nothing was changed",
        hint="run the runbook, or xcat-ha failover --confirm-down",
    )


def _images_named(workshop: Workshop, state: PairState, old: Node, new: Node) -> tuple[str, ...]:
    """Images that are not complete on the node that is to serve them: against the old primary, or against what was noted of it."""
    if workshop.drivers.images is None:
        return ()
    return sentences_about_images(images_on(new, images_of(state, new), images_of(state, old)), planned=False)


def _require_able(state: PairState, old: Node, new: Node, *, confirmed: bool) -> None:
    there, here = state.nodes[old.id], state.nodes[new.id]
    if confirmed and there.reachable:
        raise RefusedError(
            f"{old.id} answers ssh: it is not down",
            state="nothing was changed",
            hint="hand over: xcat-ha failover; or switch it off first",
        )
    if not here.reachable:
        raise UnreachableError(f"{new.id} did not answer: {here.trouble}", state="nothing was changed", hint=f"run it on {new.id}")
    if here.role is Role.PRIMARY:
        raise RefusedError(f"{new.id} has the role already", state="nothing was changed", hint="xcat-ha status shows who is what")
    if here.term == NO_TERM:
        raise RefusedError(f"no term is stored on {new.id}: it was never made a standby", state="nothing was changed", hint="xcat-ha setup")
    if here.replica.role is ReplicaRole.SOURCE and here.term is not None and here.term.holder == new.id:
        raise RefusedError(
            f"the role is {new.id}'s already, by term {here.term.counter}; it only does not serve",
            state="nothing was changed",
            hint=f"xcat-ha activate --confirm-down {old.id}",
        )


def _loss(workshop: Workshop, here: NodeState, there: NodeState, *, allow_data_loss: bool) -> str:
    """What will be lost, in a sentence.

    Raises:
        RefusedError: it is too much, or not known, and that was not allowed.
    """
    replica, limit_s = here.replica, workshop.pair.max_loss_s
    last = replica.last_good
    # A hand-over raises the term before it gives the database away: a SOURCE in the old term is a copy that was written to.
    age_s = None if last is None or replica.role is ReplicaRole.SOURCE else max(workshop.clock.now() - last, 0.0)
    if last is None or age_s is None:
        words = f"The age of the copy on {here.node.id} is NOT KNOWN ({replica.detail}): what will be lost is not known."
    else:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last))
        words = (
            f"What was written after {moment} ({last:.3f}), {age_s:.0f} s ago, IS LOST; everything before is in the copy "
            f"(generation {replica.generation or 'unnamed'})."
        )
    words += _files_behind(here, workshop.clock.now())
    if age_s is None or age_s > limit_s:
        why = f"That is more than max_loss_s = {limit_s} s allows"
    elif replica.healthy is not True:
        why = f"But that copy is not known to be good: {replica.detail}"
    else:
        return words
    if not allow_data_loss:
        raise RefusedError(
            f"{words} {why}", state="nothing was changed", hint=f"bring {there.node.id} back, or accept the loss with --allow-data-loss"
        )
    return words if age_s is None else f"{words} {why}."


def _files_behind(here: NodeState, now: float) -> str:
    sets = sorted(here.files.sets.items())
    shown = [f"{name} {'never' if found.last_sync is None else f'{now - found.last_sync:.0f} s ago'}" for name, found in sets]
    return f" Files were last copied: {', '.join(shown)}." if shown else ""
