"""Which files give a Linux machine its addresses at boot, and where an address stands in them. Standard library only.

A file may *mention* the service address for good reasons (as DNS server, gateway, or in a comment). Only places that put an address on an
interface count; each kind of file has its own way to say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

# An address as a word of its own, with the prefix length that may follow.
_TOKEN = re.compile(r"(?<![\w.:])((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]+(?:\.\d{1,3}){0,3})(/\d{1,3})?(?=[\s\"',;\]<)]|$)")


class Kind(NamedTuple):
    """A kind of configuration file.

    Attributes:
        name: for messages.
        globs: where such files are, relative to the root.
        line: a line that sets an address matches this at its beginning.
        with_prefix_only: in such a line only addresses with a prefix length are set (others are gateways).
        comment: what begins a comment line.
    """

    name: str
    globs: tuple[str, ...]
    line: re.Pattern[str]
    with_prefix_only: bool
    comment: str = "#"


KINDS = (
    Kind(
        "ifupdown",
        ("etc/network/interfaces", "etc/network/interfaces.d/*"),
        re.compile(r"\s*(?:address\s|(?:pre-|post-)?up\s.*\b(?:ip|ifconfig)\s.*\badd)"),
        with_prefix_only=False,
    ),
    Kind(
        "ifcfg",
        ("etc/sysconfig/network-scripts/ifcfg-*", "etc/sysconfig/network/ifcfg-*"),
        re.compile(r"\s*(?:IPADDR|IPV6ADDR)\w*="),
        with_prefix_only=False,
    ),
    Kind(
        "NetworkManager",
        ("etc/NetworkManager/system-connections/*",),
        re.compile(r"\s*address(?:es)?\d*\s*="),
        with_prefix_only=True,
    ),
    # "addresses" of "nameservers" have no prefix length; routes have one, but behind "to:" or "from:".
    Kind("netplan", ("etc/netplan/*.yaml",), re.compile(r"(?!.*\b(?:to|from|via)\s*:)"), with_prefix_only=True),
    Kind(
        "systemd-networkd",
        ("etc/systemd/network/*.network", "etc/systemd/network/*.network.d/*.conf"),
        re.compile(r"\s*Address\s*="),
        with_prefix_only=False,
    ),
    Kind("wicked", ("etc/wicked/ifconfig/*.xml",), re.compile(r"\s*<(?:local|address)>"), with_prefix_only=False, comment="<!--"),
)

LEFTOVERS = (".bak", "~", ".orig", ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-dist", ".dpkg-new")
"""Endings of names that none of the programs reads."""


class Setting(NamedTuple):
    """A place that sets an address at boot: ``path``, line ``number`` (from 1), and columns of the address in that line."""

    path: str
    kind: str
    number: int
    start: int
    end: int
    address: Address

    def __str__(self) -> str:
        return f"{self.path}:{self.number}"


def find_settings(root: Path, wanted: Iterable[Address]) -> tuple[Setting, ...]:
    """All places below ``root`` that set one of ``wanted`` at boot.

    Raises:
        OSError: a file is there and cannot be read.
    """
    addresses = frozenset(wanted)
    return tuple(setting for kind, path in _files(root) for setting in settings_in(kind, path, _text(path), addresses))


def _text(path: Path) -> str:
    """The text as :func:`with_address` needs it: every byte has its place, line ends are what they are."""
    return path.read_bytes().decode("utf-8", errors="surrogateescape")


def _files(root: Path) -> Iterator[tuple[Kind, Path]]:
    for kind in KINDS:
        for pattern in kind.globs:
            for path in sorted(root.glob(pattern)):
                if path.is_file() and not path.name.startswith(".") and not path.name.endswith(LEFTOVERS):
                    yield kind, path


def settings_in(kind: Kind, path: Path, text: str, wanted: frozenset[Address]) -> Iterator[Setting]:
    """The places in ``text`` that set one of ``wanted``."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith((kind.comment, ";")) or not kind.line.match(line):
            continue
        for token in _TOKEN.finditer(line):
            address = _address(token.group(1))
            if address in wanted and address is not None and (token.group(2) or not kind.with_prefix_only):
                yield Setting(str(path), kind.name, number, token.start(1), token.end(1), address)


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def with_address(text: str, setting: Setting, address: Address) -> str:
    """``text`` with ``address`` in the place of ``setting``; everything else byte for byte as it was."""
    lines = text.splitlines(keepends=True)
    line = lines[setting.number - 1]
    lines[setting.number - 1] = line[: setting.start] + str(address) + line[setting.end :]
    return "".join(lines)


def shell_words() -> str:
    """The files of all kinds as words for a shell, with ``$root`` in front; quoted up to where the first pattern begins."""
    patterns = (re.fullmatch(r"([^*]*)(.*)", pattern) for kind in KINDS for pattern in kind.globs)
    return " ".join(f'"$root/{found.group(1)}"{found.group(2)}' for found in patterns if found)


def read_listing(listing: str, wanted: Iterable[Address]) -> tuple[Address, ...]:
    """The addresses of ``wanted`` set in a listing of lines ``path<TAB>line`` as the driver's question prints it."""
    addresses = frozenset(wanted)
    found: list[Address] = []
    for entry in listing.splitlines():
        path, _, line = entry.partition("\t")
        kind = _kind_of(path)
        if kind is not None and not path.endswith(LEFTOVERS):
            found += [setting.address for setting in settings_in(kind, Path(path), line, addresses)]
    return tuple(dict.fromkeys(found))


def _kind_of(path: str) -> Kind | None:
    for kind in KINDS:
        for pattern in kind.globs:
            if Path(path).match(pattern):
                return kind
    return None
