"""The witness: a file that both nodes see, or a host with nothing but a shell. It never forgets a higher term."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from tests.unit.test_core_planning import GIVEN, transcript
from tests.unit.test_core_status import silent, standby
from tests.unit.test_core_toys import MNA, MNB, ToyClock, toy_pair
from xcat_ha.errors import StepFailedError, UnknownStateError
from xcat_ha.execution import execute_steps, judge
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.kept import term_of
from xcat_ha.models import Witness
from xcat_ha.observation import PairState
from xcat_ha.operations import Workshop
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.requirements import checks_before_handover
from xcat_ha.planning.setup import plan_setup
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.planning.witness import WITNESS, checks_of_reach, question_for_witness, steps_to_inform, steps_to_see
from xcat_ha.runners import LocalRunner
from xcat_ha.steps import Command, Completed, Trouble, Verdict
from xcat_ha.term import NO_TERM, StoredTerm
from xcat_ha.verbs.witness import ask_witness

RUNNER = LocalRunner()


def remembered(path: Path) -> StoredTerm | None:
    asked = question_for_witness(toy_pair(witness=Witness(file=str(path))), "mna")
    assert asked is not None
    assert asked.host == "mna"
    return term_of(RUNNER.run("mna", asked.command))


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory on a file system of its own."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


def test_a_file_remembers_and_is_never_lowered(shared: Path) -> None:
    path = shared / "xcat-ha" / "term.json"
    pair = toy_pair(witness=Witness(file=str(path)))
    assert remembered(path) == NO_TERM
    execute_steps(steps_to_inform(pair, MNB, StoredTerm(1, "mna"), create=True), RUNNER)
    for term in (StoredTerm(1, "mna"), StoredTerm(2, "mnb", "mna"), StoredTerm(10, "mna")):
        execute_steps(steps_to_inform(pair, MNB, term), RUNNER)
        assert remembered(path) == term
    for lower in (StoredTerm(9, "mnb"), StoredTerm(10, "mnb")):
        with pytest.raises(StepFailedError, match="the witness has term 10 of mna"):
            execute_steps(steps_to_inform(pair, MNB, lower), RUNNER)
    assert remembered(path) == StoredTerm(10, "mna")


def test_a_change_of_primary_does_not_make_the_file(shared: Path) -> None:
    """What is not there is on the storage that is not mounted: a new file would be one node's own."""
    pair = toy_pair(witness=Witness(file=str(shared / "term.json")))
    with pytest.raises(StepFailedError, match="is it the right storage that is mounted"):
        execute_steps(steps_to_inform(pair, MNB, StoredTerm(2, "mnb")), RUNNER)
    assert not list(shared.iterdir())


@pytest.fixture
def nothing_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is on the root file system, as ``df -P`` shows it."""
    (tmp_path / "df").write_text("#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted on\necho overlay 9 1 8 12% /\n")
    (tmp_path / "df").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.usefixtures("nothing_mounted")
def test_a_file_below_an_empty_mount_point_says_nothing(shared: Path) -> None:
    """It may be years old, and is the node's own: neither read nor written."""
    path = shared / "term.json"
    path.write_text(StoredTerm(1, "mna").text())
    assert remembered(path) is None
    pair = toy_pair(witness=Witness(file=str(path)))
    for create in (True, False):
        with pytest.raises(UnknownStateError, match="no storage of its own is mounted"):
            execute_steps(steps_to_inform(pair, MNB, StoredTerm(2, "mnb"), create=create), RUNNER)
    assert path.read_text() == StoredTerm(1, "mna").text()
    verdicts = {judgement.verdict for judgement in judge(RUNNER, checks_of_reach(pair))}
    assert verdicts == {Verdict.FAILS}


def test_setup_proves_that_both_nodes_see_the_file(shared: Path) -> None:
    pair = toy_pair(witness=Witness(file=str(shared / "term.json")))
    phase = plan_setup(evolve(GIVEN, pair=pair), MNA, MNB, "[pair]\n").phases[0].plan(PairState({}, 0.0))
    assert [(step.name, step.host) for step in phase.stages[-1]] == [("inform-witness", "mna"), ("see-witness", "mnb")]
    (see,) = steps_to_see(pair, MNB, StoredTerm(1, "mna"))
    with pytest.raises(StepFailedError):
        execute_steps((see,), RUNNER, clock=ToyClock())
    execute_steps(steps_to_inform(pair, MNA, StoredTerm(1, "mna"), create=True), RUNNER)
    execute_steps((see,), RUNNER, clock=ToyClock())


def test_no_change_of_primary_begins_without_the_witness() -> None:
    """It would name the wrong node afterwards."""
    given = evolve(GIVEN, pair=toy_pair(witness=Witness(host="192.0.2.99")))
    planned = plan_takeover(given, MNA, MNB, confirmed=True, announced="").requires
    for checks in (planned, checks_before_handover(given.pair, given.drivers, MNA, MNB)):
        (answers,) = [check for check in checks if check.question == "the witness answers"]
        assert answers.probes[0].host == WITNESS
        assert answers.judge([Completed((), None, trouble=Trouble.UNREACHABLE)]).verdict is Verdict.UNKNOWN
        assert answers.judge([Completed((), 0, "none")]).verdict is Verdict.HOLDS
        assert "take [witness] out" in answers.hint


@pytest.mark.parametrize(
    ("answer", "term", "words"),
    [
        (Completed((), 0, StoredTerm(3, "mnb", "mna").text()), StoredTerm(3, "mnb", "mna"), "term 3 mnb mna"),
        (Completed((), 0, "none\n"), NO_TERM, "remembers no term"),
        (Completed((), 0, "garbage"), None, "does not answer: it holds no term: 'garbage'"),
        (Completed((), 0, ""), None, "does not answer: it holds no term: ''"),
        (Completed((), 1, "", "Permission denied"), None, "does not answer: exit 1: Permission denied"),
        (Completed((), None, "", "no route", trouble=Trouble.UNREACHABLE), None, "does not answer: unreachable: no route"),
    ],
)
def test_what_cannot_be_understood_is_no_answer(answer: Completed, term: StoredTerm | None, words: str) -> None:
    @frozen
    class Says(Runner):
        def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
            assert host == WITNESS
            return answer

        def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
            return tuple(self.run(host, command) for command in commands)

    word = ask_witness(Workshop(toy_pair(witness=Witness(host="192.0.2.99")), GIVEN.drivers, Says(), "mna", ToyClock()))
    assert word is not None
    assert (word.term, word.words) == (term, words)


def test_two_pairs_of_one_name_do_not_share_a_witness_s_memory() -> None:
    """And whoever is not root keeps it below the home directory."""

    def path(**changed: Any) -> str:
        asked = question_for_witness(toy_pair(witness=Witness(host="192.0.2.99", user=changed.pop("user", "root")), **changed), "mna")
        assert asked is not None
        return str(asked.command.argv[-1])

    assert path().startswith("/var/lib/xcat-ha/witness-toys-")
    assert path() == path(preferred="mnb")
    assert path() != path(nodes=(evolve(MNA, address="192.0.2.31"), MNB))
    assert path(user="xcatha").startswith(".xcat-ha/witness-toys-")
    assert "/" not in path(user="xcatha", name="../../etc").removeprefix(".xcat-ha/")


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
