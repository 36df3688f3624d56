"""What a node's answer means for the pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xcat_ha.interfaces import ReplicaRole, ReplicaState
from xcat_ha.models import Engine
from xcat_ha_drivers.postgres.questions import Login


def state_of(answer: Mapping[str, Any]) -> ReplicaState:
    """The observation made of the node's JSON."""
    if answer["error"]:
        return ReplicaState(role=None, healthy=False, detail=str(answer["error"]))
    if answer["engine"] != Engine.POSTGRESQL:
        said = f"cfgloc names the database engine {answer['engine']}, not PostgreSQL"
        return ReplicaState(role=ReplicaRole.NONE, healthy=False, detail=said)
    kind, marker, trouble = str(answer["kind"]), answer["marker"], _trouble(answer)
    if kind == "none":
        return ReplicaState(role=ReplicaRole.NONE, healthy=None, detail=f"there is no database {answer['database']}")
    if kind == "waiting":
        newest = answer["newest"]
        return ReplicaState(
            role=ReplicaRole.COPY,
            healthy=False,
            last_good=float(newest["time"]),
            generation=str(newest["id"]),
            detail=f"generation {newest['name']} of {newest['source']} is complete, not in place; run it again (a promotion repairs it)",
        )
    if kind == "copy" and not answer["xcatd"]:
        origin = "copied from" if marker["state"] == "copy" else "handed over to"
        return ReplicaState(
            role=ReplicaRole.COPY,
            healthy=not trouble,
            last_good=float(marker["snapshot_time"]),
            generation=str(marker["id"]),
            detail=trouble or f"database {answer['database']}, {origin} {marker['peer']}, closed",
        )
    return ReplicaState(role=ReplicaRole.SOURCE, healthy=not trouble, detail=trouble or _own_detail(answer, kind))


def _trouble(answer: Mapping[str, Any]) -> str:
    """What keeps xCAT from its database, in one line; empty if nothing does."""
    login, errors = answer["login"], answer["hba_errors"]
    if errors:
        return f"PostgreSQL does not understand its pg_hba.conf (line {errors[0]})"
    if login is None or login["login"] in (Login.WORKS, Login.CLOSED):
        return ""
    return f"xCAT cannot log in to its database: {login['detail']} (asked by {login['by']})"


def _own_detail(answer: Mapping[str, Any], kind: str) -> str:
    text = f"database {answer['database']}, {int(answer['size_bytes']) >> 20} MiB, PostgreSQL {int(answer['version']) // 10000}"
    if kind == "touched":
        return f"{text}; it was a copy of {answer['marker']['peer']} and has been opened here"
    closed = ", closed: nobody can write to it until it is promoted" if answer["is_closed"] else ""
    return f"{text}{', xcatd runs' if answer['xcatd'] else ''}{closed}"
