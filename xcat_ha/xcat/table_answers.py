"""Whole tables asked of the running xcatd through a runner (facts: xCAT 2.4, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping

from xcat_ha.steps import Command, Completed, reads
from xcat_ha.xcat.commands import TABDUMP
from xcat_ha.xcat.tables import TableError, rows_of

TABDUMP_TIMEOUT_S = 120.0


def table_question(name: str) -> Command:
    """Asks for a whole table."""
    return reads(TABDUMP, name, timeout_s=TABDUMP_TIMEOUT_S)


def rows_in(answer: Completed) -> tuple[Mapping[str, str], ...] | None:
    """The rows in force, column -> value; NULL is the empty string. None when the answer is no table."""
    if not answer.ok:
        return None
    try:
        return tuple(rows_of(answer.stdout))
    except TableError:
        return None
