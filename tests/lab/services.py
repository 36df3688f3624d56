"""Watches whether something that may run on one node only runs on two."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .errors import LabError
from .lab import Lab
from .node import Node
from .timelines import Change, Interval, gaps, holdings, overlaps
from .watching import Watching

_LISTEN: Final = "0A"

Probe = Callable[[Node], bool]


def listening_ports(text: str) -> frozenset[int]:
    """The ports listened on, from the text of /proc/PID/net/tcp or tcp6."""
    fields = (line.split() for line in text.splitlines()[1:])
    return frozenset(int(one[1].rpartition(":")[2], 16) for one in fields if len(one) > 3 and one[3] == _LISTEN)


def port_probe(port: int) -> Probe:
    """A probe: does anything in the node listen on this TCP port, of whatever address?"""

    def listens(node: Node) -> bool:
        init = node.init
        if init is None:
            return False
        # A node that goes off in between has no ports.
        with contextlib.suppress(OSError):
            directory = Path(f"/proc/{init.pid}/net")
            return any(port in listening_ports((directory / name).read_text()) for name in ("tcp", "tcp6"))
        return False

    return listens


def process_probe(name: str) -> Probe:
    """A probe: does a process of this name (/proc/PID/comm: 15 characters at most) run there?"""

    def runs(node: Node) -> bool:
        for process in node.cgroups.processes(node.id):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{process.pid}/comm").read_text().rstrip("\n") == name[:15]:
                    return True
        return False

    return runs


class ServiceWatcher(Watching):
    """Asks a probe about every node, in a thread, every ``interval_s`` seconds until stop()."""

    def __init__(self, lab: Lab, probe: Probe, *, interval_s: float = 0.05) -> None:
        self._lab = lab
        self._probe = probe
        self._interval_s = interval_s
        self._changes: list[Change] = []
        self._stop = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._start_s = self._stop_s = 0.0

    def start(self) -> None:
        """Begin."""
        self._start_s = time.time()
        self._thread.start()

    def stop(self) -> None:
        """End; the results stay. LabError if the watch ended before: what it did not see proves nothing."""
        self._stop.set()
        self._thread.join()
        self._stop_s = self._stop_s or time.time()
        if self._failed is not None:
            raise LabError(f"the watch ended early: {self._failed!r}") from self._failed

    def held(self) -> list[Interval]:
        """When each node was seen to run it, by beginning (seconds since 1970)."""
        return holdings(list(self._changes), self._stop_s or time.time())

    def overlaps(self) -> list[Interval]:
        """When it was seen on two nodes at once."""
        return overlaps(self.held())

    def gaps(self) -> list[Interval]:
        """When it was seen on no node."""
        return gaps(self.held(), self._start_s, self._stop_s or time.time())

    def _watch(self) -> None:
        try:
            while not self._stop.is_set():
                self._look()
                self._stop.wait(self._interval_s)
        except Exception as error:  # noqa: BLE001 - whatever it is, stop() says it
            self._failed = error

    def _look(self) -> None:
        for node in self._lab.nodes.values():
            seen = self._probe(node)
            self._changes.append(Change(time.time(), node.id, seen))
