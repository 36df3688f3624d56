"""Addresses of this node and names in /etc/hosts, asked the way xCAT asks."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import re
import socket
import subprocess

from . import paths

ADDR_FILE = "/etc/xcat-standin.addr"  # below a temporary root: the output of `ip addr`


@dataclasses.dataclass(frozen=True)
class Address:
    interface: str
    address: str
    bits: int

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(f"{self.address}/{self.bits}", strict=False)


def ip_addr_text() -> str:
    if not paths.is_whole_machine():
        try:
            return paths.at(ADDR_FILE).read_text()
        except OSError:
            return ""
    done = subprocess.run(["ip", "addr"], capture_output=True, text=True, check=False)
    return done.stdout


def parse_addresses(text: str) -> list[Address]:
    """IPv4 addresses in the order of the lines, which is the order that counts."""
    found = []
    interface = ""
    for line in text.splitlines():
        link = re.match(r"\d+: ([^:@\s]+)", line)
        if link:
            interface = link[1]
        inet = re.match(r"\s*inet\s+([0-9.]+)(?:/(\d+))?", line)
        if inet:
            found.append(Address(interface, inet[1], int(inet[2] or 32)))
    return found


def local_addresses() -> list[Address]:
    return parse_addresses(ip_addr_text())


def facing(peer: str, addresses: list[Address] | None = None) -> str | None:
    """The first local address whose own mask puts the peer in its subnet."""
    target = int(ipaddress.IPv4Address(peer))
    for own in local_addresses() if addresses is None else addresses:
        mask = int(own.network.netmask)
        if target & mask == int(ipaddress.IPv4Address(own.address)) & mask:
            return own.address
    return None


def forwards() -> bool:
    """Does this host pass packets on?"""
    try:
        return paths.at("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"
    except OSError:
        return True


def is_mine(name_or_ip: str) -> bool:
    """Does this host own the address, or the address of the name?"""
    address = resolve(name_or_ip)
    return address is not None and address in {a.address for a in local_addresses()}


@functools.lru_cache(maxsize=4)
def _hosts(text: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        for name in fields[1:]:
            if ":" not in fields[0]:
                names.setdefault(name, fields[0])
    return names


def hosts_text() -> str:
    try:
        return paths.at("/etc/hosts").read_text()
    except OSError:
        return ""


def resolve(name: str) -> str | None:
    """An IPv4 address for a name: itself, /etc/hosts, then the system's resolver."""
    if is_ip(name):
        return name
    known = _hosts(hosts_text()).get(name)
    if known or not paths.is_whole_machine():
        return known
    try:
        return socket.gethostbyname(name)
    except OSError:
        return None


def in_hosts(name: str) -> str | None:
    """An address from /etc/hosts alone."""
    return _hosts(hosts_text()).get(name)


def is_ip(text: str) -> bool:
    return re.fullmatch(r"\d+\.\d+\.\d+\.\d+", text) is not None


def hostname() -> str:
    if paths.is_whole_machine():
        return socket.gethostname()
    try:
        return paths.at("/etc/hostname").read_text().strip()
    except OSError:
        return "mn1"


def short_hostname() -> str:
    return hostname().partition(".")[0]
