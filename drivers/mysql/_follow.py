"""Becoming, and being, a replica of the other node's server.

A server whose history is part of the source's only has to be led to it. One that wrote something the source lacks (errant transactions),
or whose next transaction the source has purged, is replaced by a dump; what it wrote is saved first.
"""
# ruff: noqa: S608  # names come from cfgloc (checked) or the server's catalogue, values as hexadecimal literals

from __future__ import annotations

import shutil

from xcat_ha_drivers.database.disk import made, rooted, writing_below
from xcat_ha_drivers.mysql import _dump
from xcat_ha_drivers.mysql._account import copied_accounts, fetch_password
from xcat_ha_drivers.mysql._contents import database_of, foreign_databases, has_database
from xcat_ha_drivers.mysql._dialect import PURGED, Dialect
from xcat_ha_drivers.mysql._peer import PEER_CERTIFICATE, file_of_peer, known_password, server_of_peer
from xcat_ha_drivers.mysql._places import BASE_DIR, CERTIFICATE, USER, Given, forget_note, read_note, write_note
from xcat_ha_drivers.mysql._saved import save
from xcat_ha_drivers.mysql._server import Server, await_true, literal
from xcat_ha_drivers.mysql._settings import put_semi_sync, write_for_server
from xcat_ha_drivers.mysql.errors import MysqlError

_CONNECT_LIMIT_S = 120.0


def why_not_following(given: Given, server: Server, dialect: Dialect) -> str:
    """Empty if this node's server receives and applies what the other one writes, and wrote nothing by itself."""
    replica = server.replica(dialect)
    if replica is None or replica.host != given.peer_address:
        return f"the server follows {replica.host if replica else 'nobody'}"
    if replica.io_errno or replica.sql_errno:
        return f"replication stopped: {replica.io_error or replica.sql_error}"
    if (replica.io, replica.sql) != ("Yes", "Yes"):
        return f"receiving: {replica.io}, applying: {replica.sql}"
    if server.value(dialect.is_writable) == "1":
        return "the server is writable"
    if read_note("seeding") is not None or _leftovers(server):
        return "what was replaced is not put away yet"
    wrong = errant_here(server, dialect, server_of_peer(given))
    return f"it has transactions that {given.peer} lacks: {', '.join(wrong)}" if wrong else ""


def errant_here(server: Server, dialect: Dialect, source: Server) -> list[str]:
    """Transactions of this server that the source never had. The own history is read first: the source only gets further."""
    have = server.value(dialect.history)
    return dialect.errant(have, source.value(dialect.history))


def _leftovers(server: Server) -> list[str]:
    names = f"({literal(_dump.SIDE)}, {literal(_dump.OLD)})"
    return server.values(f"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN {names};")


def follow(given: Given, server: Server, dialect: Dialect) -> str:
    """Make this node's server a replica; returns how.

    Raises:
        DatabaseError: the source does not answer or is no source, or this node's own database would be lost and may not.
    """
    fetch_password(given)
    write_for_server(server, PEER_CERTIFICATE, file_of_peer(given, CERTIFICATE))
    source = server_of_peer(given)
    _refuse_foreign(given, server, source, dialect)
    reason = _why_not_attachable(given, server, dialect, source)
    if not reason:
        _attach(given, server, dialect)
        reason = _why_it_does_not_run(given, server, dialect)
        if not reason:
            _tidy(server)
            return "it goes on where it was"
    if not given.over_own and not _may_be_replaced(given, server, dialect, reason):
        raise MysqlError(f"{given.node}: {reason}", hint=f"seed {given.node}: what it has of its own is saved first")
    _seed(given, server, dialect, source)
    return f"from a dump, because {reason}"


def _refuse_foreign(given: Given, server: Server, source: Server, dialect: Dialect) -> None:
    if source.dialect().is_mariadb is not dialect.is_mariadb:
        raise MysqlError(f"{given.node} has {dialect.name}, {given.peer} has another kind of server", hint="use the same on both")
    if source.value(dialect.is_writable) != "1":
        raise MysqlError(f"the server of {given.peer} is read-only, so it is no source", hint="xcat-ha status shows who is what")
    if foreign := foreign_databases(server, database_of(given)):
        raise MysqlError(
            f"the server of {given.node} has other databases too ({', '.join(foreign[:3])})",
            hint="this driver replicates whole servers: move them elsewhere",
        )


def _may_be_replaced(given: Given, server: Server, dialect: Dialect, reason: str) -> bool:
    """A sync replaces nothing but an unspoilt copy, or nothing at all."""
    if not has_database(server, database_of(given)) or read_note("seeding") is not None:
        return True
    return server.replica(dialect) is not None and reason.startswith("PURGED")


def _why_not_attachable(given: Given, server: Server, dialect: Dialect, source: Server) -> str:
    """Empty if this server's history is part of the source's."""
    if not has_database(server, database_of(given)):
        return "it has no database"
    if read_note("seeding") is not None:
        return "an earlier seed did not end"
    if not server.value(dialect.position):
        return "its database was never part of a replication"
    replica = server.replica(dialect)
    if replica is None and read_note("handed-over") is None and not given.over_own:
        return "its database is its own"
    wrong = errant_here(server, dialect, source)
    return f"it has transactions that {given.peer} lacks ({', '.join(wrong)})" if wrong else ""


def _attach(given: Given, server: Server, dialect: Dialect) -> None:
    if server.replica(dialect) is not None:
        server.do(dialect.stop, timeout_s=_CONNECT_LIMIT_S)
    write_note("role", role="copy")
    write_note("standby", required=False)  # a replica that waited for a standby of its own would apply nothing
    put_semi_sync(given, server, dialect)
    position = server.value(dialect.position)
    to_position = dialect.set_position.format(position) if dialect.is_mariadb else ""
    told = dialect.follow(
        host=given.peer_address,
        port=int(server.value("SELECT @@global.port;")),
        user=USER,
        password=known_password(),
        ca=str(rooted(PEER_CERTIFICATE)),
    )
    server.do(f"{dialect.read_only}\n{to_position}\n{told}\n{dialect.start}", timeout_s=_CONNECT_LIMIT_S)


def _why_it_does_not_run(given: Given, server: Server, dialect: Dialect) -> str:
    """Wait until it runs, or has an error that waiting does not mend."""

    def decided() -> bool:
        replica = server.replica(dialect)
        return replica is not None and ((replica.io, replica.sql) == ("Yes", "Yes") or replica.io_errno in PURGED or replica.sql_errno != 0)

    what = f"the server of {given.node} receives and applies what {given.peer} writes"
    await_true(decided, timeout_s=_CONNECT_LIMIT_S, what=what, hint="xcat-ha status names the cause")
    replica = server.replica(dialect)
    if replica is None or replica.sql_errno:
        return f"it cannot apply: {replica.sql_error if replica else 'it follows nobody'}"
    return f"PURGED: {replica.io_error}" if replica.io_errno in PURGED else ""


def _seed(given: Given, server: Server, dialect: Dialect, source: Server) -> None:
    """The dump is restored beside what is there and proven; then tables, accounts and position are exchanged."""
    database = database_of(given)
    if read_note("seeding") is None:
        save(given, server, dialect)
    directory = made(rooted(f"{BASE_DIR}/incoming"))
    with writing_below(directory, "what was in place is still there"):
        dump = directory / "database.sql"
        dump.unlink(missing_ok=True)
        _dump.take(source, dialect, database, dump, with_position=True)
        like, position = _dump.character_set(source, database), _dump.position_in(dump, dialect)
        accounts = copied_accounts(source, dialect, database)
        _dump.restore_beside(server, dialect, dump, like)
    if server.replica(dialect) is not None:
        server.do(f"{dialect.stop}\n{dialect.forget}", timeout_s=_CONNECT_LIMIT_S)
    write_note("seeding", position=position)  # from here on nothing here may be promoted
    write_note("role", role="copy")
    forget_note("handed-over")
    forget_note("promoted")
    _dump.exchange(server, database, like)
    server.do(f"SET SESSION sql_log_bin = 0;\n{accounts}")
    server.do(f"{dialect.reset_binlog}\n{dialect.set_position.format(position)}\n{dialect.read_only}")
    _attach(given, server, dialect)
    reason = _why_it_does_not_run(given, server, dialect)
    if reason:
        raise MysqlError(f"seeded, but {reason}", state=f"the new copy is in place at {position}, and does not follow", hint="run it again")
    forget_note("seeding")
    _tidy(server)
    shutil.rmtree(directory, ignore_errors=True)


def _tidy(server: Server) -> None:
    if _leftovers(server):
        _dump.drop_side(server, _dump.SIDE, _dump.OLD)
