"""What a simulated host is beside its files: units, processes, addresses, name, power."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping

from attrs import define, evolve, field


@define
class Unit:
    """A service unit of a simulated host.

    Attributes:
        name: with suffix (``named.service``).
        running: whether it is active.
        enabled: ``enabled``, ``disabled``, ``masked``, ``static`` or empty; as ``systemctl is-enabled`` prints it.
        failed: whether its last run failed.
        can_start: False makes every start fail.
        titles: command lines of the processes it has while it runs.
        ports: TCP ports it listens on while it runs.
        properties: further properties ``systemctl show`` prints.
        fragment: path of its unit file; empty for a unit the test set up.
    """

    name: str
    running: bool = False
    enabled: str = "disabled"
    failed: bool = False
    can_start: bool = True
    titles: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    properties: dict[str, str] = field(factory=dict)
    fragment: str = ""


@define
class Address:
    """An address of an interface: with prefix length (``10.77.0.21/16``), scope, and flags as ``ip -j`` names them (``secondary`` …)."""

    interface: str
    scope: str = "global"
    flags: set[str] = field(factory=set)

    @property
    def ip(self) -> str:
        """The address without prefix length."""
        return self.interface.split("/")[0]


@define
class Process:
    """A process of a simulated host: its command line, and the unit it belongs to (empty: none)."""

    argv: tuple[str, ...]
    unit: str = ""


@define
class Machine:
    """The state of a simulated host that is not in its files. Plain data: handlers read and change it.

    Attributes:
        hostname: running hostname.
        interfaces: interface name -> its addresses in the order the kernel lists them.
        routes: IPv4 routes made by hand: destination -> (device, source address).
        units: by full name.
        processes: by process id.
        ports: TCP ports in state LISTEN that belong to no unit.
        sysctl: kernel parameters by dotted name.
        mounts: absolute paths that are mount points beside ``/``.
        announced: addresses for which the host sent gratuitous ARP or unsolicited neighbour advertisements.
        boots: how often it was booted.
        booted_at: when that was last, in seconds since the epoch.
        powered: whether it runs at all.
        reachable: whether whoever runs commands reaches it.
        next_pid: process id the next process gets; beyond what a kernel gives out, so that no real process is ever meant.
    """

    hostname: str
    interfaces: dict[str, list[Address]]
    routes: dict[str, tuple[str, str]] = field(factory=dict)
    units: dict[str, Unit] = field(factory=dict)
    processes: dict[int, Process] = field(factory=dict)
    ports: set[int] = field(factory=set)
    sysctl: dict[str, str] = field(factory=dict)
    mounts: set[str] = field(factory=set)
    announced: list[str] = field(factory=list)
    boots: int = 1
    booted_at: float = 0.0
    powered: bool = True
    reachable: bool = True
    next_pid: int = 5_000_000

    def copy(self) -> Machine:
        """A copy that shares nothing with this one."""
        return copy.deepcopy(self)

    def facts(self) -> str:
        """Everything that lasts, as one comparable text: neither power and reachability nor what was announced."""
        return repr(evolve(self, powered=True, reachable=True, next_pid=0, boots=0, booted_at=0.0, announced=[]))

    def uptime_s(self) -> float:
        """Seconds since the last boot."""
        return time.time() - self.booted_at

    def listening(self) -> frozenset[int]:
        """All TCP ports somebody listens on."""
        return frozenset(self.ports).union(*(unit.ports for unit in self.units.values() if unit.running))

    def addresses(self) -> frozenset[str]:
        """All addresses of the host, without prefix length."""
        return frozenset(address.ip for addresses in self.interfaces.values() for address in addresses)

    def spawn(self, argv: Iterable[str], unit: str = "") -> int:
        """Add a process; returns its id."""
        pid = self.next_pid
        self.next_pid += 1
        self.processes[pid] = Process(tuple(argv), unit)
        return pid

    def end_processes(self, *, unit: str | None = None, title: str | None = None) -> int:
        """Remove the processes of a unit, or those whose first word's last path component is ``title``; returns how many."""
        doomed = [
            pid
            for pid, process in self.processes.items()
            if (unit is not None and process.unit == unit) or (title is not None and process.argv[0].rsplit("/", 1)[-1] == title)
        ]
        for pid in doomed:
            del self.processes[pid]
        return len(doomed)

    def start(self, name: str) -> bool:
        """Start a unit; returns whether it runs afterwards."""
        unit = self.units[name]
        if not unit.can_start or unit.enabled == "masked":
            unit.failed = not unit.can_start
            return False
        if not unit.running:
            unit.running, unit.failed = True, False
            for title in unit.titles:
                self.spawn((title,), name)
        return True

    def stop(self, name: str) -> None:
        """Stop a unit and its processes."""
        self.units[name].running = False
        self.end_processes(unit=name)

    def boot(self, hostname: str, addresses: Mapping[str, tuple[str, ...]]) -> None:
        """Come up as after power-on: volatile state is gone, enabled units run, name and addresses are the stored ones."""
        self.hostname = hostname
        scopes = {"lo": "host"}
        self.interfaces = {name: [Address(word, scopes.get(name, "global")) for word in words] for name, words in addresses.items()}
        self.processes, self.routes = {}, {}
        self.ports, self.announced, self.sysctl = set(), [], {}
        self.boots += 1
        self.booted_at = time.time()
        for unit in self.units.values():
            unit.running = unit.failed = False
        self.spawn(("/sbin/init",))
        for unit in list(self.units.values()):
            if unit.enabled == "enabled":
                self.start(unit.name)
