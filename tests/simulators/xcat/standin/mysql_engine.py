"""MariaDB and MySQL as xCAT uses them.

mysql-connector-python is the only thing here that is not in Python's standard library.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from .engine import Change
from .server_engine import ServerEngine


class MysqlEngine(ServerEngine):
    driver = "mysql.connector"
    quote = "`"
    same = "<=>"
    table_end = " ENGINE=InnoDB"

    def _kind(self, declared: str, *, key: bool) -> str:
        """A key needs a length; xCAT's own are VARCHAR(128) there."""
        if "AUTOINCREMENT" in declared:
            return "INT NOT NULL AUTO_INCREMENT"
        word = declared.partition(" ")[0].upper()
        return "VARCHAR(128) NOT NULL" if key and word == "TEXT" else word

    def _is_there(self, cursor: Any, table: str) -> bool:
        question = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
        cursor.execute(question, (table,))
        return bool(cursor.fetchone()[0])

    def _update(self, cursor: Any, table: str, change: Change) -> bool:
        """The rows are counted first: the number of changed ones leaves out those that were so already."""
        count = f"SELECT COUNT(*) FROM {self.quoted(table)} WHERE {self.where(change.keys)} FOR UPDATE"
        cursor.execute(count, tuple(change.keys.values()))
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(*self.update_statement(table, change))
        return True

    def _transaction(self, connection: Any, work: Callable[[Any], Any]) -> Any:
        with closing(connection.cursor(buffered=True)) as cursor:
            try:
                found = work(cursor)
            except self._driver.Error:
                connection.rollback()
                raise
        connection.commit()
        return found

    def _lives(self, connection: Any) -> bool:
        return bool(connection.is_connected())

    def _connect(self, parts: dict[str, str]) -> Any:
        login = {"host": parts.get("host", "localhost"), "port": int(parts.get("port", 3306)), "database": parts.get("dbname", "")}
        login |= {"user": self._where.user, "password": self._where.password}
        # Old names of character sets are what MariaDB and MySQL have in common.
        return self._driver.connect(**login, charset="utf8mb4", collation="utf8mb4_general_ci", use_pure=True, connection_timeout=10)

    def _complaint(self, error: Exception) -> str:
        return f"DBD::mysql::db do failed: {' '.join(str(error).split()) or 'the connection is gone'}"
