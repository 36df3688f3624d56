"""PostgreSQL as xCAT uses it: every table in schema public.

psycopg2 is the only thing here that is not in Python's standard library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .engine import Change
from .server_engine import ServerEngine


class PostgresEngine(ServerEngine):
    driver = "psycopg2"
    quote = '"'
    same = "IS NOT DISTINCT FROM"

    def _kind(self, declared: str, *, key: bool) -> str:
        del key
        return "SERIAL" if "AUTOINCREMENT" in declared else declared.partition(" ")[0].upper()

    def _is_there(self, cursor: Any, table: str) -> bool:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f'public."{table}"',))
        return bool(cursor.fetchone()[0])

    def _update(self, cursor: Any, table: str, change: Change) -> bool:
        cursor.execute(*self.update_statement(table, change))
        return bool(cursor.rowcount)

    def _transaction(self, connection: Any, work: Callable[[Any], Any]) -> Any:
        with connection, connection.cursor() as cursor:
            return work(cursor)

    def _lives(self, connection: Any) -> bool:
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except self._driver.Error:
            return False
        return True

    def _connect(self, parts: dict[str, str]) -> Any:
        return self._driver.connect(**parts, user=self._where.user, password=self._where.password)

    def _complaint(self, error: Exception) -> str:
        return f"DBD::Pg::db do failed: ERROR:  {(str(error).strip() or 'the connection is gone').splitlines()[0]}"
