"""A DHCP client that only asks: sends DISCOVER for a MAC address and prints the first OFFER as JSON.

    python3 -m tests.lab.dhcp_client INTERFACE MAC

Exit status 1 if nobody offers within 10 s. Run it in the observer's namespace; it takes no lease and configures nothing.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import secrets
import socket
import struct
import sys
import time

_MAGIC = b"\x63\x82\x53\x63"
_BROADCAST_FLAG = 0x8000
_DISCOVER, _OFFER = 1, 2
_WAIT_S = 10.0


def discover(mac: str, transaction: int) -> bytes:
    """A DHCPDISCOVER as a booting node sends it (PXE vendor class), answered by broadcast."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack(">BBBBIHH", 1, 1, 6, 0, transaction, 0, _BROADCAST_FLAG)
    addresses = bytes(16)
    options = bytes([53, 1, _DISCOVER]) + bytes([60, 9]) + b"PXEClient" + bytes([55, 4, 1, 3, 6, 66]) + b"\xff"
    return head + addresses + hardware.ljust(16, b"\0") + bytes(192) + _MAGIC + options


def offer_in(packet: bytes, transaction: int) -> dict[str, str] | None:
    """Address and next-server of an OFFER that answers ``transaction``; None if the packet is something else."""
    if len(packet) < 241 or packet[0] != 2 or packet[236:240] != _MAGIC:
        return None
    if struct.unpack_from(">I", packet, 4)[0] != transaction:
        return None
    offered, server = (str(ipaddress.IPv4Address(packet[start : start + 4])) for start in (16, 20))
    return {"address": offered, "next_server": server}


def ask(interface: str, mac: str) -> dict[str, str] | None:
    """The first offer within 10 s."""
    transaction = secrets.randbits(32)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        client.bind(("0.0.0.0", 68))
        deadline = time.monotonic() + _WAIT_S
        while (left_s := deadline - time.monotonic()) > 0:
            client.sendto(discover(mac, transaction), ("255.255.255.255", 67))
            client.settimeout(min(left_s, 2.0))
            try:
                packet = client.recv(2048)
            except TimeoutError:
                continue
            offer = offer_in(packet, transaction)
            if offer is not None:
                return offer
    return None


def main() -> int:
    """Print the offer; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("interface")
    parser.add_argument("mac")
    given = parser.parse_args()
    offer = ask(given.interface, given.mac)
    print(json.dumps(offer))
    return 0 if offer else 1


if __name__ == "__main__":
    sys.exit(main())
