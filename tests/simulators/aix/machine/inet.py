"""IPv4 addresses and masks as AIX writes them."""

from __future__ import annotations

import ipaddress
import re

MAC_PARTS = 6


def is_address(text: str) -> bool:
    """Whether it is a whole dotted IPv4 address."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def prefix_of(mask: str) -> int | None:
    """The prefix length of a dotted or hexadecimal mask; None if it is no mask."""
    try:
        number = int(mask, 16) if re.fullmatch(r"0x[0-9a-fA-F]{1,8}", mask) else int(ipaddress.IPv4Address(mask))
    except ValueError:
        return None
    length = number.bit_count()
    return length if number == _mask_bits(length) else None


def _mask_bits(prefix: int) -> int:
    return (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF


def hex_mask(prefix: int) -> str:
    """As ifconfig shows it."""
    return f"0x{_mask_bits(prefix):x}"


def dotted_mask(prefix: int) -> str:
    """As chdev takes it."""
    return str(ipaddress.IPv4Address(_mask_bits(prefix)))


def class_prefix(address: str) -> int:
    """The mask of the address's class: what is taken when none is given."""
    first = int(address.partition(".")[0])
    return 8 if first < 128 else 16 if first < 192 else 24


def broadcast(address: str, prefix: int) -> str:
    """The broadcast address of the network."""
    return str(ipaddress.IPv4Interface(f"{address}/{prefix}").network.broadcast_address)


def network_text(address: str, prefix: int) -> str:
    """The network as netstat abbreviates it: 10.10.10 for 10.10.10.0/24."""
    parts = str(ipaddress.IPv4Interface(f"{address}/{prefix}").network.network_address).split(".")
    shown = max(1, -(-prefix // 8))
    return ".".join(parts[:shown])


def in_network(address: str, own: str, prefix: int) -> bool:
    """Whether the address is on the network of own/prefix."""
    return ipaddress.IPv4Address(address) in ipaddress.IPv4Interface(f"{own}/{prefix}").network


def short_mac(mac: str, separator: str) -> str:
    """A MAC without leading zeros."""
    return separator.join(f"{int(part, 16):x}" for part in mac.split(":"))


def is_hostname(text: str) -> bool:
    """What AIX takes for a host name: letters, digits, dots and hyphens, at most 255 characters."""
    return len(text) <= 255 and re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", text) is not None
