"""Whose turn it is, decided from terms: pure, and small enough to be read as a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import frozen

from xcat_ha.interfaces import ReplicaRole
from xcat_ha.observation import NodeState, PairState, Role
from xcat_ha.term import StoredTerm


class Turn(StrEnum):
    """What a guard does next."""

    TAKE = "take"
    STEP_DOWN = "step down"
    WAIT = "wait"
    """An operation is at work; it knows what it does."""
    STANDBY = "standby"
    PASSIVE = "passive"
    """Not taken, although the role may be nobody's; the administrator is told why."""
    SERVE = "serve"


@frozen
class Decision:
    """What to do, why, and what the administrator can do; ``hint`` is empty if there is nothing to do for him.

    ``superseded``: somebody answered with a higher term, so what this node has is history, whatever comes.
    """

    turn: Turn
    why: str
    hint: str = ""
    superseded: bool = False


def while_serving(me: str, own: StoredTerm | None, others: dict[str, StoredTerm | None]) -> Decision:
    """A node that has the role, having read the terms of the others (None: no answer).

    Args:
        me: id of this node.
        own: the term stored here.
        others: who was asked (the other node, the witness) -> the term stored there.
    """
    for name, term in others.items():
        if term is None or term.holder == me or term.counter == 0:
            continue
        hint = "xcat-ha rejoin makes this node the standby again; what only it has is saved first"
        if own is None or term.counter > own.counter:
            return Decision(Turn.STEP_DOWN, f"{name} has term {term.counter} of {term.holder}, above ours ({_words(own)})", hint)
        if term.counter == own.counter and own.holder != term.holder:
            hint = "decide who is right: xcat-ha failover --confirm-down with the other node switched off"
            return Decision(Turn.STEP_DOWN, f"{name} has the same term {term.counter}, but of {term.holder}: a conflict", hint)
        if term.counter == own.counter and not term.yielded_by:
            # We yielded it, the hand-over stopped, and the other one then took the role without us.
            return Decision(Turn.STEP_DOWN, f"{name} took the role in term {term.counter} without this node", hint)
    return Decision(Turn.SERVE, f"has the role, term {_words(own)}")


def while_idle(  # noqa: PLR0911 - a table in prose: one return a row
    me: str, state: PairState, witness: Mapping[str, StoredTerm | None], *, unfinished: str
) -> Decision:
    """A node without the role: does it take it by itself?

    Only if its own term names it, its database is its own, and the other node (which must hold nothing of the role) or the witness
    answers with a term that does not contradict. Silence is never a yes.

    Args:
        me: id of this node.
        state: both nodes as observed.
        witness: the witness's name and term (None if it does not answer); empty if none is configured.
        unfinished: words on an operation that stopped in the middle; empty if there is none.
    """
    here = state.nodes[me]
    (there,) = (node_state for node_id, node_state in state.nodes.items() if node_id != me)
    own = here.term
    if own is None:
        return Decision(Turn.PASSIVE, "the term stored on this node cannot be read", "xcat-ha status on the other node")
    if own.counter == 0:
        return Decision(Turn.PASSIVE, "no term is stored on this node", "xcat-ha setup")
    if own.holder != me:
        return Decision(Turn.STANDBY, f"the role is {own.holder}'s, term {own.counter}")
    if unfinished:
        return Decision(Turn.PASSIVE, f"{unfinished} is unfinished", "xcat-ha resume, or xcat-ha abandon")
    if here.role is not Role.STANDBY:
        return Decision(Turn.PASSIVE, "this node has a part of the role only", "look at systemctl status xcatd and ip address")
    if here.replica.role is not ReplicaRole.SOURCE:
        hint = "xcat-ha status; if the other node is lost, xcat-ha failover --confirm-down"
        return Decision(Turn.PASSIVE, f"the database here is not this node's own: {here.replica.detail}", hint)
    return _asked(me, own, there, witness)


def contradiction(me: str, own: StoredTerm, others: dict[str, StoredTerm | None]) -> Decision | None:
    """Why a node whose own term names it must not serve, by the terms of others; None if they do not contradict."""
    for name, term in others.items():
        if term is not None and term.counter > own.counter:
            why = f"{name} has term {term.counter} of {term.holder}, above ours ({own.counter})"
            return Decision(Turn.PASSIVE, why, f"xcat-ha rejoin makes {me} the standby of {term.holder}", superseded=True)
        if term is not None and term.counter == own.counter and term.holder != me:
            hint = "decide who is right: switch the wrong one off, then xcat-ha failover --confirm-down it on the right one"
            return Decision(Turn.PASSIVE, f"{name} has the same term {term.counter}, but of {term.holder}: a conflict", hint)
    return None


def silence(me: str, own: StoredTerm, peer: str, others: dict[str, StoredTerm | None]) -> Decision | None:
    """Passive, because nobody's answer names this node; None if somebody answers.

    The peer's answer counts whatever it is; a witness has to remember this very term: one that lags behind may have missed another's.
    """
    if others[peer] is not None or any(term is not None and term[:2] == own[:2] for term in others.values()):
        return None
    hint = f"when {peer} is surely down: xcat-ha activate --confirm-down {peer} on {me}; when it comes up, nothing is to be done"
    why = f"{peer} does not answer"
    for name, term in others.items():
        if name != peer:
            why += f", nor does {name}" if term is None else f", {name} {_remembers(term)}"
    return Decision(Turn.PASSIVE, f"{why}, and silence proves nothing", hint)


def _asked(me: str, own: StoredTerm, there: NodeState, witness: Mapping[str, StoredTerm | None]) -> Decision:
    """What the others' terms say to a node whose own term names it."""
    peer = there.node.id
    others = {peer: there.term if there.reachable else None, **witness}
    no = contradiction(me, own, others)
    if no is not None:
        return no
    if there.reachable:
        if there.term is None:
            return Decision(Turn.PASSIVE, f"the term stored on {peer} cannot be read", f"look at /var/lib/xcat-ha/term.json on {peer}")
        if there.role is not Role.STANDBY:
            return Decision(Turn.PASSIVE, f"{peer} is {there.role}: it holds something of the role, or cannot tell", "xcat-ha status")
        if there.term.holder == me:
            return Decision(Turn.TAKE, f"{peer} answers and names {me} in term {there.term.counter}")
        return Decision(Turn.TAKE, f"{peer} answers with a lower term ({there.term.counter}) and holds nothing of the role")
    no = silence(me, own, peer, others)
    return no or Decision(Turn.TAKE, f"the witness names {me} in term {own.counter}")


def _remembers(term: StoredTerm) -> str:
    return f"remembers only term {_words(term)}" if term.counter else "remembers no term"


def _words(term: StoredTerm | None) -> str:
    return "unreadable" if term is None else f"{term.counter} of {term.holder or 'nobody'}"
