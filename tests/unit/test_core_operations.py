"""An operation as a whole: its journal from ``begin`` to ``end``, phases planned anew, a truthful end; and a hand-over between two toys."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_core_toys import MNA, MNB, SETS, Relocated, ToyClock, World, fact, hosts_in, toy_drivers, toy_pair, toy_step
from xcat_ha.errors import InterruptedOperationError, JournalError, RefusedError, StepFailedError, UnknownStateError, XcatHaError
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.journal import Beginning, Journal, Outcome, Record, summarise
from xcat_ha.observation import PairState, Role
from xcat_ha.operations import Result, Workshop, run_operation
from xcat_ha.planning import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.handover import plan_handover
from xcat_ha.runners import LocalRunner
from xcat_ha.steps import Command, Completed, Effect, Phase, Step, changes, in_order
from xcat_ha.term import StoredTerm
from xcat_ha.xcat.site import Site


class Unmirrored(Runner):
    """The world, without the copies of the journal that go to the other node."""

    def __init__(self, world: Runner) -> None:
        self.world = world

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        if any(str(word).endswith("/20260101T000000-x.jsonl") for word in command.argv):
            return Completed((), 0)
        return self.world.run(host, command, on_output=on_output)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        return self.world.read_many(host, commands)


class Bench:
    """A workshop over a dictionary world, and the journal of one operation."""

    def __init__(self, directory: Path) -> None:
        self.world = World()
        self.clock = ToyClock()
        self.stop = ""
        self.planned: list[str] = []
        self.directory = directory
        pair = toy_pair(directory)
        self.workshop = Workshop(
            pair=pair,
            drivers=toy_drivers(pair),
            runner=Unmirrored(self.world),
            local="mna",
            clock=self.clock,
            stop_requested=lambda: self.stop in self.world.transcript,
        )

    def phase(self, name: str, *steps: Step, needs_observation: bool = True) -> PhasePlanner:
        def plan(_state: PairState) -> Phase:
            self.planned.append(name)
            return Phase(name, "why", (in_order(*steps),))

        return PhasePlanner(name, plan, needs_observation=needs_observation)

    def run(self, *phases: PhasePlanner, name: str = "failover", done: frozenset[str] = frozenset(), **options: Any) -> Result:
        operation = Operation(name, ("words",), phases, must_finish=True, parameters={"old": "mna"}, **options)
        beginning = Beginning(name, operation.parameters, must_finish=True, host="mna", user="root")
        self.journal = Journal.begin("20260101T000000-x", beginning, self.clock, self.directory / "journal")
        return run_operation(self.workshop, operation, self.journal, done_phases=done)

    @property
    def events(self) -> list[str]:
        shown = []
        for entry in self.journal.entries():
            words = [str(entry["event"])]
            words += [str(entry[key]) for key in ("step", "state", "name", "outcome") if key in entry]
            shown.append(" ".join(words))
        return shown

    @property
    def record(self) -> Record:
        record = summarise(self.journal.id, self.journal.path.read_text(), alive=False)
        assert record is not None
        return record


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_journal_of_an_operation_that_goes_well(bench: Bench) -> None:
    bench.world.facts["mna"]["b"] = "yes"
    result = bench.run(bench.phase("first", toy_step("a"), toy_step("b")), bench.phase("second", toy_step("c", host="mnb")))
    assert bench.events == [
        "begin",
        "phase",
        "step a started",
        "step a done",
        "step b already",
        "phase-done first",
        "phase",
        "step c started",
        "step c done",
        "phase-done second",
        "end done",
    ]
    assert (result.operation, result.operation_id, result.changed) == ("failover", bench.journal.id, True)
    assert [phase.name for phase in result.phases] == ["first", "second"]
    assert bench.record.outcome is Outcome.DONE


def test_the_journal_holds_the_plan_and_no_secret(bench: Bench) -> None:
    bench.run(bench.phase("first", toy_step("a")))
    plan = bench.journal.entries()[1]["plan"]
    assert plan["name"] == "first"
    assert plan["stages"][0]["lanes"][0][0]["commands"][0]["argv"] == ["put", "a", "yes"]


def test_each_phase_is_planned_when_it_begins(bench: Bench) -> None:
    seen: list[list[str]] = []

    def plan(_state: PairState) -> Phase:
        seen.append(list(bench.world.transcript))
        return Phase("second", "why", ())

    bench.run(bench.phase("first", toy_step("a")), PhasePlanner("second", plan))
    assert seen == [["mna: put a yes"]]


def test_a_phase_that_needs_no_observation_asks_nobody(bench: Bench) -> None:
    def exchanges(**options: bool) -> int:
        bench.directory /= "next"
        before = bench.world.exchanges.count("mnb")
        bench.run(bench.phase("first"), bench.phase("second", **options))
        return bench.world.exchanges.count("mnb") - before

    assert exchanges(needs_observation=True) == exchanges(needs_observation=False) + 1


def test_phases_that_are_done_are_not_run_again(bench: Bench) -> None:
    bench.run(bench.phase("first", toy_step("a")), bench.phase("second", toy_step("b")), done=frozenset({"first"}))
    assert bench.planned == ["second"]
    assert bench.world.transcript == ["mna: put b yes"]


def test_a_requirement_that_does_not_hold_leaves_nothing_begun(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="ready"):
        bench.run(bench.phase("first", toy_step("a")), requires=(fact("ready"),))
    assert bench.world.transcript == []
    assert bench.planned == []
    assert bench.record.outcome is Outcome.FAILED
    assert not bench.record.in_the_way


def test_a_failure_is_the_last_word(bench: Bench) -> None:
    with pytest.raises(StepFailedError):
        bench.run(
            bench.phase("first", toy_step("a")),
            bench.phase("second", toy_step("b", changes("complain", "1", "no room"))),
            bench.phase("third"),
        )
    assert bench.events[-2:] == ["step b failed", "end failed"]
    assert bench.planned == ["first", "second"]
    assert "no room" in bench.record.message
    assert bench.record.in_the_way


def test_a_failure_to_tell_is_one_too(bench: Bench) -> None:
    bench.world.silent.add("mna")
    with pytest.raises(UnknownStateError):
        bench.run(bench.phase("first", toy_step("a")))
    assert bench.record.outcome is Outcome.FAILED
    assert not bench.record.changed


def test_a_stop_ends_it_as_interrupted(bench: Bench) -> None:
    bench.stop = "mna: put a yes"
    with pytest.raises(InterruptedOperationError):
        bench.run(bench.phase("first", toy_step("a")), bench.phase("second", toy_step("b")))
    assert bench.events[-1] == "end interrupted"
    assert "phase-done first" in bench.events
    assert bench.record.in_the_way


def test_a_second_ctrl_c_is_interrupted_and_says_that_a_command_may_still_run(bench: Bench) -> None:
    def keyboard() -> str:
        raise KeyboardInterrupt

    bench.world.calls["keyboard"] = keyboard
    with pytest.raises(InterruptedOperationError, match="may still be running") as caught:
        bench.run(bench.phase("first", toy_step("a", changes("call", "keyboard"))))
    assert "resume" in caught.value.hint
    assert bench.events[-1] == "end interrupted"
    assert bench.record.in_the_way


def test_what_found_nothing_to_do_changed_nothing(bench: Bench) -> None:
    bench.world.facts["mna"]["a"] = "yes"
    assert not bench.run(bench.phase("first", toy_step("a"))).changed
    assert bench.world.transcript == []
    assert bench.journal.path.exists()


def test_a_sync_that_found_nothing_to_do_is_not_remembered(bench: Bench) -> None:
    bench.world.facts["mna"]["a"] = "yes"
    assert not bench.run(bench.phase("copy", toy_step("a")), name="sync").changed
    assert not bench.journal.path.exists()


def test_a_sync_that_did_something_or_failed_is_remembered(bench: Bench) -> None:
    assert bench.run(bench.phase("copy", toy_step("a")), name="sync").changed
    assert bench.journal.path.exists()
    bench.directory /= "next"
    with pytest.raises(XcatHaError):
        bench.run(bench.phase("copy", toy_step("b", changes("say", "x"))), name="sync")
    assert bench.journal.path.exists()


def test_with_a_full_disk_nothing_is_run(bench: Bench) -> None:
    def fill(_state: PairState) -> Phase:
        bench.journal.path.unlink()
        bench.journal.path.symlink_to("/dev/full")
        return Phase("first", "why", (in_order(toy_step("a")),))

    with pytest.raises(JournalError, match="No space left") as caught:
        bench.run(PhasePlanner("first", fill))
    assert bench.world.transcript == []
    assert "make room" in caught.value.hint


def test_old_journals_make_room_and_the_newest_stay(tmp_path: Path) -> None:
    beginning = Beginning("sync", {}, must_finish=False, host="mna", user="root")
    (tmp_path / "journal").mkdir()
    for number in range(510):
        (tmp_path / f"journal/2026{number:04}-sync.jsonl").touch()
    Journal.begin("20270000-sync", beginning, ToyClock(), tmp_path / "journal")
    names = sorted(path.stem for path in (tmp_path / "journal").iterdir())
    assert names[-1] == "20270000-sync"
    assert names[-2] == "20260509-sync"
    assert 400 < len(names) <= 502


# A hand-over between two directories, through every module of the core


class Site2:
    """Two toy nodes as directories. xcat-ha's own program on them says HOLDS; xCAT's commands are remembered."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.hosts = hosts_in(
            base / "hosts", mna="address source jobs running-xcatd running-dhcp running-dns running-console running-tftp", mnb="copy"
        )
        for node_id in ("mna", "mnb"):
            term = base / "lib" / node_id / "term.json"
            store = f"""printf '{{"counter": %s, "holder": "%s", "yielded_by": "%s"}}\\n' "$4" "$5" "$7" > {term}; exit"""
            term.parent.mkdir(parents=True)
            term.write_text(StoredTerm(1, "mna").text())
            self._program(base / "bin" / node_id / "python3", f'[ "$2" != xcat_ha.term ] || {{ {store}; }}\necho HOLDS')
            for name in ("makedns", "makedhcp", "makeconservercf"):
                self._program(base / "sbin" / node_id / name, "exit 0")
        moved = {
            "/run/xcat-ha": base / "run",
            "/var/lib/xcat-ha": base / "lib",
            "/opt/xcat-ha/bin": base / "bin",
            "/opt/xcat/sbin": base / "sbin",
        }
        self.runner = Watched(Relocated(LocalRunner(), moved))
        pair = toy_pair(self.hosts)
        self.workshop = Workshop(pair=pair, drivers=toy_drivers(pair), runner=self.runner, local="mna")

    @staticmethod
    def _program(path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def operation(self) -> Operation:
        given = PlanningInput(
            self.workshop.pair,
            self.workshop.drivers,
            Site(known=True, master="192.0.2.11"),
            SETS,
            "20260101T000000-failover-abcd",
            StoredTerm(1, "mna"),
        )
        return plan_handover(given, MNA, MNB)

    def journal(self, name: str = "20260101T000000-failover-abcd") -> Journal:
        operation = self.operation()
        beginning = Beginning(operation.name, operation.parameters, must_finish=True, host="mna", user="root")
        return Journal.begin(name, beginning, ToyClock(), self.base / "journal")

    def run(self, journal: Journal, done: frozenset[str] = frozenset()) -> Result:
        return run_operation(self.workshop, self.operation(), journal, done_phases=done)

    def resume(self, journal: Journal) -> Result:
        """As the library does it: phases that are done are skipped, the others planned anew."""
        return self.run(journal, frozenset(entry["name"] for entry in journal.entries() if entry["event"] == "phase-done"))

    def facts(self, node_id: str) -> set[str]:
        return {path.name for path in (self.hosts / node_id).iterdir()}


class Watched(Relocated):
    """Counts changing commands, checks an invariant after each, and can die before one of them."""

    def __init__(self, inner: Relocated) -> None:
        super().__init__(inner.inner, inner.moved)
        self.changed: list[str] = []
        self.dies_at = -1
        self.dies_before = ""
        self.invariant: Callable[[], None] = lambda: None

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        mirror = any(str(word).startswith("/var/lib/xcat-ha/journal/") for word in command.argv)
        if command.effect is Effect.CHANGES and not mirror:
            if len(self.changed) == self.dies_at or (self.dies_before and self.dies_before in f"{host}:{' '.join(map(str, command.argv))}"):
                raise Killed
            self.changed.append(f"{host}: {command.argv[0]}")
        completed = super().run(host, command, on_output=on_output)
        self.invariant()
        return completed


class Killed(BaseException):
    """The program dies here: nothing catches it, no ``end`` is written."""


NEW_PRIMARY = {
    "address", "source", "copy", "before", "after", "jobs", "set-credentials", "set-hosts",
    "running-xcatd", "running-dhcp", "running-dns", "running-console",
}  # fmt: skip


def test_a_hand_over_moves_the_role_and_never_has_it_twice(tmp_path: Path) -> None:
    site = Site2(tmp_path)

    def never_twice() -> None:
        for thing in ("address", "running-xcatd"):
            assert not (thing in site.facts("mna") and thing in site.facts("mnb")), thing
        if "address" in site.facts("mnb"):
            assert not [name for name in site.facts("mna") if name.startswith("running-")]

    site.runner.invariant = never_twice
    journal = site.journal()
    result = site.run(journal)
    assert result.changed
    assert site.facts("mnb") == NEW_PRIMARY
    assert site.facts("mna") == {"source"}
    state = site.workshop.observe()
    assert (state.primary, state.nodes["mna"].role, state.nodes["mnb"].role) == ("mnb", Role.STANDBY, Role.PRIMARY)
    assert (tmp_path / "run/mnb/tenure").read_text() == "20260101T000000-failover-abcd\n"
    again = site.run(site.journal("20260101T000001-failover-abcd"))
    assert not again.changed


def test_a_hand_over_that_dies_before_any_command_ends_the_same_when_it_goes_on(tmp_path: Path) -> None:
    reference = Site2(tmp_path / "reference")
    reference.run(reference.journal())
    total = len(reference.runner.changed)
    assert total > 15
    for dies_at in range(0, total, 4):
        site = Site2(tmp_path / str(dies_at))
        site.runner.dies_at = dies_at
        journal = site.journal()
        with pytest.raises(Killed):
            site.run(journal)
        record = summarise(journal.id, journal.path.read_text(), alive=False)
        assert record is not None
        assert record.outcome is Outcome.DIED
        assert record.in_the_way
        site.runner.dies_at = -1
        site.resume(journal)
        assert site.facts("mna") == reference.facts("mna"), dies_at
        assert site.facts("mnb") == reference.facts("mnb"), dies_at
        assert json.loads(journal.path.read_text().splitlines()[-1])["outcome"] == "done"


def test_a_hand_over_goes_on_although_the_new_node_was_booted_meanwhile(tmp_path: Path) -> None:
    """Its address, its services and its tenure are gone with the boot, although those phases were complete."""
    site = Site2(tmp_path)
    site.runner.dies_before = "mnb/jobs"
    journal = site.journal()
    with pytest.raises(Killed):
        site.run(journal)
    assert "running-dhcp" in site.facts("mnb")
    for name in ("address", "running-xcatd", "running-dhcp", "running-dns", "running-console"):
        (site.hosts / "mnb" / name).unlink()
    (tmp_path / "run/mnb/tenure").unlink()
    site.runner.dies_before = ""
    site.resume(journal)
    assert site.facts("mnb") == NEW_PRIMARY
    assert site.facts("mna") == {"source"}


def test_a_silent_new_node_is_noticed_while_the_old_one_still_serves(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    site.runner.silent.add("mnb")
    before = site.facts("mna")
    with pytest.raises(UnknownStateError):
        site.run(site.journal())
    assert site.facts("mna") == before
