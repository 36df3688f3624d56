"""Addresses of a machine as ``ip -j address`` shows them, and where the service address belongs among them. Pure, standard library only.

xCAT takes as the management node's address the first ``inet`` line of ``ip addr`` whose own mask contains the peer (``my_ip_facing`` in
xCAT's ``NetworkUtils.pm``). So the service address has to be listed before the node's own, with a mask that contains the cluster's
network, while the node's own address must stay what it is: with equal masks the later one is a "secondary", which is deleted together
with the first one.

Linux keeps the IPv4 addresses of an interface ordered by scope, and puts ``scope link`` in front of ``scope global`` if no address of the
same mask is there (else EINVAL). Hence the *service form* of an IPv4 address: one bit wider than the network, ``scope link
noprefixroute``. It has no connected route and is not chosen as source for routes with a gateway or with a source of their own; connections
to it from the node itself have it as source. It *is* chosen as source for link routes without a source (169.254.0.0/16) and for limited
broadcasts. IPv6 addresses get /128, no route, and are deprecated from the start, so that they never are a source by themselves.

If the node has no other address in the cluster's network on that interface (its own one is on another network), nothing has to be put
first and somebody has to bring the connected route: then the service form is the plain one, with the network's prefix length.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Any, NamedTuple, TypeAlias

Interface: TypeAlias = IPv4Interface | IPv6Interface
SMALLEST_PREFIX = 1


class Held(NamedTuple):
    """One address of an interface; ``flags`` are those that ``ip -j`` prints as true (secondary, tentative, noprefixroute …).

    ``broadcast`` is empty and ``metric`` 0 if the address has none.
    """

    device: str
    address: Interface
    scope: str
    flags: frozenset[str]
    broadcast: str = ""
    metric: int = 0


class Link(NamedTuple):
    """An interface. ``mac`` is empty for interfaces without a link layer address."""

    name: str
    flags: frozenset[str]
    kind: str
    mac: str
    addresses: tuple[Held, ...]

    @property
    def has_carrier(self) -> bool:
        """Whether frames can leave and arrive."""
        return {"UP", "LOWER_UP"} <= self.flags


def parse_links(text: str) -> tuple[Link, ...]:
    """Read the output of ``ip -j address show``.

    Raises:
        ValueError: it is not what that program prints.
    """
    data = json.loads(text)
    if not isinstance(data, list):
        raise ValueError("not a list of interfaces")  # noqa: TRY004 - one error for everything unreadable
    links = tuple(_link(item) for item in data if item)
    if not links:
        raise ValueError("no interface, not even the loopback one")
    return links


def _link(item: Any) -> Link:
    try:
        name = str(item["ifname"])
        held = tuple(_held(name, entry) for entry in item.get("addr_info", ()) if entry)
        flags = frozenset(map(str, item.get("flags", ())))
        return Link(name, flags, str(item.get("link_type", "")), str(item.get("address", "")), held)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an interface: {error!r}") from error


def _held(device: str, entry: Any) -> Held:
    flags = frozenset(key for key, value in entry.items() if value is True)
    address = ip_interface(f"{entry['local']}/{entry['prefixlen']}")
    metric = entry.get("metric", 0)
    return Held(device, address, str(entry.get("scope", "global")), flags, str(entry.get("broadcast", "")), int(metric))


def every(links: Iterable[Link]) -> Iterator[Held]:
    """All addresses of all interfaces, in the order ``ip address`` lists them."""
    for link in links:
        yield from link.addresses


def find_link(links: Iterable[Link], name: str) -> Link | None:
    """The interface of that name."""
    return next((link for link in links if link.name == name), None)


def service_prefix(service: IPv4Interface, others: Iterable[Interface]) -> int:
    """The prefix length of the service form: the longest one shorter than the network's that no other address there has already.

    Args:
        service: service address with the prefix length of the cluster's network.
        others: the other addresses of the interface.

    Raises:
        ValueError: every prefix length is in use.
    """
    used = {other.network.prefixlen for other in others if other.version == 4 and service.ip in other.network}
    for prefix in range(service.network.prefixlen - 1, SMALLEST_PREFIX - 1, -1):
        if prefix not in used:
            return prefix
    raise ValueError(f"no prefix length is left for {service.ip}")


def why_not_fitting(links: Iterable[Link], device: str, services: Sequence[Interface]) -> str:
    """Which other interface is on a network that the wider mask of the service form contains beside the cluster's own.

    For peers there xCAT would take the service address too, if its interface is listed before theirs.
    """
    links = tuple(links)
    link = find_link(links, device)
    if link is None:
        return f"there is no interface {device}"
    ours = {service.ip for service in services}
    for service in services:
        if isinstance(service, IPv4Interface) and has_company(link, service, services):
            prefix = service_prefix(service, [held.address for held in link.addresses if held.address.ip not in ours])
            wide = IPv4Interface((int(service.ip), prefix))
            for held in every(other for other in links if other.name != device):
                if _is_beside(held.address, service, wide):
                    return f"{held.address} is on {held.device}: xCAT would take {wide} for its peers too, whose mask contains them"
    return ""


def _is_beside(address: Interface, service: IPv4Interface, wide: IPv4Interface) -> bool:
    if not isinstance(address, IPv4Interface):
        return False
    return address.network.subnet_of(wide.network) and not address.network.subnet_of(service.network)


def has_company(link: Link, service: Interface, services: Sequence[Interface]) -> bool:
    """Whether ``link`` has an address in the service address's network that is no service address."""
    ours = {other.ip for other in services}
    return any(held.address.ip not in ours and _meets(held, service) for held in link.addresses)


def _meets(held: Held, service: Interface) -> bool:
    mine, its = service.network, held.address.network
    return mine.version == its.version and (mine.network_address in its or its.network_address in mine)


def plain_form(link: Link, service: Interface) -> Held | None:
    """``service`` on ``link`` as a machine has the only address of its network, if it is there like that."""
    return next((held for held in link.addresses if _is_plain(held, service)), None)


def _is_plain(held: Held, service: Interface) -> bool:
    return held.address == service and held.scope == "global" and not {"noprefixroute", "secondary", "dynamic"} & held.flags


def is_service_form(held: Held, service: Interface, link: Link, services: Sequence[Interface], *, replace: bool = False) -> bool:
    """Whether ``held`` is ``service`` the way this driver adds it to ``link``. ``replace``: in that identity mode."""
    if held.device != link.name or held.address.ip != service.ip:
        return False
    if replace and service.version == 4:
        return _is_plain(held, service)
    prefix, plain = held.address.network.prefixlen, service.network.prefixlen
    if not has_company(link, service, services):
        return prefix == plain and "noprefixroute" not in held.flags
    if "noprefixroute" not in held.flags:
        return False
    if service.version == 6:
        return "deprecated" in held.flags
    return held.scope == "link" and prefix < plain and "secondary" not in held.flags


def in_service_form(link: Link, service: Interface, services: Sequence[Interface], *, replace: bool = False) -> Held | None:
    """``service`` on ``link`` in the service form, if it is there."""
    return next((held for held in link.addresses if is_service_form(held, service, link, services, replace=replace)), None)


def other_forms(links: Iterable[Link], services: Sequence[Interface], link: Link, *, replace: bool = False) -> tuple[Held, ...]:
    """Service addresses that the machine has in any other form, or on another interface than ``link``."""
    return tuple(
        held
        for held in every(links)
        for service in services
        if held.address.ip == service.ip and not is_service_form(held, service, link, services, replace=replace)
    )


def has_own(links: Iterable[Link], own: str) -> bool:
    """Whether the node's own address is on the machine, and usable."""
    wanted = ip_address(own)
    return any(held.address.ip == wanted and not {"tentative", "dadfailed"} & held.flags for held in every(links))


def secondaries_of(links: Iterable[Link], first: Held) -> tuple[Held, ...]:
    """The IPv4 addresses that the kernel would delete together with ``first``."""
    if first.address.version == 6 or "secondary" in first.flags:
        return ()
    return tuple(
        held
        for held in every(links)
        if held.device == first.device and "secondary" in held.flags and held.address.network == first.address.network
    )


def why_not_held(links: Sequence[Link], device: str, own: str, services: Sequence[Interface], *, replace: bool = False) -> str:
    """What is missing for the machine to hold every service address as it should; empty when nothing is."""
    link = find_link(links, device)
    if link is None:
        return f"there is no interface {device}"
    if not has_own(links, own):
        return f"the node's own address {own} is not there"
    reasons = (_why_not_as_ours(link, service, services, replace=replace) for service in services)
    foreign = other_forms(links, services, link, replace=replace)
    others = (f"{held.address} is also on {held.device}, in a form that is not ours" for held in foreign)
    return next(filter(None, (*reasons, *others)), "") or _own_demoted(links, own, services)


def _why_not_as_ours(link: Link, service: Interface, services: Sequence[Interface], *, replace: bool) -> str:
    held = in_service_form(link, service, services, replace=replace)
    if held is None:
        return f"{service.ip} is not on {link.name} in the form it should have"
    if {"tentative", "dadfailed"} & held.flags:
        return f"{service.ip} is {'a duplicate' if 'dadfailed' in held.flags else 'still being checked for duplicates'}"
    before = _listed_before(link, held, service, services)
    return f"xCAT would take {before.address.ip}, which is listed before {service.ip} on {link.name}" if before else ""


def _listed_before(link: Link, held: Held, service: Interface, services: Sequence[Interface]) -> Held | None:
    if service.version == 6:  # xCAT's search is for IPv4 only
        return None
    ours = {other.ip for other in services}
    for other in link.addresses:
        if other == held:
            return None
        if other.address.ip not in ours and _meets(other, service):
            return other
    return None


def _own_demoted(links: Sequence[Link], own: str, services: Sequence[Interface]) -> str:
    ours = {service.ip for service in services}
    wanted = ip_address(own)
    for held in every(links):
        if held.address.ip in ours and any(other.address.ip == wanted for other in secondaries_of(links, held)):
            return f"the node's own address {own} is secondary to {held.address}"
    return ""


def why_not_released(links: Sequence[Link], own: str, services: Sequence[Interface]) -> str:
    """What is left of the service addresses on the machine, or missing of its own; empty when all is as it should be."""
    ours = {service.ip for service in services}
    for held in every(links):
        if held.address.ip in ours:
            return f"{held.address} is still on {held.device}"
    return "" if has_own(links, own) else f"the node's own address {own} is not there"


def argv_to_add(service: Interface, link: Link, services: Sequence[Interface], *, known_unique: bool = False) -> tuple[str, ...]:
    """The command that adds ``service`` to ``link`` in the service form.

    Args:
        service: the address to add, with the prefix length of the cluster's network.
        link: the interface as it is now.
        services: all service addresses.
        known_unique: the machine had the address all the time, so IPv6 need not look for duplicates first.

    Raises:
        ValueError: there is no prefix length left.
    """
    company = has_company(link, service, services)
    if service.version == 6:
        form = (f"{service.ip}/128", "noprefixroute") if company else (str(service),)
        unique = ("nodad",) if known_unique else ()
        return ("ip", "-6", "address", "add", form[0], "dev", link.name, *form[1:], "preferred_lft", "0", *unique)
    if not company:
        return ("ip", "-4", "address", "add", str(service), "broadcast", "+", "dev", link.name)
    # The same address counts too: in the form of the boot configuration it has a mask of its own.
    prefix = service_prefix(service, [held.address for held in link.addresses])
    return ("ip", "-4", "address", "add", f"{service.ip}/{prefix}", "dev", link.name, "scope", "link", "noprefixroute")


def argv_to_convert(held: Held) -> tuple[str, ...]:
    """The command that gives an IPv6 address the service form where it is, without a moment of absence.

    An interface cannot have an IPv6 address twice, and its prefix length cannot be changed; without route and as deprecated one it means
    nothing any more.
    """
    return ("ip", "-6", "address", "change", str(held.address), "dev", held.device, "noprefixroute", "preferred_lft", "0")


def argv_to_delete(held: Held) -> tuple[str, ...]:
    """The command that removes exactly this address."""
    return ("ip", f"-{held.address.version}", "address", "del", str(held.address), "dev", held.device)
