"""Host declarations in dhcpd.leases, where ISC dhcpd keeps what comes over OMAPI.

A running dhcpd is told by omshell, as xCAT tells it; what omshell answers
nobody reads, so a wrong key goes unnoticed.  Below a temporary root there is
no dhcpd, and the file is edited instead.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Iterable

from . import paths

LEASES = "/var/lib/dhcp/dhcpd.leases"


@dataclasses.dataclass(frozen=True)
class Reservation:
    name: str
    mac: str
    address: str
    next_server: str = ""
    filename: str = ""

    def statements(self) -> dict[str, str]:
        """What the client is told besides its address, in dhcpd's words."""
        said = {"server.ddns-hostname": f'"{self.name}"', "host-name": f'"{self.name}"'}
        if self.next_server:
            octets = (f"{int(o):02x}" for o in self.next_server.split("."))
            said["server.next-server"] = ":".join(octets)
        if self.filename:
            said["server.filename"] = f'"{self.filename}"'
        return said

    def text(self) -> str:
        """The declaration as dhcpd writes it."""
        lines = [
            "dynamic;",
            f"hardware ethernet {self.mac.lower()};",
            f"fixed-address {self.address};",
            *(f"      supersede {k} = {v};" for k, v in self.statements().items()),
        ]
        return f"host {self.name} {{\n" + "".join(f"  {x}\n" for x in lines) + "}\n"

    def creation(self) -> list[str]:
        """The same for omshell."""
        said = "; ".join(
            f"{'option ' if k == 'host-name' else ''}{k.removeprefix('server.')}{' = ' if k == 'server.next-server' else ' '}{v}"
            for k, v in self.statements().items()
        ).replace("filename ", "filename = ")
        quoted = said.replace('"', '\\"')
        return [
            "new host",
            f'set name = "{self.name}"',
            f"set hardware-address = {self.mac.lower()}",
            "set hardware-type = 1",
            f"set ip-address = {self.address}",
            f'set statements = "{quoted};"',
            "create",
        ]


BLOCK = re.compile(r"^host (\S+) \{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL)


def _declarations() -> dict[str, str]:
    """Map name -> declaration as it is now; the last word counts."""
    place = paths.at(LEASES)
    found: dict[str, str] = {}
    for match in BLOCK.finditer(place.read_text() if place.exists() else ""):
        if "deleted;" in match[2]:
            found.pop(match[1], None)
        else:
            found[match[1]] = match[0]
    return found


def read() -> dict[str, tuple[str, str]]:
    """Map name -> (address, MAC) of what is reserved now."""
    found: dict[str, tuple[str, str]] = {}
    for name, text in _declarations().items():
        address = re.search(r"fixed-address ([0-9.]+);", text)
        mac = re.search(r"hardware ethernet ([0-9a-f:]+);", text)
        if address and mac:
            found[name] = (address[1], mac[1])
    return found


def change(put: Iterable[Reservation], drop: Iterable[str], key: str) -> None:
    """Put these reservations in, take those out; what is there already costs dhcpd no write."""
    have = _declarations()
    fresh = [r for r in put if have.get(r.name) != r.text()]
    gone = [r.name for r in fresh] + list(drop)
    if paths.is_whole_machine():
        _tell_dhcpd(fresh, gone, key)
    else:
        _edit_file(fresh, set(gone))


def _tell_dhcpd(fresh: list[Reservation], gone: list[str], key: str) -> None:
    lines = [f"key xcat_key {key}", "connect"]
    for name in gone:
        lines += ["new host", f'set name = "{name}"', "open", "remove", "close"]
    for own in fresh:
        lines += ["new host", f"set hardware-address = {own.mac.lower()}"]
        lines += ["set hardware-type = 1", "open", "remove", "close"]
        lines += [*own.creation(), "close"]
    text = "".join(line + "\n" for line in lines)
    subprocess.run(["omshell"], input=text, text=True, capture_output=True, check=False)


def _edit_file(fresh: list[Reservation], gone: set[str]) -> None:
    place = paths.at(LEASES)
    macs = {r.mac.lower() for r in fresh}

    def keep(match: re.Match[str]) -> str:
        mac = re.search(r"hardware ethernet ([0-9a-f:]+);", match[2])
        stale = match[1] in gone or (mac is not None and mac[1] in macs)
        return "" if stale else match[0]

    text = BLOCK.sub(keep, place.read_text() if place.exists() else "")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text + "".join(r.text() for r in fresh))
