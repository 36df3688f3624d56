"""Records which node has which address, as the kernel reports it, from outside the nodes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .cgroups import OBSERVER
from .errors import LabError
from .lab import Lab
from .process import in_cgroup, run, wait_until
from .timelines import Change, Interval, gaps, holdings, overlaps
from .watching import Watching

_LINE: Final = re.compile(
    r"^\[(?P<time>[^\]]+)\]\s*(?P<deleted>Deleted )?\d+: (?P<interface>\S+)\s+inet6? (?P<address>[0-9a-fA-F.:]+)\S*"
    r"(?P<rest>.*)$"
)


@dataclass(frozen=True)
class AddressEvent:
    """The kernel of ``node`` added or deleted an address at ``time_s`` (seconds since 1970).

    ``usable`` is false while duplicate address detection is going on, and after it has failed.
    """

    time_s: float
    node: str
    added: bool
    address: str
    usable: bool = True


def parse_monitor(text: str, node: str) -> list[AddressEvent]:
    """Parse what ``ip -tshort monitor address`` prints with the time zone UTC."""
    events = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            moment = datetime.fromisoformat(match["time"]).replace(tzinfo=UTC)
            words = match["rest"].split()
            usable = not {"tentative", "dadfailed"} & set(words)
            added = match["deleted"] is None
            events.append(AddressEvent(moment.timestamp(), node, added, match["address"], usable))
    return events


def parse_addresses(text: str) -> frozenset[str]:
    """The usable addresses in what ``ip -j address`` prints."""
    return frozenset(
        str(info["local"])
        for link in json.loads(text or "[]")
        for info in link.get("addr_info", [])
        if "local" in info and not info.get("tentative") and not info.get("dadfailed")
    )


def changes(events: Sequence[AddressEvent], address: str) -> list[Change]:
    """The events about one address as changes of its holders.

    An address under duplicate address detection is not held; a failed one is not held any more.
    """
    return [Change(event.time_s, event.node, event.added and event.usable) for event in events if event.address == address]


class AddressRecorder(Watching):
    """Records from start() to stop(), or for the duration of a ``with`` block.

    A node that has been off has to be attached again: attach().
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._monitors: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        self._snapshots: list[AddressEvent] = []
        self._output = tempfile.TemporaryDirectory(prefix="lab-addresses-")
        self._start_s = self._stop_s = 0.0

    def start(self) -> None:
        """Begin, with every node that is on."""
        for node in self._lab.nodes.values():
            if node.is_on:
                self.attach(node.id)
        # Only now is it known what each of them has.
        self._start_s = time.time()

    def attach(self, node_id: str, *, timeout_s: float = 10.0) -> None:
        """Record a node that is on or being switched on; what it has now counts from now."""
        namespace = self._lab.network.node_ns(node_id)
        wait_until(Path("/run/netns", namespace).exists, timeout_s=timeout_s, what=f"{node_id} to be on")
        output = Path(self._output.name, f"{len(self._monitors)}-{node_id}")
        command = ["ip", "-n", namespace, "-tshort", "monitor", "address"]
        with output.open("wb") as file:
            monitor = subprocess.Popen(
                in_cgroup(self._lab.cgroups.directory(OBSERVER), command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TZ": "UTC"},
                start_new_session=True,
            )
        self._monitors.append((node_id, monitor, output))
        wait_until(lambda: _listens(monitor), timeout_s=timeout_s, what=f"the monitor of {node_id}")
        now_s = time.time()
        held = run(["ip", "-n", namespace, "-j", "address"]).stdout
        self._snapshots += [AddressEvent(now_s, node_id, added=True, address=address) for address in sorted(parse_addresses(held))]

    def stop(self) -> None:
        """End the recording; the results stay."""
        if not self._stop_s:
            self._stop_s = time.time()
            for _, monitor, _ in self._monitors:
                monitor.kill()
                monitor.wait()
            self._events = self._collect()
            self._output.cleanup()

    def events(self) -> list[AddressEvent]:
        """Everything recorded so far, by time."""
        return self._events if self._stop_s else self._collect()

    def held(self, address: str) -> list[Interval]:
        """When each node held the address, by beginning."""
        return holdings(changes(self.events(), address), self._end_s)

    def overlaps(self, address: str) -> list[Interval]:
        """When two nodes held the address at once.  A node that is cut off still holds it."""
        return overlaps(self.held(address))

    def gaps(self, address: str) -> list[Interval]:
        """When no node held the address, between start() and stop() (or now)."""
        return gaps(self.held(address), self._start_s, self._end_s)

    @property
    def _end_s(self) -> float:
        return self._stop_s or time.time()

    def _collect(self) -> list[AddressEvent]:
        events = list(self._snapshots)
        for node, _, output in self._monitors:
            events += parse_monitor(output.read_text(), node)
        return sorted(events, key=lambda event: event.time_s)


def _listens(monitor: subprocess.Popen[bytes]) -> bool:
    # It prints nothing until something happens, but the kernel knows that it is subscribed.
    if monitor.poll() is not None:
        raise LabError(f"ip monitor ended with exit status {monitor.returncode}")
    sockets = Path(f"/proc/{monitor.pid}/net/netlink").read_text().splitlines()[1:]
    fields = [line.split() for line in sockets]
    return any(int(line[2]) == monitor.pid and int(line[3], 16) for line in fields)
