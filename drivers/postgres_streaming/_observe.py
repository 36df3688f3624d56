"""What can be seen of this node's server, as facts. What they mean is said in :mod:`xcat_ha_drivers.postgres_streaming.states`."""

from __future__ import annotations

import time
from typing import Any

from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.notes import is_marked
from xcat_ha_drivers.postgres.layout import found as servers_found
from xcat_ha_drivers.postgres.location import require_postgres
from xcat_ha_drivers.postgres.questions import Login, try_login
from xcat_ha_drivers.postgres.server import ServerDownError
from xcat_ha_drivers.postgres_streaming._cluster import Cluster, cluster_of
from xcat_ha_drivers.postgres_streaming._places import OWN_MARK, Given, read_note
from xcat_ha_drivers.postgres_streaming._source import SourceError, ask_source

_COMMON = """
SELECT jsonb_build_object('in_recovery', pg_is_in_recovery(),
 'databases', (SELECT jsonb_agg(datname) FROM pg_database WHERE datallowconn),
 'sync_names', current_setting('synchronous_standby_names'), 'sync_commit', current_setting('synchronous_commit'));
"""
_SENDER = """
SELECT jsonb_build_object('flushed', pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0'),
 'senders', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', application_name, 'state', state, 'sync_state', sync_state,
   'replayed', pg_wal_lsn_diff(replay_lsn, '0/0'), 'lag_s', extract(epoch FROM replay_lag))), '[]') FROM pg_stat_replication),
 'slots', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', slot_name, 'active', active, 'status', wal_status,
   'safe_bytes', safe_wal_size)), '[]') FROM pg_replication_slots WHERE slot_type = 'physical'),
 'waiting', (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'));
"""
_RECEIVER = """
SELECT jsonb_build_object('received', pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0'),
 'replayed', pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'),
 'replay_time', extract(epoch FROM pg_last_xact_replay_timestamp()), 'now', extract(epoch FROM clock_timestamp()),
 'connection', (SELECT jsonb_build_object('status', status, 'host', sender_host, 'end', pg_wal_lsn_diff(latest_end_lsn, '0/0'),
   'end_time', extract(epoch FROM latest_end_time), 'heard', extract(epoch FROM last_msg_receipt_time)) FROM pg_stat_wal_receiver),
 'paused', pg_is_wal_replay_paused());
"""


def observation(given: Given) -> dict[str, Any]:
    """All facts. ``error``: they could not be found out; ``none``: there is no server at all."""
    facts: dict[str, Any] = {"node": given.node, "peer": given.peer, "now": time.time(), "peer_slot": given.peer_slot}
    try:
        if not given.data_directory and not list(servers_found()):
            return {**facts, "none": "no PostgreSQL server is installed here"}
        cluster = cluster_of(given)
        facts |= {"database": cluster.database, "runs": cluster.runs(), "signal": cluster.has_signal}
        control = cluster.control()
        facts |= {"own": is_marked(OWN_MARK), "system": control.system_identifier, "state": control.state}
        facts |= {name.replace("-", "_"): read_note(name) for name in ("standby", "proof", "handed-over", "promoted")}
        facts["peer_address"] = given.peer_address
        if facts["runs"]:
            facts |= _of_running(given, cluster)
    except ServerDownError as error:
        return {**facts, "down": error.what}
    except (DatabaseError, OSError) as error:
        return {**facts, "error": str(error)}
    return facts


def _of_running(given: Given, cluster: Cluster) -> dict[str, Any]:
    (facts,) = cluster.server.ask(_COMMON)
    found: dict[str, Any] = dict(facts)
    if not found["in_recovery"]:
        login = try_login(require_postgres(given.xcat_dir), cluster.layout) if is_marked(OWN_MARK) else None
        refused = login is not None and login.login is Login.REFUSED
        return {**found, **cluster.server.ask(_SENDER)[0], "login_refused": login.detail if login is not None and refused else ""}
    found |= cluster.server.ask(_RECEIVER)[0]
    connection = found["connection"]
    if connection is None or connection["status"] != "streaming":
        found["source"] = _of_source(given, cluster)
    return found


def _of_source(given: Given, cluster: Cluster) -> dict[str, Any]:
    """Why it does not stream, asked of the source itself: the way it would take is tried."""
    try:
        source = ask_source(given, cluster)
    except SourceError as error:
        return {"trouble": error.kind, "words": error.what}
    slot = source.slot
    return {
        "system": source.system,
        "in_recovery": source.in_recovery,
        "flushed": source.flushed,
        "slot": None if slot is None else slot.status,
        "keeps_from": None if slot is None else slot.start,
        "segment_bytes": source.segment_bytes,
    }
