"""Mode ``replace``: the service address takes the place of the node's own one, which stays as a host address. Pure, standard library.

While a node has the role its interface looks to xCAT as on a management node with one address: the service address is there in the
ordinary form (the network's prefix length, the connected route, source of what is sent), and no other address of the interface has a
mask that contains a peer. The node's own address is beside it with /32: it is still answered for, so ssh and copies go on, but
``my_ip_facing`` never takes it. Routes to single peers (the other node) have it as source, so that connections between the nodes do not
break when the service address leaves.

There is no one call that exchanges two addresses, and the own one must never be absent. So it is done in small moves, each of which leaves
the node reachable at its own address, and the next move is always found from what is there now: whoever is killed in the middle goes on.
Linux keeps the IPv4 addresses of an interface ordered by scope and puts a new one behind those of its scope, so the own address waits
with ``scope link`` and /31 (the *bridge*) while the service address moves to the front.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Interface, ip_address
from typing import NamedTuple

from xcat_ha_drivers.linux.addresses import Held, Interface, Link, find_link, plain_form

HOST = 32
BRIDGE = 31


class Move(NamedTuple):
    """One change of the interface: a command that adds an address, or an address to delete."""

    add: tuple[str, ...] = ()
    delete: Held | None = None


class Case(NamedTuple):
    """What is exchanged on an interface.

    Attributes:
        service: the service address with the network's prefix length.
        own: the node's own address.
        services: all service addresses.
    """

    service: IPv4Interface
    own: IPv4Address
    services: tuple[Interface, ...]


def case_of(link: Link, own: str, services: Sequence[Interface]) -> Case | None:
    """The exchange that mode ``replace`` makes on ``link``; None if there is nothing to exchange.

    That is so if the node's own address is on another network or interface, or of another family: then the service address is alone.
    """
    here = any(held.address.ip == ip_address(own) for held in link.addresses)
    return case_for(own, services) if here else None


def case_for(own: str, services: Sequence[Interface]) -> Case | None:
    """As :func:`case_of`, wherever the own address is now."""
    address = ip_address(own)
    if not isinstance(address, IPv4Address):
        return None
    fours = (service for service in services if isinstance(service, IPv4Interface) and address in service.network)
    return next((Case(service, address, tuple(services)) for service in fours), None)


def strangers(link: Link, own: str, services: Sequence[Interface]) -> tuple[Held, ...]:
    """Other addresses of the interface that xCAT could take for its own as well: their network meets that of a service address."""
    known = {service.ip for service in services} | {ip_address(own)}
    fours = [service for service in services if isinstance(service, IPv4Interface)]
    return tuple(
        held
        for held in link.addresses
        if held.address.ip not in known and held.address.network.prefixlen < HOST and any(_overlap(held, service) for service in fours)
    )


def _overlap(held: Held, service: IPv4Interface) -> bool:
    network = held.address.network
    return network.version == 4 and (network.network_address in service.network or service.network.network_address in network)


def _own(link: Link, case: Case) -> tuple[Held, ...]:
    return tuple(held for held in link.addresses if held.address.ip == case.own)


def _with_prefix(held: Iterable[Held], prefix: int) -> Held | None:
    return next((each for each in held if each.address.network.prefixlen == prefix), None)


def _is_bridge(held: Held, case: Case) -> bool:
    prefix = held.address.network.prefixlen
    return prefix == BRIDGE and held.scope == "link" and "noprefixroute" in held.flags and held.address.ip == case.own


def network_forms(link: Link, case: Case) -> tuple[Held, ...]:
    """The node's own address in forms whose mask contains peers."""
    return tuple(held for held in _own(link, case) if held.address.network.prefixlen < HOST and not _is_bridge(held, case))


def next_to_replace(link: Link, case: Case) -> Move | None:
    """The next move towards the service address in front and the own one as host address; None when that is reached."""
    service = plain_form(link, case.service)
    front = service is not None and not _before(link, service, case)
    bridge = next((held for held in _own(link, case) if _is_bridge(held, case)), None)
    host = _with_prefix(_own(link, case), HOST)
    if front:
        if host is None:
            return Move(add=_argv(f"{case.own}/{HOST}", link))
        leftover = (*network_forms(link, case), *((bridge,) if bridge else ()))
        return Move(delete=leftover[0]) if leftover else None
    if bridge is None:
        return Move(add=_argv(f"{case.own}/{BRIDGE}", link, "scope", "link", "noprefixroute"))
    there = next((held for held in link.addresses if held.address == case.service), None)
    if there is None:
        return Move(add=_argv(str(case.service), link, "broadcast", "+"))
    if there.scope != "global" or {"noprefixroute", "dynamic"} & there.flags:
        return Move(delete=there)  # as a boot configuration put it; flags of an IPv4 address cannot be changed where it is
    in_front = (*network_forms(link, case), *((host,) if host else ()))
    return Move(delete=in_front[0]) if in_front else None


def _before(link: Link, service: Held, case: Case) -> bool:
    """Whether an address of the node's own is listed before the service address, or makes it a secondary one."""
    if "secondary" in service.flags:
        return True
    earlier = link.addresses[: link.addresses.index(service)]
    return any(held.address.ip == case.own and not _is_bridge(held, case) for held in earlier)


def next_to_restore(link: Link, case: Case, before: Held | None) -> Move | None:
    """The next move back to the own address as it was; None when that is reached.

    Args:
        link: the interface now.
        case: what was exchanged.
        before: the own address as it was before; None: not remembered, then it gets the network's prefix length.
    """
    bare = [held for held in _own(link, case) if held.address.network.prefixlen == HOST or _is_bridge(held, case)]
    if not network_forms(link, case):
        if not bare and before is None:
            return None  # it is not here at all, and was never exchanged
        return Move(add=_argv_as_before(link, case, before))
    service = next((held for held in link.addresses if held.address.ip == case.service.ip), None)
    if service is not None:
        return Move(delete=service)
    return Move(delete=bare[0]) if bare else None


def _argv_as_before(link: Link, case: Case, before: Held | None) -> tuple[str, ...]:
    if before is None:
        return _argv(f"{case.own}/{case.service.network.prefixlen}", link, "broadcast", "+")
    broadcast = ("broadcast", before.broadcast) if before.broadcast else ()
    route = ("noprefixroute",) if "noprefixroute" in before.flags else ()
    metric = ("metric", str(before.metric)) if before.metric else ()
    return _argv(str(before.address), link, *broadcast, *route, *metric)


def _argv(address: str, link: Link, *form: str) -> tuple[str, ...]:
    broadcast = form[:2] if form[:1] == ("broadcast",) else ()
    return ("ip", "-4", "address", "add", address, *broadcast, "dev", link.name, *form[len(broadcast) :])


def why_not_replaced(links: Sequence[Link], device: str, own: str, services: Sequence[Interface]) -> str:
    """What is left to do for mode ``replace`` beside what every mode asks for; empty when nothing is."""
    link = find_link(links, device)
    if link is None:
        return f"there is no interface {device}"
    others = strangers(link, own, services)
    if others:
        return f"xCAT could take {others[0].address}, which is also on {device}, for this node's address"
    case = case_of(link, own, services)
    left = network_forms(link, case) if case else ()
    if left:
        return f"xCAT could take the node's own {left[0].address}, which still has the network's mask"
    return f"the node's own address {own} is not a host address yet" if case and next_to_replace(link, case) else ""


def why_not_restored(links: Sequence[Link], device: str, own: str, services: Sequence[Interface]) -> str:
    """Whether the node's own address is still the bare one of mode ``replace``; empty when it has its network."""
    link = find_link(links, device)
    case = case_of(link, own, services) if link else None
    if link is None or case is None or network_forms(link, case):
        bridge = [held for held in _own(link, case) if _is_bridge(held, case)] if link and case else []
        return f"{bridge[0].address} is still on {device}" if bridge else ""
    return f"the node's own address {own} is there without its network"


def routes_wanted(peers: Iterable[str], case: Case) -> tuple[IPv4Address, ...]:
    """Those of the peers to which connections must come from the node's own address: they are on the interface's own network."""
    found = [ip_address(peer) for peer in peers]
    return tuple(peer for peer in found if isinstance(peer, IPv4Address) and peer in case.service.network and peer != case.own)
