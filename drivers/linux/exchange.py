"""Mode ``replace`` on the kernel: the moves of :mod:`xcat_ha_drivers.linux.replacement`, one after the other. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_interface

from xcat_ha_drivers.linux.addresses import Held, Interface, Link, find_link
from xcat_ha_drivers.linux.kernel import Refusal, delete_address, read_links, run, under_root
from xcat_ha_drivers.linux.replacement import (
    Case,
    Move,
    case_for,
    case_of,
    network_forms,
    next_to_replace,
    next_to_restore,
    routes_wanted,
    strangers,
    why_not_replaced,
)

OWN = "/run/xcat-ha/linux-own.json"
"""How the node had its own address before the service address took its place; gone with a reboot, as the exchange is."""
MOST_MOVES = 12
_TABLE = ("table", "local")
"""Where the routes to peers are: it is asked before the main table, and needs no rule. In the main table xCAT would take such a route for
one more network of the interface, and ``makedhcp`` would write a subnet for it (its ``dhcp.pm`` reads ``netstat -rn``)."""


def link_of(device: str) -> Link:
    """The interface as it is now.

    Raises:
        Refusal: there is none of that name.
    """
    link = find_link(read_links(), device)
    if link is None:
        raise Refusal(f"there is no interface {device} on this node; correct 'interface' of this node in the configuration")
    return link


def why_not_replaceable(device: str, own: str, services: Sequence[Interface]) -> str:
    """Why mode ``replace`` cannot be done here; empty when it can."""
    link = link_of(device)
    others = strangers(link, own, services)
    if others:
        return f"{others[0].address} on {device} would be taken by xCAT for this node's address: remove it, or use mode service-address"
    case = case_of(link, own, services)
    if case is None:
        return ""
    forms = network_forms(link, case)
    if any("dynamic" in held.flags for held in forms):
        return f"{forms[0].address} was assigned by a DHCP server, whose client would put it back: configure it as a fixed address"
    if not forms and remembered() is None:
        return f"the node's own address {own} is on {device} without the network's prefix length ({case.service.network.prefixlen})"
    return ""


def replace(device: str, own: str, services: Sequence[Interface], peers: Sequence[str]) -> None:
    """Put the service address in the place of the node's own. Routes to the peers come first: ssh connections begin with them.

    Raises:
        Refusal: it cannot be done; the caller restores.
    """
    link = link_of(device)
    case = case_of(link, own, services)
    if case is None:
        return
    _remember(link, case, peers)
    for peer in routes_wanted(peers, case):
        run("ip", "-4", "route", "replace", f"{peer}/32", "dev", device, "scope", "link", "src", own, *_TABLE)
    _move(device, lambda now: next_to_replace(now, case))


def restore(device: str, own: str, services: Sequence[Interface], peers: Sequence[str]) -> None:
    """Give the node's own address its network back, and take the service address away. Nothing to do where nothing was exchanged.

    Raises:
        Refusal: it cannot be done.
    """
    before = remembered()
    case = case_for(own, services) if before else case_of(link_of(device), own, services)
    if case is None:
        return
    _move(device, lambda now: next_to_restore(now, case, before))
    for peer in routes_wanted({*peers, *_remembered_peers()}, case):
        for route in _routes_to(str(peer), device, own):
            run("ip", "-4", "route", "del", f"{peer}/32", "dev", device, "scope", str(route.get("scope", "global")), "src", own, *_TABLE)
    under_root(OWN).unlink(missing_ok=True)


def why_not_routed(device: str, own: str, services: Sequence[Interface], peers: Sequence[str]) -> str:
    """Which connections between the nodes would leave from the service address; empty when none."""
    case = case_of(link_of(device), own, services)
    lacking = [str(peer) for peer in routes_wanted(peers, case) if not _routes_to(str(peer), device, own)] if case else []
    return f"connections to {', '.join(lacking)} would not come from the node's own address {own}" if lacking else ""


def routes_left(device: str, own: str, services: Sequence[Interface], peers: Sequence[str]) -> str:
    """Which of the routes that :func:`replace` made are still there; empty when none."""
    case = case_of(link_of(device), own, services)
    left = [str(peer) for peer in routes_wanted(peers, case) if _routes_to(str(peer), device, own)] if case else []
    return f"the route to {', '.join(left)} that mode replace needs is still there" if left else ""


def _routes_to(peer: str, device: str, own: str) -> list[dict[str, object]]:
    text = run("ip", "-4", "-j", "route", "show", f"{peer}/32", "dev", device, *_TABLE)
    try:
        return [route for route in json.loads(text or "[]") if route.get("prefsrc") == own]
    except (ValueError, AttributeError) as error:
        raise Refusal(f"ip -j route show: {error}") from error


def why_not_kept(device: str, own: str, services: Sequence[Interface], peers: Sequence[str]) -> str:
    """What of an exchange that was made is gone again, by whatever else works on the interface; empty if all is there."""
    link = link_of(device)
    case = case_of(link, own, services)
    if case is None or remembered() is None or not any(held.address.ip == case.service.ip for held in link.addresses):
        return ""
    return why_not_replaced([link], device, own, services) or why_not_routed(device, own, services, peers)


def _move(device: str, find: Callable[[Link], Move | None]) -> None:
    for _ in range(MOST_MOVES):
        move = find(link_of(device))
        if move is None:
            return
        if move.delete is not None:
            delete_address(move.delete)
        else:
            run(*move.add)
    raise Refusal(f"the addresses of {device} do not come to rest: another program changes them too")


def _remember(link: Link, case: Case, peers: Sequence[str]) -> None:
    forms = network_forms(link, case)
    if not forms or remembered() is not None:
        return
    own = forms[0]
    path = under_root(OWN)
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"address": str(own.address), "flags": sorted(own.flags - {"secondary"}), "broadcast": own.broadcast, "metric": own.metric}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"device": own.device, "peers": list(peers), **facts}))
    fresh.replace(path)


def remembered() -> Held | None:
    """The own address as it was; None if nothing was exchanged since the node booted."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        facts = json.loads(under_root(OWN).read_text())
        address = ip_interface(facts["address"])
        return Held(facts["device"], address, "global", frozenset(facts["flags"]), facts["broadcast"], int(facts["metric"]))
    return None


def _remembered_peers() -> list[str]:
    """To whom routes were made: the configuration may have changed since."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return [str(peer) for peer in json.loads(under_root(OWN).read_text())["peers"]]
    return []
