"""xCAT's tables in a database: what the xCAT stand-in needs to work on DB2. Imports nothing of the stand-in.

`Db2Engine` has the methods of the stand-in's `engine.Engine` (read, write, tables, update_schema, close). Its errors are the classes
it is given. A connection that is gone is made anew with the next question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .client import ClientError, Connection

Value = str | None


class Change(Protocol):
    @property
    def verb(self) -> str: ...
    @property
    def keys(self) -> dict[str, Value]: ...
    @property
    def values(self) -> dict[str, Value]: ...


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _where(keys: Mapping[str, Value]) -> str:
    return " AND ".join(f"{_quoted(key)} IS ?" for key in keys) or "1=1"


class Db2Engine:
    """`schema`: table -> its CREATE TABLE statement, in SQLite's words. `connect` makes a connection; it raises ClientError."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        schema: Mapping[str, str],
        *,
        error: Callable[[str], Exception] = RuntimeError,
        no_such_table: Callable[[str], Exception] = KeyError,
    ) -> None:
        self._connect = connect
        self._schema = schema
        self._error = error
        self._no_such_table = no_such_table
        self._connection: Connection | None = None

    def tables(self) -> list[str]:
        return sorted(self._schema)

    def read(self, table: str) -> tuple[list[str], list[list[Value]]]:
        self._make_if_missing(table)
        names, rows = self._do(lambda db: db.execute(f"SELECT * FROM {_quoted(table)}"))
        return names, [[None if value is None else str(value) for value in row] for row in rows]

    def write(self, table: str, changes: Sequence[Change]) -> None:
        self._make_if_missing(table)
        statements = [statement for change in changes for statement in _statements(table, change)]
        if statements:
            self._do(lambda db: db.execute_all(statements))

    def update_schema(self) -> None:
        for table, statement in self._schema.items():
            self._make_if_missing(table)
            for column, declared in self._missing_columns(table, statement):
                self._run(f"ALTER TABLE {_quoted(table)} ADD COLUMN {_quoted(column)} {declared}")

    def _missing_columns(self, table: str, statement: str) -> list[tuple[str, str]]:
        have = self._do(lambda db: db.columns(table))
        return [(column, declared) for column, declared in _columns(statement) if column not in have]

    def _run(self, statement: str) -> None:
        self._do(lambda db: db.execute(statement))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _make_if_missing(self, table: str) -> None:
        if table not in self._schema:
            raise self._no_such_table(table)
        if table not in self._do(lambda db: db.tables()):
            self._do(lambda db: db.execute(self._schema[table]))

    def _do(self, work: Callable[[Connection], Any]) -> Any:
        try:
            if self._connection is None:
                self._connection = self._connect()
            return work(self._connection)
        except ClientError as error:
            if error.code in {"SQL1224N", "SQL1024N", "SQL30081N"}:
                self.close()
            raise self._error(f"DBD::DB2::db do failed: [IBM][CLI Driver] {error}") from error


def _columns(statement: str) -> list[tuple[str, str]]:
    """(column, type) of a CREATE TABLE statement with one column a line."""
    found = (re.match(r'\s*"?(\w+)"?\s+(\w+(?:\(\d+\))?)', line) for line in statement.split("\n")[1:])
    return [(match[1], match[2]) for match in found if match and match[1] != "PRIMARY"]


def _statements(table: str, change: Change) -> list[tuple[str, list[Value]]]:
    """SET is an UPDATE and, where that finds nothing, an INSERT."""
    name, keys = _quoted(table), list(change.keys.values())
    if change.verb == "drop":
        return [(f"DELETE FROM {name} WHERE {_where(change.keys)}", keys)]
    row = {**change.keys, **change.values}
    columns = ", ".join(_quoted(column) for column in row)
    marks = ", ".join("?" for _ in row)
    if change.verb == "add":
        return [(f"INSERT INTO {name} ({columns}) VALUES ({marks})", list(row.values()))]
    insert = f"INSERT INTO {name} ({columns}) SELECT {marks} WHERE NOT EXISTS (SELECT 1 FROM {name} WHERE {_where(change.keys)})"
    found = [(insert, [*row.values(), *keys])]
    if change.values:
        sets = ", ".join(f"{_quoted(column)}=?" for column in change.values)
        found.insert(0, (f"UPDATE {name} SET {sets} WHERE {_where(change.keys)}", [*change.values.values(), *keys]))
    return found
