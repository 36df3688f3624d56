"""Positions in the write-ahead log, and what ``pg_controldata`` and timeline history files say.

Facts: PostgreSQL 15 documentation, ``pg_lsn`` (two hexadecimal numbers, 32 bits each), ``pg_controldata``, and "Continuous Archiving",
Timelines (a history file has a line ``tli<tab>switchpoint<tab>reason`` for each ancestor).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
SHUT_DOWN = "shut down"
"""State of a cluster that was writable and stopped cleanly."""


def lsn(text: str) -> int | None:
    """A position as a number of bytes; None if it is none."""
    found = _LSN.fullmatch(text.strip())
    return None if found is None else (int(found.group(1), 16) << 32) + int(found.group(2), 16)


def lsn_text(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


class Control(NamedTuple):
    """What ``pg_controldata`` says of a data directory.

    Attributes:
        system_identifier: made by initdb; equal in all copies of one cluster.
        state: PostgreSQL's words, for example :data:`SHUT_DOWN`.
        timeline: of the latest checkpoint.
        checkpoint: position of the latest checkpoint's record, in bytes.
        checksums: whether data pages have checksums.
        log_hints: whether ``wal_log_hints`` was on (either of both lets ``pg_rewind`` work).
    """

    system_identifier: str
    state: str
    timeline: int
    checkpoint: int
    checksums: bool
    log_hints: bool

    @property
    def position(self) -> str:
        """One word for cluster, timeline and checkpoint: equal words on two nodes are the same end of the log."""
        return f"{self.system_identifier}/{self.timeline}/{lsn_text(self.checkpoint)}"


def read_control(text: str) -> Control | None:
    """Understand the output of ``pg_controldata`` (in the C locale); None if something is missing in it."""
    found = {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in text.splitlines()) if colon}
    try:
        checkpoint = lsn(found["Latest checkpoint location"])
        if checkpoint is None or not found["Database system identifier"].isdigit():
            return None
        return Control(
            system_identifier=found["Database system identifier"],
            state=found["Database cluster state"],
            timeline=int(found["Latest checkpoint's TimeLineID"]),
            checkpoint=checkpoint,
            checksums=found["Data page checksum version"] != "0",
            log_hints=found["wal_log_hints setting"] == "on",
        )
    except (KeyError, ValueError):
        return None


def switch_points(history: str) -> dict[int, int] | None:
    """Timeline -> position at which its successor began, from the text of a history file; None if it is none."""
    points: dict[int, int] = {}
    for line in history.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        position = lsn(words[1]) if len(words) > 1 else None
        if not words[0].isdigit() or position is None:
            return None
        points[int(words[0])] = position
    return points


def follows(control: Control, *, timeline: int, points: dict[int, int]) -> bool:
    """Whether a cleanly stopped cluster can go on as standby of one on ``timeline`` whose ancestors ended at ``points``.

    It can if nothing that it has came after the point at which the other one's history left its own timeline. Its last record is a
    shutdown checkpoint, so that record must *begin* before that point.
    """
    if control.timeline == timeline:
        return True
    end = points.get(control.timeline)
    return end is not None and control.checkpoint < end
