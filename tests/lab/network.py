"""The segment: one bridge in a namespace of its own, a cable to each node, faults on the cable.

Nothing here touches the host's own network, apart from namespaces' names in /run/netns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .locks import exclusive
from .process import Completed, run
from .shapes import INTERFACE, IPV4_PREFIX, IPV6_PREFIX, OBSERVER_IPV4, OBSERVER_IPV6, NodeSpec

_NETNS_DIR: Final = Path("/run/netns")
_BRIDGE: Final = "br0"


@dataclass(frozen=True)
class Network:
    """The names of a lab's namespaces and interfaces, and what can be done to them."""

    lab: str
    run_dir: Path

    @property
    def observer_ns(self) -> str:
        """The namespace of the bridge, which is also where an outside observer stands."""
        return f"{self.lab}-net"

    def node_ns(self, node: str) -> str:
        """The namespace of a node."""
        return f"{self.lab}-{node}"

    def create(self) -> None:
        """Make the bridge and give it the observer's addresses."""
        with self._names():
            _ip("netns", "add", self.observer_ns)
        self._observer_ip("link", "set", "lo", "up")
        # Without snooping: it would swallow neighbour discovery until it has learnt its ports.
        bridge = ["type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"]
        self._observer_ip("link", "add", _BRIDGE, *bridge)
        for address in (f"{OBSERVER_IPV4}/{IPV4_PREFIX}", f"{OBSERVER_IPV6}/{IPV6_PREFIX}"):
            nodad = ["nodad"] if ":" in address else []
            self._observer_ip("address", "add", address, "dev", _BRIDGE, *nodad)
        self._observer_ip("link", "set", _BRIDGE, "up")

    def attach(self, spec: NodeSpec, *, cut: bool, apart: bool = False) -> None:
        """Give a node a fresh namespace and a cable; ``cut``: it is not plugged in; ``apart``: see :meth:`isolate`."""
        self.detach(spec.id)
        namespace, port = self.node_ns(spec.id), self._port(spec.id)
        with self._names():
            _ip("netns", "add", namespace)
        inside = ["name", INTERFACE, "address", spec.mac, "netns", namespace]
        self._observer_ip("link", "add", port, "type", "veth", "peer", *inside)
        self._observer_ip("link", "set", port, "master", _BRIDGE)
        self.isolate(spec.id, on=apart)
        if not cut:
            self.plug(spec.id)

    def detach(self, node: str) -> None:
        """Remove a node's cable and namespace, if they are there.

        The cable first: a process that still holds the namespace must not answer any more.
        """
        self.remove_cable(node)
        if (_NETNS_DIR / self.node_ns(node)).exists():
            _ip("netns", "delete", self.node_ns(node), check=False)

    def remove_cable(self, node: str) -> None:
        """Take the node's network interface away."""
        if (_NETNS_DIR / self.observer_ns).exists():
            self._observer_ip("link", "delete", self._port(node), check=False)

    def unplug(self, node: str) -> None:
        """The node's interface loses its carrier; nothing happens if the node is off."""
        self._observer_ip("link", "set", self._port(node), "down", check=False)

    def plug(self, node: str) -> None:
        """The node's interface gets its carrier back; nothing happens if the node is off."""
        self._observer_ip("link", "set", self._port(node), "up", check=False)

    def isolate(self, node: str, *, on: bool) -> None:
        """Isolated nodes do not reach each other, but the observer; nothing happens if the node is off."""
        word = "on" if on else "off"
        self._observer_ip("link", "set", self._port(node), "type", "bridge_slave", "isolated", word, check=False)

    def insert_relay(self, node: str) -> tuple[str, str]:
        """Take the node's cable out of the bridge, for somebody who relays between two ports.

        Returns the names of the two ports, in the observer's namespace.
        """
        self.remove_relay(node)
        port, near, far = self._port(node), f"near-{node}", f"far-{node}"
        self._observer_ip("link", "add", near, "type", "veth", "peer", "name", far)
        self._observer_ip("link", "set", far, "master", _BRIDGE, "up")
        self._observer_ip("link", "set", port, "nomaster")
        for name in (port, near):
            # Not a way into this namespace: only the relay may take frames from it.
            self._observer_ip("link", "set", name, "arp", "off", "addrgenmode", "none")
        self._observer_ip("link", "set", near, "up")
        return port, near

    def remove_relay(self, node: str) -> None:
        """Undo insert_relay(), if it was done."""
        self._observer_ip("link", "delete", f"near-{node}", check=False)
        self._observer_ip("link", "set", self._port(node), "master", _BRIDGE, check=False)

    def remove(self) -> None:
        """Remove every namespace of this lab, and with them their interfaces."""
        for path in sorted(_NETNS_DIR.glob(f"{self.lab}-*")):
            _ip("netns", "delete", path.name)
        self._remove_names_mount()

    def observer_argv(self, argv: Sequence[str]) -> list[str]:
        """The host command line that runs the host's ``argv`` on the segment."""
        return ["ip", "netns", "exec", self.observer_ns, *argv]

    def _observer_ip(self, *arguments: str, check: bool = True) -> Completed:
        return _ip("-n", self.observer_ns, *arguments, check=check)

    def _port(self, node: str) -> str:
        return f"{self.lab}-{node}"

    @contextmanager
    def _names(self) -> Iterator[None]:
        """Around "ip netns add", which makes /run/netns a mount point: remember if it was us."""
        with exclusive(self.run_dir / "netns.lock", timeout_s=30, what="another lab's network"):
            if not _is_mount_point(_NETNS_DIR):
                self._names_marker.touch()
            yield

    @property
    def _names_marker(self) -> Path:
        return self.run_dir / "netns-mounted"

    def _remove_names_mount(self) -> None:
        with exclusive(self.run_dir / "netns.lock", timeout_s=30, what="another lab's network"):
            if not self._names_marker.exists() or any(_NETNS_DIR.glob("*")):
                return
            if _is_mount_point(_NETNS_DIR):
                run(["umount", str(_NETNS_DIR)])
            _NETNS_DIR.rmdir()
            self._names_marker.unlink()


def _ip(*arguments: str, check: bool = True) -> Completed:
    return run(["ip", *arguments], check=check)


def _is_mount_point(path: Path) -> bool:
    # os.path.ismount() does not see a directory mounted on itself.
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == str(path) for line in lines)
