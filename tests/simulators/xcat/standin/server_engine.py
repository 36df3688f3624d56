"""A database server as xCAT uses it: one database, one connection per process.

A connection that died is made anew with the next question, so xcatd needs no restart when its server comes back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from .cfgloc import Cfgloc
from .engine import ADD, DROP, SET, Change, DbError, NoSuchTableError, Row, Value, columns_of, keys_of, schema


class ServerEngine(ABC):
    """What the servers have in common. Whatever differs between their dialects and drivers is a method of its own."""

    driver: ClassVar[str]
    """The module by which Python reaches the server."""
    quote: ClassVar[str]
    """What a name stands between."""
    same: ClassVar[str]
    """The operator that finds NULL equal to NULL."""
    table_end: ClassVar[str] = ""

    def __init__(self, where: Cfgloc) -> None:
        self._driver: Any = import_module(self.driver)
        self._where = where
        self._schema = schema()
        self._connection: Any = None

    # What differs

    @abstractmethod
    def _kind(self, declared: str, *, key: bool) -> str:
        """The column type for one of the SQLite schema."""

    @abstractmethod
    def _is_there(self, cursor: Any, table: str) -> bool:
        """Whether the table exists."""

    @abstractmethod
    def _update(self, cursor: Any, table: str, change: Change) -> bool:
        """Change the rows that the keys name; whether there was one."""

    @abstractmethod
    def _transaction(self, connection: Any, work: Callable[[Any], Any]) -> Any:
        """Work with a cursor, and commit, or roll back."""

    @abstractmethod
    def _lives(self, connection: Any) -> bool:
        """Whether the server still answers on it."""

    @abstractmethod
    def _connect(self, parts: dict[str, str]) -> Any:
        """A connection; ``parts`` of cfgloc's connect string."""

    @abstractmethod
    def _complaint(self, error: Exception) -> str:
        """The error as DBI prints it."""

    # What is the same

    def tables(self) -> list[str]:
        return sorted(self._schema)

    def read(self, table: str) -> tuple[list[str], list[list[Value]]]:
        def ask(cursor: Any) -> tuple[list[str], list[list[Value]]]:
            cursor.execute(f"SELECT * FROM {self.quoted(table)}")
            names = [column[0] for column in cursor.description]
            return names, [[None if v is None else str(v) for v in row] for row in cursor]

        self._make_if_missing(table)
        found: tuple[list[str], list[list[Value]]] = self._do(ask)
        return found

    def write(self, table: str, changes: Sequence[Change]) -> None:
        def change_all(cursor: Any) -> None:
            for change in changes:
                self._apply(cursor, table, change)

        self._make_if_missing(table)
        self._do(change_all)

    def update_schema(self) -> None:
        for table, statement in self._schema.items():
            have, _ = self.read(table)
            for name, declared in columns_of(statement):
                if name not in have:
                    self._add(table, name, declared)

    def _add(self, table: str, name: str, declared: str) -> None:
        words = f"ALTER TABLE {self.quoted(table)} ADD COLUMN {self.quoted(name)} {self._kind(declared, key=False)}"
        self._do(lambda cursor: cursor.execute(words))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def create_statement(self, table: str, statement: str) -> str:
        """CREATE TABLE of the SQLite schema in the server's words, as xCAT makes its tables there."""
        keys = keys_of(statement)
        lines = [f"{self.quoted(name)} {self._kind(declared, key=name in keys)}" for name, declared in columns_of(statement)]
        primary = ", ".join(map(self.quoted, keys))
        return f"CREATE TABLE {self.quoted(table)} ({', '.join(lines)}, PRIMARY KEY ({primary})){self.table_end}"

    def quoted(self, name: str) -> str:
        return self.quote + name.replace(self.quote, 2 * self.quote) + self.quote

    def where(self, keys: Row) -> str:
        return " AND ".join(f"{self.quoted(key)} {self.same} %s" for key in keys) or "true"

    def _make_if_missing(self, table: str) -> None:
        if table not in self._schema:
            raise NoSuchTableError(table)

        def make(cursor: Any) -> None:
            if not self._is_there(cursor, table):
                cursor.execute(self.create_statement(table, self._schema[table]))

        self._do(make)

    def _apply(self, cursor: Any, table: str, change: Change) -> None:
        name = self.quoted(table)
        if change.verb == DROP:
            cursor.execute(f"DELETE FROM {name} WHERE {self.where(change.keys)}", tuple(change.keys.values()))
        elif change.verb == SET and change.values and self._update(cursor, table, change):
            return
        elif change.verb in (SET, ADD):
            row = {**change.keys, **change.values}
            columns, marks = ", ".join(map(self.quoted, row)), ", ".join("%s" for _ in row)
            cursor.execute(f"INSERT INTO {name} ({columns}) VALUES ({marks})", tuple(row.values()))

    def update_statement(self, table: str, change: Change) -> tuple[str, tuple[Value, ...]]:
        """UPDATE of the rows that the keys name, and its parameters."""
        sets = ", ".join(f"{self.quoted(column)}=%s" for column in change.values)
        words = f"UPDATE {self.quoted(table)} SET {sets} WHERE {self.where(change.keys)}"
        return words, (*change.values.values(), *change.keys.values())

    def _do(self, work: Callable[[Any], Any]) -> Any:
        """Work in one transaction."""
        try:
            return self._transaction(self._alive(), work)
        except self._driver.Error as error:
            raise DbError(self._complaint(error)) from error

    def _alive(self) -> Any:
        if self._connection is not None and not self._lives(self._connection):
            self.close()
        if self._connection is None:
            try:
                self._connection = self._connect(dict(part.partition("=")[::2] for part in self._where.connect.split(";") if part))
            except self._driver.Error as error:
                why = " ".join(str(error).split())
                raise DbError(f"DBI connect('{self._where.connect}','{self._where.user}',...) failed: {why}") from error
        return self._connection
