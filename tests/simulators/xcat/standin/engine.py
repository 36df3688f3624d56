"""What a database engine must do.  One engine per kind of cfgloc."""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import re
from collections.abc import Sequence
from typing import Protocol

from . import paths
from .cfgloc import Cfgloc

Value = str | None
Row = dict[str, Value]

SET = "set"  # change the row with these keys, or add it
ADD = "add"  # add a row; its keys must be new
DROP = "drop"  # remove every row with these keys (no keys: every row)


@dataclasses.dataclass(frozen=True)
class Change:
    verb: str
    keys: Row
    values: Row = dataclasses.field(default_factory=dict)


class DbError(Exception):
    """The database could not be read or written."""


class NoSuchTableError(DbError):
    """xCAT's schema has no such table."""


class Engine(Protocol):
    def read(self, table: str, /) -> tuple[list[str], list[list[Value]]]:
        """Columns and rows in storage order."""

    def write(self, table: str, changes: Sequence[Change], /) -> None:
        """Make the changes to one table, all or none."""

    def tables(self) -> list[str]:
        """Names of all tables, sorted."""

    def update_schema(self) -> None:
        """Create what is missing: tables, columns."""


def schema() -> dict[str, str]:
    """Table name -> CREATE TABLE statement of this version."""
    text = (importlib.resources.files(__package__) / "schema.json").read_text()
    statements: dict[str, str] = json.loads(text)
    return statements


def columns_of(statement: str) -> list[tuple[str, str]]:
    """(column, declared type) from a CREATE TABLE statement."""
    found = []
    for line in statement.split("\n")[1:]:
        match = re.match(r'\s*"?(\w+)"?\s+(.*?),?$', line)
        if match and match[1] != "PRIMARY":
            found.append((match[1], match[2].strip()))
    return found


def keys_of(statement: str) -> list[str]:
    """Primary key columns of a CREATE TABLE statement."""
    match = re.search(r"PRIMARY KEY \(([^)]*)\)", statement)
    if match:
        return [name.strip().strip('"') for name in match[1].split(",")]
    return ["recid"]


class Unavailable:
    """The engine of a cfgloc that nobody here can open: every question fails."""

    def __init__(self, why: str) -> None:
        self._why = why

    def read(self, _table: str) -> tuple[list[str], list[list[Value]]]:
        raise DbError(self._why)

    def write(self, _table: str, _changes: Sequence[Change]) -> None:
        raise DbError(self._why)

    def tables(self) -> list[str]:
        raise DbError(self._why)

    def update_schema(self) -> None:
        raise DbError(self._why)


def open_engine(where: Cfgloc) -> Engine:
    if where.engine == "SQLite":
        from .sqlite_engine import SqliteEngine

        return SqliteEngine(paths.at(where.directory))
    if where.engine == "Pg":
        from .postgres_engine import PostgresEngine

        try:
            return PostgresEngine(where)
        except ImportError:
            pass  # as where DBD::Pg is not installed
    if where.engine == "mysql":
        from .mysql_engine import MysqlEngine

        try:
            return MysqlEngine(where)
        except ImportError:
            pass  # as where DBD::mysql is not installed
    return Unavailable(f"install_driver({where.engine}) failed: no such driver here")
