"""SQLite as xCAT uses it: one file per table, rollback journal, no cross-table transaction.

Connections stay open once made.  So a table file replaced under a running
process is not noticed by readers, and writers are refused.
"""

from __future__ import annotations

import os
import pathlib
import sqlite3
from collections.abc import Sequence

from .engine import ADD, DROP, SET, Change, DbError, NoSuchTableError, Row, Value, columns_of, schema

BUSY_TIMEOUT_S = 20.0


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _where(keys: Row) -> str:
    return " AND ".join(f"{_quoted(k)} IS ?" for k in keys) or "1"


class SqliteEngine:
    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._schema = schema()
        self._open: dict[str, tuple[sqlite3.Connection, int]] = {}

    def tables(self) -> list[str]:
        return sorted(self._schema)

    def read(self, table: str) -> tuple[list[str], list[list[Value]]]:
        try:
            found = self._connection(table).execute(f"SELECT * FROM {_quoted(table)}")
            names = [column[0] for column in found.description]
            return names, [[_text(v) for v in row] for row in found]
        except sqlite3.Error as error:
            raise DbError(f"DBD::SQLite::db {error}") from error

    def write(self, table: str, changes: Sequence[Change]) -> None:
        connection = self._connection(table)
        self._refuse_if_replaced(table)
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for change in changes:
                    _apply(connection, table, change)
        except sqlite3.Error as error:
            raise DbError(f"DBD::SQLite::db do failed: {error}") from error

    def update_schema(self) -> None:
        for table, statement in self._schema.items():
            have, _ = self.read(table)
            connection = self._connection(table)
            for name, declared in columns_of(statement):
                if name not in have:
                    plain = declared.replace("NOT NULL", "").replace("PRIMARY KEY", "")
                    with connection:
                        connection.execute(f"ALTER TABLE {_quoted(table)} ADD COLUMN {_quoted(name)} {plain}")

    def close(self) -> None:
        for connection, _inode in self._open.values():
            connection.close()
        self._open.clear()

    def _file(self, table: str) -> pathlib.Path:
        return self._directory / f"{table}.sqlite"

    def _connection(self, table: str) -> sqlite3.Connection:
        if table in self._open:
            return self._open[table][0]
        if table not in self._schema:
            raise NoSuchTableError(table)
        file = self._file(table)
        previous = os.umask(0o077)
        try:
            connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            connection.execute("PRAGMA journal_mode=delete")
            connection.execute("PRAGMA synchronous=2")
            known = "SELECT 1 FROM sqlite_master WHERE type='table' AND name=?"
            if not connection.execute(known, (table,)).fetchone():
                connection.execute(self._schema[table])
            self._open[table] = (connection, file.stat().st_ino)
        except (sqlite3.Error, OSError) as error:
            raise DbError(f"DBI connect('{file}','',...) failed: {error}") from error
        finally:
            os.umask(previous)
        return connection

    def _refuse_if_replaced(self, table: str) -> None:
        try:
            same = self._file(table).stat().st_ino == self._open[table][1]
        except OSError:
            same = False
        if not same:
            raise DbError("DBD::SQLite::db do failed: attempt to write a readonly database")


def _text(value: object) -> Value:
    return None if value is None else str(value)


def _apply(connection: sqlite3.Connection, table: str, change: Change) -> None:
    name = _quoted(table)
    if change.verb == DROP:
        connection.execute(f"DELETE FROM {name} WHERE {_where(change.keys)}", tuple(change.keys.values()))
        return
    if change.verb == SET and change.values:
        sets = ", ".join(f"{_quoted(c)}=?" for c in change.values)
        done = connection.execute(
            f"UPDATE {name} SET {sets} WHERE {_where(change.keys)}",
            (*change.values.values(), *change.keys.values()),
        )
        if done.rowcount:
            return
    if change.verb in (SET, ADD):
        row = {**change.keys, **change.values}
        columns = ", ".join(_quoted(c) for c in row)
        marks = ", ".join("?" for _ in row)
        connection.execute(f"INSERT INTO {name} ({columns}) VALUES ({marks})", tuple(row.values()))
