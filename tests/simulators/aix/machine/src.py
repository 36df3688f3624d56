"""The System Resource Controller: which subsystems there are (ODM) and which of them run (lost at boot).

A subsystem is a process on a lab node. Below a temporary root nothing is started: there it only has a number, and stops
after it was looked at a few times.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import paths, settings
from .store import Data, Store

SUBSYSTEMS = paths.ODM + "/src.json"
RUNNING = paths.RUN + "/src.json"
KILL_AFTER_S = 20.0

NORMAL, FORCED, CANCELLED = "normal", "forced", "cancelled"
ACTIVE, INOPERATIVE, STOPPING = "active", "inoperative", "stopping"


@dataclass(frozen=True)
class Status:
    """How a subsystem is now."""

    name: str
    group: str
    word: str
    pid: int | None = None


class Src:
    """Subsystems by name; a definition has path, args, group, user and signals (only those reach it, so no refresh)."""

    def __init__(self) -> None:
        self.defined = Store(SUBSYSTEMS)
        self._running = Store(RUNNING)

    def names(self) -> list[str]:
        """All, in the order they were added."""
        return list(self.defined.read())

    def in_group(self, group: str) -> list[str]:
        """The members of a group."""
        return [name for name, one in self.defined.read().items() if one["group"] == group]

    def status(self, name: str) -> Status:
        """How it is; asking brings a stop without a process nearer to its end."""
        group = self.defined.read()[name]["group"]
        with self._running.change() as running:
            one = running.get(name)
            if one is None:
                return Status(name, group, INOPERATIVE)
            if not _alive(one):
                del running[name]
                return Status(name, group, INOPERATIVE)
            if not one["stopping"]:
                return Status(name, group, ACTIVE, one["pid"])
            one["polls_left"] -= 1
            return Status(name, group, STOPPING, one["pid"])

    def start(self, name: str, extra: str = "") -> int | None:
        """Start it; its process id, or None if it still runs (also while it stops)."""
        one = self.defined.read()[name]
        with self._running.change() as running:
            if name in running and _alive(running[name]):
                return None
            pid = _spawn(one, extra) if paths.is_whole_machine() else 3_000_000 + len(running) * 2 + 8004
            running[name] = {"pid": pid, "born": _born(pid), "stopping": False, "polls_left": 0}
            return pid

    def request_stop(self, name: str, how: str = NORMAL) -> bool:
        """Ask it to stop, which takes its time, unless it is forced to; False if it does not run."""
        with self._running.change() as running:
            one = running.get(name)
            if one is None or not _alive(one):
                return False
            if not one["stopping"] or how != NORMAL:
                polls = int(settings.number("stop_polls")) if how == NORMAL else 0
                one.update(stopping=True, polls_left=polls)
                if paths.is_whole_machine():
                    _stop_later(one["pid"], one["born"], how)
            return True

    def hang_up(self, name: str) -> bool:
        """SIGHUP to a running one; False if it does not run."""
        one = self._running.read().get(name)
        if one is None or one["stopping"] or not _alive(one):
            return False
        if paths.is_whole_machine():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one["pid"], signal.SIGHUP)
        return True


def stop_process(pid: int, born: str, delay_s: float, how: str) -> None:
    """The asynchronous part of a stop, in a process of its own.

    A normal stop is SIGTERM to the process and no more: one that does not listen is "stopping" for ever. A forced one is SIGKILL,
    at once. A cancelled one is SIGTERM to the process group, and SIGKILL after 20 s.
    """
    if how == FORCED:
        _signal(os.kill, pid, born, signal.SIGKILL)
        return
    time.sleep(delay_s)
    if how == NORMAL:
        _signal(os.kill, pid, born, signal.SIGTERM)
        return
    _signal(os.killpg, pid, born, signal.SIGTERM)
    deadline = time.monotonic() + KILL_AFTER_S
    while _born(pid) == born and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(os.killpg, pid, born, signal.SIGKILL)


def _signal(send: Callable[[int, int], None], pid: int, born: str, number: int) -> None:
    if _born(pid) == born:
        with contextlib.suppress(ProcessLookupError):
            send(pid, number)


def _alive(one: Data) -> bool:
    if paths.is_whole_machine():
        return bool(one["born"]) and _born(one["pid"]) == one["born"]
    return not one["stopping"] or one["polls_left"] > 0


def _born(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty if it is gone or a zombie. Numbers are used again, these pairs are not."""
    if not paths.is_whole_machine():
        return "x"
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _spawn(one: Data, extra: str) -> int:
    """AIX says "started" once it has forked; whether the program can be run shows later."""
    argv = [one["path"], *shlex.split(one["args"]), *shlex.split(extra)]
    helper = [sys.executable, "-c", "import os, sys\nos.execv(sys.argv[1], sys.argv[1:])", *argv]
    out = subprocess.DEVNULL
    return subprocess.Popen(helper, stdin=out, stdout=out, stderr=out, start_new_session=True, cwd="/").pid


def _stop_later(pid: int, born: str, how: str) -> None:
    words = [str(pid), born, str(settings.number("stop_delay_s")), how]
    program = str(pathlib.Path(sys.argv[0]).resolve().parent / "aixsim")
    out = subprocess.DEVNULL
    subprocess.Popen([program, "srcstop", *words], stdin=out, stdout=out, stderr=out, start_new_session=True)


STANDARD = {
    "inetd": ("tcpip", "/usr/sbin/inetd", "", False),
    "xntpd": ("tcpip", "/usr/sbin/xntpd", "", True),
    "named": ("tcpip", "/usr/sbin/named", "-f -u bind", False),
    "dhcpsd": ("tcpip", "/usr/sbin/dhcpd", "-f -q -cf /etc/dhcp/dhcpd.conf", False),
    "snmpd": ("tcpip", "/usr/sbin/snmpd", "", True),
    "conserver": ("conserver", "/usr/sbin/conserver", "-o -O1 -C /etc/conserver.cf", True),
    "xcatd": ("xcat", "/opt/xcat/sbin/xcatd", "-f", True),
    "nfsd": ("nfs", "/usr/sbin/nfsd", "", True),
    "rpc.mountd": ("nfs", "/usr/sbin/rpc.mountd", "", True),
    "biod": ("nfs", "/usr/sbin/biod", "", True),
    "nimesis": ("nim", "/usr/sbin/nimesis", "", True),
    "nimsh": ("nimclient", "/usr/sbin/nimsh", "-s", True),
}


def definition(path: str, args: str = "", group: str = "", user: str = "0", *, signals: bool = True) -> Data:
    """A subsystem's entry in the ODM."""
    return {"path": path, "args": args, "group": group, "user": user, "signals": signals}


def standard(names: list[str]) -> Data:
    """The entries of subsystems that AIX and xCAT bring."""
    return {name: definition(p, a, g, signals=s) for name, (g, p, a, s) in STANDARD.items() if name in names}
