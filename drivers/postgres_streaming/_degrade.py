"""``when_standby_gone = "degrade"``: a required standby that is gone for too long is given up, and required again when it is back.

The guard of the primary looks every few seconds. Two things are remembered: since when the standby is gone (a mark in ``/run``), and since
when commits do not wait for it any more (in the note ``standby``; ``status`` fails as long as it is there).
"""

from __future__ import annotations

import time

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.database.notes import clear_mark, is_marked, set_mark
from xcat_ha_drivers.postgres_streaming._cluster import Cluster
from xcat_ha_drivers.postgres_streaming._places import Given, read_note, write_note
from xcat_ha_drivers.postgres_streaming._settings import put_files, put_in_force

GONE_MARK = "/run/xcat-ha/postgres-standby-gone"
_CATCHING_UP_BYTES = 1 << 20
"""A standby this near is required again: the commits that wait then wait for milliseconds."""
_THERE = """
SELECT to_jsonb(coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn), 0)) FROM pg_stat_replication
WHERE application_name = :'slot' AND state = 'streaming';
"""


def why_not_as_it_should_be(given: Given, cluster: Cluster) -> str:
    """Empty if there is nothing to be done now."""
    note = read_note("standby") or {}
    if given.synchronous != "degrade" or note.get("required") is not True or not cluster.runs() or cluster.in_recovery():
        return ""
    here, degraded = _is_there(given, cluster), note.get("degraded_since") is not None
    if here:
        return f"{given.peer} is back" if degraded or is_marked(GONE_MARK) else ""
    if degraded:
        return ""
    if not is_marked(GONE_MARK):
        return f"{given.peer} has just gone"
    return f"{given.peer} is gone for too long" if _gone_s() >= given.degrade_after_s else ""


def _is_there(given: Given, cluster: Cluster) -> bool:
    behind = cluster.server.ask(_THERE, variables={"slot": given.peer_slot})
    return bool(behind) and float(behind[0]) <= _CATCHING_UP_BYTES


def _gone_s() -> float:
    return time.time() - rooted(GONE_MARK).stat().st_mtime


def see_to_it(given: Given, cluster: Cluster) -> str:
    """Do what is to be done now; returns it in words.

    Raises:
        PostgresError: the server does not take the setting.
    """
    reason = why_not_as_it_should_be(given, cluster)
    if not reason:
        return "nothing is to be done"
    if _is_there(given, cluster):
        clear_mark(GONE_MARK)
        _require(given, cluster, degraded_since=None)
    elif not is_marked(GONE_MARK):
        set_mark(GONE_MARK)
    else:
        _require(given, cluster, degraded_since=time.time())
    return reason


def _require(given: Given, cluster: Cluster, *, degraded_since: float | None) -> None:
    write_note("standby", required=True, degraded_since=degraded_since)
    put_files(given, cluster)
    put_in_force(given, cluster, restart=False)
