"""Run commands, find processes again, wait for conditions.  Nothing here knows what a node is."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import CommandFailedError, CommandTimedOutError

# Joins a cgroup (first argument: its cgroup.procs) and becomes the command.  Written once, here:
# moving in before exec leaves no moment in which a child could be born outside.
_ENTER_CGROUP: Final = 'echo 0 > "$1" && shift && exec "$@"'

# Children of this process that outlive the call that started them; see reap().
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Completed:
    """A command that has ended.  ``returncode`` is negative if a signal ended it."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    start_ticks: int

    @classmethod
    def from_stat(cls, stat: str) -> ProcessId:
        """Parse the text of ``/proc/PID/stat``; ValueError if it is not that."""
        before, _, after = stat.rpartition(")")
        fields = after.split()
        if len(fields) < 20:
            raise ValueError(f"not the text of /proc/PID/stat: {stat!r}")
        return cls(pid=int(before.split()[0]), start_ticks=int(fields[19]))

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The identity of a living process, None if there is none with that number."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return None
        # A zombie has nothing left but its number: its memory, files and namespaces are gone.
        return None if stat.rpartition(")")[2].split()[0] in "ZX" else cls.from_stat(stat)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return ProcessId.of(self.pid) == self

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Send a signal, to this very process or to none."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)


def in_cgroup(directory: Path, argv: Sequence[str]) -> list[str]:
    """The command line that runs ``argv`` inside the cgroup ``directory``."""
    return ["sh", "-c", _ENTER_CGROUP, "sh", str(directory / "cgroup.procs"), *argv]


def run(
    argv: Sequence[str],
    *,
    input: str | bytes | None = None,  # noqa: A002 - the name it has in subprocess.run()
    timeout_s: float = 60.0,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run a command to its end and capture what it says.

    Raises CommandTimedOutError after ``timeout_s`` seconds (the command and its process group are
    killed), CommandFailedError if ``check`` and the exit status is not 0.
    """
    data = input.encode() if isinstance(input, str) else input
    with subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(data, timeout=timeout_s)
        except subprocess.TimeoutExpired as late:
            kill_group(process)
            raise CommandTimedOutError(f"no end after {timeout_s:g} s: {shlex.join(argv)}{_tail(late.stderr)}") from None
        except BaseException:
            kill_group(process)
            raise
    done = Completed(tuple(argv), process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
    if check and done.returncode != 0:
        raise CommandFailedError(f"exit status {done.returncode}: {shlex.join(argv)}{_tail(err or out)}")
    return done


def start_detached(argv: Sequence[str], *, log: Path, cwd: Path | None = None) -> str:
    """Start a command that outlives this process; its output is appended to ``log``.

    Returns its line of /proc, for ProcessId.from_stat().
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            start_new_session=True,
        )
    _children.append(process)
    # Not yet collected, so its entry is there even if it has ended.
    return Path(f"/proc/{process.pid}/stat").read_text()


def reap() -> None:
    """Collect detached children that have ended, so that they do not stay as zombies."""
    _children[:] = [child for child in _children if child.poll() is None]


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str, interval_s: float = 0.05) -> None:
    """Poll ``condition`` until it is true; CommandTimedOutError, naming ``what``, after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise CommandTimedOutError(f"waited {timeout_s:g} s in vain for: {what}")
        time.sleep(interval_s)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for a process that leads a process group, and for its group."""
    # The whole group: a command run through nsenter is a grandchild, which the death of
    # nsenter alone would leave running.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _tail(text: bytes | None, limit: int = 2000) -> str:
    return "\n" + text.decode(errors="replace")[-limit:].rstrip() if text else ""
