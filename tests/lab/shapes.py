"""Which machines a lab consists of, and what their files say.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .errors import LabError

DOMAIN: Final = "lab.example"
IPV4_PREFIX: Final = 16
IPV6_PREFIX: Final = 64
OBSERVER_NAME: Final = "observer"
OBSERVER_IPV4: Final = "10.77.0.1"
OBSERVER_IPV6: Final = "fd77::1"
SERVICE_NAME: Final = "mn1"
SERVICE_IPV4: Final = "10.77.0.11"
SERVICE_IPV6: Final = "fd77::11"
INTERFACE: Final = "en1"


@dataclass(frozen=True)
class NodeSpec:
    """One machine.  ``id`` is its name in the lab, ``hostname`` what it calls itself."""

    id: str
    hostname: str
    ipv4: str
    ipv6: str
    mac: str


_MNA: Final = NodeSpec("mna", "mna", "10.77.0.21", "fd77::21", "02:77:00:00:00:21")
_MNB: Final = NodeSpec("mnb", "mnb", "10.77.0.22", "fd77::22", "02:77:00:00:00:22")
# A site with one management node: it *is* mn1, in its own files (by IPv4; IPv6 came later).
_MN1: Final = NodeSpec("mna", SERVICE_NAME, SERVICE_IPV4, _MNA.ipv6, _MNA.mac)

SHAPES: Final = {"pair": (_MNA, _MNB), "single": (_MN1, _MNB)}

_NAMES: Final = (
    (SERVICE_NAME, SERVICE_IPV4, SERVICE_IPV6),
    ("mna", _MNA.ipv4, _MNA.ipv6),
    ("mnb", _MNB.ipv4, _MNB.ipv6),
    (OBSERVER_NAME, OBSERVER_IPV4, OBSERVER_IPV6),
)


def shape(name: str) -> tuple[NodeSpec, ...]:
    """The machines of a shape; LabError if there is no such shape."""
    try:
        return SHAPES[name]
    except KeyError:
        raise LabError(f"no shape {name!r}", f"one of: {', '.join(SHAPES)}") from None


def hosts() -> str:
    """The text of /etc/hosts, the same on every machine."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    for name, ipv4, ipv6 in _NAMES:
        lines += [f"{ipv4} {name}.{DOMAIN} {name}", f"{ipv6} {name}.{DOMAIN} {name}"]
    return "\n".join(lines) + "\n"


def resolv_conf() -> str:
    """The text of /etc/resolv.conf: the name server is the service address, held or not."""
    return f"search {DOMAIN}\nnameserver {SERVICE_IPV4}\noptions timeout:1 attempts:1\n"


def interfaces(spec: NodeSpec) -> str:
    """The text of /etc/network/interfaces."""
    return f"""\
auto lo
iface lo inet loopback

auto {INTERFACE}
iface {INTERFACE} inet static
    address {spec.ipv4}/{IPV4_PREFIX}

iface {INTERFACE} inet6 static
    address {spec.ipv6}/{IPV6_PREFIX}
"""


def files(spec: NodeSpec, machine_id: str) -> dict[str, str]:
    """What makes a copy of the base tree into this machine: path -> text."""
    return {
        "etc/hostname": f"{spec.hostname}\n",
        "etc/hosts": hosts(),
        "etc/machine-id": f"{machine_id}\n",
        "etc/network/interfaces": interfaces(spec),
        "etc/resolv.conf": resolv_conf(),
    }


def client_files(machine_id: str) -> dict[str, str]:
    """What makes a copy of the base tree into the client at the observer's address."""
    return {
        "etc/hostname": f"{OBSERVER_NAME}\n",
        "etc/hosts": hosts(),
        "etc/machine-id": f"{machine_id}\n",
        "etc/resolv.conf": resolv_conf(),
    }
