"""Verbs that give a node an address and a name of its own, for good, when the service identity is what its boot configuration has.

Standard library only. Every file is replaced by temp, fsync, rename, with the old text beside it. The backup's name begins with a dot:
ifupdown's ``source`` patterns, NetworkManager and the ifcfg readers would otherwise take it for one more configuration.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

from xcat_ha_drivers.linux import kernel, segment
from xcat_ha_drivers.linux.addresses import Interface, every, find_link, has_own, other_forms
from xcat_ha_drivers.linux.boot_files import Setting, find_settings, with_address
from xcat_ha_drivers.linux.kernel import Refusal, answer, read_links, run, under_root

BACKUP = ".{name}.before-xcat-ha"
NMCLI_KINDS = frozenset({"NetworkManager", "ifcfg"})


def _settings(addresses: Sequence[Interface]) -> tuple[Setting, ...]:
    return find_settings(under_root("/"), [address.ip for address in addresses])


def why_not_rewritable(args: argparse.Namespace) -> str:
    """Why the boot configuration cannot be changed automatically; empty when it can, or when nothing has to be."""
    settings = _settings(args.address)
    own = ip_address(args.own)
    places = ", ".join(f"{setting.address} in {setting}" for setting in settings)
    if not settings:
        return _why_no_place(args)
    for setting in settings:
        if not _same_network(args, setting):
            return f"{setting.address} in {setting} has to be replaced by an address of the node's own, and {own} is not of that network"
    if len(settings) > 1:
        return f"a service address is set in more than one place: {places}. Leave one of them"
    own_places = find_settings(under_root("/"), [own])
    if own_places:
        return f"the node's own address is already in {own_places[0]}: remove the service address by hand ({places})"
    return ""


def _why_no_place(args: argparse.Namespace) -> str:
    links = read_links()
    link = find_link(links, args.interface)
    foreign = other_forms(links, args.address, link) if link and has_own(links, args.own) else ()
    lone = [entry for entry in every(links) if entry.address.ip in {a.ip for a in args.address}] if not has_own(links, args.own) else []
    for entry in (*foreign, *lone):
        source = "a DHCP server assigns it" if "dynamic" in entry.flags else "no file known to xcat-ha sets it"
        return f"{entry.address} is on {entry.device}, but {source}: configure {args.own} there in its place"
    return ""


def _same_network(args: argparse.Namespace, setting: Setting) -> bool:
    return any(address.ip == setting.address and ip_address(args.own) in address.network for address in args.address)


def rewritable(args: argparse.Namespace) -> int:
    """Verdict: the boot configuration can be changed automatically, or needs no change."""
    return answer(why_not_rewritable(args))


def own_present(args: argparse.Namespace) -> int:
    """Verdict: the node's own address is on it."""
    return answer("" if has_own(read_links(), args.own) else f"the node's own address {args.own} is not there")


def add_own(args: argparse.Namespace) -> int:
    """Add the node's own address to the interface, after duplicate detection, with the prefix length of the service address."""
    own = ip_address(args.own)
    network = next((address.network for address in args.address if own in address.network), None)
    if network is None:
        raise Refusal(f"{own} is in no network of a service address, so its prefix length is not known: add it by hand, for good")
    links = read_links()
    link = find_link(links, args.interface)
    if link is None:
        raise Refusal(f"there is no interface {args.interface} on this node")
    own_macs = frozenset(segment.mac_bytes(each.mac) for each in links if each.kind == "ether" and each.mac)
    for address, who in segment.who_answers(link, [own], own_macs).items():
        raise Refusal(f"{address}, which is to be the node's own address, is answered for by {who}; choose another one")
    broadcast = ("broadcast", "+") if own.version == 4 else ()
    run("ip", f"-{own.version}", "address", "add", f"{own}/{network.prefixlen}", *broadcast, "dev", link.name)
    return 0


def boot_files_clean(args: argparse.Namespace) -> int:
    """Verdict: no boot file sets a service address."""
    return answer(", ".join(f"{setting} sets {setting.address}" for setting in _settings(args.address)))


def store_own(args: argparse.Namespace) -> int:
    """Put the node's own address in the place of the service address in the one file that sets it."""
    reason = why_not_rewritable(args)
    if reason:
        raise Refusal(reason)
    for setting in _settings(args.address):
        path = Path(setting.path)
        # newline="" keeps line ends, surrogateescape every other byte
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
        replace_file(path, with_address(text, setting, ip_address(args.own)))
        if setting.kind in NMCLI_KINDS and shutil.which("nmcli") and under_root("/") == Path("/"):
            run("nmcli", "connection", "reload")  # else the next reconnection would bring the service address back
    return 0


def replace_file(path: Path, text: str) -> None:
    """Replace a file's text: backup beside it, temp, fsync, rename, fsync of the directory; owner, mode and attributes stay."""
    real = path.resolve()
    backup = real.with_name(BACKUP.format(name=real.name))
    if real.exists() and not backup.exists():
        _copy_with_owner(real, backup)
    temporary = real.with_name(f".{real.name}.xcat-ha-new")
    if real.exists():
        _copy_with_owner(real, temporary)
    with temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(real)
    directory = os.open(real.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _copy_with_owner(source: Path, target: Path) -> None:
    shutil.copy2(source, target)
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)


def _short(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def hostname_stored_clean(args: argparse.Namespace) -> int:
    """Verdict: the stored hostname is not the service identity's."""
    stored = kernel.stored_hostname()
    return answer(f"/etc/hostname holds {stored}" if stored and _short(stored) == _short(args.service_name) else "")


def store_hostname(args: argparse.Namespace) -> int:
    """Store the node's own name in ``/etc/hostname``; the running one stays."""
    replace_file(under_root("/etc/hostname"), f"{args.name}\n")
    return 0


def _hosts_lines() -> list[tuple[str, list[str]]]:
    path = under_root("/etc/hosts")
    text = path.read_text(errors="surrogateescape") if path.exists() else ""
    words = [line.partition("#")[0].split() for line in text.splitlines()]
    return [(fields[0], fields[1:]) for fields in words if len(fields) > 1]


def named(args: argparse.Namespace) -> int:
    """Verdict: ``/etc/hosts`` knows the node's own name."""
    known = any(args.name in names for _, names in _hosts_lines())
    return answer("" if known else f"/etc/hosts has no line for {args.name}")


def name_own(args: argparse.Namespace) -> int:
    """Add a line for the node's own name to ``/etc/hosts``, with the domain that the service hostname has there."""
    path = under_root("/etc/hosts")
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        text = file.read()
    own, service = _short(args.name), _short(args.service_name)
    full = [name for _, names in _hosts_lines() for name in names if re.fullmatch(re.escape(service) + r"\..+", name)]
    names = [args.name] if "." in args.name or not full else [own + full[0][len(service) :]]
    line = " ".join(dict.fromkeys([args.own, *names, args.name, own]))
    replace_file(path, f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n")
    return 0


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "rewritable": rewritable, "own-present": own_present, "add-own": add_own, "boot-files-clean": boot_files_clean,
    "store-own": store_own, "hostname-stored-clean": hostname_stored_clean, "store-hostname": store_hostname,
    "named": named, "name-own": name_own,
}  # fmt: skip
