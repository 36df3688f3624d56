"""One operation at a time: lock files of two nodes, real processes and shells, in a directory of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, evolve

from tests.unit.test_core_toys import Relocated, ToyClock, toy_pair
from xcat_ha.clock import SystemClock
from xcat_ha.errors import ExitCode, LockedError, UnreachableError, XcatHaError
from xcat_ha.interfaces import OutputSink
from xcat_ha.lock import LOCK_FILE, Holder, PairLock, this_process
from xcat_ha.runners import LocalRunner
from xcat_ha.steps import Command, Completed, Trouble

REPOSITORY = Path(__file__).parents[2]
PAIR = toy_pair()


@pytest.fixture
def runner(tmp_path: Path) -> Relocated:
    return Relocated(LocalRunner(), {"/run/xcat-ha": tmp_path})


def holder(name: str = "1-failover", operation: str = "failover", node: str = "mna") -> Holder:
    return this_process(name, operation, node, "alice", 1_700_000_000.0)


def gone(name: str = "0-failover", node: str = "mna") -> Holder:
    """A holder whose process has ended."""
    return evolve(holder(name, node=node), start_ticks="1")


def leave(directory: Path, left: Holder, *nodes: str) -> None:
    for node_id in nodes:
        path = directory / node_id / "lock.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(left)) + "\n")


def locks(directory: Path) -> dict[str, str]:
    """Node -> id of the lock there."""
    found = {node_id: directory / node_id / "lock.json" for node_id in ("mna", "mnb")}
    return {node_id: json.loads(path.read_text())["id"] for node_id, path in found.items() if path.exists()}


def lock(runner: Relocated, who: Holder, **options: Any) -> PairLock:
    return PairLock(PAIR, runner, who, options.pop("clock", SystemClock()), **options)


def test_both_nodes_are_locked_and_given_back(runner: Relocated, tmp_path: Path) -> None:
    with lock(runner, holder()):
        assert locks(tmp_path) == {"mna": "1-failover", "mnb": "1-failover"}
    assert locks(tmp_path) == {}
    with lock(runner, holder()):
        pass


def test_it_is_given_back_when_the_operation_fails(runner: Relocated, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="boom"), lock(runner, holder()):
        raise ValueError("boom")
    assert locks(tmp_path) == {}


@pytest.mark.parametrize("where", [("mna",), ("mnb",), ("mna", "mnb")])
def test_a_living_holder_is_named_and_left_alone(where: tuple[str, ...], runner: Relocated, tmp_path: Path) -> None:
    leave(tmp_path, holder("1-failover"), *where)
    with pytest.raises(LockedError) as caught, lock(runner, holder("2-setup", "setup")):
        pass
    assert locks(tmp_path) == dict.fromkeys(where, "1-failover")
    error = caught.value
    assert error.exit_code is ExitCode.REFUSED
    expected = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1_700_000_000))
    for said in ("failover by alice", os.uname().nodename, str(os.getpid()), expected, "nothing was changed"):
        assert said in str(error)
    assert error.where in where


@pytest.mark.parametrize("where", [("mna",), ("mnb",), ("mna", "mnb")])
def test_a_dead_holder_is_recognised_and_replaced(where: tuple[str, ...], runner: Relocated, tmp_path: Path) -> None:
    leave(tmp_path, gone(), *where)
    with lock(runner, holder()):
        assert locks(tmp_path) == {"mna": "1-failover", "mnb": "1-failover"}
    assert locks(tmp_path) == {}


def test_a_holder_that_was_killed_is_dead(runner: Relocated, tmp_path: Path) -> None:
    """A real process takes the lock and is killed with it in its hands."""
    program = (
        "import sys, time; from pathlib import Path; from tests.unit.test_core_toys import Relocated, toy_pair\n"
        "from xcat_ha.clock import SystemClock\n"
        "from xcat_ha.lock import PairLock, this_process; from xcat_ha.runners import LocalRunner\n"
        "runner = Relocated(LocalRunner(), {'/run/xcat-ha': Path(sys.argv[1])})\n"
        "with PairLock(toy_pair(), runner, this_process('0-failover', 'failover', 'mnb', 'bob', time.time()), SystemClock()):\n"
        "    print('locked', flush=True); time.sleep(60)\n"
    )
    victim = subprocess.Popen((sys.executable, "-c", program, str(tmp_path)), stdout=subprocess.PIPE, env=environment())
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"locked\n"
    with pytest.raises(LockedError, match="failover by bob"), lock(runner, holder()):
        pass
    victim.kill()
    victim.communicate()
    assert locks(tmp_path) == {"mna": "0-failover", "mnb": "0-failover"}
    with lock(runner, holder()):
        assert locks(tmp_path) == {"mna": "1-failover", "mnb": "1-failover"}


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(evolve(gone(), node=""), id="run from a third machine"),
        pytest.param(evolve(gone(), node="mnc"), id="run from a node of another pair"),
    ],
)
def test_a_holder_that_cannot_be_asked_is_not_dead(left: Holder, runner: Relocated, tmp_path: Path) -> None:
    leave(tmp_path, left, "mna")
    with pytest.raises(LockedError) as caught, lock(runner, holder()):
        pass
    assert locks(tmp_path) == {"mna": "0-failover"}
    assert LOCK_FILE in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", '"x"', "{}", '{"node": "mna"}', '{"id": "", "node": "mna", "since": "x"}'])
def test_a_lock_that_cannot_be_read_is_respected(text: str, runner: Relocated, tmp_path: Path) -> None:
    (tmp_path / "mnb").mkdir()
    (tmp_path / "mnb/lock.json").write_text(text)
    with pytest.raises(LockedError), lock(runner, holder()):
        pass
    assert (tmp_path / "mnb/lock.json").read_text() == text
    assert locks(tmp_path / "x") == {}
    assert not (tmp_path / "mna/lock.json").exists()


def test_a_silent_node_is_not_locked_and_the_other_is_given_back(runner: Relocated, tmp_path: Path) -> None:
    runner.silent.add("mnb")
    with pytest.raises(UnreachableError) as caught, lock(runner, holder()):
        pass
    assert caught.value.exit_code is ExitCode.UNKNOWN
    assert caught.value.where == "mnb"
    assert "nothing was changed" in str(caught.value)
    assert locks(tmp_path) == {}


def test_a_node_that_falls_silent_meanwhile_does_not_keep_the_other_locked(runner: Relocated, tmp_path: Path) -> None:
    with lock(runner, holder()):
        runner.silent.add("mnb")
    assert locks(tmp_path) == {"mnb": "1-failover"}
    runner.silent.clear()
    (tmp_path / "mnb/lock.json").write_text(json.dumps(asdict(gone("1-failover"))) + "\n")  # the program has ended since
    with lock(runner, holder("2-failover")):
        pass
    assert locks(tmp_path) == {}


def test_a_directory_that_cannot_be_made_is_said(runner: Relocated, tmp_path: Path) -> None:
    (tmp_path / "mna").write_text("a file\n")
    with pytest.raises(XcatHaError) as caught, lock(runner, holder()):
        pass
    assert "cannot be taken" in caught.value.what
    assert caught.value.where == "mna"


def test_another_s_lock_is_never_given_back(runner: Relocated, tmp_path: Path) -> None:
    """An administrator removed our lock by hand and another operation took it: it is not ours to remove."""
    with lock(runner, holder("1-failover")):
        leave(tmp_path, holder("2-failover"), "mna")
        leave(tmp_path, holder("abandon-1-failover"), "mnb")
    assert locks(tmp_path) == {"mna": "2-failover", "mnb": "abandon-1-failover"}


def test_two_that_resume_the_same_operation_never_both_hold_its_lock(runner: Relocated, tmp_path: Path) -> None:
    """Both find the dead program's lock; the other one is faster. Its lock has the same id, and must not be taken for the dead one."""
    leave(tmp_path, gone("1-failover"), "mna", "mnb")
    faster = holder("1-failover", node="mnb")

    class Overtaken(Relocated):
        def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
            completed = super().run(host, command, on_output=on_output)
            if completed.stdout.strip() == "dead":
                leave(tmp_path, faster, "mna", "mnb")
            return completed

    with pytest.raises(LockedError, match="failover by alice"), lock(Overtaken(runner.inner, runner.moved), holder("1-failover")):
        pass
    assert json.loads((tmp_path / "mna/lock.json").read_text()) == asdict(faster)


def test_a_node_that_falls_silent_while_old_commands_are_waited_for_is_not_one_that_is_busy(runner: Relocated, tmp_path: Path) -> None:
    """A scheduled sync that finds another operation at work ends well; one that finds silence must not."""

    class Silenced(Relocated):
        def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
            if command.argv[0] == "flock" and host == "mnb":
                return Completed((), None, stderr="no route to host", trouble=Trouble.UNREACHABLE)
            return super().run(host, command, on_output=on_output)

    with pytest.raises(UnreachableError) as caught, lock(Silenced(runner.inner, runner.moved), holder()):
        pass
    assert caught.value.exit_code is ExitCode.UNKNOWN
    assert caught.value.where == "mnb"
    assert locks(tmp_path) == {}


# Waiting


def test_a_sync_that_runs_is_waited_for(runner: Relocated, tmp_path: Path) -> None:
    leave(tmp_path, holder("1-sync", "sync"), "mna", "mnb")

    class Clock(ToyClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) == 5:
                for node_id in ("mna", "mnb"):
                    (tmp_path / node_id / "lock.json").unlink()

    clock = Clock()
    with lock(runner, holder("2-failover"), clock=clock, wait_s=120):
        assert locks(tmp_path) == {"mna": "2-failover", "mnb": "2-failover"}
    assert 0 < sum(clock.slept) < 120


@pytest.mark.parametrize(("operation", "waits"), [("sync", True), ("failover", False)])
def test_the_wait_ends_and_only_a_sync_is_waited_for(operation: str, waits: object, runner: Relocated, tmp_path: Path) -> None:
    leave(tmp_path, holder(f"1-{operation}", operation), "mna")
    clock = ToyClock()
    with pytest.raises(LockedError, match=operation), lock(runner, holder("2-failover"), clock=clock, wait_s=5):
        pass
    assert (5 <= sum(clock.slept) <= 6) is waits


@pytest.mark.parametrize(("scheduled", "waits"), [(True, True), (False, False)])
def test_a_sync_by_hand_waits_for_a_scheduled_one_only(scheduled: bool, waits: object, runner: Relocated, tmp_path: Path) -> None:
    leave(tmp_path, evolve(holder("1-sync", "sync"), scheduled=scheduled), "mna")
    clock = ToyClock()
    with pytest.raises(LockedError, match="sync"), lock(runner, holder("2-sync", "sync"), clock=clock, wait_s=5):
        pass
    assert (5 <= sum(clock.slept) <= 6) is waits


# Contenders


def contender(runner: Relocated, who: int) -> PairLock:
    return lock(runner, holder(f"{who}-failover"))


def contend(number: int, enter: Callable[[int], PairLock]) -> tuple[list[int], list[XcatHaError]]:
    """All at once; each keeps the lock until all have tried."""
    won: list[int] = []
    lost: list[XcatHaError] = []
    begin, tried = threading.Barrier(number), threading.Barrier(number, timeout=60)

    def one(who: int) -> None:
        mine = enter(who)
        begin.wait()
        try:
            with mine:
                won.append(who)
                tried.wait()
        except XcatHaError as error:
            lost.append(error)
            tried.wait()

    threads = [threading.Thread(target=one, args=(who,)) for who in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won, lost


def test_of_several_contenders_exactly_one_wins(tmp_path: Path) -> None:
    for attempt in range(3):
        runner = Relocated(LocalRunner(), {"/run/xcat-ha": tmp_path / str(attempt)})
        won, lost = contend(5, partial(contender, runner))
        assert len(won) == 1
        assert {type(error) for error in lost} == {LockedError}
        assert locks(tmp_path / str(attempt)) == {}


def test_of_several_who_find_a_dead_holder_exactly_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All see that the holder is dead. The first ``rm`` gives the others time to want the same; theirs end after it took the lock."""
    programs = tmp_path / "bin"
    programs.mkdir()
    slow = programs / "rm"
    slow.write_text('#!/bin/sh\nmkdir "${2%/*}/first" 2>/dev/null && sleep 0.2 || sleep 0.4\nexec /bin/rm "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    runner = Relocated(LocalRunner(), {"/run/xcat-ha": tmp_path / "run"})
    (tmp_path / "run").mkdir()
    leave(tmp_path / "run", gone("x-failover"), "mna", "mnb")
    won, lost = contend(4, partial(contender, runner))
    assert len(won) == 1
    assert {type(error) for error in lost} == {LockedError}
    assert locks(tmp_path / "run") == {}


def test_a_dead_lock_that_cannot_be_removed_is_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "rm").write_text("#!/bin/sh\nexit 1\n")
    (programs / "rm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    runner = Relocated(LocalRunner(), {"/run/xcat-ha": tmp_path / "run"})
    (tmp_path / "run").mkdir()
    leave(tmp_path / "run", gone("x-failover"), "mna")
    with pytest.raises(LockedError) as caught, lock(runner, holder()):
        pass
    assert LOCK_FILE in caught.value.hint
