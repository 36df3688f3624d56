"""What keeps the role single, as findings of ``check``: the terms on both nodes, the guards, the pair's lock."""

from __future__ import annotations

from collections.abc import Iterator

from xcat_ha.interfaces import Drivers
from xcat_ha.models import Pair
from xcat_ha.observation import NodeState, PairState
from xcat_ha.planning.jobs import guard_daemon
from xcat_ha.planning.requirements import Finding
from xcat_ha.steps import Check, Judgement, Verdict
from xcat_ha.term import NO_TERM, StoredTerm

GUARD_LATE_S = 120.0
"""A guard that starts the role is busy with that for a while."""


def findings_of_terms(state: PairState) -> tuple[Finding, ...]:
    """What is stored on each node, whether that agrees, and whether the primary is whom it names."""
    each = tuple(_stored(node_state) for node_state in state.nodes.values())
    return (*each, _agreement(state), *_primary_is_holder(state))


def in_words(term: StoredTerm | None) -> str:
    """A term for an administrator."""
    if term is None:
        return "an unknown term"
    if term.counter == 0:
        return "no term"
    return f"term {term.counter} of {term.holder}" + (f", yielded by {term.yielded_by}" if term.yielded_by else "")


def _stored(state: NodeState) -> Finding:
    name = state.node.id
    question = f"{name} knows whose turn it is"
    if not state.reachable:
        return Finding("terms", question, Judgement(Verdict.UNKNOWN, f"{name} did not answer"), "xcat-ha status")
    if state.term is None:
        hint = f"look at /var/lib/xcat-ha/term.json on {name}"
        return Finding("terms", question, Judgement(Verdict.UNKNOWN, "the stored term cannot be read"), hint)
    if state.term.counter == 0:
        return Finding("terms", question, Judgement(Verdict.FAILS, "no term is stored"), "xcat-ha setup stores it")
    return Finding("terms", question, Judgement(Verdict.HOLDS, in_words(state.term)))


def _agreement(state: PairState) -> Finding:
    question = "both nodes have the same term"
    (first, theirs), (second, ours) = ((node_id, node_state.term) for node_id, node_state in state.nodes.items())
    said = f"{first} has {in_words(theirs)}, {second} has {in_words(ours)}"
    if theirs is None or ours is None:
        return Finding("terms", question, Judgement(Verdict.UNKNOWN, said), "xcat-ha status")
    if theirs[:2] == ours[:2]:
        return Finding("terms", question, Judgement(Verdict.HOLDS, in_words(theirs)))
    if state.conflict:
        why = f"{said}: a CONFLICT. Each took the role without the other, and no counter is higher, so both stay passive"
        hint = "decide who is right: switch the wrong one off, then xcat-ha failover --confirm-down it on the right one"
        return Finding("terms", question, Judgement(Verdict.FAILS, why), hint)
    behind, ahead = (first, ours) if theirs.counter < ours.counter else (second, theirs)
    why = f"{said}: the higher one is right; {behind} was away while the role moved, and takes no copies"
    hint = f"xcat-ha rejoin makes {behind} the standby of {ahead.holder}" if behind != ahead.holder else "xcat-ha status"
    return Finding("terms", question, Judgement(Verdict.FAILS, why), hint)


def _primary_is_holder(state: PairState) -> tuple[Finding, ...]:
    primary = state.nodes.get(state.primary or "")
    if primary is None or primary.term in {None, NO_TERM} or state.term is None:
        return ()
    name = primary.node.id
    holds = Verdict.HOLDS if state.term.holder == name else Verdict.FAILS
    hint = f"its guard steps down within seconds; else xcat-ha step-down on {name}; in the middle of a hand-over: xcat-ha resume"
    return (Finding("terms", f"{name}, which has the role, is whom the terms name", Judgement(holds, in_words(state.term)), hint),)


def is_set_up(state: NodeState) -> bool:
    """Whether ``setup`` has made it a node of a pair. One whose term is not known may be."""
    return state.term != NO_TERM


def guard_checks(pair: Pair, drivers: Drivers, state: PairState) -> tuple[tuple[str, Check], ...]:
    """On every node of a set-up pair: is the guard's service installed as setup does it, started at boot, running?"""
    found: list[tuple[str, Check]] = []
    for node_state in state.nodes.values():
        if is_set_up(node_state):
            steps = drivers.services.steps_to_keep_running(node_state.node, guard_daemon(pair, node_state.node))
            found += [("guard", step.done_when) for step in steps]
    return tuple(found)


def findings_of_guards(pair: Pair, state: PairState) -> tuple[Finding, ...]:
    """Whether the guards do look: a service that runs may still hang."""
    return tuple(_looks(pair, state, node_state) for node_state in state.nodes.values() if is_set_up(node_state))


def _looks(pair: Pair, state: PairState, node_state: NodeState) -> Finding:
    name, guard = node_state.node.id, node_state.guard
    question = f"the guard of {name} looks every {pair.guard_interval_s} s"
    hint = f"journalctl -u xcat-ha-guard on {name}; xcat-ha setup installs it"
    if not node_state.reachable:
        return Finding("guard", question, Judgement(Verdict.UNKNOWN, f"{name} did not answer"), hint)
    if guard is None:
        return Finding("guard", question, Judgement(Verdict.FAILS, "it has not spoken since the node booted"), hint)
    if node_state.clock_offset_s is None:
        return Finding("guard", question, Judgement(Verdict.UNKNOWN, "the node's clock cannot be read"), hint)
    age_s = state.observed_at + node_state.clock_offset_s - guard.checked
    late = age_s > GUARD_LATE_S + pair.guard_interval_s
    said = f"{max(age_s, 0.0):.0f} s ago it said: {guard.state}: {guard.why}"
    return Finding("guard", question, Judgement(Verdict.FAILS if late else Verdict.HOLDS, said), hint)


def locks_to_ask_about(state: PairState) -> Iterator[tuple[NodeState, NodeState]]:
    """(where a lock was found, where its holder runs), for locks whose holder runs on the other node, which answers."""
    for node_state in state.nodes.values():
        lock = node_state.lock
        holder = state.nodes.get(str(lock.content.get("node", ""))) if lock is not None else None
        if lock is not None and lock.holder_alive is None and holder is not None and holder is not node_state and holder.reachable:
            yield node_state, holder


def finding_of_lock(state: NodeState, alive: bool | None) -> Finding:  # noqa: FBT001 - the three answers
    """Whether whoever holds the pair's lock on the node is at work. ``alive``: of the process; None if that is not known."""
    name, lock = state.node.id, state.lock
    question = f"no dead operation has left its lock on {name}"
    if not state.reachable:
        return Finding("lock", question, Judgement(Verdict.UNKNOWN, f"{name} did not answer"), "xcat-ha status")
    if lock is None:
        return Finding("lock", question, Judgement(Verdict.HOLDS, "nobody holds it"))
    who = f"{lock.content.get('operation', 'something')} by {lock.content.get('user', '?')} on {lock.content.get('host', '?')}"
    who += f" (process {lock.content.get('pid', '?')})"
    if alive:
        return Finding("lock", question, Judgement(Verdict.HOLDS, f"held by {who}, which runs"))
    if alive is None:
        hint = "wait for it, or bring that machine back; a lock is never taken from somebody who may be at work"
        return Finding("lock", question, Judgement(Verdict.UNKNOWN, f"held by {who}; whether that runs is not known"), hint)
    hint = "xcat-ha status tells whether that operation is unfinished; the next operation removes the lock by itself"
    return Finding("lock", question, Judgement(Verdict.FAILS, f"held by {who}, which is no more"), hint)
