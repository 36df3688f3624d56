"""Packets, byte for byte, and who is taken for the owner of an address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from xcat_ha_drivers.linux.segment import NOBODY, Arp, advertised, advertisement, claims, mac_bytes, solicitation

OURS = mac_bytes("02:77:00:00:00:22")
THEIRS = mac_bytes("02:77:00:00:00:21")
ADDRESS = IPv4Address("10.77.0.11")
NO_IP = b"\0" * 4


def test_an_arp_packet_on_the_wire() -> None:
    probe = Arp(1, OURS, NO_IP, NOBODY, ADDRESS.packed)
    assert probe.packed().hex(" ", -4) == "00010800 06040001 02770000 00220000 00000000 00000000 0a4d000b"
    assert Arp.read(probe.packed() + b"padding") == probe
    assert Arp.read(b"short") is None
    assert Arp.read(b"\x00\x06" + probe.packed()[2:]) is None


@pytest.mark.parametrize(
    ("packet", "claimed"),
    [
        (Arp(2, THEIRS, ADDRESS.packed, OURS, NO_IP), True),
        (Arp(1, THEIRS, ADDRESS.packed, NOBODY, IPv4Address("10.77.0.99").packed), True),
        (Arp(1, THEIRS, NO_IP, NOBODY, ADDRESS.packed), True),
        (Arp(1, OURS, NO_IP, NOBODY, ADDRESS.packed), False),
        (Arp(1, THEIRS, IPv4Address("10.77.0.99").packed, NOBODY, ADDRESS.packed), False),
        (Arp(2, THEIRS, IPv4Address("10.77.0.99").packed, OURS, NO_IP), False),
    ],
    ids=["answers", "uses it", "probes for it", "our own probe", "asks for it", "answers for another"],
)
def test_who_claims_the_address(packet: Arp, *, claimed: bool) -> None:
    assert (claims(packet, [ADDRESS], frozenset({OURS})) == ADDRESS) is claimed


def test_neighbour_discovery_on_the_wire() -> None:
    target = IPv6Address("fd77::11")
    assert solicitation(target, OURS).hex() == "8700000000000000" + target.packed.hex() + "0101" + OURS.hex()
    assert advertisement(target, OURS, router=False).hex() == "8800000020000000" + target.packed.hex() + "0201" + OURS.hex()
    assert advertisement(target, OURS, router=True)[4] == 0xA0
    assert advertised(advertisement(target, OURS, router=True)) == target
    assert advertised(solicitation(target, OURS)) is None
    assert advertised(b"\x88") is None
