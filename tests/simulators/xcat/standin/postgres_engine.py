"""PostgreSQL as xCAT uses it: one database, one connection per process, every table in schema public.

A connection that died is made anew with the next question, so xcatd needs no restart when its server comes back.
psycopg2 is the only thing here that is not in Python's standard library.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from .cfgloc import Cfgloc
from .engine import ADD, DROP, SET, Change, DbError, NoSuchTableError, Row, Value, columns_of, keys_of, schema


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _where(keys: Row) -> str:
    return " AND ".join(f"{_quoted(k)} IS NOT DISTINCT FROM %s" for k in keys) or "true"


def create_statement(table: str, statement: str) -> str:
    """CREATE TABLE of the SQLite schema in PostgreSQL's words, as xCAT makes its tables there."""
    lines = []
    for name, declared in columns_of(statement):
        kind = "SERIAL" if "AUTOINCREMENT" in declared else declared.partition(" ")[0].upper()
        lines.append(f"{_quoted(name)} {kind}")
    keys = ", ".join(_quoted(key) for key in keys_of(statement))
    return f"CREATE TABLE {_quoted(table)} ({', '.join(lines)}, PRIMARY KEY ({keys}))"


class PostgresEngine:
    def __init__(self, where: Cfgloc) -> None:
        self._driver: Any = import_module("psycopg2")
        self._where = where
        self._schema = schema()
        self._connection: Any = None

    def tables(self) -> list[str]:
        return sorted(self._schema)

    def read(self, table: str) -> tuple[list[str], list[list[Value]]]:
        def ask(cursor: Any) -> tuple[list[str], list[list[Value]]]:
            cursor.execute(f"SELECT * FROM {_quoted(table)}")
            names = [column[0] for column in cursor.description]
            return names, [[_text(v) for v in row] for row in cursor]

        self._make_if_missing(table)
        found: tuple[list[str], list[list[Value]]] = self._do(ask)
        return found

    def write(self, table: str, changes: Sequence[Change]) -> None:
        def change_all(cursor: Any) -> None:
            for change in changes:
                _apply(cursor, table, change)

        self._make_if_missing(table)
        self._do(change_all)

    def update_schema(self) -> None:
        """What may not be created is said, and goes on: so does xcatd."""
        for table, statement in self._schema.items():
            have, _ = self.read(table)
            for name, declared in columns_of(statement):
                if name not in have:
                    self._do(_adding(table, name, declared))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _make_if_missing(self, table: str) -> None:
        if table not in self._schema:
            raise NoSuchTableError(table)

        def make(cursor: Any) -> None:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f'public."{table}"',))
            if not cursor.fetchone()[0]:
                cursor.execute(create_statement(table, self._schema[table]))

        self._do(make)

    def _do(self, work: Any) -> Any:
        """Work in one transaction."""
        try:
            connection = self._alive()
            with connection, connection.cursor() as cursor:
                return work(cursor)
        except self._driver.Error as error:
            first = (str(error).strip() or "the connection is gone").splitlines()[0]
            raise DbError(f"DBD::Pg::db do failed: ERROR:  {first}") from error

    def _alive(self) -> Any:
        if self._connection is not None:
            try:
                with self._connection, self._connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except self._driver.Error:
                self.close()
        if self._connection is None:
            parts = dict(part.partition("=")[::2] for part in self._where.connect.split(";") if part)
            try:
                self._connection = self._driver.connect(**parts, user=self._where.user, password=self._where.password)
            except self._driver.Error as error:
                why = " ".join(str(error).split())
                raise DbError(f"DBI connect('{self._where.connect}','{self._where.user}',...) failed: {why}") from error
        return self._connection


def _adding(table: str, name: str, declared: str) -> Any:
    def add(cursor: Any) -> None:
        cursor.execute(f"ALTER TABLE {_quoted(table)} ADD COLUMN {_quoted(name)} {declared.partition(' ')[0]}")

    return add


def _text(value: object) -> Value:
    return None if value is None else str(value)


def _apply(cursor: Any, table: str, change: Change) -> None:
    name = _quoted(table)
    if change.verb == DROP:
        cursor.execute(f"DELETE FROM {name} WHERE {_where(change.keys)}", tuple(change.keys.values()))
        return
    if change.verb == SET and change.values:
        sets = ", ".join(f"{_quoted(c)}=%s" for c in change.values)
        cursor.execute(f"UPDATE {name} SET {sets} WHERE {_where(change.keys)}", (*change.values.values(), *change.keys.values()))
        if cursor.rowcount:
            return
    if change.verb in (SET, ADD):
        row = {**change.keys, **change.values}
        columns = ", ".join(_quoted(c) for c in row)
        marks = ", ".join("%s" for _ in row)
        cursor.execute(f"INSERT INTO {name} ({columns}) VALUES ({marks})", tuple(row.values()))
