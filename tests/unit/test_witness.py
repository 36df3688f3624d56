"""The witness: a file that both nodes see, or a host with nothing but a shell. It never forgets a higher term."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from tests.unit.test_core_planning import GIVEN, transcript
from tests.unit.test_core_status import silent, standby
from tests.unit.test_core_toys import MNA, MNB, toy_pair
from xcat_ha.errors import StepFailedError
from xcat_ha.execution import execute_steps
from xcat_ha.models import Witness
from xcat_ha.observation import PairState, term_of
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.planning.witness import WITNESS, question_for_witness, steps_to_inform
from xcat_ha.runners import LocalRunner
from xcat_ha.term import NO_TERM, StoredTerm

RUNNER = LocalRunner()


def remembered(path: Path) -> StoredTerm | None:
    asked = question_for_witness(toy_pair(witness=Witness(file=str(path))), "mna")
    assert asked is not None
    assert asked.host == "mna"
    return term_of(RUNNER.run("mna", asked.command))


def test_a_file_remembers_and_is_never_lowered(tmp_path: Path) -> None:
    path = tmp_path / "shared" / "term.json"
    pair = toy_pair(witness=Witness(file=str(path)))
    assert remembered(path) == NO_TERM
    for term in (StoredTerm(1, "mna"), StoredTerm(2, "mnb", "mna"), StoredTerm(10, "mna")):
        execute_steps(steps_to_inform(pair, MNB, term), RUNNER)
        assert remembered(path) == term
    for lower in (StoredTerm(9, "mnb"), StoredTerm(10, "mnb")):
        with pytest.raises(StepFailedError, match="the witness has term 10 of mna"):
            execute_steps(steps_to_inform(pair, MNB, lower), RUNNER)
    assert remembered(path) == StoredTerm(10, "mna")


def test_without_a_witness_nobody_is_asked_or_told() -> None:
    assert question_for_witness(toy_pair(), "mna") is None
    assert steps_to_inform(toy_pair(), MNA, StoredTerm(1, "mna")) == ()


def test_it_is_told_after_the_nodes_and_before_anybody_serves() -> None:
    given = evolve(GIVEN, pair=toy_pair(witness=Witness(host="192.0.2.99")))
    state = PairState({"mna": silent(MNA), "mnb": standby()}, 0.0)
    shown = transcript(plan_takeover(given, MNA, MNB, confirmed=True, announced="").preview(state))
    assert shown[:4] == ["raise-term", "  mnb:store-term", f"  {WITNESS}:inform-witness", "promote"]
    both = PairState({"mna": standby(MNA), "mnb": standby()}, 0.0)
    shown = transcript(plan_handover(given, MNA, MNB).preview(both))
    begin = shown.index("yield")
    assert shown[begin + 1 : begin + 4] == ["  mna:store-term", "  mnb:store-term", f"  {WITNESS}:inform-witness"]
