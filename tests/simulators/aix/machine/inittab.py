"""/etc/inittab: what init starts at boot. A colon begins a comment."""

from __future__ import annotations

from dataclasses import dataclass

from . import paths

PATH = "/etc/inittab"
ACTIONS = ("respawn", "wait", "once", "boot", "bootwait", "powerfail", "powerwait", "off", "hold", "ondemand", "initdefault", "sysinit")

STANDARD = """\
: The default run level is 2.
init:2:initdefault:
brc::sysinit:/sbin/rc.boot 3 >/dev/console 2>&1 # Phase 3 of system boot
rctcpip:23456789:wait:/etc/rc.tcpip > /dev/console 2>&1 # Start TCP/IP daemons
rcnfs:23456789:wait:/etc/rc.nfs > /dev/console 2>&1 # Start NFS Daemons
cron:23456789:respawn:/usr/sbin/cron
"""
# What these entries run is the lab node's own business: it has its network, its cron and its system calls already.
NOT_RUN = ("init", "brc", "cron")


@dataclass(frozen=True)
class Entry:
    """One line."""

    name: str
    levels: str
    action: str
    command: str

    @property
    def line(self) -> str:
        """As it stands in the file."""
        return f"{self.name}:{self.levels}:{self.action}:{self.command}"

    @property
    def at_boot(self) -> bool:
        """Whether it belongs to run level 2."""
        return not self.levels or "2" in self.levels


def parse(line: str) -> Entry | None:
    """A line's entry; None for comments and what is no entry."""
    fields = line.split(":", 3)
    if line.startswith(":") or len(fields) != 4:
        return None
    return Entry(*fields)


def lines() -> list[str]:
    """All lines, comments too."""
    place = paths.at(PATH)
    return place.read_text(encoding="utf-8").splitlines() if place.exists() else []


def entries() -> list[Entry]:
    """All entries in their order."""
    return [entry for line in lines() if (entry := parse(line))]


def write(text: list[str]) -> None:
    """Replace the file."""
    place = paths.at(PATH)
    fresh = place.with_name("inittab.new")
    fresh.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    fresh.replace(place)
