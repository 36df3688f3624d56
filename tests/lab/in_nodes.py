"""Drivers at work in the lab's nodes without the rest of the product: its runner, their programs, the keys that setup would leave."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import xcat_ha_drivers
from tests.lab import CommandTimedOutError, Lab
from tests.lab import Node as LabNode
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.models import SSH_DIR, DriverChoice, Node, Pair, ServiceIdentity
from xcat_ha.ssh_command import IDENTITY_FILE, KNOWN_HOSTS
from xcat_ha.steps import Command, Completed, Trouble

NODES: Final = (
    Node(id="mna", name="mna", address="10.77.0.21", interface="en1"),
    Node(id="mnb", name="mnb", address="10.77.0.22", interface="en1"),
)
MNA, MNB = NODES
_PYTHON: Final = '#!/bin/sh\nPYTHONPATH=/opt/xcat-ha/lib exec /usr/bin/python3 "$@"\n'


def pair_of(identity: ServiceIdentity) -> Pair:
    """The lab's nodes as a pair, for drivers that are made by hand."""
    chosen = DriverChoice("any")
    return Pair("lab", NODES, "mna", identity, chosen, chosen, chosen, chosen, chosen)


class LabRunner(Runner):
    """Runs commands in the lab's nodes, not over ssh: the way in must not depend on what is being tested."""

    def __init__(self, lab: Lab, silent: Collection[str] = ()) -> None:
        """``silent``: ids of nodes that the runner is not to reach; looked at anew for each command."""
        self._lab = lab
        self._silent = silent

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        argv = tuple(str(word) for word in command.argv)
        node = self._lab.node(host)
        if host in self._silent or not node.is_on:
            return Completed(argv, None, stderr=f"{host} does not answer", trouble=Trouble.UNREACHABLE)
        try:
            done = node.run(argv, input=command.stdin, timeout_s=command.timeout_s, check=False)
        except CommandTimedOutError:
            return Completed(argv, None, trouble=Trouble.TIMED_OUT)
        if on_output is not None:
            on_output(done.stdout)
        return Completed(argv, done.returncode, done.stdout, done.stderr)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """See :meth:`Runner.read_many`."""
        return tuple(self.run(host, command) for command in commands)


def write(node: LabNode, name: str, text: str, mode: int = 0o644) -> None:
    """A file in a node, and the directories above it."""
    path = node.root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def install_programs(lab: Lab) -> None:
    """Put the drivers' programs where ``Node.python`` finds them: they need nothing but the standard library."""
    for node in lab.nodes.values():
        target = node.root / "opt/xcat-ha"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(xcat_ha_drivers.__path__[0]), target / "lib/xcat_ha_drivers", ignore=shutil.ignore_patterns("__pycache__"))
        write(node, "/opt/xcat-ha/bin/python3", _PYTHON, 0o755)
        node.run(("/opt/xcat-ha/bin/python3", "-m", "compileall", "-q", "/opt/xcat-ha/lib"), timeout_s=60)  # as pip does


def let_in(lab: Lab) -> None:
    """Each node's root may log in to the other with xcat-ha's own key, and knows its host key by the node's id."""
    keys, hosts = [], []
    for node in lab.nodes.values():
        node.run(("sh", "-c", 'mkdir -p -m 700 "$1" && rm -f "$2" && ssh-keygen -q -t ed25519 -N "" -f "$2"', "sh", SSH_DIR, IDENTITY_FILE))
        keys.append((node.root / f"{IDENTITY_FILE}.pub".lstrip("/")).read_text())
        hosts.append(f"{node.id} {(node.root / 'etc/ssh/ssh_host_ed25519_key.pub').read_text()}")
    for node in lab.nodes.values():
        write(node, "/root/.ssh/authorized_keys", "".join(keys), 0o600)
        write(node, KNOWN_HOSTS, "".join(hosts))
