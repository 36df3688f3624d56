"""Asking the segment who has an address, and telling it that we have it: ARP and IPv6 neighbour discovery. Standard library only.

Own packets instead of ``arping``: two programs of that name exist (iputils, Habets) that differ in options and exit codes, neither
speaks IPv6, and not every management node has one.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, TypeAlias

from xcat_ha_drivers.linux.addresses import Link, every
from xcat_ha_drivers.linux.kernel import Refusal, read_links, under_root

Address: TypeAlias = IPv4Address | IPv6Address

PROBE_AT_S = (0.0, 0.25, 0.5)
LISTEN_S = 0.9
"""RFC 5227 takes up to seven seconds for strangers' wireless networks; a wired management network answers within milliseconds, and every
second here is a second without a management node. Three probes survive the loss of two."""
ANNOUNCE_EVERY_S = 0.25
ANNOUNCEMENTS = 5

ETHER_P_ARP = 0x0806
ARP_REQUEST = 1
ARP_REPLY = 2
PACKET_OUTGOING = 4
NOBODY = b"\x00" * 6
EVERYBODY = b"\xff" * 6
NEIGHBOUR_SOLICITATION = 135
NEIGHBOUR_ADVERTISEMENT = 136
ICMP6_FILTER = 1
IN6_ALL_NODES = "ff02::1"
ARP_FORMAT = "!HHBBH6s4s6s4s"
ARP_BYTES = struct.calcsize(ARP_FORMAT)


class Arp(NamedTuple):
    """An ARP packet for IPv4 over Ethernet."""

    operation: int
    sender_mac: bytes
    sender: bytes
    target_mac: bytes
    target: bytes

    def packed(self) -> bytes:
        """As it goes onto the wire."""
        return struct.pack(ARP_FORMAT, 1, 0x0800, 6, 4, *self)

    @classmethod
    def read(cls, data: bytes) -> Arp | None:
        """Read a packet; None if it is no ARP for IPv4 over Ethernet."""
        if len(data) < ARP_BYTES:
            return None
        hardware, protocol, hardware_bytes, protocol_bytes, *fields = struct.unpack(ARP_FORMAT, data[:ARP_BYTES])
        return cls(*fields) if (hardware, protocol, hardware_bytes, protocol_bytes) == (1, 0x0800, 6, 4) else None


def claims(packet: Arp, wanted: Iterable[IPv4Address], own_macs: frozenset[bytes]) -> IPv4Address | None:
    """The address of ``wanted`` that the sender of ``packet`` has, or is about to take."""
    if packet.sender_mac in own_macs:
        return None
    for address in wanted:
        probing = packet.sender == b"\x00" * 4 and packet.operation == ARP_REQUEST and packet.target == address.packed
        if packet.sender == address.packed or probing:
            return address
    return None


def solicitation(target: IPv6Address, mac: bytes) -> bytes:
    """A neighbour solicitation without checksum (the kernel fills it in)."""
    return struct.pack("!BBHI16sBB6s", NEIGHBOUR_SOLICITATION, 0, 0, 0, target.packed, 1, 1, mac)


def advertisement(target: IPv6Address, mac: bytes, *, router: bool) -> bytes:
    """An unsolicited neighbour advertisement with the override flag, without checksum."""
    flags = 0x20000000 | (0x80000000 if router else 0)
    return struct.pack("!BBHI16sBB6s", NEIGHBOUR_ADVERTISEMENT, 0, 0, flags, target.packed, 2, 1, mac)


def advertised(data: bytes) -> IPv6Address | None:
    """The address that a neighbour advertisement speaks for."""
    return IPv6Address(data[8:24]) if len(data) >= 24 and data[0] == NEIGHBOUR_ADVERTISEMENT else None


def mac_bytes(text: str) -> bytes:
    """``02:77:00:00:00:21`` as bytes."""
    return bytes.fromhex(text.replace(":", ""))


def _mac_of(link: Link) -> bytes:
    if link.kind != "ether":
        raise Refusal(f"{link.name} is of type {link.kind or 'unknown'}; duplicate detection is possible on Ethernet only")
    return mac_bytes(link.mac)


def _arp_socket(link: Link) -> socket.socket:
    arp = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETHER_P_ARP))
    arp.bind((link.name, ETHER_P_ARP))
    return arp


def _neighbour_socket(link: Link, source: str = "::") -> socket.socket:
    icmp = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    index = socket.if_nametoindex(link.name)
    icmp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.name.encode())
    icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    blocked = bytearray(b"\xff" * 32)  # one bit for each ICMPv6 type
    word, bit = divmod(NEIGHBOUR_ADVERTISEMENT, 32)
    struct.pack_into("=I", blocked, word * 4, 0xFFFFFFFF & ~(1 << bit))
    icmp.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, bytes(blocked))
    if source != "::":
        icmp.bind((source, 0, 0, index))
    return icmp


def who_answers(link: Link, addresses: Sequence[Address], own_macs: frozenset[bytes]) -> dict[Address, str]:
    """Ask the segment of ``link`` for each address: address -> link layer address of whoever has it.

    Takes 0.9 s if nobody answers.

    Raises:
        Refusal: the segment cannot be asked (no carrier, no Ethernet, no IPv6 on the interface); silence would prove nothing.
    """
    if not link.has_carrier:
        raise Refusal(f"{link.name} has no carrier: silence of the segment proves nothing")
    mac = _mac_of(link)
    four = [address for address in addresses if isinstance(address, IPv4Address)]
    six = [address for address in addresses if isinstance(address, IPv6Address)]
    try:
        with ExitStack() as sockets:
            arp = sockets.enter_context(_arp_socket(link)) if four else None
            icmp = sockets.enter_context(_neighbour_socket(link)) if six else None
            return _ask(link, mac, own_macs, _Questions(arp, four, icmp, six))
    except OSError as error:
        raise Refusal(f"cannot ask the segment of {link.name}: {error}") from error


class _Questions(NamedTuple):
    arp: socket.socket | None
    four: list[IPv4Address]
    icmp: socket.socket | None
    six: list[IPv6Address]

    def send(self, device: str, mac: bytes) -> None:
        if self.arp:
            for four in self.four:
                probe = Arp(ARP_REQUEST, mac, b"\x00" * 4, NOBODY, four.packed)
                self.arp.sendto(probe.packed(), (device, ETHER_P_ARP, 0, 0, EVERYBODY))
        if self.icmp:
            index = socket.if_nametoindex(device)
            for six in self.six:
                group = IPv6Address(b"\xff\x02" + b"\x00" * 9 + b"\x01\xff" + six.packed[-3:])
                self.icmp.sendto(solicitation(six, mac), (str(group), 0, 0, index))


def _ask(link: Link, mac: bytes, own_macs: frozenset[bytes], questions: _Questions) -> dict[Address, str]:
    found: dict[Address, str] = {}
    sockets = [sock for sock in (questions.arp, questions.icmp) if sock]
    start = time.monotonic()
    unsent = list(PROBE_AT_S)
    while (now := time.monotonic() - start) < LISTEN_S and len(found) < len(questions.four) + len(questions.six):
        if unsent and now >= unsent[0]:
            unsent.pop(0)
            questions.send(link.name, mac)
        until = unsent[0] if unsent else LISTEN_S
        for ready in select.select(sockets, [], [], max(0.0, min(until, LISTEN_S) - now))[0]:
            found.update(_heard(ready, questions, own_macs))
    return found


def _heard(ready: socket.socket, questions: _Questions, own_macs: frozenset[bytes]) -> dict[Address, str]:
    data, sender = ready.recvfrom(2048)
    if ready is questions.icmp:
        target = advertised(data)
        return {target: f"a machine with {sender[0]}"} if target in questions.six and target else {}
    packet = None if sender[2] == PACKET_OUTGOING else Arp.read(data)
    claimed = claims(packet, questions.four, own_macs) if packet else None
    return {claimed: packet.sender_mac.hex(":")} if claimed and packet else {}


def announce_once(link: Link, addresses: Sequence[Address]) -> None:
    """Tell everybody on the segment that these addresses are at ``link`` now.

    IPv4: both as ARP request and as reply, because devices differ in which of them they learn from.

    Raises:
        Refusal: nothing could be sent.
    """
    mac = _mac_of(link)
    try:
        for address in addresses:
            if isinstance(address, IPv4Address):
                _announce_ipv4(link, mac, address)
            else:
                _announce_ipv6(link, mac, address)
    except OSError as error:
        raise Refusal(f"cannot announce on {link.name}: {error}") from error


def _announce_ipv4(link: Link, mac: bytes, address: IPv4Address) -> None:
    with _arp_socket(link) as arp:
        for operation, target_mac in ((ARP_REQUEST, NOBODY), (ARP_REPLY, mac)):
            packet = Arp(operation, mac, address.packed, target_mac, address.packed)
            arp.sendto(packet.packed(), (link.name, ETHER_P_ARP, 0, 0, EVERYBODY))


def _announce_ipv6(link: Link, mac: bytes, address: IPv6Address) -> None:
    forwarding = under_root(f"/proc/sys/net/ipv6/conf/{link.name}/forwarding")
    router = forwarding.exists() and forwarding.read_text().strip() not in {"", "0"}
    with _neighbour_socket(link, str(address)) as icmp:
        packet = advertisement(address, mac, router=router)
        icmp.sendto(packet, (IN6_ALL_NODES, 0, 0, socket.if_nametoindex(link.name)))


def announce_in_background(link: Link, addresses: Sequence[Address]) -> None:
    """Repeat the announcement for about a second in a process of its own, as long as the addresses are on this machine."""
    if os.fork():
        os.wait()
        return
    if os.fork():
        os._exit(0)
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.closerange(3, 1024)  # no pipe and no lock of the caller must stay open in here
        for _ in range(ANNOUNCEMENTS - 1):
            time.sleep(ANNOUNCE_EVERY_S)
            announce_once(link, [address for address in addresses if is_here(address)])
    finally:
        os._exit(0)


def is_here(address: Address) -> bool:
    """Whether this machine has the address now; it may have been released meanwhile.

    Trying to bind it would not tell: with ``ip_nonlocal_bind`` that always succeeds.
    """
    return any(held.address.ip == address for held in every(read_links()))
