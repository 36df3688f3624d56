"""What the core itself reads of a node: run for real, in a directory of the test's own, and whatever it finds there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import asdict
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_core_toys import MNA, MNB, Relocated, ToyClock, World, hosts_in, toy_drivers, toy_pair
from xcat_ha.history import records
from xcat_ha.journal import Beginning, Journal, Outcome, parse_lines
from xcat_ha.kept import core_questions, guard_of, lock_of, maintenance_of, term_of
from xcat_ha.lock import Holder, this_process
from xcat_ha.observation import NodeState, Role, observe, observe_node
from xcat_ha.runners import LocalRunner
from xcat_ha.steps import Command, Completed, Effect, Trouble

NOW = 1_700_000_000.0


class Machines:
    """Two nodes whose ``/run/xcat-ha`` and ``/var/lib/xcat-ha`` are directories of the test."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.runner = Relocated(LocalRunner(), {"/run/xcat-ha": base / "run", "/var/lib/xcat-ha": base / "lib"})
        self.drivers = toy_drivers(toy_pair(hosts_in(base / "hosts", mna="address running-xcatd source jobs", mnb="copy good-1699999990")))

    def run_dir(self, node_id: str) -> Path:
        directory = self.base / "run" / node_id
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def journal_dir(self, node_id: str) -> Path:
        directory = self.base / "lib" / node_id / "journal"
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def lock(self, node_id: str, holder: Holder | str) -> None:
        text = holder if isinstance(holder, str) else json.dumps(asdict(holder))
        (self.run_dir(node_id) / "lock.json").write_text(text + "\n")

    def journal(self, node_id: str, name: str, clock: ToyClock | None = None) -> Journal:
        beginning = Beginning("failover", {"old": "mna", "new": "mnb"}, must_finish=True, host="mna", user="root")
        return Journal.begin(name, beginning, clock or ToyClock(), self.journal_dir(node_id))

    def node(self, node_id: str) -> NodeState:
        return observe_node(MNA if node_id == "mna" else MNB, self.drivers, self.runner, time.time())


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


def test_a_node_with_nothing_of_ours_has_neither_lock_nor_journals(machines: Machines) -> None:
    state = machines.node("mna")
    assert (state.lock, state.journals, state.trouble) == (None, (), "")
    assert state.clock_offset_s is not None
    assert abs(state.clock_offset_s) < 5
    assert state.role is Role.PRIMARY
    assert machines.node("mnb").role is Role.STANDBY
    assert machines.node("mnb").replica.last_good == 1699999990.0


@pytest.mark.parametrize(
    ("shown", "offset"),
    [(NOW, 0.0), (NOW + 2.5, 0.0), (NOW + 3.0, 0.0), (NOW + 10.0, 7.0), (NOW - 4.0, -4.0), (NOW + 0.2, 0.0)],
)
def test_a_slow_exchange_is_not_a_wrong_clock(shown: float, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node read its clock at some moment of it: only what cannot be explained by that is an offset."""

    class Slow(World):
        def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
            monkeypatch.setattr("time.monotonic", lambda: 3.0)
            return tuple(Completed((), 0, f"{shown}\n") for _ in commands)

    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    state = observe_node(MNA, toy_drivers(toy_pair()), Slow(), NOW)
    assert state.clock_offset_s == pytest.approx(offset)


def test_asking_changes_nothing(machines: Machines) -> None:
    machines.node("mna")
    assert {command.effect for _, command in machines.runner.ran} == {Effect.READS}
    assert not (machines.base / "run").exists()


def test_both_nodes_are_asked_side_by_side_and_one_silent_one_is_no_error(machines: Machines) -> None:
    machines.runner.silent.add("mna")
    state = observe(toy_pair(), machines.drivers, machines.runner, NOW)
    assert state.unreachable == ("mna",)
    assert state.nodes["mna"].role is Role.UNKNOWN
    assert "no route to host" in state.nodes["mna"].trouble
    assert state.nodes["mnb"].role is Role.STANDBY
    assert state.primary is None
    assert state.observed_at == NOW


# The lock


def test_brackets_without_end_are_not_understood() -> None:
    answer = Completed((), 0, "[" * 99_999)
    lock = lock_of(MNA, answer)
    assert lock is not None
    assert lock.content == {"operation": "an unreadable lock"}
    assert (guard_of(answer), term_of(answer), maintenance_of(answer)) == (None, None, None)
    assert parse_lines(answer.stdout) == []


def test_the_lock_of_a_living_process_is_alive(machines: Machines) -> None:
    machines.lock("mna", this_process("x-failover", "failover", "mna", "root", NOW))
    lock = machines.node("mna").lock
    assert lock is not None
    assert lock.holder_alive is True
    assert lock.content["id"] == "x-failover"


@pytest.mark.parametrize("how", ["ended", "the node was booted", "another process has its number"])
def test_the_lock_of_a_process_that_is_gone_is_dead(how: str, machines: Machines) -> None:
    holder = asdict(this_process("x-failover", "failover", "mna", "root", NOW))
    if how == "ended":
        gone = subprocess.Popen((sys.executable, "-c", ""))
        gone.wait()
        holder["pid"] = gone.pid
    elif how == "the node was booted":
        holder["boot_id"] = "11111111-2222-3333-4444-555555555555"
    else:
        holder["start_ticks"] = "1"
    machines.lock("mna", Holder(**holder))
    lock = machines.node("mna").lock
    assert lock is not None
    assert lock.holder_alive is False


def test_a_holder_on_the_other_machine_cannot_be_judged_from_here(machines: Machines) -> None:
    machines.lock("mnb", this_process("x-failover", "failover", "mna", "root", NOW))
    lock = machines.node("mnb").lock
    assert lock is not None
    assert lock.holder_alive is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id": 1}', "\x00\x01"])
def test_a_lock_that_cannot_be_read_is_still_a_lock(text: str, machines: Machines) -> None:
    machines.lock("mna", text)
    lock = machines.node("mna").lock
    assert lock is not None
    assert lock.holder_alive is not True


# Journals


def test_the_newest_journals_come_first_with_the_lines_that_matter(machines: Machines) -> None:
    clock = ToyClock()
    for number in range(60):
        journal = machines.journal("mna", f"2026{number:04}-failover", clock)
        for state in ("started", "done"):
            for step in range(3):
                journal.write("step", step=f"s{step}", host="mna", state=state, detail="x" * 200)
        journal.end(Outcome.DONE)
        clock.sleep(60)
    (machines.journal_dir("mna") / "other-file.txt").write_text("no journal\n")
    found = machines.node("mna").journals
    assert [journal.name for journal in found[:2]] == ["20260059-failover", "20260058-failover"]
    assert len(found) == 50
    assert sum(len(journal.text) for journal in found) < 50 * 1500  # not whole journals: the exchange stays small


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_half_written_line_does_not_hide_or_finish_anything(cut: int, machines: Machines) -> None:
    """Power is lost while the newest journal is written: it must not be taken for the older one, which is done."""
    clock = ToyClock()
    older = machines.journal("mna", "20260101-failover", clock)
    older.write("step", step="s", host="mna", state="started", detail="")
    older.end(Outcome.DONE)
    clock.sleep(3600)
    newer = machines.journal("mna", "20260102-failover", clock)
    newer.write("step", step="s", host="mna", state="started", detail="")
    newer.write("step", step="s", host="mna", state="done", detail="")
    whole = newer.path.read_bytes()
    newer.path.write_bytes(whole[:-cut])
    state = observe(toy_pair(), machines.drivers, machines.runner, NOW)
    found = records(state)
    assert [(record.id, record.outcome) for record in found] == [
        ("20260102-failover", Outcome.DIED),
        ("20260101-failover", Outcome.DONE),
    ]
    assert found[0].in_the_way


def test_a_living_lock_makes_its_operation_a_running_one(machines: Machines) -> None:
    machines.journal("mna", "20260102-failover").write("step", step="s", host="mna", state="started", detail="")
    machines.lock("mna", this_process("20260102-failover", "failover", "mna", "root", NOW))
    machines.lock("mnb", this_process("20260102-failover", "failover", "mna", "root", NOW))
    (record,) = records(observe(toy_pair(), machines.drivers, machines.runner, NOW))
    assert record.outcome is None
    assert record.pid == os.getpid()


# Whatever comes back


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([None, 0, 1, 127, 255]), st.text(max_size=40), st.text(max_size=20)), min_size=13, max_size=13))
def test_any_answers_give_an_observation(answers: list[tuple[int | None, str, str]]) -> None:
    class Babble(World):
        def read_many(self, host: str, commands: object) -> tuple[Completed, ...]:
            del host, commands
            return tuple(Completed((), code, out, err, trouble=Trouble.UNREACHABLE if code is None else None) for code, out, err in answers)

    drivers = toy_drivers(toy_pair())
    assert len(core_questions()) + 5 == len(answers)
    state = observe(toy_pair(), drivers, Babble(), NOW)
    records(state)
    assert {node.reachable for node in state.nodes.values()} == {answers[0][0] is not None}
