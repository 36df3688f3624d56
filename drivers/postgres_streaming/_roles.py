"""Changes of primary: giving up, proving that nothing is left behind, taking over; and proving a copy while all goes on."""

from __future__ import annotations

import time

from xcat_ha_drivers.database.notes import clear_mark, is_marked, set_mark
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.server import ServerDownError
from xcat_ha_drivers.postgres_streaming._cluster import SIGNAL, Cluster, await_true
from xcat_ha_drivers.postgres_streaming._follow import await_answer, why_not_following
from xcat_ha_drivers.postgres_streaming._places import OWN_MARK, PROVED_MARK, Given, forget_note, read_note, write_note
from xcat_ha_drivers.postgres_streaming._prepare import make_slot
from xcat_ha_drivers.postgres_streaming._settings import put_files, put_in_force
from xcat_ha_drivers.postgres_streaming._source import ask_source
from xcat_ha_drivers.postgres_streaming._wal import SHUT_DOWN, lsn, lsn_text

_PROMOTE_LIMIT_S = 300
_CATCH_UP_LIMIT_S = 120.0
_STREAMS = "SELECT to_jsonb(state) FROM pg_stat_replication WHERE application_name = :'slot';"
_WRITABLE = "SELECT to_jsonb(NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off');"
_REPLAYED = "SELECT jsonb_build_array(pg_last_wal_receive_lsn()::text, pg_last_wal_replay_lsn()::text);"
_PROMOTE = "SELECT to_jsonb(pg_promote(true, 300));"
_SYNC = "SELECT to_jsonb(sync_state) FROM pg_stat_replication WHERE application_name = :'slot' AND state = 'streaming';"
_NAMES = "SELECT to_jsonb(current_setting('synchronous_standby_names'));"
_KNOWS_COMMITS = "SELECT to_jsonb(current_setting('synchronous_commit'));"


# Giving up


def why_not_given_up(cluster: Cluster) -> str:
    """Empty if this node's server is no primary any more: cleanly stopped and noted, or a standby."""
    if cluster.has_signal and not _is_primary(cluster):
        return ""
    if cluster.runs():
        return "PostgreSQL runs as primary"
    control, note = cluster.control(), read_note("handed-over")
    if control.state != SHUT_DOWN:
        return f"PostgreSQL was not stopped cleanly ({control.state})"
    return "" if note is not None and note.get("position") == control.position else "its end is not noted yet"


def _is_primary(cluster: Cluster) -> bool:
    try:
        return cluster.runs() and not cluster.in_recovery()
    except ServerDownError:
        return False


def give_up(given: Given, cluster: Cluster) -> str:
    """Stop the primary cleanly: it ends when the connected standby has received everything, its last checkpoint included.

    Raises:
        PostgresError: no standby is connected, or the server does not stop.
    """
    if cluster.runs():
        if "streaming" not in cluster.server.ask(_STREAMS, variables={"slot": given.peer_slot}):
            raise PostgresError(f"{given.peer} does not stream from {given.node}", hint="xcat-ha sync; xcat-ha status names the cause")
        cluster.server.ask("CHECKPOINT;", timeout_s=600.0)  # so that the stop itself is quick
        clear_mark(OWN_MARK)
        cluster.stop()
    clear_mark(OWN_MARK)
    control = cluster.control()
    if control.state != SHUT_DOWN:
        raise PostgresError(f"PostgreSQL on {given.node} was not stopped cleanly ({control.state})", hint=f"start {cluster.layout.unit}")
    write_note("handed-over", position=control.position, peer=given.peer, time=time.time())
    return control.position


def end_position(cluster: Cluster) -> str:
    """Where the log of a server that gave up ended; words that equal no position if it did not."""
    note = read_note("handed-over")
    if cluster.has_signal and not _is_primary(cluster):
        return str(note["position"]) if note is not None and "position" in note else "it follows, and nothing is noted of a hand-over"
    if cluster.runs():
        return "it runs as primary"
    control = cluster.control()
    return control.position if control.state == SHUT_DOWN else f"not cleanly stopped: {control.state}"


# Having everything


def replayed_position(cluster: Cluster) -> str:
    """Up to which checkpoint this standby has replayed the log; if it was promoted, up to which it had."""
    note = read_note("promoted")
    if _is_primary(cluster):
        return str(note["position"]) if note is not None and "position" in note else "it is a primary, and nothing is noted of a promotion"
    return cluster.control().position


def drain(cluster: Cluster) -> None:
    """Replay all that was received, and note it in the control file (a restart point at the last checkpoint in the log).

    Raises:
        PostgresError: it is no standby, or does not get there.
    """

    def replayed() -> bool:
        received, done = cluster.server.ask(_REPLAYED)[0]
        return (lsn(received or "") or 0) <= (lsn(done or "") or 0)

    if not cluster.in_recovery():
        raise PostgresError("the database is no copy", hint="xcat-ha status shows who is what")
    await_true(replayed, timeout_s=_CATCH_UP_LIMIT_S, what="everything received is replayed", hint="look at the server's log")
    cluster.server.ask("CHECKPOINT;", timeout_s=600.0)


# Taking over


def why_not_promoted(cluster: Cluster) -> str:
    """Empty if this node's database is its own, whole and writable, now and for this boot."""
    if not cluster.runs():
        return "PostgreSQL does not run"
    if not cluster.server.ask(_WRITABLE)[0]:
        return "the database is a copy (in recovery), or read-only"
    if cluster.database not in cluster.databases():
        return f"there is no database {cluster.database}"
    if (cluster.data / SIGNAL).exists():
        return f"{SIGNAL} is left in the data directory"
    return "" if is_marked(OWN_MARK) else "it is not noted that this database is the node's own"


def promote(given: Given, cluster: Cluster) -> str:
    """Make the copy the writable database; or start (again) what is this node's own already. Returns what was done.

    From now on nothing waits for the other node: whether it is required is decided when it follows.

    Raises:
        PostgresError: there is neither a copy nor a database of its own.
    """
    if not cluster.runs():
        if not cluster.has_signal:
            set_mark(OWN_MARK)
        cluster.start()
    if cluster.database not in cluster.databases():
        clear_mark(OWN_MARK)
        raise PostgresError(f"there is neither a copy nor a database {cluster.database} on {given.node}", hint=f"seed {given.node} first")
    if not cluster.in_recovery():
        set_mark(OWN_MARK)
        forget_note("handed-over")
        return "it was its own already"
    drain(cluster)
    write_note("standby", required=False, degraded_since=None)
    put_files(given, cluster)
    put_in_force(given, cluster, restart=False)
    make_slot(given, cluster)
    write_note("promoted", position=cluster.control().position, time=time.time())
    set_mark(OWN_MARK)
    cluster.server.ask(_PROMOTE, timeout_s=_PROMOTE_LIMIT_S + 60.0)
    await_answer(lambda: why_not_promoted(cluster), timeout_s=30.0)
    forget_note("handed-over")
    return f"promoted at {cluster.control().position}"


# A required standby


def why_not_required(given: Given, cluster: Cluster) -> str:
    """Empty if the server waits for the other node exactly if it is configured to."""
    names = str(cluster.server.ask(_NAMES)[0])
    note = read_note("standby") or {}
    if not given.synchronous:
        return "" if not names and not note.get("required") else f"commits wait for {names or given.peer_slot}"
    if names != given.peer_slot:
        return f"commits do not wait for {given.peer}"
    return (
        "" if cluster.server.ask(_SYNC, variables={"slot": given.peer_slot}) == ["sync"] else f"{given.peer} does not confirm commits yet"
    )


def require_standby(given: Given, cluster: Cluster) -> None:
    """Let commits wait for the other node, which streams; or not any more, if the configuration says so.

    Raises:
        PostgresError: it does not confirm, or the settings are overruled.
    """
    commits = cluster.server.ask(_KNOWS_COMMITS)[0]
    if given.synchronous and commits in {"off", "local"}:
        raise PostgresError(f"synchronous_commit is {commits}: no commit would wait for {given.peer}", hint="set it to on")
    if given.synchronous and not cluster.server.ask(_SYNC, variables={"slot": given.peer_slot}):
        raise PostgresError(f"{given.peer} does not stream: every commit would wait for it", hint="xcat-ha sync")
    write_note("standby", required=bool(given.synchronous), degraded_since=None)
    put_files(given, cluster)
    put_in_force(given, cluster, restart=False)
    await_answer(lambda: why_not_required(given, cluster), timeout_s=60.0)


# Proving a copy


def why_not_proved(given: Given, cluster: Cluster) -> str:
    """Empty if the copy was proven to have everything that was written until then, not long ago, and nothing was written since."""
    if is_marked(PROVED_MARK):
        return ""
    proof = read_note("proof")
    source = ask_source(given, cluster)
    if proof is None or proof.get("system") != source.system or proof.get("next_xid") != source.next_xid:
        return "something was written since the copy was proven"
    if source.time - float(proof["time"]) > given.confirm_s:
        return "the copy was proven too long ago"
    done = lsn(cluster.server.ask(_REPLAYED)[0][1] or "") or 0
    if source.flushed is not None and done < source.flushed:
        return "the copy is behind"
    return why_not_following(given, cluster, source)


def prove(given: Given, cluster: Cluster) -> str:
    """Wait until this standby has replayed everything the source has now, and note when that was, by the source's clock.

    Raises:
        PostgresError: the source does not answer, or the standby does not get there.
    """
    source = ask_source(given, cluster)
    reason = why_not_following(given, cluster, source)
    if reason or source.flushed is None:
        raise PostgresError(reason or f"PostgreSQL on {given.peer} is a standby itself", hint="xcat-ha status names the cause")
    wanted = source.flushed

    def there() -> bool:
        return (lsn(cluster.server.ask(_REPLAYED)[0][1] or "") or 0) >= wanted

    await_true(there, timeout_s=_CATCH_UP_LIMIT_S, what=f"{given.node} has replayed up to {lsn_text(wanted)}", hint="xcat-ha status")
    write_note("proof", system=source.system, lsn=lsn_text(wanted), next_xid=source.next_xid, time=source.time, source=given.peer)
    if given.mark:
        set_mark(PROVED_MARK)
    return f"proven up to {lsn_text(wanted)}"
