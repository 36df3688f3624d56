"""Becoming the other node's standby, by the shortest way that is safe.

=========  ==================================================================================================================
way        when
=========  ==================================================================================================================
start      it is a standby of the same cluster, and the source still has what it needs next
turn       it was the primary, stopped cleanly, and everything it has is in the new one (a planned change)
rewind     it was the primary and went on by itself; what only it has was saved; ``pg_rewind`` undoes that in place
copy       anything else: a base backup beside the data directory
=========  ==================================================================================================================

``turn`` and ``rewind`` fall back on ``copy``. Own data are never discarded unless they are saved, whoever calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.notes import clear_mark
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.server import ServerDownError
from xcat_ha_drivers.postgres_streaming import _base
from xcat_ha_drivers.postgres_streaming._cluster import Cluster
from xcat_ha_drivers.postgres_streaming._places import OWN_MARK, Given, forget_note, read_note, write_note
from xcat_ha_drivers.postgres_streaming._private import on_own_data
from xcat_ha_drivers.postgres_streaming._saved import has_own_database, save
from xcat_ha_drivers.postgres_streaming._settings import not_in_force, put_files, put_in_force
from xcat_ha_drivers.postgres_streaming._source import Source, ask_source, connection, connection_string, history_of
from xcat_ha_drivers.postgres_streaming._wal import SHUT_DOWN, Control, follows, lsn

STREAM_LIMIT_S = 60.0
_REWIND_LIMIT_S = 3600.0
_OLDEST = 130000
_RECEIVER = """
SELECT jsonb_build_object('recovery', pg_is_in_recovery(),
 'status', (SELECT status FROM pg_stat_wal_receiver), 'host', (SELECT sender_host FROM pg_stat_wal_receiver),
 'received', pg_last_wal_receive_lsn()::text, 'replayed', pg_last_wal_replay_lsn()::text);
"""
_OLD_SLOTS = """
SELECT to_jsonb(EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name LIKE 'xcat\\_ha\\_%' AND NOT active));
"""
_DROP_SLOTS = """
SELECT to_jsonb(pg_drop_replication_slot(slot_name)::text IS NULL) FROM pg_replication_slots
WHERE slot_name LIKE 'xcat\\_ha\\_%' AND NOT active;
"""


def why_not_following(given: Given, cluster: Cluster, source: Source | None = None) -> str:
    """Empty if this node's server streams from the other one now."""
    if not cluster.runs():
        return "PostgreSQL does not run"
    (found,) = cluster.server.ask(_RECEIVER)
    if not found["recovery"]:
        return "the database is this node's own, not a copy"
    if source is not None and source.in_recovery:
        return f"PostgreSQL on {given.peer} is a standby itself"
    if source is not None and cluster.control().system_identifier != source.system:
        return f"{given.peer} has another database cluster (system identifier {source.system})"
    if found["status"] != "streaming" or found["host"] != given.peer_address:
        return f"it does not stream from {given.peer} ({found['status'] or 'not connected'})"
    return ""


def follow(given: Given, cluster: Cluster) -> str:
    """Be the other node's standby; returns the way that was gone.

    Raises:
        PostgresError: it cannot be done, and what the state is.
    """
    _base.tidy_up(cluster)
    source = _usable(given, cluster, ask_source(given, cluster))
    if not why_not_following(given, cluster, source) and not not_in_force(given, cluster):
        _finish(cluster, way="")
        return "it streams already"
    way = _prepare(given, cluster, source)
    try:
        _go(given, cluster)
    except DatabaseError:
        # It should have worked, and the source answers: what else is there to do?
        if way.startswith("copy") or not cluster.has_signal or not ask_source(given, cluster).slot:
            raise
        way = _by_copy(given, cluster, source)
        _go(given, cluster)
    _finish(cluster, way)
    return way


def _finish(cluster: Cluster, way: str) -> None:
    """What was in its place is not needed any more."""
    cluster.server.ask(_DROP_SLOTS)
    if way not in {"", "turn"}:
        forget_note("handed-over")  # else it says up to where the new primary has everything
    _base.forget_previous(cluster)


def why_not_tidy(cluster: Cluster) -> str:
    """Empty if nothing is left of what this standby was before."""
    if _base.previous(cluster).exists():
        return f"{_base.previous(cluster)} is not removed yet"
    return "a replication slot of this node's time as primary is left" if cluster.server.ask(_OLD_SLOTS)[0] else ""


def _go(given: Given, cluster: Cluster) -> None:
    """Start as what the data directory is now, a standby, and wait until it streams."""
    write_note("standby", required=False, degraded_since=None)  # a standby requires none of its own
    put_files(given, cluster)  # where configuration and data are one directory, the backup brought the source's
    forget_note("promoted")
    clear_mark(OWN_MARK)
    cluster.start()
    put_in_force(given, cluster, restart=True)
    await_answer(lambda: why_not_following(given, cluster), timeout_s=STREAM_LIMIT_S)


def _usable(given: Given, cluster: Cluster, source: Source) -> Source:
    if source.in_recovery or source.flushed is None:
        raise PostgresError(f"PostgreSQL on {given.peer} is a standby itself: there is nobody to follow", hint="xcat-ha status")
    if str(source.version // 10000) != cluster.layout.version:
        raise PostgresError(
            f"{given.peer} runs PostgreSQL {source.version // 10000}, this node has {cluster.layout.version}",
            hint="physical replication needs the same major version on both nodes",
        )
    if source.version < _OLDEST or source.tablespaces:
        what = f"{source.tablespaces} tablespaces of its own" if source.tablespaces else f"PostgreSQL {source.version // 10000}"
        raise PostgresError(f"{given.peer} has {what}", hint="this driver serves PostgreSQL 13 or newer, without tablespaces of one's own")
    if source.slot is None:
        raise PostgresError(f"{given.peer} keeps no replication slot {given.own_slot}", hint="run the sync or seed from its beginning")
    return source


def _prepare(given: Given, cluster: Cluster, source: Source) -> str:
    """Bring the data directory to where a standby can start from."""
    control = cluster.control()
    if control.system_identifier != source.system:
        if cluster.has_signal and not given.over_own:
            raise PostgresError(
                f"{given.peer} has another database cluster ({source.system}; this copy is of {control.system_identifier})",
                state="the copy was left alone",
                hint=f"if {given.peer}'s was made anew on purpose: xcat-ha setup copies it",
            )
        return _by_copy(given, cluster, source)
    if cluster.has_signal:
        return _as_standby(given, cluster, source)
    return _as_old_primary(given, cluster, source)


def _as_standby(given: Given, cluster: Cluster, source: Source) -> str:
    return "start" if source.keeps(_position(cluster)) else _by_copy(given, cluster, source)


def _position(cluster: Cluster) -> int:
    """Up to where a standby has the log, at least."""
    control = cluster.control()
    try:
        (found,) = cluster.server.ask(_RECEIVER) if cluster.runs() else (None,)
    except ServerDownError:
        found = None
    positions = [control.checkpoint, *(lsn(found[name] or "") or 0 for name in ("received", "replayed") if found)]
    return max(positions)


def _as_old_primary(given: Given, cluster: Cluster, source: Source) -> str:
    _refuse_own(given, cluster)
    control = _stopped_cleanly(given, cluster)
    if control is None:
        return _by_copy(given, cluster, source)
    if source.timeline <= control.timeline:
        # Both wrote on timelines of the same number: pg_rewind would take them for one and the same.
        return _by_copy(given, cluster, source)
    if not follows(control, timeline=source.timeline, points=history_of(given, cluster, source.timeline)):
        save(given.node, cluster)
        return _by_rewind(given, cluster, source)
    if not source.keeps(control.checkpoint):
        return _by_copy(given, cluster, source)
    _base.make_standby(cluster, cluster.data)
    return "turn"


def _refuse_own(given: Given, cluster: Cluster) -> None:
    """Own data are replaced only on order, or where they were handed over."""
    handed_over = read_note("handed-over")
    control = cluster.control()
    if handed_over is not None and control.state == SHUT_DOWN and handed_over.get("position") == control.position:
        return
    if not given.over_own and has_own_database(cluster):
        raise PostgresError(
            f"the database of {given.node} is its own and would be replaced",
            hint=f"xcat-ha rejoin saves it first; {given.peer} is the primary",
        )


def _stopped_cleanly(given: Given, cluster: Cluster) -> Control | None:
    """Stop it; after a crash let it recover once, reachable by nobody. None if it cannot: then it is saved as it is."""
    cluster.stop()
    if cluster.control().state != SHUT_DOWN:
        try:
            with on_own_data(cluster):
                pass
        except DatabaseError:
            save(given.node, cluster)
            return None
    control = cluster.control()
    return control if control.state == SHUT_DOWN else None


def _by_rewind(given: Given, cluster: Cluster, source: Source) -> str:
    control = cluster.control()
    why = "neither wal_log_hints nor checksums were on"
    if control.checksums or control.log_hints:
        words = {**connection(given, cluster), "dbname": "postgres"}
        argv = ("-D", str(cluster.data), f"--source-server={connection_string(words)}")
        code, said, complained = cluster.call("pg_rewind", *argv, timeout_s=_REWIND_LIMIT_S)
        if code == 0:
            _base.make_standby(cluster, cluster.data)
            return "rewind"
        lines = (complained or said).strip().splitlines()
        why = f"pg_rewind failed: {lines[-1][:200] if lines else code}"
    _by_copy(given, cluster, source)
    return f"copy ({why})"


def _by_copy(given: Given, cluster: Cluster, source: Source) -> str:
    if not cluster.has_signal:
        _refuse_own(given, cluster)
    was_standby = cluster.has_signal and cluster.runs()
    if was_standby:
        cluster.stop()  # it may be holding the slot
    try:
        _base.make_backup(given, cluster, source)
    except DatabaseError:
        if was_standby:
            cluster.start()
        raise
    cluster.stop()
    if not cluster.has_signal:
        save(given.node, cluster)
    _base.put_in_place(cluster)
    return "copy"


def await_answer(why_not: Callable[[], str], *, timeout_s: float) -> None:
    """Ask again and again until there is no reason any more.

    Raises:
        PostgresError: there still is one after ``timeout_s`` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while reason := why_not():
        if time.monotonic() >= deadline:
            raise PostgresError(reason, state="the node is no good standby yet", hint="xcat-ha status, and the server's log")
        time.sleep(0.1)
