"""MariaDB and MySQL as xCAT uses them: one database, one connection per process.

A connection that died is made anew with the next question, so xcatd needs no restart when its server comes back.
mysql-connector-python is the only thing here that is not in Python's standard library.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from importlib import import_module
from typing import Any

from .cfgloc import Cfgloc
from .engine import ADD, DROP, SET, Change, DbError, NoSuchTableError, Row, Value, columns_of, keys_of, schema


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _where(keys: Row) -> str:
    return " AND ".join(f"{_quoted(k)} <=> %s" for k in keys) or "true"


def _kind(declared: str, *, key: bool) -> str:
    """A key needs a length; xCAT's own are VARCHAR(128) there."""
    if "AUTOINCREMENT" in declared:
        return "INT NOT NULL AUTO_INCREMENT"
    word = declared.partition(" ")[0].upper()
    return "VARCHAR(128) NOT NULL" if key and word == "TEXT" else word


def create_statement(table: str, statement: str) -> str:
    """CREATE TABLE of the SQLite schema in MySQL's words, as xCAT makes its tables there."""
    keys = keys_of(statement)
    lines = [f"{_quoted(name)} {_kind(declared, key=name in keys)}" for name, declared in columns_of(statement)]
    return f"CREATE TABLE {_quoted(table)} ({', '.join(lines)}, PRIMARY KEY ({', '.join(map(_quoted, keys))})) ENGINE=InnoDB"


class MysqlEngine:
    def __init__(self, where: Cfgloc) -> None:
        self._driver: Any = import_module("mysql.connector")
        self._where = where
        self._schema = schema()
        self._connection: Any = None

    def tables(self) -> list[str]:
        return sorted(self._schema)

    def read(self, table: str) -> tuple[list[str], list[list[Value]]]:
        def ask(cursor: Any) -> tuple[list[str], list[list[Value]]]:
            cursor.execute(f"SELECT * FROM {_quoted(table)}")
            names = [column[0] for column in cursor.description]
            return names, [[None if v is None else str(v) for v in row] for row in cursor]

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
            question = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
            cursor.execute(question, (table,))
            if not cursor.fetchone()[0]:
                cursor.execute(create_statement(table, self._schema[table]))

        self._do(make)

    def _do(self, work: Any) -> Any:
        """Work in one transaction."""
        try:
            connection = self._alive()
            with closing(connection.cursor(buffered=True)) as cursor:
                try:
                    found = work(cursor)
                except self._driver.Error:
                    connection.rollback()
                    raise
            connection.commit()
        except self._driver.Error as error:
            raise DbError(f"DBD::mysql::db do failed: {' '.join(str(error).split()) or 'the connection is gone'}") from error
        return found

    def _alive(self) -> Any:
        if self._connection is not None and not self._connection.is_connected():
            self.close()
        if self._connection is None:
            parts = dict(part.partition("=")[::2] for part in self._where.connect.split(";") if part)
            login = {"host": parts.get("host", "localhost"), "port": int(parts.get("port", 3306)), "database": parts.get("dbname", "")}
            login |= {"user": self._where.user, "password": self._where.password}
            try:
                # Old names of character sets are what MariaDB and MySQL have in common.
                self._connection = self._driver.connect(
                    **login, charset="utf8mb4", collation="utf8mb4_general_ci", use_pure=True, connection_timeout=10
                )
            except self._driver.Error as error:
                why = " ".join(str(error).split())
                raise DbError(f"DBI connect('{self._where.connect}','{self._where.user}',...) failed: {why}") from error
        return self._connection


def _adding(table: str, name: str, declared: str) -> Any:
    def add(cursor: Any) -> None:
        cursor.execute(f"ALTER TABLE {_quoted(table)} ADD COLUMN {_quoted(name)} {_kind(declared, key=False)}")

    return add


def _apply(cursor: Any, table: str, change: Change) -> None:
    name = _quoted(table)
    if change.verb == DROP:
        cursor.execute(f"DELETE FROM {name} WHERE {_where(change.keys)}", tuple(change.keys.values()))
        return
    if change.verb == SET and change.values:
        cursor.execute(f"SELECT COUNT(*) FROM {name} WHERE {_where(change.keys)} FOR UPDATE", tuple(change.keys.values()))
        if cursor.fetchone()[0]:  # the number of changed rows leaves out those that were so already
            sets = ", ".join(f"{_quoted(c)}=%s" for c in change.values)
            cursor.execute(f"UPDATE {name} SET {sets} WHERE {_where(change.keys)}", (*change.values.values(), *change.keys.values()))
            return
    if change.verb in (SET, ADD):
        row = {**change.keys, **change.values}
        columns, marks = ", ".join(_quoted(c) for c in row), ", ".join("%s" for _ in row)
        cursor.execute(f"INSERT INTO {name} ({columns}) VALUES ({marks})", tuple(row.values()))
