"""Program of the driver ``linux`` on the node. Standard library only.

Verbs ``fitting``, ``free``, ``held``, ``released``, ``hostname-restored``, ``rewritable``, ``own-present``, ``converted``,
``boot-files-clean``, ``hostname-stored-clean`` and ``named`` only read, and print a verdict; the others change what their name says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_interface

from xcat_ha_drivers.linux import exchange, kernel, migration, segment
from xcat_ha_drivers.linux.addresses import (
    Held,
    Interface,
    Link,
    argv_to_add,
    argv_to_convert,
    every,
    find_link,
    has_company,
    has_own,
    in_service_form,
    other_forms,
    why_not_fitting,
    why_not_held,
    why_not_released,
)
from xcat_ha_drivers.linux.kernel import Refusal, answer, give_up, read_links, run, under_root
from xcat_ha_drivers.linux.replacement import case_of, why_not_replaced, why_not_restored

ANNOUNCED = "/run/xcat-ha/linux-announced.json"
"""Which addresses were announced since they were taken: a run killed between taking and announcing must announce when run again."""
DUPLICATE_CHECK_S = 6.0
REPLACE = "replace"
"""The identity mode's word (``xcat_ha.models`` is not imported here: it would need more than the standard library)."""


def _link(links: Sequence[Link], device: str) -> Link:
    link = find_link(links, device)
    if link is None:
        raise Refusal(f"there is no interface {device} on this node; correct 'interface' of this node in the configuration")
    return link


def _own_macs(links: Sequence[Link]) -> frozenset[bytes]:
    return frozenset(segment.mac_bytes(link.mac) for link in links if link.kind == "ether" and link.mac)


def _in_use(links: Sequence[Link], device: str, services: Sequence[Interface]) -> str:
    found = segment.who_answers(_link(links, device), [service.ip for service in services], _own_macs(links))
    return ", ".join(f"{address} is answered for by {who}" for address, who in found.items())


def free(args: argparse.Namespace) -> int:
    """Verdict: nobody else on the segment has one of the addresses."""
    return answer(_in_use(read_links(), args.interface, args.address))


def held(args: argparse.Namespace) -> int:
    """Verdict: all addresses are here, where xCAT finds them first, and announced."""
    links, replacing = read_links(), args.mode == REPLACE
    reason = why_not_held(links, args.interface, args.own, args.address, replace=replacing)
    if not reason and replacing:
        where = (args.interface, args.own, args.address)
        reason = why_not_replaced(links, *where) or exchange.why_not_routed(*where, args.peer)
    elif not reason:
        reason = _why_not_undone(args, links)
    if not reason and not {str(service.ip) for service in args.address} <= _announced():
        reason = "the addresses are here, but were not announced to the network"
    return answer(reason)


def released(args: argparse.Namespace) -> int:
    """Verdict: no service address is here, the node's own is."""
    links, where = read_links(), (args.interface, args.own, args.address)
    reason = why_not_released(links, args.own, args.address)
    return answer(reason or _why_not_undone(args, links) or exchange.routes_left(*where, args.peer))


def _announced() -> set[str]:
    with suppress(OSError, ValueError, TypeError):
        return set(json.loads(under_root(ANNOUNCED).read_text()))
    return set()


def _mark_announced(services: Sequence[Interface]) -> None:
    path = under_root(ANNOUNCED)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([str(service.ip) for service in services]))


def fitting(args: argparse.Namespace) -> int:
    """Verdict: no address of this machine makes xCAT take the wrong one."""
    if args.mode == REPLACE:
        where = (args.interface, args.own, args.address)
        return answer(exchange.why_not_replaceable(*where) or exchange.why_not_kept(*where, args.peer))
    return answer(why_not_fitting(read_links(), args.interface, args.address))


def take(args: argparse.Namespace) -> int:
    """Take the addresses: duplicate detection, add, announce. Nothing is taken if another machine has one of them."""
    links = read_links()
    link = _link(links, args.interface)
    if not has_own(links, args.own):
        raise Refusal(f"the node's own address {args.own} is not on it; give it one first (xcat-ha setup does that)")
    _require_replaceable(args)
    under_root(ANNOUNCED).unlink(missing_ok=True)
    here = {entry.address.ip for entry in every(links)}
    strangers = [service for service in args.address if service.ip not in here]
    added: list[Interface] = []
    try:
        _check_and_add(args, links, strangers, added)
    except Refusal:
        if any(service.version == 4 for service in added):
            _undo_exchange(args)
        _drop([entry for entry in every(read_links()) if entry.address.ip in {service.ip for service in added}])
        raise
    _settle_in(link, args)
    return 0


def _require_replaceable(args: argparse.Namespace) -> None:
    reason = exchange.why_not_replaceable(args.interface, args.own, args.address) if args.mode == REPLACE else ""
    if reason:
        raise Refusal(f"{reason}; nothing was taken")


def _was_exchanged(args: argparse.Namespace) -> bool:
    """Also in the mode that exchanges nothing: the configuration may have changed from one to the other."""
    return args.mode == REPLACE or exchange.remembered() is not None


def _why_not_undone(args: argparse.Namespace, links: Sequence[Link]) -> str:
    return why_not_restored(links, args.interface, args.own, args.address) if _was_exchanged(args) else ""


def _undo_exchange(args: argparse.Namespace) -> None:
    if _was_exchanged(args):
        exchange.restore(args.interface, args.own, args.address, args.peer)


def _check_and_add(args: argparse.Namespace, links: Sequence[Link], strangers: Sequence[Interface], added: list[Interface]) -> None:
    # The kernel's own check of an IPv6 address takes one to two seconds, during which the address is not used: let it run meanwhile.
    early = [service for service in strangers if service.version == 6 and kernel.kernel_checks_duplicates(args.interface)]
    _add(early, args, added)
    # Those that are here already too: an earlier run may have been killed, or a boot file may have brought them unasked.
    in_use = _in_use(links, args.interface, args.address)
    if in_use:
        raise Refusal(f"{in_use}; nothing was taken. Find that machine, and stop or fence it first")
    kernel.wait_until_checked(args.address, deadline_s=DUPLICATE_CHECK_S)
    # IPv4 last, and immediately before the announcement.
    _put(args, added)
    kernel.wait_until_checked(args.address, deadline_s=DUPLICATE_CHECK_S)


def _put(args: argparse.Namespace, added: list[Interface]) -> None:
    """Bring the addresses into the form of the mode, IPv4 last."""
    replacing = args.mode == REPLACE
    if not replacing:
        _undo_exchange(args)
    link = _link(read_links(), args.interface)
    exchanged = case_of(link, args.own, args.address) if replacing else None
    late = [service for service in args.address if in_service_form(link, service, args.address, replace=replacing) is None]
    _add(sorted((each for each in late if not exchanged or each != exchanged.service), key=lambda each: -each.version), args, added)
    if exchanged:
        if not any(entry.address.ip == exchanged.service.ip for entry in every(read_links())):
            added.append(exchanged.service)
        exchange.replace(args.interface, args.own, args.address, args.peer)


def _add(services: Sequence[Interface], args: argparse.Namespace, added: list[Interface]) -> None:
    for service in services:
        links = read_links()
        link = _link(links, args.interface)
        there = [entry for entry in link.addresses if entry.address.ip == service.ip and service.version == 6]
        if there and has_company(link, service, args.address):
            run(*argv_to_convert(there[0]))
            continue
        _drop(there)
        known_unique = any(entry.address.ip == service.ip for entry in every(links))
        if not known_unique:
            added.append(service)
        run(*argv_to_add(service, link, args.address, known_unique=known_unique))
        kernel.drop_foreign_broadcasts(service, args.interface)


def _settle_in(link: Link, args: argparse.Namespace) -> None:
    addresses = [service.ip for service in args.address]
    segment.announce_once(link, addresses)
    _mark_announced(args.address)
    now = read_links()
    _drop(other_forms(now, args.address, _link(now, link.name), replace=args.mode == REPLACE))
    segment.announce_in_background(link, addresses)


def _drop(entries: Sequence[Held]) -> None:
    for entry in entries:
        kernel.delete_address(entry)


def drop(args: argparse.Namespace) -> int:
    """Remove the service addresses in whatever form and on whatever interface they are."""
    under_root(ANNOUNCED).unlink(missing_ok=True)
    _undo_exchange(args)
    ours = {service.ip for service in args.address}
    _drop([entry for entry in every(read_links()) if entry.address.ip in ours])
    return 0


def convert(args: argparse.Namespace) -> int:
    """Bring those service addresses that are here into the service form; IPv4 ones are here all the time."""
    links = read_links()
    if not has_own(links, args.own):
        raise Refusal(f"the node's own address {args.own} is not on it")
    here = {entry.address.ip for entry in every(links)}
    args.address = [service for service in args.address if service.ip in here]
    _require_replaceable(args)
    if args.address:
        _put(args, [])
        _settle_in(_link(links, args.interface), args)
    return 0


def converted(args: argparse.Namespace) -> int:
    """Verdict: no service address is here in a form that is not ours."""
    links = read_links()
    left = other_forms(links, args.address, _link(links, args.interface), replace=args.mode == REPLACE)
    return answer(", ".join(f"{entry.address} is on {entry.device} as the boot configuration put it" for entry in left))


def _own_hostname(fallback: str, service_name: str) -> str:
    stored = kernel.stored_hostname()
    return stored if stored and stored.split(".")[0] != service_name.split(".", maxsplit=1)[0] else fallback


def hostname(args: argparse.Namespace) -> int:
    """Set the running hostname."""
    kernel.set_running_hostname(args.name)
    return 0


def restore_hostname(args: argparse.Namespace) -> int:
    """Set the running hostname to the node's own stored one."""
    kernel.set_running_hostname(_own_hostname(args.name, args.service_name))
    return 0


def hostname_restored(args: argparse.Namespace) -> int:
    """Verdict: the running hostname is the node's own."""
    running, own = kernel.running_hostname(), _own_hostname(args.name, args.service_name)
    return answer("" if running == own else f"the running hostname is {running}, not {own}")


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "fitting": fitting, "free": free, "held": held,
    "released": released, "take": take, "drop": drop, "convert": convert, "converted": converted,
    "hostname": hostname, "restore-hostname": restore_hostname, "hostname-restored": hostname_restored, **migration.VERBS,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; a refusal ends the program with a message."""
    parser = argparse.ArgumentParser(prog="xcat_ha_drivers.linux.node_side", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--interface", default="")
    parser.add_argument("--own", default="")
    parser.add_argument("--address", type=ip_interface, action="append", default=[])
    parser.add_argument("--name", default="")
    parser.add_argument("--service-name", default="")
    parser.add_argument("--mode", default="service-address")
    parser.add_argument("--peer", action="append", default=[])
    args = parser.parse_args(argv)
    try:
        return VERBS[args.verb](args)
    except (Refusal, OSError, ValueError) as error:
        give_up(f"{args.verb}: {error}")


if __name__ == "__main__":
    sys.exit(main())
