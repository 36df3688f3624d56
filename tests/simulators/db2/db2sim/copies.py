"""BACKUP, RESTORE, ROLLFORWARD as commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import backup
from .grammar import DB, USER, Handler, unexpected
from .messages import Answer, SqlError

if TYPE_CHECKING:
    from .commands import Context


def do_backup(ctx: Context, match: re.Match[str]) -> Answer:
    database = ctx.database(match)
    return backup.backup(database, match["path"], options(match["online"] or "") | options(match["rest"]), ctx.ask)


OPTIONS = (
    "ONLINE", "COMPRESS", "INCLUDE LOGS", "EXCLUDE LOGS", "WITHOUT PROMPTING", "WITHOUT ROLLING FORWARD",
    "REPLACE HISTORY FILE", "REPLACE EXISTING",
)  # fmt: skip


def options(line: str) -> set[str]:
    """Raises SQL0104N for what is none."""
    found, rest = set(), line.strip().upper()
    while rest:
        known = next((option for option in OPTIONS if rest == option or rest.startswith(option + " ")), None)
        if known is None:
            raise unexpected(rest.split()[0], "<identifier>", "WITHOUT PROMPTING")
        found.add(known)
        rest = rest[len(known) :].strip()
    return found


def do_restore(ctx: Context, match: re.Match[str]) -> Answer:
    if ctx.engine is None:
        raise SqlError("SQL1032N")
    name = match["db"].upper()
    there = ctx.engine.database(name) if name in ctx.instance.directory() else None
    return backup.restore(ctx.instance, there, name, match["path"], match["stamp"] or "", options(match["rest"]), ctx.ask)


def do_rollforward(ctx: Context, match: re.Match[str]) -> Answer:
    words = match["what"].upper()
    return backup.rollforward(ctx.database(match), work=words.startswith("TO END"), complete=words.endswith(("COMPLETE", "STOP")))


COMMANDS: tuple[tuple[str, Handler], ...] = (
    (rf"BACKUP {DB}{USER}(?P<online> ONLINE)? TO (?P<path>\S+)(?P<rest>.*)", do_backup),
    (rf"RESTORE {DB}{USER} FROM (?P<path>\S+)(?: TAKEN AT (?P<stamp>\d{{14}}))?(?P<rest>.*)", do_restore),
    (rf"ROLLFORWARD {DB} (?P<what>TO END OF LOGS(?: AND (?:COMPLETE|STOP))?|COMPLETE|STOP|QUERY STATUS)", do_rollforward),
)
