"""What lssrc, lsitab and /etc/rc.tcpip say. Pure, standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

RC_TCPIP = "etc/rc.tcpip"
STATUS_RUNS = {"active": True, "starting": True, "stopping": True, "warned": True, "inoperative": False}
"""Words of lssrc's last column. One that is stopping has not stopped: SRC only asked it to. Any other word is not understood."""
NOT_STARTED = frozenset({"off", "hold", "ondemand", "initdefault", "powerfail", "powerwait"})
"""Actions of the inittab that start nothing at a boot."""
_HEADER = re.compile(r"Subsystem\s+Group\s+PID\s+Status")
_ENTRY = re.compile(r"([\w.]{1,14}):([^:]*):(\w*):(.*)")


class Subsystem(NamedTuple):
    """One row of lssrc. ``group`` and ``pid`` are empty when they are not shown."""

    name: str
    group: str
    pid: str
    status: str

    @property
    def runs(self) -> bool:
        """Whether a process of it is there."""
        return STATUS_RUNS[self.status]


class Entry(NamedTuple):
    """One line of the inittab."""

    name: str
    levels: str
    action: str
    command: str

    @property
    def line(self) -> str:
        """As mkitab and chitab take it."""
        return ":".join(self)


def subsystems(text: str) -> dict[str, Subsystem]:
    """The rows by name. The PID is missing when it is inoperative, the group when it has none, so only the ends of a row are certain.

    Raises:
        ValueError: it is not what lssrc prints.
    """
    heading, *rows = [line for line in text.splitlines() if line.strip()] or [""]
    if not _HEADER.search(heading):
        raise ValueError(f"not a list of subsystems: {heading[:80]!r}")
    found = [_row(line) for line in rows]
    return {one.name: one for one in found}


def _row(line: str) -> Subsystem:
    words = line.split()
    if len(words) < 2 or len(words) > 4 or words[-1] not in STATUS_RUNS:
        raise ValueError(f"not a subsystem: {line[:80]!r}")
    middle = words[1:-1]
    pid = middle.pop() if middle and middle[-1].isdigit() else ""
    return Subsystem(words[0], middle[0] if middle else "", pid, words[-1])


def inittab(text: str) -> tuple[Entry, ...]:
    """The entries in their order.

    Raises:
        ValueError: a line is none.
    """
    found = []
    for line in text.splitlines():
        if line.startswith(":") or not line.strip():
            continue
        match = _ENTRY.fullmatch(line)
        if not match:
            raise ValueError(f"not an entry of the inittab: {line[:80]!r}")
        found.append(Entry(*match.groups()))
    return tuple(found)


def starts(command: str, name: str) -> bool:
    """Whether a command starts the subsystem, by startsrc or by its program; xcatd also by its own script (facts: xCAT on AIX)."""
    also = r"|/restartxcatd" if name == "xcatd" else ""
    return bool(re.search(rf"(?:-s\s*|/){re.escape(name)}(?![\w.-]){also}", command.partition(" #")[0]))


def starts_group(command: str, group: str) -> bool:
    """Whether a command starts a whole group of subsystems."""
    return bool(group) and bool(re.search(rf"startsrc\b.*-g\s*{re.escape(group)}(?![\w.-])", command.partition(" #")[0]))


def boot_lines(script: str) -> list[str]:
    """The lines of a boot script that are not commented out."""
    return [line for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def started_by(one: Subsystem, entries: tuple[Entry, ...], script: str) -> list[str]:
    """What starts it at a boot, worded for an administrator: nothing, when the list is empty."""
    found = [
        f"inittab entry {entry.name}"
        for entry in entries
        if entry.action not in NOT_STARTED and (starts(entry.command, one.name) or starts_group(entry.command, one.group))
    ]
    called = any(starts(line, one.name) or starts_group(line, one.group) for line in boot_lines(script))
    return [*found, *(["/etc/rc.tcpip"] if called else [])]


def sections(text: str) -> Mapping[str, str]:
    """Parts of an answer, each behind a line ``--- NAME``.

    Raises:
        ValueError: the end is missing, so something else may be, too.
    """
    if not text.endswith("--- end\n"):
        raise ValueError("the answer is cut off")
    parts = re.split(r"^--- (\S+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
