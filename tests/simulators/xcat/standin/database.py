"""The database as commands see it: rows of a table, cached for one request."""

from __future__ import annotations

from collections.abc import Iterable

from .engine import DROP, SET, Change, DbError, Engine, Row, keys_of, schema

OFF = ("1", "yes", "YES", "Y", "y")


class Database:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cache: dict[str, list[Row]] = {}
        self._columns: dict[str, list[str]] = {}
        self._keys: dict[str, list[str]] = {}

    def tables(self) -> list[str]:
        return self._engine.tables()

    def columns(self, table: str) -> list[str]:
        self.all_rows(table)
        return self._columns[table]

    def keys(self, table: str) -> list[str]:
        if not self._keys:
            self._keys = {name: keys_of(text) for name, text in schema().items()}
        return self._keys.get(table) or ["node"]

    def all_rows(self, table: str) -> list[Row]:
        """Every row, also those switched off, in storage order."""
        if table not in self._cache:
            names, rows = self._engine.read(table)
            self._columns[table] = names
            self._cache[table] = [dict(zip(names, row, strict=True)) for row in rows]
        return self._cache[table]

    def rows(self, table: str) -> list[Row]:
        """The rows that count: without those whose column `disable` is set."""
        return [r for r in self.all_rows(table) if r.get("disable") not in OFF]

    def write(self, table: str, changes: Iterable[Change]) -> None:
        batch = list(changes)
        if batch:
            self._cache.pop(table, None)
            self._engine.write(table, batch)

    def put(self, table: str, keys: Row, values: Row) -> None:
        self.write(table, [Change(SET, keys, values)])

    def drop(self, table: str, keys: Row) -> None:
        self.write(table, [Change(DROP, keys)])

    def site(self, key: str, default: str = "") -> str:
        for row in self.rows("site"):
            if row["key"] == key:
                return row["value"] or default
        return default


def open_database(engine: Engine) -> Database:
    return Database(engine)


__all__ = ["Change", "Database", "DbError", "open_database"]
