"""``ip`` (iproute2) on a simulated host: ``address``, ``link``, IPv4 routes to single hosts, enough of ``neighbour`` to be asked."""

from __future__ import annotations

import ipaddress
import itertools
import json
from collections.abc import Sequence
from typing import Any

from xcat_ha.testing.host import Answer, Call, SimulatedHost
from xcat_ha.testing.machine import Address

_FLAGS = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]


def ip(host: SimulatedHost, call: Call) -> Answer:
    """``ip [options] OBJECT COMMAND …``; with ``-batch -`` the lines of stdin, up to the first that fails."""
    words = list(call.words)
    options = []
    while words and words[0].startswith("-"):
        option = words.pop(0)
        options.append(option)
        if option in {"-batch", "-b"}:
            return Answer(1, stderr="ip -batch is not simulated; give one command at a time\n")
    target = words.pop(0) if words else ""
    verb = words.pop(0) if words else "show"
    if "address".startswith(target or "?"):
        return _address(host, options, verb, words)
    if "link".startswith(target or "?"):
        return _link(host, options, words)
    if target in {"route", "r", "ro"} and "type" not in words:
        return _route(host, options, verb, words)
    if target in {"route", "r", "ro", "neigh", "neighbour", "n", "rule"}:
        return Answer(0, "[]\n" if _is_json(options) else "")
    return Answer(255, stderr=f'Object "{target}" is unknown, try "ip help".\n')


def _is_json(options: Sequence[str]) -> bool:
    return any(option in {"-j", "-json", "--json"} for option in options)


def _value(words: Sequence[str], *names: str) -> str | None:
    for name, value in itertools.pairwise(words):
        if name in names:
            return value
    return None


def _address(host: SimulatedHost, options: Sequence[str], verb: str, words: list[str]) -> Answer:
    if verb in {"add", "a", "replace", "change"}:
        return _add(host, verb, words)
    if verb in {"del", "delete", "d"}:
        return _delete(host, words)
    if verb == "flush":
        device = _value(words, "dev") or ""
        host.machine.interfaces[device] = []
        return Answer(0)
    if verb not in {"show", "list", "ls", "sh"}:
        words = [verb, *words]
    return _show(host, options, words)


def _route(host: SimulatedHost, options: Sequence[str], verb: str, words: Sequence[str]) -> Answer:
    """Routes to single hosts only: connected routes are not kept."""
    routes = host.machine.routes
    destination = next((word.removesuffix("/32") for word in words if word[:1].isdigit()), "")
    device = _value(words, "dev") or ""
    if verb in {"add", "replace", "change"}:
        if verb == "add" and destination in routes:
            return Answer(2, stderr="RTNETLINK answers: File exists\n")
        routes[destination] = (device, _value(words, "src") or "")
        return Answer(0)
    if verb in {"del", "delete"}:
        gone = routes.pop(destination, None)
        return Answer(0) if gone else Answer(2, stderr="RTNETLINK answers: No such process\n")
    shown = {to: how for to, how in routes.items() if destination in {"", to} and device in {"", how[0]}}
    if _is_json(options):
        found = [{"dst": to, "dev": how[0], "scope": "link", "prefsrc": how[1], "flags": []} for to, how in shown.items()]
        return Answer(0, json.dumps(found) + "\n")
    return Answer(0, "".join(f"{to} dev {how[0]} scope link src {how[1]}\n" for to, how in shown.items()))


def _no_device(device: str) -> Answer:
    return Answer(1, stderr=f'Device "{device}" does not exist.\n')


_SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254}


def _add(host: SimulatedHost, verb: str, words: Sequence[str]) -> Answer:
    """Where the kernel puts a new address (``__inet_insert_ifa``): secondaries last, primaries ordered by scope, highest first."""
    device = _value(words, "dev") or ""
    there = host.machine.interfaces.get(device)
    if there is None:
        return Answer(1, stderr=f'Cannot find device "{device}"\n')
    parsed = ipaddress.ip_interface(words[0])
    flags = {flag for flag in ("noprefixroute", "nodad", "home") if flag in words}
    scope = _value(words, "scope") or ("host" if parsed.is_loopback else "link" if parsed.is_link_local else "global")
    new = Address(str(parsed), scope, flags)
    if parsed.version == 6:
        same = [old for old in there if old.ip == new.ip]
        if same:
            return Answer(0) if verb in {"replace", "change"} else Answer(2, stderr="RTNETLINK answers: File exists\n")
        there.append(new)
        return Answer(0)
    return _insert(there, new, replacing=verb in {"replace", "change"})


def _insert(there: list[Address], new: Address, *, replacing: bool) -> Answer:
    parsed = ipaddress.ip_interface(new.interface)
    place = 0
    for index, old in enumerate(there):
        other = ipaddress.ip_interface(old.interface)
        if other.version != 4:
            continue
        if "secondary" not in old.flags and _SCOPES[new.scope] <= _SCOPES[old.scope]:
            place = index + 1
        if other.network == parsed.network:
            if other.ip == parsed.ip:
                return Answer(0) if replacing else Answer(2, stderr="RTNETLINK answers: File exists\n")
            if old.scope != new.scope:
                return Answer(2, stderr="RTNETLINK answers: Invalid argument\n")
            new.flags.add("secondary")
    there.insert(len(there) if "secondary" in new.flags else place, new)
    return Answer(0)


def _delete(host: SimulatedHost, words: Sequence[str]) -> Answer:
    """Deleting a primary IPv4 address takes the secondaries of its network along unless promote_secondaries is set (as Linux does)."""
    device = _value(words, "dev") or ""
    there = host.machine.interfaces.get(device)
    if there is None:
        return Answer(1, stderr=f'Cannot find device "{device}"\n')
    wanted = ipaddress.ip_interface(words[0])
    gone = next((old for old in there if ipaddress.ip_interface(old.interface) == wanted), None)
    if gone is None:
        gone = next((old for old in there if "/" not in words[0] and old.ip == words[0]), None)
    if gone is None:
        return Answer(2, stderr="RTNETLINK answers: Cannot assign requested address\n")
    there.remove(gone)
    network = ipaddress.ip_interface(gone.interface).network
    if network.version == 4 and "secondary" not in gone.flags:
        mates = [old for old in there if "secondary" in old.flags and ipaddress.ip_interface(old.interface).network == network]
        if any(host.machine.sysctl.get(f"net.ipv4.conf.{name}.promote_secondaries") == "1" for name in (device, "all")):
            for promoted in mates[:1]:
                there.remove(promoted)
                promoted.flags.discard("secondary")
                _insert(there, promoted, replacing=False)
        else:
            host.machine.interfaces[device] = [old for old in there if old not in mates]
    return Answer(0)


def _link(host: SimulatedHost, options: Sequence[str], words: Sequence[str]) -> Answer:
    device = _value(words, "dev") or (words[-1] if words else None)
    names = [device] if device else list(host.machine.interfaces)
    missing = [name for name in names if name not in host.machine.interfaces]
    if missing:
        return _no_device(missing[0])
    if _is_json(options):
        links = [_json(host, name) for name in names]
        for link in links:
            del link["addr_info"]
        return Answer(0, json.dumps(links) + "\n")
    return Answer(0, "".join(f"{number}: {name}: <{','.join(_FLAGS)}> mtu 1500 state UP\n" for number, name in enumerate(names, 1)))


def _show(host: SimulatedHost, options: Sequence[str], words: Sequence[str]) -> Answer:
    device = _value(words, "dev") or next((word for word in words if word in host.machine.interfaces), None)
    named = _value(words, "dev")
    if named is not None and named not in host.machine.interfaces:
        return _no_device(named)
    names = [device] if device else list(host.machine.interfaces)
    versions = {4} if "-4" in options else {6} if "-6" in options else {4, 6}
    only = _value(words, "to")
    network = ipaddress.ip_network(only, strict=False) if only else None

    def shown(address: Address) -> bool:
        parsed = ipaddress.ip_interface(address.interface)
        if _value(words, "scope") not in {None, address.scope} or ("secondary" in words and "secondary" not in address.flags):
            return False
        return parsed.version in versions and (network is None or (parsed.version == network.version and parsed.ip in network))

    kept = {name: [address for address in host.machine.interfaces[name] if shown(address)] for name in names}
    if network is not None:
        kept = {name: found for name, found in kept.items() if found}
    if _is_json(options):
        return Answer(0, json.dumps([_json(host, name, found) for name, found in kept.items()]) + "\n")
    return Answer(0, _text(host, options, kept))


def _text(host: SimulatedHost, options: Sequence[str], kept: dict[str, list[Address]]) -> str:
    one_line = any(option in {"-o", "-oneline"} for option in options)
    lines: list[str] = []
    for name, found in kept.items():
        number = list(host.machine.interfaces).index(name) + 1
        if not one_line:
            lines.append(f"{number}: {name}: <{','.join(_FLAGS)}> mtu 1500 state UP")
        for address in found:
            kind = "inet6" if ":" in address.ip else "inet"
            tail = " ".join([kind, address.interface, "scope", address.scope, *sorted(address.flags), name])
            whole = f"{number}: {name}    {tail}\\       valid_lft forever preferred_lft forever"
            lines.append(whole if one_line else f"    {tail}")
    return "".join(f"{line}\n" for line in lines)


def _json(host: SimulatedHost, name: str, found: Sequence[Address] = ()) -> dict[str, Any]:
    infos = []
    for address in found:
        parsed = ipaddress.ip_interface(address.interface)
        infos.append(
            {
                "family": "inet" if parsed.version == 4 else "inet6",
                "local": str(parsed.ip),
                "prefixlen": parsed.network.prefixlen,
                "scope": address.scope,
                **dict.fromkeys(sorted(address.flags), True),
                "label": name,
                "valid_life_time": 4294967295,
                "preferred_life_time": 4294967295,
            }
        )
    number = list(host.machine.interfaces).index(name) + 1
    last = host.node.address.rsplit(".", 1)[-1][-2:]
    kind, mac = ("loopback", "00:00:00:00:00:00") if name == "lo" else ("ether", f"02:00:00:00:00:{last:0>2}")
    return {
        "ifindex": number,
        "ifname": name,
        "flags": _FLAGS,
        "mtu": 1500,
        "operstate": "UP",
        "link_type": kind,
        "address": mac,
        "addr_info": infos,
    }
