"""What ifconfig, lsattr and arp say. Pure, standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import NamedTuple

_HEAD = re.compile(r"([a-z]+\d+): flags=[0-9a-f,]+<")
_INET = re.compile(r"\s+inet (\d+\.\d+\.\d+\.\d+)(?: netmask 0x([0-9a-f]{1,8}))?\b")
_DETAIL = re.compile(r"\s+[a-z][a-z0-9_]* \S")
"""What stands below an interface: an address, or values of its own (``tcp_sendspace 262144``)."""
_NEIGHBOUR = re.compile(r"\((\d+\.\d+\.\d+\.\d+)\) at ([0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5})\b")


class Stored(NamedTuple):
    """What the ODM gives an interface at a boot: its address, and the aliases."""

    netaddr: str
    aliases: tuple[str, ...]

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """All of them, without masks."""
        words = [self.netaddr, *(alias.partition(",")[0] for alias in self.aliases)]
        return tuple(IPv4Address(word) for word in words if word)


def interfaces(text: str) -> dict[str, tuple[IPv4Interface, ...]]:
    """Addresses of each interface in their order, out of ``ifconfig -a``. An address shown without a mask has that of a host.

    Raises:
        ValueError: it is not what ifconfig prints.
    """
    found: dict[str, list[IPv4Interface]] = {}
    name = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            name = head.group(1)
            found[name] = []
        elif not name or not _DETAIL.match(line):
            raise ValueError(f"not what ifconfig prints: {line[:80]!r}")
        elif re.match(r"\s+inet ", line):
            match = _INET.match(line)
            if not match:
                raise ValueError(f"not an address: {line[:80]!r}")
            mask = IPv4Address(int(match.group(2) or "ffffffff", 16))
            found[name].append(IPv4Interface(f"{match.group(1)}/{mask}"))
    if not found:
        raise ValueError("ifconfig shows no interface")
    return {name: tuple(addresses) for name, addresses in found.items()}


def stored(lines: Sequence[str]) -> Stored:
    """The first line is ``netaddr``, empty where it is not set; the others are aliases, ``address,mask`` each.

    Raises:
        ValueError: one is no address.
    """
    netaddr, *rest = [line.strip() for line in lines] or [""]
    found = Stored(netaddr, tuple(line for line in rest if line))
    _ = found.addresses
    return found


def neighbours(text: str) -> dict[str, str]:
    """Address -> hardware address out of ``arp -an``; unanswered ones (``incomplete``) are left out."""
    return dict(_NEIGHBOUR.findall(text))


def short(name: str) -> str:
    """A host name without its domain."""
    return name.split(".", maxsplit=1)[0]


def sections(text: str) -> Mapping[str, list[str]]:
    """Parts of an answer, each behind a line ``--- NAME``.

    Raises:
        ValueError: the end is missing, so something else may be, too.
    """
    if not text.endswith("--- end\n"):
        raise ValueError("the answer is cut off")
    parts = re.split(r"^--- (.+)\n", text, flags=re.MULTILINE)[1:]
    return {name: said.splitlines() for name, said in zip(parts[::2], parts[1::2], strict=True)}
