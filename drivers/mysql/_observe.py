"""What can be seen of this node's server, as facts. What they mean is said in :mod:`xcat_ha_drivers.mysql.states`."""

from __future__ import annotations

import time
from typing import Any

from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.mysql._contents import database_of, has_database
from xcat_ha_drivers.mysql._dialect import Dialect
from xcat_ha_drivers.mysql._follow import errant_here
from xcat_ha_drivers.mysql._peer import server_of_peer
from xcat_ha_drivers.mysql._places import Given, read_note
from xcat_ha_drivers.mysql._roles import commits_wait, position_now
from xcat_ha_drivers.mysql._server import Server, local
from xcat_ha_drivers.mysql._settings import unit
from xcat_ha_drivers.mysql.errors import MysqlError, ServerDownError

_FEEDS = "SELECT HOST FROM information_schema.PROCESSLIST WHERE USER = 'xcat_ha' AND COMMAND LIKE 'Binlog Dump%';"


def observation(given: Given) -> dict[str, Any]:
    """All facts. ``error``: they could not be found out; ``none``: there is no server at all."""
    facts: dict[str, Any] = {"node": given.node, "peer": given.peer, "peer_address": given.peer_address, "now": time.time()}
    facts |= {"server_id_wanted": given.server_id, "semi_sync": given.semi_sync}
    try:
        facts |= {name.replace("-", "_"): read_note(name) for name in ("role", "proof", "handed-over", "seeding", "standby")}
        try:
            unit()
        except MysqlError as error:
            return {**facts, "none": error.what}
        server = local(given.node)
        return {**facts, **_of_running(given, server, server.dialect())}
    except ServerDownError as error:
        return {**facts, "down": error.what}
    except (DatabaseError, OSError, ValueError) as error:
        return {**facts, "error": str(error)}


def _of_running(given: Given, server: Server, dialect: Dialect) -> dict[str, Any]:
    database, replica = database_of(given), server.replica(dialect)
    facts: dict[str, Any] = {
        "database": database,
        "there": has_database(server, database),
        "writable": server.value(dialect.is_writable) == "1",
        "server_id": int(server.value("SELECT @@global.server_id;")),
        "position": position_now(server, dialect),
        "replica": None if replica is None else replica._asdict(),
        "feeds": len(server.values(_FEEDS)),
        "commits_wait": commits_wait(server, dialect),
        "binlog_bytes": _binlog_bytes(server),
    }
    return {**facts, "source": _of_source(given, server, dialect)} if replica is not None else facts


def _binlog_bytes(server: Server) -> int | None:
    if server.value("SELECT @@global.log_bin;") != "1":
        return None
    return sum(int(row["File_size"] or 0) for row in server.rows("SHOW BINARY LOGS;"))


def _of_source(given: Given, server: Server, dialect: Dialect) -> dict[str, Any]:
    """Asked of the source itself, over the way the replication takes."""
    try:
        source = server_of_peer(given)
        moment = float(source.value("SELECT UNIX_TIMESTAMP(NOW(6));"))
        wanted = source.value(dialect.position)
        return {
            "time": moment,
            "has_all": dialect.has_all(server.value(dialect.position), wanted),
            "writable": source.value(dialect.is_writable) == "1",
            "server_id": int(source.value("SELECT @@global.server_id;")),
            "errant": errant_here(server, dialect, source),
        }
    except (DatabaseError, ValueError) as error:
        return {"trouble": error.what if isinstance(error, DatabaseError) else str(error)}
