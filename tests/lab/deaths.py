"""Mishaps at a chosen moment of an operation: in a phase, at a step, in the very command it runs on the other node."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab import Completed, Node
from tests.lab.losses import DONE, status_of
from tests.lab.process import ProcessId, wait_until

PROGRAM = "/opt/xcat-ha/bin/xcat-ha"
_JOURNALS = "var/lib/xcat-ha/journal"
_POLL_S = 0.005

Event = dict[str, Any]


class Underway:
    """A verb that was started on a node and may still run; its journal, which it has on disk before it acts, tells how far it is."""

    def __init__(self, node: Node, *verb: str, argv: tuple[str, ...] = (PROGRAM,), journal_of: str = "") -> None:
        """Start it. ``journal_of``: the verb whose journal it goes on with (``resume``); itself by default."""
        self.node = node
        self.verb = verb
        self._pattern = f"*-{journal_of or verb[0]}-*.jsonl"
        self._seen = len(self._lines())
        self._process = node.popen((*argv, *verb))

    def _lines(self) -> list[str]:
        """The newest journal of the verb, and all older ones before it."""
        with contextlib.suppress(OSError):
            return [line for path in sorted((self.node.root / _JOURNALS).glob(self._pattern)) for line in path.read_text().splitlines()]
        return []

    def events(self) -> list[Event]:
        """What it has written so far."""
        found = []
        for line in self._lines()[self._seen :]:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def await_event(self, wanted: Callable[[Event], bool], what: str, *, timeout_s: float = 120.0) -> None:
        """Wait until the journal has such an event; an AssertionError if the verb ends before."""
        deadline = time.monotonic() + timeout_s
        while not any(wanted(event) for event in self.events()):
            assert self._process.poll() is None, f"it ended before {what}: {self.end().stderr}"
            assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {what}"
            time.sleep(_POLL_S)

    def await_phase(self, phase: str) -> None:
        """The phase has begun: it is planned, and its first step is about to be asked about."""
        self.await_event(lambda event: event["event"] == "phase" and event["plan"]["name"] == phase, f"phase {phase}")

    def await_step(self, phase: str, host: str) -> None:
        """The first step of the phase on that host is running."""

        def runs(event: Event) -> bool:
            return event["event"] == "step" and (event["phase"], event["host"], event["state"]) == (phase, host, "started")

        self.await_event(runs, f"a step of {phase} on {host}")

    def await_end_of_phase(self, phase: str) -> None:
        """The phase is complete."""
        self.await_event(lambda event: event["event"] == "phase-done" and event["name"] == phase, f"the end of {phase}")

    def kill(self) -> Completed:
        """SIGKILL for the program itself, and nothing else."""
        for process in _processes(self.node, lambda words: words[1:] == (PROGRAM, *self.verb)):
            process.kill()
        return self.end()

    def end(self, *, timeout_s: float = 300.0) -> Completed:
        """How it ended; a CommandTimedOutError if it does not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            out, err = self._process.communicate(timeout=timeout_s)
            return Completed(self.verb, self._process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
        wait_until(lambda: False, timeout_s=0, what=f"{' '.join(self.verb)} on {self.node.id} to end within {timeout_s:g} s")
        raise AssertionError


def _words(process: ProcessId) -> tuple[str, ...]:
    try:
        return tuple(Path(f"/proc/{process.pid}/cmdline").read_text(errors="replace").split("\0")[:-1])
    except OSError:
        return ()


def _parent(process: ProcessId) -> ProcessId | None:
    try:
        return ProcessId.of(int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1]))
    except OSError:
        return None


def _processes(node: Node, wanted: Callable[[tuple[str, ...]], bool]) -> list[ProcessId]:
    return [process for process in node.cgroups.processes(node.id) if wanted(_words(process))]


def kill_remote_command(node: Node, *, what: str = "command", timeout_s: float = 60.0) -> str:
    """SIGKILL for the first command that changes something and was sent to the node by ssh; returns its words.

    ``what``: ``command`` for the program itself; ``session`` for every sshd that serves a connection, so that the command lives on and its
    caller hears no more of it.
    """

    def sent() -> ProcessId | None:
        for process in node.cgroups.processes(node.id):
            parent = _parent(process)
            if parent is None or _words(parent)[:3] != ("flock", "-o", "-s"):
                continue
            above = _parent(parent)
            if above is not None and _words(above)[:1] == ("timeout",):  # it came by ssh; what runs locally has none
                return process
        return None

    return _kill_first(node, sent, what, timeout_s)


def kill_receiving_rsync(node: Node, *, timeout_s: float = 60.0) -> str:
    """SIGKILL for the rsync that writes files on the node for the other one; returns its words."""

    def writes() -> ProcessId | None:
        found = _processes(node, lambda words: words[:2] == ("rsync", "--server") and "n" not in words[2].partition("e.")[0])
        return found[0] if found else None

    return _kill_first(node, writes, "command", timeout_s)


def _kill_first(node: Node, find: Callable[[], ProcessId | None], what: str, timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    while (found := find()) is None:
        assert time.monotonic() < deadline, f"no command of the other node was seen on {node.id} within {timeout_s:g} s"
        time.sleep(_POLL_S / 5)
    words = " ".join(_words(found))
    if what == "command":
        found.kill()
    else:
        for session in sshd_sessions(node):
            session.kill()
    return words


def sshd_sessions(node: Node) -> list[ProcessId]:
    """Every sshd of the node that serves a connection."""
    return _processes(node, lambda words: bool(words) and words[0].startswith("sshd") and "listener" not in words[0])


def _all_of_sshd(node: Node) -> list[ProcessId]:
    return _processes(node, lambda words: bool(words) and words[0].startswith(("sshd", "/usr/sbin/sshd")))


@contextmanager
def frozen_sshd(node: Node) -> Iterator[None]:
    """All of the node's sshd stand still: the kernel still takes connections, and nobody ever answers on them."""
    stopped: list[ProcessId] = []
    # Again: one of them may have had a child between being found and being stopped.
    for _ in range(3):
        fresh = [process for process in _all_of_sshd(node) if process not in stopped]
        for process in fresh:
            process.kill(signal.SIGSTOP)
        stopped += fresh
    assert stopped, f"no sshd runs on {node.id}: nothing was tested"
    try:
        yield
    finally:
        for process in stopped:
            process.kill(signal.SIGCONT)


# It is the program itself that runs; only the moment of its death is chosen, exactly: when the journal has a new step event on disk.
_DIES = """
import os, signal, sys, threading
from pathlib import Path
from xcat_ha.journal import Journal
tried = Path(sys.argv.pop(1))
known, real, alone = set(tried.read_text().splitlines()), Journal.write, threading.Lock()
def write(self, event, **facts):
    real(self, event, **facts)
    key = "/".join(str(facts.get(name)) for name in ("phase", "host", "step", "state"))
    if event == "step" and facts["state"] in ("started", "done") and key not in known:
        with alone:
            tried.write_text(key)
            os.kill(os.getpid(), signal.SIGKILL)
Journal.write = write
from xcat_ha.cli import main
main()
"""
_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}


def die_at_boundary(node: Node, *verb: str, known: Collection[str]) -> tuple[Completed, str]:
    """Run the verb on the node; it is killed as soon as the journal has on disk that a step has started, or is done, and is not ``known``.

    Returns how it ended and that event, in words (``phase/host/step/state``); empty words: it came to its end before.
    """
    path = "/run/boundary"
    node.run(("sh", "-c", f"cat > {path}"), input="\n".join(known))
    done = node.run(("/opt/xcat-ha/bin/python3", "-c", _DIES, path, *verb), timeout_s=600, check=False)
    if done.returncode not in _KILLED:
        return done, ""
    return done, node.run(("cat", path)).stdout


def killed_in_a_row(operators: Sequence[Node], *verb: str) -> list[str]:
    """Kill the verb, then each resume of it, at the first boundary not tried yet, on one node after the other; returns the boundaries."""
    tried: list[str] = []
    current = verb
    for operator in itertools.cycle(operators):
        done, boundary = die_at_boundary(operator, *current, known=tried)
        if not boundary:
            assert done.returncode == DONE, (current, tried[-3:], done.stderr)
            return tried
        tried.append(boundary)
        shown = status_of(operators[0])
        if boundary.startswith("copy/"):  # of files, after a rejoin: an operation of its own, in nobody's way, and simply run again
            assert "is unfinished" not in shown, shown
            current = ("sync", "files", "--yes")
        else:
            assert "is unfinished: its program died" in shown, shown
            assert "xcat-ha resume" in shown
            current = ("resume", "--yes")
    raise AssertionError
