"""What MariaDB and MySQL call the same things. Nothing else in this driver knows which of the two it talks to.

MariaDB's words are tried on a real server (10.11). MySQL's are taken from its reference manual (8.0, 8.4, 9.x: "SQL Statements for
Controlling Replication Servers", "Replication Options and Variables", "Semisynchronous Replication") and were never run here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from xcat_ha_drivers.mysql import _gtid
from xcat_ha_drivers.mysql.errors import MysqlError

PURGED = frozenset({1236, 13114})
"""``Last_IO_Errno``: the source cannot give what the standby needs next. MariaDB's, MySQL's."""
SAME_SERVER_ID = frozenset({1593, 13117})
DUPLICATE_KEY = 1062
ROW_IS_NOT_THERE = 1032
OUT_OF_ORDER = 1950
"""MariaDB: ``gtid_strict_mode`` refuses a transaction because something was written here beside the replication."""


class Replica(NamedTuple):
    """A replica's state in words of neither.

    Attributes:
        host: whom it follows.
        io, sql: whether it receives, and applies (``Yes``, ``No``, ``Connecting``, ...).
        io_errno, io_error, sql_errno, sql_error: the last errors; 0 and empty if there are none.
        received: position up to which it received; empty when it received nothing since it was started.
        lag_s: how far it is behind by the server's own reckoning, None when it does not know.
    """

    host: str
    io: str
    sql: str
    io_errno: int
    io_error: str
    sql_errno: int
    sql_error: str
    received: str
    lag_s: float | None


class Dialect(NamedTuple):
    """The words of one server.

    Attributes:
        name: for messages, and ``mariadb`` in it tells the two apart nowhere but here.
        is_mariadb: which of the two.
        version: (major, minor, patch).
        clients, dumpers, daemons: names of its programs, the best one first.
        start, stop, stop_receiving, forget, status: of the replica.
        reset_binlog: throws the binary log and its GTIDs away.
        position: SELECT of the current position.
        history: SELECT of one or more positions that together name the last transaction of every server known.
        set_position: SET, with ``{0}`` for the position.
        read_only, writable: statements.
        semi_sync: prefix of the variables on a source, and on a replica.
        semi_sync_status: status variable: ON while commits wait.
        admin_only: statement after which root alone may write: what copies a database into a standby is more than a replica.
        dump_position: option of the dump program that writes the position into the dump.
    """

    name: str
    is_mariadb: bool
    version: tuple[int, int, int]
    clients: tuple[str, ...]
    dumpers: tuple[str, ...]
    start: str
    stop: str
    stop_receiving: str
    forget: str
    status: str
    reset_binlog: str
    position: str
    history: str
    set_position: str
    read_only: str
    writable: str
    is_writable: str
    semi_sync: tuple[str, str]
    semi_sync_status: str
    admin_only: str
    dump_position: tuple[str, ...]
    settings: Mapping[str, str]

    def follow(self, *, host: str, port: int, user: str, password: str, ca: str) -> str:
        """The statement that names the source. It is told to the client on stdin, and the password stays out of every log."""
        source = "MASTER" if self.is_mariadb else "SOURCE"
        verb = "CHANGE MASTER TO" if self.is_mariadb else "CHANGE REPLICATION SOURCE TO"
        gtid = "MASTER_USE_GTID=slave_pos" if self.is_mariadb else "SOURCE_AUTO_POSITION=1"
        return (
            f"{verb} {source}_HOST='{host}', {source}_PORT={port}, {source}_USER='{user}', {source}_PASSWORD='{password}',"
            f" {source}_SSL=1, {source}_SSL_CA='{ca}', {source}_SSL_VERIFY_SERVER_CERT=1, {source}_CONNECT_RETRY=5,"
            f" {source}_HEARTBEAT_PERIOD=2, {gtid};"
        )

    def identified(self, password: str, native_hash: str) -> str:
        """How an account gets its password. MariaDB writes the statement to its binary log as it is, so it is told the hash;
        MySQL replaces the password before it logs anything (manual, "Passwords and Logging").
        """
        return f"IDENTIFIED BY PASSWORD '{native_hash}'" if self.is_mariadb else f"IDENTIFIED BY '{password}'"

    def replica_of(self, row: Mapping[str, str | None]) -> Replica:
        """Read the row of the status statement.

        Raises:
            KeyError, ValueError: it is not complete.
        """
        words = {key.replace("Replica", "Slave").replace("Source", "Master"): value for key, value in row.items()}
        lag = words["Seconds_Behind_Master"]
        return Replica(
            host=words["Master_Host"] or "",
            io=words["Slave_IO_Running"] or "",
            sql=words["Slave_SQL_Running"] or "",
            io_errno=int(words["Last_IO_Errno"] or 0),
            io_error=words["Last_IO_Error"] or "",
            sql_errno=int(words["Last_SQL_Errno"] or 0),
            sql_error=words["Last_SQL_Error"] or "",
            received=(words["Gtid_IO_Pos"] if self.is_mariadb else words["Retrieved_Gtid_Set"]) or "",
            lag_s=None if lag is None else float(lag),
        )

    def errant(self, have: str, known: str) -> list[str]:
        """Transactions of ``have`` that the history ``known`` lacks. Both as :attr:`history` prints them.

        Raises:
            ValueError: one of them cannot be understood.
        """
        if self.is_mariadb:
            return _gtid.errant(_gtid.position_of(have), _gtid.position_of(known))
        return _beyond(have, known)

    def has_all(self, have: str, wanted: str) -> bool:
        """Whether position ``have`` contains ``wanted``. Errors as :meth:`errant`."""
        if self.is_mariadb:
            return _gtid.has_all(_gtid.position_of(have), _gtid.position_of(wanted))
        return not _beyond(wanted, have)


def _intervals(text: str) -> dict[str, list[tuple[int, int]]]:
    """MySQL's sets: ``uuid:1-5:7,uuid:1-3`` (manual, "GTID Sets")."""
    found: dict[str, list[tuple[int, int]]] = {}
    for part in ("".join(text.split())).split(","):
        if not part:
            continue
        uuid, *spans = part.lower().split(":")
        tag = ""
        for span in spans:
            first, _, last = span.partition("-")
            if not first.isdecimal():  # a tag of MySQL 8.3 and newer: what follows belongs to it
                tag = f":{span}"
                continue
            found.setdefault(uuid + tag, []).append((int(first), int(last or first)))
        if not spans:
            raise ValueError(f"no GTID set: {part[:60]!r}")
    return found


def _beyond(have: str, known: str) -> list[str]:
    """Intervals of ``have`` that are not wholly in ``known``."""
    history = _intervals(known)
    return [
        f"{uuid}:{first}-{last}"
        for uuid, spans in sorted(_intervals(have).items())
        for first, last in spans
        if not _covered(first, last, history.get(uuid, []))
    ]


def _covered(first: int, last: int, spans: list[tuple[int, int]]) -> bool:
    for low, high in sorted(spans):
        if low <= first <= high:
            first = high + 1
    return first > last


_COMMON = {"binlog_format": "ROW", "sync_binlog": "1", "innodb_flush_log_at_trx_commit": "1", "max_binlog_size": "104857600"}

_MARIADB = Dialect(
    name="MariaDB",
    is_mariadb=True,
    version=(10, 5, 0),
    clients=("mariadb", "mysql"),
    dumpers=("mariadb-dump", "mysqldump"),
    start="START SLAVE;",
    stop="STOP SLAVE;",
    stop_receiving="STOP SLAVE IO_THREAD;",
    forget="RESET SLAVE ALL;",
    status="SHOW SLAVE STATUS;",
    reset_binlog="RESET MASTER;",
    position="SELECT @@global.gtid_current_pos;",
    history="SELECT CONCAT_WS(',', NULLIF(@@global.gtid_binlog_state, ''), NULLIF(@@global.gtid_slave_pos, ''));",
    set_position="SET GLOBAL gtid_slave_pos = '{0}';",
    read_only="SET GLOBAL read_only = ON;",
    writable="SET GLOBAL read_only = OFF;",
    is_writable="SELECT @@global.read_only = 0;",
    semi_sync=("rpl_semi_sync_master", "rpl_semi_sync_slave"),
    semi_sync_status="Rpl_semi_sync_master_status",
    admin_only="SET GLOBAL read_only = ON;",
    dump_position=("--gtid", "--master-data=2"),
    settings={**_COMMON, "log_slave_updates": "ON", "gtid_strict_mode": "ON", "relay_log_recovery": "ON"},
)
_MYSQL = Dialect(
    name="MySQL",
    is_mariadb=False,
    version=(8, 0, 26),
    clients=("mysql",),
    dumpers=("mysqldump",),
    start="START REPLICA;",
    stop="STOP REPLICA;",
    stop_receiving="STOP REPLICA IO_THREAD;",
    forget="RESET REPLICA ALL;",
    status="SHOW REPLICA STATUS;",
    reset_binlog="RESET MASTER;",
    position="SELECT @@global.gtid_executed;",
    history="SELECT @@global.gtid_executed;",
    set_position="SET GLOBAL gtid_purged = '{0}';",
    read_only="SET GLOBAL read_only = ON; SET GLOBAL super_read_only = ON;",
    writable="SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF;",
    is_writable="SELECT @@global.read_only = 0 AND @@global.super_read_only = 0;",
    semi_sync=("rpl_semi_sync_source", "rpl_semi_sync_replica"),
    semi_sync_status="Rpl_semi_sync_source_status",
    admin_only="SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = ON;",
    dump_position=("--set-gtid-purged=COMMENTED", "--source-data=2"),
    settings={
        **{key: value for key, value in _COMMON.items() if key != "binlog_format"},  # ROW is the default, the variable is deprecated
        "log_replica_updates": "ON",
        "gtid_mode": "ON",
        "enforce_gtid_consistency": "ON",
        "relay_log_recovery": "ON",
        "super_read_only": "ON",
    },
)


def dialect_of(version: str) -> Dialect:
    """The dialect of a server that calls itself ``version`` (``10.11.6-MariaDB-log``, ``8.4.3``).

    Raises:
        MysqlError: it is too old, or is not understood.
    """
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if match is None:
        raise MysqlError(f"the server's version {version[:40]!r} is not understood", hint="MariaDB 10.5 or MySQL 8.0.26, or newer")
    numbers = (int(match[1]), int(match[2]), int(match[3]))
    base = _MARIADB if "mariadb" in version.lower() else _MYSQL
    if numbers < base.version:
        raise MysqlError(f"{base.name} {version[:40]} is too old", hint="MariaDB 10.5 or MySQL 8.0.26, or newer")
    if not base.is_mariadb and numbers >= (8, 2, 0):
        base = base._replace(reset_binlog="RESET BINARY LOGS AND GTIDS;")
    return base._replace(version=numbers)
