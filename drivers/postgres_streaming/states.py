"""What a node's facts mean: the role of its database, whether it is healthy, how far it is behind. Pure.

The facts come from :mod:`xcat_ha_drivers.postgres_streaming._observe`.

**When the copy is of** (``last_good``): everything that was committed before that time, by the primary's clock, is in it. The latest of

* the time of the last proof (``sync`` asks the primary where its log ends, and waits until that is replayed);
* the commit time of the last transaction that was replayed: commits are logged one after the other;
* while it streams and has replayed all that was sent: the time at which the primary sent its last piece, because each piece says where the
  primary's log ended then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from xcat_ha.interfaces import ReplicaRole, ReplicaState

_DAY_S = 86400.0
_LONG_S = 16 * 3600.0
"""From here on days are read more easily."""


def state_of(facts: Mapping[str, Any]) -> ReplicaState:
    """The observation made of the facts.

    Raises:
        KeyError, TypeError, ValueError: facts are missing or of the wrong form.
    """
    if "error" in facts:
        return ReplicaState(role=None, healthy=None, detail=str(facts["error"]))
    if "none" in facts:
        return ReplicaState(role=ReplicaRole.NONE, healthy=False, detail=str(facts["none"]))
    if "down" in facts or not facts["runs"]:
        return _stopped(facts)
    if facts["in_recovery"]:
        return _copy(facts)
    if facts["database"] not in facts["databases"]:
        return ReplicaState(role=ReplicaRole.NONE, healthy=False, detail=f"the server has no database {facts['database']}")
    return _source(facts)


def _stopped(facts: Mapping[str, Any]) -> ReplicaState:
    why = str(facts.get("down") or "PostgreSQL does not run")
    if facts["signal"]:
        last = _last_proof(facts)
        return ReplicaState(ReplicaRole.COPY, healthy=False, last_good=last, detail=f"{why}; {_age(facts, last)}")
    if facts["handed_over"] is not None:
        return ReplicaState(ReplicaRole.SOURCE, healthy=False, detail=f"{why}: its database was given up, and does not follow yet")
    if facts["standby"] is None and facts["promoted"] is None and not facts["own"]:
        return ReplicaState(role=None, healthy=None, detail=f"{why}, so nobody knows which databases it has")
    turn = "" if facts["own"] else "; after a boot it starts when it is this node's turn"
    return ReplicaState(ReplicaRole.SOURCE, healthy=False, detail=f"{why}; the database is this node's own{turn}")


# A primary


def _source(facts: Mapping[str, Any]) -> ReplicaState:
    trouble = _trouble_of_source(facts)
    words = trouble or _standby_words(facts)
    return ReplicaState(ReplicaRole.SOURCE, healthy=not trouble, generation=_position(facts["flushed"]), detail=words)


def _trouble_of_source(facts: Mapping[str, Any]) -> str:
    peer, note = facts["peer"], facts["standby"] or {}
    if facts["login_refused"]:
        return f"xCAT does not get in: {facts['login_refused']}"
    if note.get("degraded_since"):
        return f"DEGRADED since {_moment(note['degraded_since'])}: commits no longer wait for {peer}, which was gone"
    sender = _sender(facts)
    if facts["sync_names"] and (sender is None or sender["state"] != "streaming"):
        waiting = int(facts["waiting"])
        held = f"; {waiting} wait now" if waiting else ""
        return f"{peer} is required and not connected: every commit waits for it{held}"
    if facts["sync_names"] and facts["sync_commit"] in {"off", "local"}:
        return f"{peer} is required, but synchronous_commit is {facts['sync_commit']}: commits do not wait for it"
    slot = next((slot for slot in facts["slots"] if slot["name"] == facts["peer_slot"]), None)
    if slot is not None and slot["status"] == "lost":
        return f"the replication slot of {peer} is LOST: it was away while more was written than max_slot_wal_mib keeps"
    return ""


def _sender(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = next((one for one in facts["senders"] if one["name"] == facts["peer_slot"]), None)
    return found


def _standby_words(facts: Mapping[str, Any]) -> str:
    sender, peer = _sender(facts), facts["peer"]
    if sender is None:
        slot = next((slot for slot in facts["slots"] if slot["name"] == facts["peer_slot"]), None)
        kept = (
            ""
            if slot is None or slot["safe_bytes"] is None
            else f"; {int(slot['safe_bytes']) >> 20} MiB may be written until its slot is lost"
        )
        return f"no standby is connected{kept}"
    behind = "" if sender["replayed"] is None else f", {max(int(facts['flushed']) - int(sender['replayed']), 0)} bytes behind"
    return f"{peer} is {sender['state']} ({'synchronous' if sender['sync_state'] == 'sync' else 'asynchronous'}){behind}"


# A copy


def _copy(facts: Mapping[str, Any]) -> ReplicaState:
    connection = facts["connection"]
    streams = connection is not None and connection["status"] == "streaming" and connection["host"] == facts["peer_address"]
    last = _last_good(facts, connection if streams else None)
    trouble = "replay is paused" if facts["paused"] else ("" if streams else _trouble_of_copy(facts))
    fatal = bool(trouble) and (facts["paused"] or _is_fatal(facts))
    lag_bytes = _lag_bytes(facts, connection) if streams else None
    if streams and not trouble:
        words = f"streams from {facts['peer']}, {'all replayed' if lag_bytes == 0 else f'{lag_bytes} bytes behind'}"
    else:
        words = f"{trouble}; {_age(facts, last)}"
    return ReplicaState(
        role=ReplicaRole.COPY,
        healthy=not fatal,
        last_good=last,
        generation=_position(facts["replayed"]),
        lag_bytes=lag_bytes,
        lag_s=_lag_s(facts, last, lag_bytes),
        detail=words,
    )


def _last_proof(facts: Mapping[str, Any]) -> float | None:
    proof = facts["proof"]
    return float(proof["time"]) if proof is not None and proof["system"] == facts["system"] else None


def _last_good(facts: Mapping[str, Any], connection: Mapping[str, Any] | None) -> float | None:
    known = [_last_proof(facts), facts["replay_time"]]
    if connection is not None and connection["end"] is not None and (facts["replayed"] or 0) >= connection["end"]:
        known.append(connection["end_time"])
    times = [float(moment) for moment in known if moment is not None]
    return max(times, default=None)


def _lag_bytes(facts: Mapping[str, Any], connection: Mapping[str, Any]) -> int | None:
    if connection["end"] is None or facts["replayed"] is None:
        return None
    return max(int(connection["end"]) - int(facts["replayed"]), 0)


def _lag_s(facts: Mapping[str, Any], last: float | None, lag_bytes: int | None) -> float | None:
    if lag_bytes == 0:
        return 0.0
    return None if last is None else max(float(facts["now"]) - last, 0.0)


def _trouble_of_copy(facts: Mapping[str, Any]) -> str:
    """Why it does not stream, as far as the source could be asked."""
    source, peer = facts.get("source") or {}, facts["peer"]
    if "trouble" in source:
        return f"not fed: {source['words']}"
    reasons = (
        (
            bool(source.get("system")) and source["system"] != facts["system"],
            f"ANOTHER CLUSTER: {peer}'s system identifier is {source.get('system')}, this copy's is {facts['system']}",
        ),
        (bool(source.get("in_recovery")), f"not fed: PostgreSQL on {peer} is a standby itself"),
        ("slot" in source and source["slot"] is None, f"not fed: the replication slot that {peer} kept for it is gone"),
        (
            source.get("slot") == "lost",
            f"SLOT LOST: more was written on {peer} than its replication slot keeps; the copy must be made anew",
        ),
        (_is_ahead(facts), f"AHEAD of {peer}: this copy has what {peer} lacks; {peer}'s database was set back, or went on without it"),
        (
            _log_is_gone(facts),
            f"LOG GONE: {peer} no longer has the write-ahead log this copy needs next; the copy must be made anew",
        ),
    )
    found = next((words for holds, words in reasons if holds), "")
    return found or f"not fed, although {peer} answers: it is about to connect, or its log tells why not"


def _is_fatal(facts: Mapping[str, Any]) -> bool:
    """Whether it stays so until somebody mends it. A network or a server that is away for a while is not of that kind."""
    source = facts.get("source") or {}
    if "trouble" in source:
        return bool(source["trouble"] == "refused")
    other = bool(source.get("system")) and source["system"] != facts["system"]
    slot = "slot" in source and source["slot"] in {None, "lost"}
    return other or bool(source.get("in_recovery")) or slot or _is_ahead(facts) or _log_is_gone(facts)


def _is_ahead(facts: Mapping[str, Any]) -> bool:
    """Whether it has replayed more than its source ever wrote; what was received may be padded to the end of a file."""
    flushed = (facts.get("source") or {}).get("flushed")
    return flushed is not None and int(facts["replayed"] or 0) > int(flushed)


def _log_is_gone(facts: Mapping[str, Any]) -> bool:
    source = facts.get("source") or {}
    start, segment = source.get("keeps_from"), int(source.get("segment_bytes") or 0)
    position = max(int(facts["received"] or 0), int(facts["replayed"] or 0))
    return start is not None and segment > 0 and position // segment < int(start) // segment


# Words


def _age(facts: Mapping[str, Any], last: float | None) -> str:
    if last is None:
        return "it is not known of when it is"
    age_s = max(float(facts["now"]) - last, 0.0)
    ago = f"{age_s / _DAY_S:.1f} days" if age_s > _LONG_S else f"{age_s:.0f} s"
    return f"what it has is of {_moment(last)} ({ago} ago)"


def _moment(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(float(moment)))


def _position(bytes_: object) -> str:
    if bytes_ is None:
        return ""
    position = int(str(bytes_))
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
