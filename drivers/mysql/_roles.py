"""Changes of primary: giving up, proving that nothing is left behind, taking over; and proving a copy while all goes on."""

from __future__ import annotations

import time

from xcat_ha_drivers.database.notes import is_marked, set_mark
from xcat_ha_drivers.mysql._contents import database_of, has_database
from xcat_ha_drivers.mysql._dialect import Dialect
from xcat_ha_drivers.mysql._follow import why_not_following
from xcat_ha_drivers.mysql._peer import server_of_peer
from xcat_ha_drivers.mysql._places import PROVED_MARK, Given, forget_note, read_note, write_note
from xcat_ha_drivers.mysql._server import Server, await_true
from xcat_ha_drivers.mysql._settings import put_semi_sync, semi_sync_is_right
from xcat_ha_drivers.mysql.errors import MysqlError

_CATCH_UP_LIMIT_S = 300.0
_FEEDS = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'xcat_ha' AND COMMAND LIKE 'Binlog Dump%';"


def _one_line(position: str) -> str:
    return ",".join(sorted("".join(position.split()).split(",")))


def position_now(server: Server, dialect: Dialect) -> str:
    """Where the server is, in one line."""
    return _one_line(server.value(dialect.position))


# Giving up


def why_not_given_up(server: Server, dialect: Dialect) -> str:
    """Empty if this node's server is no source any more: read-only, and its end noted; or a replica."""
    if server.value(dialect.is_writable) == "1":
        return "the server is writable"
    return "" if server.replica(dialect) is not None or read_note("handed-over") is not None else "its end is not noted yet"


def give_up(given: Given, server: Server, dialect: Dialect) -> str:
    """Make the source read-only, which waits for what is being written, and note where it ended.

    Raises:
        MysqlError: no replica is connected.
    """
    if server.value(dialect.is_writable) == "1" and server.value(_FEEDS) == "0":
        raise MysqlError(f"{given.peer} does not follow {given.node}", hint="xcat-ha sync; xcat-ha status names the cause")
    server.do(dialect.read_only, timeout_s=_CATCH_UP_LIMIT_S)
    position = position_now(server, dialect)
    write_note("handed-over", position=position, peer=given.peer, time=time.time())
    return position


def end_position(server: Server, dialect: Dialect) -> str:
    """Where a server that gave up ended; words that equal no position if it did not."""
    note = read_note("handed-over")
    if server.value(dialect.is_writable) == "1":
        return "it is writable"
    if note is None:
        return "nothing is noted of a hand-over"
    if server.replica(dialect) is None and position_now(server, dialect) != note["position"]:
        return f"something was written after it gave up at {note['position']}"
    return str(note["position"])


# Having everything


def replayed_position(server: Server, dialect: Dialect) -> str:
    """Where this copy is; if it was promoted, where it was then."""
    if server.replica(dialect) is not None:
        return position_now(server, dialect)
    note = read_note("promoted")
    return str(note["position"]) if note is not None else "it follows nobody, and nothing is noted of a promotion"


def drain(given: Given, server: Server, dialect: Dialect) -> None:
    """Apply everything the source has.

    Raises:
        MysqlError: it is no copy, or does not get there.
    """
    if server.replica(dialect) is None:
        raise MysqlError("the database is no copy", hint="xcat-ha status shows who is what")
    wanted = server_of_peer(given).value(dialect.position)
    await_true(
        lambda: dialect.has_all(server.value(dialect.position), wanted),
        timeout_s=_CATCH_UP_LIMIT_S,
        what=f"{given.node} has applied {wanted}",
        hint="xcat-ha status names the cause",
    )


# Taking over


def why_not_promoted(given: Given, server: Server, dialect: Dialect) -> str:
    """Empty if this node's database is its own, whole and writable."""
    if server.replica(dialect) is not None:
        return "the server follows another one"
    if read_note("seeding") is not None:
        return "a seed did not end, so the database is nobody's"
    if not has_database(server, database_of(given)):
        return f"there is no database {database_of(given)}"
    if server.value(dialect.is_writable) != "1":
        return "the server is read-only"
    return "" if (read_note("role") or {}).get("role") == "own" else "it is not noted that this database is the node's own"


def promote(given: Given, server: Server, dialect: Dialect) -> str:
    """Make the copy the writable database; or make writable again what is this node's own already. Returns what was done.

    From now on no commit waits for the other node: whether it is required is decided when it follows.

    Raises:
        MysqlError: there is neither a copy nor a database of its own, or what was received cannot be applied.
    """
    if read_note("seeding") is not None or not has_database(server, database_of(given)):
        raise MysqlError(f"there is neither a copy nor a database on {given.node}", hint=f"seed {given.node} first")
    done = "it was its own already"
    if server.replica(dialect) is not None:
        lost = _apply_received(given, server, dialect)
        position = position_now(server, dialect)
        write_note("promoted", position=position, time=time.time(), not_applied=lost)
        done = f"promoted at {position}{f', without {lost}' if lost else ''}"
        server.do(f"{dialect.stop}\n{dialect.forget}", timeout_s=_CATCH_UP_LIMIT_S)
    write_note("standby", required=False)
    put_semi_sync(given, server, dialect)
    write_note("role", role="own")
    forget_note("handed-over")
    server.do(dialect.writable)
    return done


def _apply_received(given: Given, server: Server, dialect: Dialect) -> str:
    """Stop receiving, and wait until all that was received is applied. With ``forced`` what cannot be applied is left; returns what."""
    server.do(dialect.stop_receiving, timeout_s=_CATCH_UP_LIMIT_S)

    def decided() -> bool:
        replica = server.replica(dialect)
        return replica is None or replica.sql != "Yes" or dialect.has_all(server.value(dialect.position), replica.received)

    hint = "wait and run it again; xcat-ha status shows how far it is"
    await_true(decided, timeout_s=_CATCH_UP_LIMIT_S, what="everything received is applied", hint=hint)
    replica = server.replica(dialect)
    if replica is None or (not replica.sql_errno and dialect.has_all(server.value(dialect.position), replica.received)):
        return ""
    if not given.forced:
        raise MysqlError(
            f"what {given.node} received cannot be applied: {replica.sql_error or 'applying is stopped'}",
            state="it is still a copy",
            hint=f"mend it, or accept that it is lost (--allow-data-loss); received up to {replica.received}",
        )
    return f"what was received up to {_one_line(replica.received)} ({replica.sql_error})"


# A required standby


def why_not_required(given: Given, server: Server, dialect: Dialect) -> str:
    """Empty if commits wait for the other node exactly if that is configured."""
    required = bool((read_note("standby") or {}).get("required"))
    if required is not bool(given.semi_sync):
        return "commits wait for the standby" if required else "commits do not wait for the standby"
    if not semi_sync_is_right(given, server, dialect):
        return "the server's semi-synchronous replication is not set as configured"
    return "DEGRADED: commits do not wait for the standby" if required and not commits_wait(server, dialect) else ""


def commits_wait(server: Server, dialect: Dialect) -> bool:
    """Whether semi-synchronous replication is in force now, not only switched on."""
    rows = server.rows(f"SHOW GLOBAL STATUS LIKE '{dialect.semi_sync_status}';")
    return bool(rows) and rows[0]["Value"] == "ON"


def require_standby(given: Given, server: Server, dialect: Dialect) -> None:
    """Let commits wait for the other node, which follows; or not any more. Errors as :func:`await_true`."""
    if given.semi_sync and not dialect.is_mariadb:
        _load_plugins(server)
    write_note("standby", required=bool(given.semi_sync))
    put_semi_sync(given, server, dialect)
    await_true(
        lambda: not why_not_required(given, server, dialect),
        timeout_s=60.0,
        what=f"commits wait for {given.peer}",
        hint="xcat-ha status names the cause",
    )


def _load_plugins(server: Server) -> None:
    """MySQL keeps semi-synchronous replication in two plugins (manual, "Installing Semisynchronous Replication"). Not run here."""
    have = server.values("SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE';")
    for name in ("source", "replica"):
        if f"rpl_semi_sync_{name}" not in have:
            server.do(f"INSTALL PLUGIN rpl_semi_sync_{name} SONAME 'semisync_{name}.so';")


# Proving a copy


def why_not_proved(given: Given, server: Server, dialect: Dialect) -> str:
    """Empty if the copy was proven to have everything not long ago, and nothing was written since."""
    if is_marked(PROVED_MARK):
        return ""
    proof, source = read_note("proof"), server_of_peer(given)
    if proof is None or proof.get("position") != _one_line(source.value(dialect.position)):
        return "something was written since the copy was proven"
    if float(source.value("SELECT UNIX_TIMESTAMP(NOW(6));")) - float(proof["time"]) > given.confirm_s:
        return "the copy was proven too long ago"
    return why_not_following(given, server, dialect)


def prove(given: Given, server: Server, dialect: Dialect) -> str:
    """Wait until this standby has applied everything the source has now, and note when that was, by the source's clock.

    Raises:
        MysqlError: the source does not answer, or the standby does not get there.
    """
    reason = why_not_following(given, server, dialect)
    if reason:
        raise MysqlError(f"{given.node} is no sound copy: {reason}", hint="xcat-ha status names the cause")
    source = server_of_peer(given)
    moment, wanted = float(source.value("SELECT UNIX_TIMESTAMP(NOW(6));")), source.value(dialect.position)
    drain(given, server, dialect)
    write_note("proof", position=_one_line(wanted), time=moment, source=given.peer)
    if given.mark:
        set_mark(PROVED_MARK)
    return f"proven up to {_one_line(wanted)}"
