"""Whose turn it is: tables of terms as the guard reads them, and what it does. Silence is never a yes."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.unit.test_core_status import primary, services, silent, standby
from tests.unit.test_core_toys import MNA, MNB
from xcat_ha.interfaces import ReplicaRole, ReplicaState, Service
from xcat_ha.observation import NodeState, PairState
from xcat_ha.planning.turns import Turn, contradiction, while_idle, while_serving
from xcat_ha.term import NO_TERM, StoredTerm

A1, A3, B2, B2Y, B3 = StoredTerm(1, "mna"), StoredTerm(3, "mna"), StoredTerm(2, "mnb"), StoredTerm(2, "mnb", "mna"), StoredTerm(3, "mnb")
A2 = StoredTerm(2, "mna")

# mna has the role. (its own term, mnb's term or None for no answer, the witness's, what mna's guard does)
SERVING: list[tuple[StoredTerm | None, StoredTerm | None, StoredTerm | None, Turn]] = [
    (A1, A1, None, Turn.SERVE),
    (A1, None, None, Turn.SERVE),
    (A1, NO_TERM, None, Turn.SERVE),
    (A1, B2, None, Turn.STEP_DOWN),
    (A1, None, B2, Turn.STEP_DOWN),
    (A3, B2, None, Turn.SERVE),
    (A2, B2, None, Turn.STEP_DOWN),  # a conflict
    (B2Y, B2Y, None, Turn.SERVE),  # a hand-over that stopped; it is to be resumed
    (B2Y, A1, None, Turn.SERVE),  # the same, before mnb stored it
    (B2Y, B2, None, Turn.STEP_DOWN),  # mnb took the role without us meanwhile
    (B2Y, B3, None, Turn.STEP_DOWN),
    (None, B2, None, Turn.STEP_DOWN),
    (None, None, None, Turn.SERVE),
]


def test_only_a_higher_term_makes_what_a_node_has_history() -> None:
    def superseded(peer: StoredTerm | None) -> bool:
        found = contradiction("mna", A2, {"mnb": peer, "the witness": None})
        return found is not None and found.superseded

    assert superseded(B3)
    assert not any(superseded(term) for term in (None, NO_TERM, A1, A2, B2))


@pytest.mark.parametrize(("own", "peer", "witness", "turn"), SERVING)
def test_a_node_that_has_the_role(own: StoredTerm | None, peer: StoredTerm | None, witness: StoredTerm | None, turn: Turn) -> None:
    assert while_serving("mna", own, {"mnb": peer, "witness": witness}).turn is turn


def booted(term: StoredTerm | None, **changed: object) -> NodeState:
    """Mna after a boot: its own database, nothing of the role."""
    return standby(MNA, replica=ReplicaState(ReplicaRole.SOURCE, healthy=True, detail="73 tables"), term=term, **changed)


def there(term: StoredTerm | None) -> NodeState:
    return standby(MNB, term=term)


# (mna, mnb, the witness's term, what mna's guard does, what its reason says)
IDLE: list[tuple[NodeState, NodeState, StoredTerm | None, Turn, str]] = [
    (booted(A1), there(A1), None, Turn.TAKE, "names mna"),
    (booted(A1), silent(MNB), None, Turn.PASSIVE, "silence proves nothing"),
    (booted(A1), silent(MNB), A1, Turn.TAKE, "the witness names mna"),
    (booted(A3), silent(MNB), A3, Turn.TAKE, "the witness names mna"),
    (booted(A3), silent(MNB), A1, Turn.PASSIVE, "the witness remembers only term 1"),  # it may have missed another's too
    (booted(A3), silent(MNB), B2, Turn.PASSIVE, "the witness remembers only term 2 of mnb"),
    (booted(A3), silent(MNB), B3, Turn.PASSIVE, "conflict"),
    (booted(A1), silent(MNB), NO_TERM, Turn.PASSIVE, "the witness remembers no term"),
    (booted(A1), there(A1), NO_TERM, Turn.TAKE, "names mna"),
    (booted(A1), silent(MNB), B2, Turn.PASSIVE, "above ours"),
    (booted(A1), there(A1), B2, Turn.PASSIVE, "above ours"),
    (booted(A1), there(B2), None, Turn.PASSIVE, "above ours"),
    (booted(A1), there(B2), A1, Turn.PASSIVE, "above ours"),
    (booted(A2), there(B2), None, Turn.PASSIVE, "conflict"),
    (booted(A3), there(B2), None, Turn.TAKE, "lower term"),
    (booted(A3), there(None), None, Turn.PASSIVE, "cannot be read"),
    (booted(A3), evolve(primary(MNB), term=B2), None, Turn.PASSIVE, "mnb is primary"),
    (booted(A1), evolve(primary(MNB), term=A1), None, Turn.PASSIVE, "mnb is primary"),
    (booted(A1), standby(MNB, term=A1, services=services(Service.XCATD)), None, Turn.PASSIVE, "mnb is partial"),
    (booted(B2), there(B2), None, Turn.STANDBY, "mnb's"),
    (booted(None), there(A1), None, Turn.PASSIVE, "cannot be read"),
    (booted(NO_TERM), there(A1), None, Turn.PASSIVE, "no term"),
    (standby(MNA, term=A3), there(A3), None, Turn.PASSIVE, "not this node's own"),
    (booted(A1, services=services(Service.XCATD)), there(A1), None, Turn.PASSIVE, "a part of the role"),
]


@pytest.mark.parametrize(("here", "other", "witness", "turn", "says"), IDLE)
def test_a_node_without_the_role(here: NodeState, other: NodeState, witness: StoredTerm | None, turn: Turn, says: str) -> None:
    decision = while_idle("mna", PairState({"mna": here, "mnb": other}, 0.0), {"the witness": witness}, unfinished="")
    assert decision.turn is turn, decision
    assert says in decision.why
    assert decision.hint or turn is not Turn.PASSIVE, "a passive guard says what to do"


def test_who_was_silent_is_said() -> None:
    """Without a witness none is mentioned."""
    state = PairState({"mna": booted(A1), "mnb": silent(MNB)}, 0.0)
    assert while_idle("mna", state, {}, unfinished="").why == "mnb does not answer, and silence proves nothing"
    both = while_idle("mna", state, {"the witness": None}, unfinished="").why
    assert both == "mnb does not answer, nor does the witness, and silence proves nothing"


def test_an_unfinished_operation_is_resumed_not_guessed() -> None:
    decision = while_idle("mna", PairState({"mna": booted(A1), "mnb": there(A1)}, 0.0), {}, unfinished="the failover of x")
    assert decision.turn is Turn.PASSIVE
    assert "xcat-ha resume" in decision.hint


def test_never_do_both_take_it() -> None:
    terms = [A1, A2, A3, B2, B2Y, B3, NO_TERM, None]
    own = ReplicaState(ReplicaRole.SOURCE, healthy=True)
    for first in terms:
        for second in terms:
            state = PairState({"mna": standby(MNA, term=first, replica=own), "mnb": standby(MNB, term=second, replica=own)}, 0.0)
            turns = [while_idle(node_id, state, {}, unfinished="").turn for node_id in ("mna", "mnb")]
            assert turns.count(Turn.TAKE) <= 1, (first, second)
