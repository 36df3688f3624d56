"""The rows of a database: an SQLite file that knows up to which log position it was changed."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from .log import Record
from .messages import SqlError

Statement = Sequence[Any]
"""(text, values)"""


@dataclasses.dataclass
class Result:
    columns: list[str] = dataclasses.field(default_factory=list)
    rows: list[list[Any]] = dataclasses.field(default_factory=list)
    count: int = 0


def translated(statement: str, schema: str) -> str:
    """DB2's words in SQLite's, as far as xCAT needs them."""
    found = re.sub(rf'\b"?{re.escape(schema)}"?\s*\.\s*', "", statement, flags=re.IGNORECASE).strip().rstrip(";")
    found = re.sub(r"\bFETCH\s+FIRST\s+(\d+)\s+ROWS?\s+ONLY\b", r"LIMIT \1", found, flags=re.IGNORECASE)
    return re.sub(r"\bFROM\s+SYSIBM\.SYSDUMMY1\b", "", found, flags=re.IGNORECASE)


def is_reading(statement: str) -> bool:
    return statement.strip().split(None, 1)[0].upper() in {"SELECT", "VALUES", "WITH", "PRAGMA"} if statement.strip() else True


class Store:
    """Used under the lock of its database."""

    def __init__(self, path: pathlib.Path, instance: str) -> None:
        self._schema = instance
        self._rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # The log is what survives; the file need not be on disk before it.
        self._rows.execute("PRAGMA synchronous=OFF")
        self._rows.execute("CREATE TABLE IF NOT EXISTS db2sim_applied (lsn INTEGER)")

    @property
    def applied(self) -> int:
        found = self._rows.execute("SELECT lsn FROM db2sim_applied").fetchone()
        return int(found[0]) if found else 0

    def image(self) -> bytes:
        return self._rows.serialize()

    def close(self) -> None:
        self._rows.close()

    def tables(self) -> list[str]:
        found = self._rows.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%' ORDER BY upper(name)")
        return [name for (name,) in found if name != "db2sim_applied"]

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self._rows.execute(f'PRAGMA table_info("{table}")')]

    def begin(self) -> None:
        self._rows.execute("BEGIN")

    def run(self, statement: Statement) -> Result:
        """One statement inside the unit of work that is open."""
        text, values = statement
        try:
            cursor = self._rows.execute(translated(text, self._schema), tuple(values))
            names = [column[0] for column in cursor.description or ()]
            rows = [list(row) for row in cursor.fetchall()] if names else []
        except sqlite3.Error as error:
            raise _as_db2(str(error), self._schema) from error
        return Result(names, rows, max(cursor.rowcount, 0))

    def commit(self, lsn: int) -> None:
        """Raises SQL0968C when the rows cannot be written."""
        try:
            self._note(lsn)
            self._rows.execute("COMMIT")
        except sqlite3.Error as error:
            raise SqlError("SQL0968C") from error

    def rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._rows.execute("ROLLBACK")

    def replay(self, record: Record) -> None:
        """Do again what a log record says."""
        self.begin()
        try:
            for statement in record.statements:
                self.run(statement)
            self.commit(record.end.lsn)
        except BaseException:
            self.rollback()
            raise

    def _note(self, lsn: int) -> None:
        self._rows.execute("DELETE FROM db2sim_applied")
        self._rows.execute("INSERT INTO db2sim_applied VALUES (?)", (lsn,))


def _as_db2(why: str, schema: str) -> SqlError:
    known = (
        (r"no such table: (\S+)", "SQL0204N"),
        (r"no such column: (\S+)", "SQL0206N"),
        (r"table (\S+) has no column", "SQL0206N"),
        (r"table \"?(\w+)\"? already exists", "SQL0601N"),
    )
    for pattern, code in known:
        if found := re.search(pattern, why):
            name = found[1].upper()
            return SqlError(code, name=f"{schema.upper()}.{name}" if code in {"SQL0204N", "SQL0601N"} else name)
    if "UNIQUE" in why:
        return SqlError("SQL0803N")
    if found := re.search(r'near "(.*?)": syntax', why):
        return SqlError("SQL0104N", token=found[1], after="BEGIN-OF-STATEMENT", expected="<values>")
    return SqlError("SQL0901N", why=why)
