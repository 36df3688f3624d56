"""The two nodes of the lab as a site for contract tests."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab import Lab
from tests.lab import Node as LabNode
from tests.lab.in_nodes import LabRunner, install_programs, let_in, pair_of, write
from xcat_ha.clock import SystemClock
from xcat_ha.interfaces import Service
from xcat_ha.models import Node, ServiceIdentity
from xcat_ha.steps import Completed
from xcat_ha.testing import Site, WatchedRunner, digest
from xcat_ha.xcat.services import UNIT_CANDIDATES

IDENTITY = ServiceIdentity("mn1", (ipaddress.ip_interface("10.77.0.11/16"),))
SECRET = "Pr1vate-Key-Of-The-Cluster"
UNITS = "/etc/systemd/system"
MARK = "# made by a contract test"
LISTEN = "import socket,time; s=socket.create_server(('', 3001)); time.sleep(99999)"
WATCHED = ("/etc", "/srv", "/root", "/var/lib/xcat-ha", "/run/systemd/system", "/install", "/tftpboot")

# What a test may leave on a node. Addresses and hostname are given back apart.
CLEAN = f"""\
set -e
umount -l /srv/tree 2>/dev/null || :
made=$(grep -ls '^{MARK}' {UNITS}/*.service | sed 's,.*/,,') || :
[ -z "$made" ] || systemctl disable --now $made >/dev/null 2>&1 || :
for unit in $made; do rm -f "{UNITS}/$unit"; done
timers=$(cd /run/systemd/system && ls -d xcat-ha-* 2>/dev/null) || :
[ -z "$timers" ] || systemctl stop $timers >/dev/null 2>&1 || :
[ -z "$timers" ] || (cd /run/systemd/system && rm -rf $timers)
[ -z "$made$timers" ] || systemctl daemon-reload
rm -rf /srv /etc/xcat /var/lib/xcat-ha /run/xcat-ha
mkdir -p /srv
systemctl reset-failed
"""


class LabSite(Site):
    """Two real machines. ``fresh`` cleans them in place, which takes a part of the seconds that new disks and a boot would."""

    secrets = (SECRET,)

    def __init__(self, lab: Lab) -> None:
        """Install the drivers' programs and let the nodes reach each other over ssh."""
        super().__init__()
        self._lab = lab
        self._silent: set[str] = set()
        self.pair = pair_of(IDENTITY)
        self.runner = WatchedRunner(LabRunner(lab, self._silent))
        self.clock = SystemClock()
        install_programs(lab)
        for node in lab.nodes.values():
            # Debian enables what it installs; on a management node that xcat-ha has set up nothing of the role is enabled.
            names = [f"{name}.service" for names in UNIT_CANDIDATES.values() for name in names]
            node.run(("sh", "-c", 'for unit; do systemctl disable --now "$unit" 2>/dev/null; done; :', "sh", *names), timeout_s=120)
        let_in(lab)

    def kill_points(self, changes: int) -> Sequence[int]:
        """See :meth:`Site.kill_points`: the first and the last; the simulated pair tries them all."""
        return sorted({1, changes})

    def fresh(self) -> None:
        """See :meth:`Site.fresh`."""
        self._silent.clear()
        for node in self._lab.nodes.values():
            self.power_on(node.id)
            self._lab.heal(node.id)
        for here in self.pair.nodes:
            node = self._lab.node(here.id)
            for address in self.addresses(here.id):
                if address != here.address and not ipaddress.ip_address(address).is_link_local:
                    self._drop(node, here, address)
            node.run(("hostname", here.name))
            node.run(("sh", "-c", CLEAN), timeout_s=120)
            write(node, "/root/.ssh/id_rsa", f"{SECRET}\n", 0o600)
        self._await_link()
        self.runner.reset()

    def root(self, node_id: str) -> Path:
        """See :meth:`Site.root`."""
        return self._lab.node(node_id).root

    def digest(self, node_id: str) -> str:
        """See :meth:`Site.digest`."""
        node = self._lab.node(node_id)
        if not node.is_on:
            return "off"
        words = [digest(node.root, below, without=("/etc/.pwd.lock",)) for below in WATCHED]
        services = [f"{name}.service" for names in UNIT_CANDIDATES.values() for name in names]
        units = node.run(("systemctl", "show", "-p", "Id,ActiveState,UnitFileState", "--", *services), check=False).stdout
        return repr((words, self.addresses(node_id), self.hostname(node_id), units))

    def command(self, node_id: str, *argv: str) -> Completed:
        """See :meth:`Site.command`."""
        done = self._lab.node(node_id).run(argv, check=False)
        return Completed(argv, done.returncode, done.stdout, done.stderr)

    def addresses(self, node_id: str) -> tuple[str, ...]:
        """See :meth:`Site.addresses`."""
        links = json.loads(self._lab.node(node_id).run(("ip", "-j", "address", "show", "dev", "en1")).stdout)
        return tuple(entry["local"] for entry in links[0]["addr_info"])

    def hostname(self, node_id: str) -> str:
        """See :meth:`Site.hostname`."""
        return self._lab.node(node_id).run(("hostname",)).stdout.strip()

    def add_address(self, node_id: str, address: str) -> None:
        """See :meth:`Site.add_address`."""
        self._lab.node(node_id).run(("ip", "address", "add", address, "dev", "en1"))

    def power_off(self, node_id: str) -> None:
        """See :meth:`Site.power_off`."""
        self._lab.node(node_id).kill()

    def power_on(self, node_id: str) -> None:
        """See :meth:`Site.power_on`."""
        node = self._lab.node(node_id)
        if not node.is_on:
            node.boot()

    def is_off(self, node_id: str) -> bool:
        """See :meth:`Site.is_off`."""
        return not self._lab.node(node_id).is_on

    def cut(self, node_id: str) -> None:
        """See :meth:`Site.cut`."""
        self._silent.add(node_id)

    def cut_link(self) -> None:
        """See :meth:`Site.cut_link`."""
        self._lab.cut(self.second.id)

    def start_xcatd(self, node_id: str) -> None:
        """See :meth:`Site.start_xcatd`."""
        self._unit(node_id, "xcatd", f'/usr/bin/python3 -c "{LISTEN}"')
        node = self._lab.node(node_id)
        node.run(("systemctl", "start", "xcatd"))
        deadline = time.monotonic() + 10
        while ":3001" not in node.run(("ss", "-Hltn")).stdout:
            assert time.monotonic() < deadline, "the stand-in for xcatd does not listen"
            time.sleep(0.05)

    def install_service(self, node_id: str, service: Service, *, running: bool, enabled: bool) -> None:
        """See :meth:`Site.install_service`."""
        name = UNIT_CANDIDATES[service][0]
        self._unit(node_id, name, "/bin/sleep infinity")
        node = self._lab.node(node_id)
        if enabled:
            node.run(("systemctl", "enable", name))
        if running:
            node.run(("systemctl", "start", name))

    def service_state(self, node_id: str, service: Service) -> tuple[bool, bool]:
        """See :meth:`Site.service_state`."""
        node, name = self._lab.node(node_id), UNIT_CANDIDATES[service][0]
        running, enabled = (node.run(("systemctl", verb, name), check=False).stdout.strip() for verb in ("is-active", "is-enabled"))
        return running == "active", enabled == "enabled"

    def mount(self, node_id: str, name: str) -> None:
        """See :meth:`Site.mount`."""
        self._lab.node(node_id).run(("mount", "--bind", name, name))

    def _unit(self, node_id: str, name: str, command: str) -> None:
        node = self._lab.node(node_id)
        text = f"{MARK}\n[Service]\nExecStart={command}\n[Install]\nWantedBy=multi-user.target\n"
        write(node, f"{UNITS}/{name}.service", text)
        node.run(("systemctl", "daemon-reload"))

    def _drop(self, node: LabNode, here: Node, address: str) -> None:
        links = json.loads(node.run(("ip", "-j", "address", "show", "dev", here.interface)).stdout)
        for entry in links[0]["addr_info"]:
            if entry["local"] == address:
                node.run(("ip", "address", "del", f"{address}/{entry['prefixlen']}", "dev", here.interface), check=False)
        if here.address not in self.addresses(here.id):
            node.run(("ip", "address", "add", f"{here.address}/16", "dev", here.interface))

    def _await_link(self) -> None:
        first = self._lab.node(self.first.id)
        deadline = time.monotonic() + 10
        while first.run(("ping", "-c", "1", "-W", "1", self.second.address), check=False).returncode:
            assert time.monotonic() < deadline, "the nodes do not reach each other"
            time.sleep(0.05)
