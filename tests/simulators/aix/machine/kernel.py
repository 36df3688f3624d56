"""What the running system has: addresses, default routes, host name. Lost when it goes off.

FileKernel is a file below a temporary root; LinuxKernel is the kernel of a lab node, through iproute2.
"""

from __future__ import annotations

import json
import pathlib
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import inet, paths
from .store import Data, Store

LIVE = paths.RUN + "/kernel.json"
# The rest of the segment below a temporary root: address -> MAC of the machine that has it. It is not this machine's, so it outlives it.
SEGMENT = "/var/lib/aixsim/segment.json"
ERRLOG = "/var/adm/ras/errlog.json"


class KernelError(Exception):
    """The kernel refuses; the text is the reason."""


@dataclass(frozen=True)
class Link:
    """An interface as it runs. ``addresses``: (address, prefix length), the default source address first."""

    name: str
    up: bool = False
    attached: bool = False
    mac: str = "00:00:00:00:00:00"
    addresses: tuple[tuple[str, int], ...] = field(default=())


class Kernel(Protocol):
    """Addresses are IPv4. All raise KernelError."""

    def links(self) -> list[Link]:
        """All interfaces, sorted by name."""

    def set_addresses(self, name: str, addresses: list[tuple[str, int]]) -> None:
        """Make these, in this order, the interface's addresses. An address it has already is not lost meanwhile longer than needed."""

    def set_up(self, name: str, *, up: bool) -> None:
        """Switch an interface on or off; its addresses stay."""

    def detach(self, name: str) -> None:
        """Take everything off an interface."""

    def default_routes(self) -> list[tuple[str, str]]:
        """(gateway, interface) of each default route."""

    def add_default_route(self, gateway: str) -> None:
        """One more; refused if there is this one already or the gateway is on no own network."""

    def drop_default_route(self, gateway: str) -> None:
        """One less; refused if there is none like it."""

    def hostname(self) -> str:
        """The running name."""

    def set_hostname(self, name: str) -> None:
        """Change the running name."""

    def neighbours(self) -> dict[str, str]:
        """Address -> MAC of machines it has talked to."""

    def forget_neighbour(self, address: str) -> bool:
        """Drop one; False if it was not known."""


def find(kernel: Kernel, name: str) -> Link | None:
    """The interface of this name."""
    return next((link for link in kernel.links() if link.name == name), None)


def log_duplicate(address: str, mac: str) -> None:
    """What the error log gets when somebody else has an address too."""
    with Store(ERRLOG).change() as log:
        log.setdefault("entries", []).append({"label": "DUPLICATE_IP", "address": address, "mac": mac})


class FileKernel:
    """Kept in a file; the segment's other machines are a file as well."""

    def __init__(self, interfaces: Callable[[], list[str]]) -> None:
        self._interfaces = interfaces
        self._live = Store(LIVE)

    def links(self) -> list[Link]:
        known = self._live.read().get("links", {})
        return [_link_from(name, known.get(name, {}), number) for number, name in enumerate(self._interfaces())]

    def set_addresses(self, name: str, addresses: list[tuple[str, int]]) -> None:
        self._need(name)
        with self._live.change() as live:
            link = live.setdefault("links", {}).setdefault(name, {})
            known = {old for old, _ in link.get("addresses", [])}
            fresh = [one for one, _ in addresses if one not in known]
            link["addresses"] = [list(pair) for pair in addresses]
            link["attached"] = True
        others = Store(SEGMENT).read()
        for address in fresh:
            if address in others:
                log_duplicate(address, others[address])

    def set_up(self, name: str, *, up: bool) -> None:
        self._need(name)
        with self._live.change() as live:
            live.setdefault("links", {}).setdefault(name, {}).update(up=up, attached=True)

    def detach(self, name: str) -> None:
        self._need(name)
        with self._live.change() as live:
            live.setdefault("links", {})[name] = {}

    def default_routes(self) -> list[tuple[str, str]]:
        return [(gateway, self._towards(gateway) or "lo0") for gateway in self._live.read().get("routes", [])]

    def add_default_route(self, gateway: str) -> None:
        if self._towards(gateway) is None:
            raise KernelError("A route to the remote host is not available.")
        with self._live.change() as live:
            routes = live.setdefault("routes", [])
            if gateway in routes:
                raise KernelError("The file exists.")
            routes.append(gateway)

    def drop_default_route(self, gateway: str) -> None:
        with self._live.change() as live:
            if gateway not in live.get("routes", []):
                raise KernelError("The process does not exist.")
            live["routes"].remove(gateway)

    def hostname(self) -> str:
        return str(self._live.read().get("hostname", "localhost"))

    def set_hostname(self, name: str) -> None:
        with self._live.change() as live:
            live["hostname"] = name

    def neighbours(self) -> dict[str, str]:
        known: dict[str, str] = self._live.read().get("neighbours", {})
        return known

    def meet(self, address: str) -> bool:
        """Talk to an address of the segment; False if nobody answers."""
        mac = Store(SEGMENT).read().get(address)
        if mac is None:
            return False
        with self._live.change() as live:
            live.setdefault("neighbours", {})[address] = mac
        return True

    def forget_neighbour(self, address: str) -> bool:
        with self._live.change() as live:
            return live.setdefault("neighbours", {}).pop(address, None) is not None

    def _need(self, name: str) -> None:
        if name not in self._interfaces():
            raise KernelError("The specified interface does not exist.")

    def _towards(self, gateway: str) -> str | None:
        for link in self.links():
            if any(inet.in_network(gateway, one, prefix) for one, prefix in link.addresses):
                return link.name
        return None


def _link_from(name: str, data: Data, number: int) -> Link:
    addresses = tuple((str(one), int(prefix)) for one, prefix in data.get("addresses", []))
    return Link(name, bool(data.get("up")), bool(data.get("attached")), f"1a:d8:5f:87:26:{number:02x}", addresses)


class LinuxKernel:
    """The lab node's own."""

    def __init__(self, interfaces: Callable[[], list[str]]) -> None:
        self._interfaces = interfaces

    def links(self) -> list[Link]:
        found = {one["ifname"]: one for one in _ip_json("address", "show")}
        return [_link_of(found[name]) for name in self._interfaces() if name in found]

    def set_addresses(self, name: str, addresses: list[tuple[str, int]]) -> None:
        link = find(self, name)
        if link is None:
            raise KernelError("The specified interface does not exist.")
        before = self.default_routes()
        lines, now = [], list(link.addresses)
        for pair in addresses:
            if pair not in now:
                lines.append(_address_line("add", pair, name))
                now.append(pair)
        lines += [_address_line("del", pair, name) for pair in now if pair not in addresses]
        now = [pair for pair in now if pair in addresses]
        # The kernel only appends, so what has to come later is taken away and put back at once.
        for pair in addresses[_in_order(now, addresses) :]:
            lines += [_address_line("del", pair, name), _address_line("add", pair, name)]
        pathlib.Path(f"/proc/sys/net/ipv4/conf/{name}/promote_secondaries").write_text("1", encoding="ascii")
        _ip("-batch", "-", stdin="".join(lines))
        self._restore_routes(before)
        for address, _ in addresses:
            if all(address != one for one, _ in link.addresses):
                _announce(name, address)

    def set_up(self, name: str, *, up: bool) -> None:
        _ip("link", "set", name, "up" if up else "down")

    def detach(self, name: str) -> None:
        _ip("-4", "address", "flush", "dev", name)
        _ip("link", "set", name, "down")

    def default_routes(self) -> list[tuple[str, str]]:
        return [(one["gateway"], one["dev"]) for one in _ip_json("-4", "route", "show", "default") if "gateway" in one]

    def add_default_route(self, gateway: str) -> None:
        if any(known == gateway for known, _ in self.default_routes()):
            raise KernelError("The file exists.")
        _ip("route", "append", "default", "via", gateway)

    def drop_default_route(self, gateway: str) -> None:
        _ip("route", "del", "default", "via", gateway)

    def hostname(self) -> str:
        return socket.gethostname()

    def set_hostname(self, name: str) -> None:
        socket.sethostname(name)

    def neighbours(self) -> dict[str, str]:
        return {one["dst"]: one["lladdr"] for one in _ip_json("-4", "neigh", "show") if "lladdr" in one}

    def forget_neighbour(self, address: str) -> bool:
        for one in _ip_json("-4", "neigh", "show"):
            if one["dst"] == address and "lladdr" in one:
                _ip("neigh", "del", address, "dev", one["dev"])
                return True
        return False

    def _restore_routes(self, before: list[tuple[str, str]]) -> None:
        """AIX keeps a default route when the address changes; Linux drops it with the network it leads through."""
        for gateway, device in before:
            if (gateway, device) not in self.default_routes():
                subprocess.run(["ip", "route", "append", "default", "via", gateway], check=False, capture_output=True)


def _in_order(now: list[tuple[str, int]], wanted: list[tuple[str, int]]) -> int:
    """How many of the wanted ones, from the first on, follow each other already."""
    places = [now.index(pair) for pair in wanted]
    return next((i for i in range(1, len(places)) if places[i] < places[i - 1]), len(places))


def _link_of(data: Data) -> Link:
    addresses = tuple((one["local"], one["prefixlen"]) for one in data["addr_info"] if one["family"] == "inet")
    up = "UP" in data["flags"]
    return Link(data["ifname"], up, up or bool(addresses), data["address"], addresses)


def _address_line(verb: str, pair: tuple[str, int], name: str) -> str:
    address, prefix = pair
    label = f" broadcast {inet.broadcast(address, prefix)}" if verb == "add" and prefix < 31 else ""
    return f"address {verb} {address}/{prefix}{label} dev {name}\n"


def _ip(*words: str, stdin: str = "") -> str:
    done = subprocess.run(["/sbin/ip", *words], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KernelError(done.stderr.strip())
    return done.stdout


def _ip_json(*words: str) -> list[Any]:
    found: list[Any] = json.loads(_ip("-json", *words) or "[]")
    return found


def _announce(name: str, address: str) -> None:
    """AIX broadcasts its new address by itself, and notices in its own time who else has it."""
    program = str(pathlib.Path(sys.argv[0]).resolve().parent / "aixsim")
    subprocess.Popen(
        [program, "announce", name, address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
