"""What a node's facts mean: the role of its database, whether it is healthy, how far it is behind. Pure.

The facts come from :mod:`xcat_ha_drivers.mysql._observe`.

**When the copy is of** (``last_good``): everything that was committed before that time, by the source's clock, is in it. While the source
answers and the copy has applied its position, that is now; else it is the time of the last proof.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from xcat_ha.interfaces import ReplicaRole, ReplicaState
from xcat_ha_drivers.mysql._dialect import DUPLICATE_KEY, OUT_OF_ORDER, PURGED, ROW_IS_NOT_THERE, SAME_SERVER_ID

_DAY_S = 86400.0


def state_of(facts: Mapping[str, Any]) -> ReplicaState:
    """The observation made of the facts.

    Raises:
        KeyError, TypeError, ValueError: facts are missing or of the wrong form.
    """
    if "error" in facts:
        return ReplicaState(role=None, healthy=None, detail=str(facts["error"]))
    if "none" in facts:
        return ReplicaState(role=ReplicaRole.NONE, healthy=False, detail=str(facts["none"]))
    if "down" in facts:
        return _stopped(facts)
    if not facts["there"]:
        return ReplicaState(role=ReplicaRole.NONE, healthy=False, detail=f"the server has no database {facts['database']}")
    if facts["seeding"] is not None:
        return ReplicaState(role=ReplicaRole.NONE, healthy=False, detail="a seed did not end; run it again")
    return _copy(facts) if facts["replica"] is not None else _source(facts)


def _stopped(facts: Mapping[str, Any]) -> ReplicaState:
    noted = (facts["role"] or {}).get("role")
    role = {"own": ReplicaRole.SOURCE, "copy": ReplicaRole.COPY}.get(str(noted))
    if role is None:
        return ReplicaState(role=None, healthy=None, detail=str(facts["down"]))
    last = _last_proof(facts) if role is ReplicaRole.COPY else None
    return ReplicaState(role, healthy=False, last_good=last, detail=str(facts["down"]))


def _source(facts: Mapping[str, Any]) -> ReplicaState:
    trouble = _trouble_of_source(facts)
    binlog = "" if facts["binlog_bytes"] is None else f"; its binary log has {int(facts['binlog_bytes']) >> 20} MiB"
    fed = f"{facts['peer']} is connected" if facts["feeds"] else "no standby is connected"
    waits = " (commits wait for it)" if facts["semi_sync"] and facts["commits_wait"] else ""
    return ReplicaState(
        ReplicaRole.SOURCE, healthy=not trouble, generation=str(facts["position"]), detail=trouble or f"{fed}{waits}{binlog}"
    )


def _trouble_of_source(facts: Mapping[str, Any]) -> str:
    if not facts["writable"]:
        given = (
            f"it was handed over to {facts['peer']}, and does not follow yet" if facts["handed_over"] else "until it is this node's turn"
        )
        return f"read-only: {given}"
    noted = facts["role"] is not None
    if noted and facts["server_id"] != facts["server_id_wanted"]:
        return f"WRONG SERVER ID: it is {facts['server_id']}, and should be {facts['server_id_wanted']}"
    required = bool((facts["standby"] or {}).get("required"))
    if required and not facts["commits_wait"]:
        return f"DEGRADED: commits do not wait for {facts['peer']}, which was gone; what is written now can be lost"
    if required and not facts["feeds"]:
        return f"{facts['peer']} is required and not connected: commits wait for it"
    return ""


def _copy(facts: Mapping[str, Any]) -> ReplicaState:
    replica, source = facts["replica"], facts["source"]
    runs = (replica["io"], replica["sql"]) == ("Yes", "Yes")
    trouble, fatal = _trouble_of_copy(facts)
    last, complete = _last_proof(facts), bool(source.get("has_all")) and not trouble
    if complete and float(source["time"]) > (last or 0.0):
        last = float(source["time"])
    lag_s = 0.0 if complete else (replica["lag_s"] if runs else None if last is None else max(float(facts["now"]) - last, 0.0))
    words = (
        f"follows {facts['peer']}, {'has everything' if complete else f'{lag_s} s behind'}"
        if not trouble
        else f"{trouble}; {_age(facts, last)}"
    )
    return ReplicaState(
        role=ReplicaRole.COPY,
        healthy=not fatal,
        last_good=last,
        generation=str(facts["position"]),
        lag_bytes=0 if complete else None,
        lag_s=lag_s,
        detail=words,
    )


def _trouble_of_copy(facts: Mapping[str, Any]) -> tuple[str, bool]:
    """What is wrong, and whether it stays so until somebody mends it: a network that is away for a while is not of that kind."""
    replica, source, peer = facts["replica"], facts["source"], facts["peer"]
    io, sql = int(replica["io_errno"]), int(replica["sql_errno"])
    same_id = facts["server_id"] == source.get("server_id") or io in SAME_SERVER_ID
    reasons = (
        (bool(source.get("errant")), f"WRITTEN BY HAND: it has transactions that {peer} lacks ({', '.join(source.get('errant') or ())})"),
        (facts["writable"], "WRITABLE: somebody switched read_only off on the standby"),
        (same_id, f"WRONG SERVER ID: both servers have {facts['server_id']}"),
        (facts["server_id"] != facts["server_id_wanted"], f"WRONG SERVER ID: it is {facts['server_id']}, not {facts['server_id_wanted']}"),
        (replica["host"] != facts["peer_address"], f"it follows {replica['host']}, not {peer}"),
        (io in PURGED, f"BINARY LOG GONE: {peer} no longer has what this copy needs next; it must be seeded anew"),
        (sql == DUPLICATE_KEY, f"DUPLICATE KEY: a row that {peer} wrote was here already; {replica['sql_error']}"),
        (sql == ROW_IS_NOT_THERE, f"ROW CHANGED BY HAND: a row that {peer} changed is not here; {replica['sql_error']}"),
        (sql == OUT_OF_ORDER, f"WRITTEN BY HAND: something was written here beside the replication; {replica['sql_error']}"),
        (sql != 0, f"it cannot apply what {peer} wrote: {replica['sql_error']}"),
        (replica["sql"] != "Yes", "applying is stopped"),
        (replica["io"] == "No" and io != 0, f"it cannot receive from {peer}: {replica['io_error']}"),
    )
    fatal = next((words for holds, words in reasons if holds), "")
    if fatal:
        return " ".join(fatal.split())[:300], True
    if replica["io"] != "Yes":
        return f"not fed: {' '.join(str(replica['io_error']).split())[:200] or 'it is about to connect, or receiving is stopped'}", False
    return ("", False) if "trouble" not in source else (f"{peer} could not be asked: {source['trouble']}", False)


def _last_proof(facts: Mapping[str, Any]) -> float | None:
    proof = facts["proof"]
    return None if proof is None else float(proof["time"])


def _age(facts: Mapping[str, Any], last: float | None) -> str:
    if last is None:
        return "it is not known of when it is"
    age_s = max(float(facts["now"]) - last, 0.0)
    ago = f"{age_s / _DAY_S:.1f} days" if age_s > _DAY_S else f"{age_s:.0f} s"
    return f"what it has is of {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(last))} ({ago} ago)"
