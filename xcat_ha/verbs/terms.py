"""Whose turn it is, as far as a verb has to know before it may do anything."""

from __future__ import annotations

from xcat_ha.errors import RefusedError, UnknownStateError, UnreachableError
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.term import NO_TERM, StoredTerm


def refuse_conflict(state: PairState) -> None:
    """Equal counters with different holders: nobody knows who is right, and nothing proceeds.

    Raises:
        RefusedError: that is so.
    """
    if state.conflict:
        both = "; ".join(f"{node_id}: {node_state.term.words()}" for node_id, node_state in state.nodes.items() if node_state.term)
        raise RefusedError(
            f"the nodes disagree about whose turn it is ({both})",
            state="nothing was changed; both stay passive",
            hint="switch the wrong one off, then xcat-ha failover --confirm-down it on the right one",
        )


def refuse_conflict_unless_down(state: PairState, down: Node) -> None:
    """A conflict is in the way only if both nodes of it are up."""
    if state.nodes[down.id].reachable:
        refuse_conflict(state)


def term_of_primary(state: PairState, primary: Node) -> StoredTerm:
    """The term in which ``primary`` works.

    Raises:
        RefusedError: no term is stored, or the terms say that it should not have the role.
        UnknownStateError: its term cannot be read.
    """
    refuse_conflict(state)
    term = state.nodes[primary.id].term
    if term is None:
        raise UnknownStateError(
            f"the term stored on {primary.id} cannot be read", hint=f"look at /var/lib/xcat-ha/term.json on {primary.id}"
        )
    if term.counter == 0:
        raise RefusedError("no term is stored yet", state="nothing was changed", hint=f"run xcat-ha setup on {primary.id}")
    if primary.id not in {term.holder, term.yielded_by}:
        raise RefusedError(
            f"{primary.id} has the service address, but by term {term.counter} the role is {term.holder}'s",
            state="nothing was changed",
            hint="xcat-ha status shows both terms",
        )
    for node_state in state.nodes.values():
        if node_state.term is not None and node_state.term.counter > term.counter:
            raise RefusedError(
                f"{node_state.node.id} has term {node_state.term.counter}, above {primary.id}'s {term.counter}",
                state="nothing was changed",
                hint=f"{primary.id}'s role has moved: its guard steps down; xcat-ha status tells more",
            )
    return term


def require_in_step(state: PairState, primary: Node, standby: Node) -> StoredTerm:
    """The primary's term, which the standby must share, else it takes no copies.

    Raises:
        RefusedError: the standby has another one.
        UnknownStateError, UnreachableError: one of them cannot be read.
    """
    term = term_of_primary(state, primary)
    other = state.nodes[standby.id]
    if not other.reachable:
        raise UnreachableError(f"{standby.id} did not answer: {other.trouble}", state="nothing was changed", hint="xcat-ha status")
    if other.term is None:
        raise UnknownStateError(f"the term stored on {standby.id} cannot be read", hint="look at /var/lib/xcat-ha/term.json there")
    if other.term[:2] != term[:2]:
        raise RefusedError(
            f"{standby.id} has term {other.term.words()}, {primary.id} has {term.words()}: it takes no copies",
            state="nothing was changed",
            hint="xcat-ha rejoin: what only it has is saved first",
        )
    return term


def highest_term(state: PairState) -> StoredTerm:
    """The term with the highest counter that any node has; ``NO_TERM`` if none is known."""
    known = [node_state.term for node_state in state.nodes.values() if node_state.term is not None]
    return max(known, key=lambda term: term.counter, default=NO_TERM)


def term_for_setup(state: PairState, primary: Node) -> StoredTerm:
    """The highest term if it names the primary, else the next one."""
    highest = highest_term(state)
    return highest if highest.holder == primary.id else StoredTerm(highest.counter + 1, primary.id)
