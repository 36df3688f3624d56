"""xCAT's tables as ``tabdump`` prints them (facts: xCAT 2.4, 4.3)."""

from __future__ import annotations

import csv
from collections.abc import Mapping

from xcat_ha.steps import Command, Completed, reads
from xcat_ha.xcat.commands import TABDUMP

TABDUMP_TIMEOUT_S = 120.0
_DISABLED = frozenset({"1", "yes", "y", "true"})


def table_question(name: str) -> Command:
    """Asks the running xcatd for a whole table."""
    return reads(TABDUMP, name, timeout_s=TABDUMP_TIMEOUT_S)


def rows_of(answer: Completed) -> tuple[Mapping[str, str], ...] | None:
    """The rows in force, column -> value; NULL is the empty string. None when the answer is no table.

    Lines before the header (``Error loading module …``) are passed over; rows that are disabled do not count, as they do not for xCAT.
    """
    if not answer.ok:
        return None
    text = answer.stdout if answer.stdout.startswith("#") else answer.stdout.partition("\n#")[2]
    if not text:
        return None
    try:
        header, *rows = csv.reader(text.removeprefix("#").splitlines(keepends=True), strict=True)
    except (csv.Error, ValueError):
        return None
    if any(len(row) != len(header) for row in rows if row):
        return None
    found = tuple(dict(zip(header, row, strict=True)) for row in rows if row)
    return tuple(row for row in found if row.get("disable", "").strip().lower() not in _DISABLED)
