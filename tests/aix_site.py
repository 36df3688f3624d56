"""Two simulated AIX machines below the published interface of a site, so that the published contracts can be run on them.

The machines are those of ``tests/simulators/aix``; a host's root is theirs, and its commands are AIX's. What AIX does not have (systemctl,
ip, flock, timeout, GNU's own programs) is not there.
"""

from __future__ import annotations

import functools
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from tests.simulators.aix import install
from tests.simulators.aix.machine import boot, commands, inittab, src
from tests.simulators.aix.machine.paths import ROOT_VARIABLE
from xcat_ha.interfaces import Service
from xcat_ha.models import Pair
from xcat_ha.testing import SimulatedPair, SimulatedSite, tree
from xcat_ha.testing.host import Answer, Call, SimulatedHost
from xcat_ha.testing.machine import Address, Process

SUBSYSTEM = {Service.XCATD: "xcatd", Service.DHCP: "dhcpsd", Service.DNS: "named", Service.CONSOLE: "conserver"}
NOT_ON_AIX = ("systemctl", "ip", "ss", "sysctl", "hostnamectl", "runuser", "arping", "pgrep", "pidof", "pkill", "killall", "findmnt")
GNU_OR_LINUX = (
    *("flock", "timeout", "readlink", "realpath", "mktemp", "sha256sum", "md5sum", "stat", "stdbuf", "seq", "truncate", "setsid"),
    *("getent", "ionice", "bash", "rsync", "sqlite3", "sync"),
)
RC_TCPIP = "etc/rc.tcpip"
RC_TEXT = '#!/bin/ksh\nsrc_running=$1\nstart /usr/sbin/inetd "$src_running"\n#start /usr/sbin/named "$src_running"\n'
_HIDDEN = ("/proc", "/run/aixsim", "/var/lib/aixsim")


class AixHost(SimulatedHost):
    """A host whose commands are those of the simulated AIX, and whose truth is in its ODM and its kernel file."""

    called: ClassVar[list[tuple[str, ...]]] = []
    """Every command of AIX's that was given to any of these machines, by whomever but the test."""

    def reset(self) -> None:
        """As installed: no subsystem of the role is known to SRC."""
        super().reset()
        self.aix("telinit", "q")

    def state(self) -> str:
        """Files without what asking changes by itself (ARP cache, how often lssrc was asked), and the running machine."""
        self.read_back()
        self.show()
        kernel = {key: value for key, value in self._data("run/aixsim/kernel.json").items() if key != "neighbours"}
        return f"{tree.digest(self.root, without=_HIDDEN)} {self.machine.facts()} {kernel} {sorted(self.running())}"

    def running(self) -> dict[str, int]:
        """Subsystems that run and have not been asked to stop: name -> process id."""
        return {name: one["pid"] for name, one in self._data("run/aixsim/src.json").items() if not one["stopping"]}

    def aix(self, *words: str, stdin: str = "") -> Answer:
        """Run one of AIX's commands here."""
        out, err = io.StringIO(), io.StringIO()
        self._show_segment()
        with self.inside():
            code = commands.run(words[0], words[1:], out, err, io.StringIO(stdin))
        if words[0] == "telinit":
            self._respawn()
        self._take_over()
        return Answer(code, out.getvalue(), err.getvalue())

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The simulator's paths lead below this host's root."""
        with mock.patch.dict(os.environ, {ROOT_VARIABLE: str(self.root), "AIXSIM_TIME_SCALE": "0"}):
            yield

    def starts_at_boot(self) -> list[str]:
        """Subsystems that the inittab or /etc/rc.tcpip starts, in that order."""
        with self.inside():
            entries = [one for one in inittab.entries() if one.at_boot and one.action not in {"off", "initdefault", "ondemand", "hold"}]
        found = [match for one in entries for match in re.findall(r"startsrc -s ?(\S+)", one.command)]
        return found + re.findall(r"^start \S*/(\S+) ", (self.root / RC_TCPIP).read_text(), re.MULTILINE)

    def _boot(self) -> None:
        super()._boot()
        if not (self.root / "etc/objrepos").exists():
            self._provision()
        with self.inside():
            boot.configure()
            known = src.Src().names()
        self.machine.processes[4_000_000] = Process(("/usr/sbin/cron",))
        for name in self.starts_at_boot():
            if name in known:
                self.aix("startsrc", "-s", name)
        self._respawn()
        self._take_over()

    def _provision(self) -> None:
        node = self.node
        install.provision(
            self.root, node.name, node.address, mask="255.255.0.0", gateway="10.77.0.1", interface=node.interface, interfaces=("en0",)
        )
        self.write("/etc/objrepos/src.json", json.dumps(src.standard(["inetd", "snmpd"])))
        self.write(f"/{RC_TCPIP}", RC_TEXT, 0o755)

    def _respawn(self) -> None:
        """Init: each respawn entry that is this project's has its process, and no other."""
        with self.inside():
            wanted = [tuple(one.command.split(" >")[0].split()) for one in inittab.entries() if one.action == "respawn"]
        mine = {process.argv: pid for pid, process in self.machine.processes.items() if process.unit == "inittab"}
        for argv, pid in mine.items():
            if argv not in wanted:
                del self.machine.processes[pid]
        for argv in wanted:
            if argv not in mine and argv != ("/usr/sbin/cron",):
                self.machine.spawn(argv, "inittab")

    def _take_over(self) -> None:
        """What the rest of the simulation asks of a machine: its addresses and its name."""
        kernel = self._data("run/aixsim/kernel.json")
        for name, link in kernel.get("links", {}).items():
            self.machine.interfaces[name] = [Address(f"{one}/{prefix}") for one, prefix in link.get("addresses", [])]
        self.machine.hostname = str(kernel.get("hostname", self.machine.hostname))

    def _show_segment(self) -> None:
        others = [self.peer] if self.peer is not self and self.peer.machine.powered else []
        macs = {address: "6e:87:70:00:40:03" for one in others for address in one.machine.addresses() if address != "127.0.0.1"}
        self.write("/var/lib/aixsim/segment.json", json.dumps(macs))

    def _data(self, name: str) -> dict[str, Any]:
        path = self.root / name
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found


class AixPair(SimulatedPair):
    """Two of them."""

    host_class = AixHost


class AixSite(SimulatedSite):
    """Two AIX machines on one segment."""

    pair_class = AixPair

    def __init__(self, config: Pair | None = None, directory: Path | None = None) -> None:
        """See :class:`~xcat_ha.testing.pair.SimulatedPair`."""
        super().__init__(config, directory)
        for host in self.simulated.hosts.values():
            for name in (*NOT_ON_AIX, *GNU_OR_LINUX):
                host.handle(name, _absent)
            for name in commands.MODULES:
                if name not in {"mount", "umount", "init", "announce", "srcstop", "lsdef", "systemctl"}:
                    host.handle(name, functools.partial(_aix, name), eats_stdin=name == "crontab")
            for name, handler in {"ps": _ps, "netstat": _netstat, "who": _who}.items():
                host.handle(name, handler)

    def aix(self, node_id: str) -> AixHost:
        """The machine of a node."""
        host = self.simulated[node_id]
        assert isinstance(host, AixHost)
        return host

    def add_address(self, node_id: str, address: str) -> None:
        """See :meth:`~xcat_ha.testing.Site.add_address`."""
        ip, _, prefix = address.partition("/")
        assert prefix == "16"
        self.aix(node_id).aix("ifconfig", self.pair.node(node_id).interface, "alias", ip, "netmask", "255.255.0.0", "up")

    def start_xcatd(self, node_id: str) -> None:
        """See :meth:`~xcat_ha.testing.Site.start_xcatd`."""
        self.install_service(node_id, Service.XCATD, running=True, enabled=False)

    def install_service(self, node_id: str, service: Service, *, running: bool, enabled: bool) -> None:
        """Known to SRC; what starts named at boot is /etc/rc.tcpip, for the others it is the inittab."""
        host, name = self.aix(node_id), SUBSYSTEM[service]
        with host.inside(), src.Src().defined.change() as defined:
            defined.update(src.standard([name]))
        if enabled and service is Service.DNS:
            path = host.root / RC_TCPIP
            path.write_text(path.read_text().replace("#start /usr/sbin/named", "start /usr/sbin/named"))
        elif enabled:
            host.aix("mkitab", f"{name}:2:once:/usr/bin/startsrc -s {name} > /dev/console 2>&1")
        if running:
            host.aix("startsrc", "-s", name)

    def service_state(self, node_id: str, service: Service) -> tuple[bool, bool]:
        """See :meth:`~xcat_ha.testing.Site.service_state`."""
        host = self.aix(node_id)
        return SUBSYSTEM[service] in host.running(), SUBSYSTEM[service] in host.starts_at_boot()


def _aix(name: str, host: SimulatedHost, call: Call) -> Answer:
    assert isinstance(host, AixHost)
    host.called.append(call.argv)
    return host.aix(name, *call.words, stdin=call.stdin)


def _absent(host: SimulatedHost, call: Call) -> Answer:
    del host
    return Answer(127, stderr=f"ksh: {call.argv[0]}:  not found.\n")


def _ps(host: SimulatedHost, call: Call) -> Answer:
    assert isinstance(host, AixHost)
    if call.words != ("-A", "-o", "pid=", "-o", "args="):
        return Answer(1, stderr="ps: Not a recognized flag: only POSIX's are simulated\n")
    with host.inside():
        paths = {name: one["path"] for name, one in src.Src().defined.read().items()}
    lines = [f"{pid} {' '.join(process.argv)}" for pid, process in host.machine.processes.items()]
    return Answer(0, "".join(f"{line}\n" for line in [*lines, *(f"{pid} {paths[name]}" for name, pid in host.running().items())]))


def _netstat(host: SimulatedHost, call: Call) -> Answer:
    assert isinstance(host, AixHost)
    if call.words != ("-an",):
        return host.aix("netstat", *call.words)
    ports = sorted({*host.machine.listening(), 22, *((3001, 3002) if "xcatd" in host.running() else ())})
    lines = [f"tcp        0      0  {f'*.{port}':<23}{'*.*':<23}LISTEN" for port in ports]
    head = ["Active Internet connections (including servers)", "Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)"]
    return Answer(0, "".join(f"{line}\n" for line in [*head, *lines]))


def _who(host: SimulatedHost, call: Call) -> Answer:
    if call.words != ("-b",):
        return Answer(1, stderr="usage: who -b\n")
    return Answer(0, f"   .        system boot Nov 24 {10 + host.machine.boots // 60:02}:{host.machine.boots % 60:02}\n")
