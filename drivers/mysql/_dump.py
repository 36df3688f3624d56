"""Dumps in SQL: taken, restored beside what is in place, compared, put in its place.

A dump is compared with a dump of what was restored from it, by a digest of its lines without comments. It travels as utf8mb4, into which
and from which every character set of these servers converts without loss; the tables keep their own.
"""
# ruff: noqa: S608  # names come from cfgloc (checked) or the server's catalogue, values as hexadecimal literals

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from xcat_ha_drivers.database.disk import sync_file
from xcat_ha_drivers.mysql._dialect import Dialect
from xcat_ha_drivers.mysql._server import Server, literal
from xcat_ha_drivers.mysql.errors import MysqlError

SIDE = "xcat_ha_new"
"""Database into which a dump is restored, to be proven."""
OLD = "xcat_ha_old"
"""Database in which what was replaced waits until the new one follows."""
_LIMIT_S = 4 * 3600.0
_OPTIONS = ("--single-transaction", "--quick", "--hex-blob", "--order-by-primary", "--skip-dump-date", "--default-character-set=utf8mb4")
_MARIADB_POSITION = re.compile(r"SET GLOBAL gtid_slave_pos='([0-9,-]*)'")
_MYSQL_POSITION = re.compile(r"GTID_PURGED=/\*!80000 '\+'\*/ '([^']*)'", re.DOTALL)
_HEAD_BYTES = 1 << 16


def take(server: Server, dialect: Dialect, database: str, path: Path, *, with_position: bool) -> None:
    """Dump a database in one transaction. ``with_position``: and where its binary log was then.

    Raises:
        MysqlError: it failed. OSError: the disk is full.
    """
    words = (*_OPTIONS, *(dialect.dump_position if with_position else _no_position(dialect)), "--triggers", "--", database)
    with path.open("wb") as file:
        server.run(dialect.dumpers, words, stdout=file, timeout_s=_LIMIT_S)
    sync_file(path)
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 200, 0))
        if b"-- Dump completed" not in file.read():
            raise MysqlError("the dump is not complete", hint="is the disk full? look at the server's log")


def _no_position(dialect: Dialect) -> tuple[str, ...]:
    return () if dialect.is_mariadb else ("--set-gtid-purged=OFF",)


def position_in(path: Path, dialect: Dialect) -> str:
    """Where the source's log was when the dump was taken.

    Raises:
        MysqlError: the dump does not say.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    match = (_MARIADB_POSITION if dialect.is_mariadb else _MYSQL_POSITION).search(head)
    if match is None or not match[1].strip():
        raise MysqlError("the dump does not say at which GTID it was taken", hint="is the binary log of the source on?")
    return "".join(match[1].split())


def digest_of(path: Path) -> str:
    """What the dump holds: a digest of its lines, without comments and the database's name."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for line in file:
            if not line.startswith((b"--", b"/*M!999999", b"/*!50606 SET @OLD_INNODB")) and line.strip():
                digest.update(line)
    return digest.hexdigest()


def digest_now(server: Server, dialect: Dialect, database: str, directory: Path) -> str:
    """The same of a database as it is now. ``directory``: for a temporary file."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".proof-") as file:
        take(server, dialect, database, Path(file.name), with_position=False)
        return digest_of(Path(file.name))


def character_set(server: Server, database: str) -> tuple[str, str]:
    """Character set and collation that new tables of the database get."""
    query = (
        "SELECT CONCAT(DEFAULT_CHARACTER_SET_NAME, ' ', DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA"
        f" WHERE SCHEMA_NAME = {literal(database)};"
    )
    name, _, collation = server.value(query).partition(" ")
    return name, collation


def restore_beside(server: Server, dialect: Dialect, path: Path, like: tuple[str, str]) -> None:
    """Restore a dump into :data:`SIDE`, and prove that it became what was dumped. Nothing of it gets into the binary log.

    Raises:
        MysqlError: it cannot be restored, or became something else.
    """
    server.do(
        f"SET SESSION sql_log_bin = 0; {dialect.admin_only if not dialect.is_mariadb else ''}"
        f" DROP DATABASE IF EXISTS {SIDE}; CREATE DATABASE {SIDE} CHARACTER SET {like[0]} COLLATE {like[1]};"
    )
    prelude = "SET SESSION sql_log_bin = 0; SET SESSION sql_log_off = 1;"
    words = ("--batch", "--default-character-set=utf8mb4", f"--init-command={prelude}", f"--database={SIDE}")
    with path.open("rb") as file:
        server.run(dialect.clients, words, stdin=file, timeout_s=_LIMIT_S)
    found = digest_now(server, dialect, SIDE, path.parent)
    if found != digest_of(path):
        raise MysqlError(
            "the dump does not restore what was dumped", state=f"what was in place is still there; see {SIDE}", hint="same version?"
        )


def drop_side(server: Server, *names: str) -> None:
    """Drop databases of this driver's own, without a trace in the binary log."""
    for name in names or (SIDE,):
        server.do(f"SET SESSION sql_log_bin = 0; DROP DATABASE IF EXISTS {name};")


def exchange(server: Server, database: str, like: tuple[str, str]) -> None:
    """Put the tables of :data:`SIDE` in place of the database's own, which wait in :data:`OLD`, in one statement."""
    local = "SET SESSION sql_log_bin = 0;"
    how = f"CHARACTER SET {like[0]} COLLATE {like[1]}"
    server.do(
        f"{local} DROP DATABASE IF EXISTS {OLD}; CREATE DATABASE {OLD} {how}; CREATE DATABASE IF NOT EXISTS `{database}` {how};"
        f" ALTER DATABASE `{database}` {how};"
    )
    listed = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA = {};"
    moves = [f"`{database}`.`{name}` TO {OLD}.`{name}`" for name in server.values(listed.format(literal(database)))]
    moves += [f"{SIDE}.`{name}` TO `{database}`.`{name}`" for name in server.values(listed.format(literal(SIDE)))]
    server.do(f"{local} RENAME TABLE {', '.join(moves)};", timeout_s=600.0)
