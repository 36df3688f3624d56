"""Asking the other node's server, over the way that replication itself takes: TCP, TLS, the replication role and its password.

The server is believed because SCRAM proves both sides' knowledge of the password, and ``channel_binding=require`` ties that to this very
TLS connection (documentation of libpq): nobody in between can pass it on, whatever certificate he shows.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any, NamedTuple

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.server import MAINTENANCE
from xcat_ha_drivers.postgres_streaming._cluster import Cluster
from xcat_ha_drivers.postgres_streaming._places import PASSFILE, ROLE, Given
from xcat_ha_drivers.postgres_streaming._wal import lsn, switch_points

CONNECT_TIMEOUT_S = 5

# Quoted by psql: the only input is the name of the slot.
_FACTS = """
SELECT jsonb_build_object(
  'system', (SELECT system_identifier::text FROM pg_control_system()),
  'version', current_setting('server_version_num')::int,
  'in_recovery', pg_is_in_recovery(),
  'time', extract(epoch FROM clock_timestamp()),
  'flushed', CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn()::text END,
  'timeline', CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
  'next_xid', pg_snapshot_xmax(pg_current_snapshot())::text,
  'tablespaces', (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')),
  'limits', (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name IN ('max_connections', 'max_worker_processes',
    'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction')),
  'segment_bytes', pg_size_bytes(current_setting('wal_segment_size')),
  'slot', (SELECT jsonb_build_object('status', wal_status, 'from', restart_lsn::text)
    FROM pg_replication_slots WHERE slot_name = :'slot'));
"""
_HISTORY = "SELECT to_jsonb(convert_from(pg_read_binary_file('pg_wal/' || :'name' || '.history'), 'UTF8'));"

_REASONS = (
    (r"password authentication failed", "refused", "{peer} refuses the password of {role}"),
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects", "refused", "pg_hba.conf of {peer} does not let {role} in from here"),
    (r'role "[^"]*" (does not exist|is not permitted)', "refused", "role {role} does not exist on {peer}, or may not log in"),
    (r"does not support SSL|channel binding|SSL error", "refused", "{peer} does not offer TLS as it should"),
    (r"starting up|shutting down|not yet accepting|recovery mode", "down", "PostgreSQL on {peer} is starting or stopping"),
    (r"Connection refused|closed the connection", "down", "PostgreSQL on {peer} does not run, or does not listen at {address}"),
    (r"timeout expired|timed out|No route|unreachable", "silent", "{peer} ({address}) does not answer"),
)


class SourceError(PostgresError):
    """The other node's server was not reached. ``kind``: ``refused``, ``down``, ``silent`` or ``unknown``."""

    def __init__(self, kind: str, what: str, *, hint: str) -> None:
        super().__init__(what, hint=hint)
        self.kind = kind


class Slot(NamedTuple):
    """What the source keeps for a standby.

    Attributes:
        status: PostgreSQL's word (``reserved``, ``extended``, ``unreserved``, ``lost``).
        start: from where on its log is kept, in bytes; None: nothing is kept.
    """

    status: str
    start: int | None

    @property
    def lost(self) -> bool:
        """Whether what the standby needs next may be gone."""
        return self.status == "lost"


class Source(NamedTuple):
    """The other node's server, which answers.

    Attributes:
        system: system identifier.
        version: as ``server_version_num``.
        in_recovery: whether it is a standby itself.
        time: its clock, in seconds since the epoch.
        flushed: end of what it has on disk, in bytes; None for a standby.
        timeline: which it writes; 0 for a standby.
        next_xid: grows with every transaction that writes.
        tablespaces: how many it has outside its data directory.
        limits: settings that a standby must not have lower (documentation, "Hot Standby", administrator's overview).
        segment_bytes: size of a file of the log.
        slot: of this node; None if there is none.
    """

    system: str
    version: int
    in_recovery: bool
    time: float
    flushed: int | None
    timeline: int
    next_xid: int
    tablespaces: int
    limits: Mapping[str, str]
    segment_bytes: int
    slot: Slot | None

    def keeps(self, position: int) -> bool:
        """Whether the slot keeps the log from ``position`` on (standbys ask for whole files)."""
        if self.slot is None or self.slot.lost or self.slot.start is None:
            return False
        return position // self.segment_bytes >= self.slot.start // self.segment_bytes


def connection(given: Given, cluster: Cluster) -> dict[str, str]:
    """How this node reaches the other one's server. There is no secret in it."""
    return {
        "host": given.peer_address,
        "port": str(cluster.layout.port),
        "user": ROLE,
        "passfile": str(rooted(PASSFILE)),
        "sslmode": "require",
        "channel_binding": "require",
        "gssencmode": "disable",
        "connect_timeout": str(CONNECT_TIMEOUT_S),
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "application_name": given.own_slot,
    }


def connection_string(words: dict[str, str]) -> str:
    """As libpq reads it."""
    return " ".join(f"{name}={_quoted(value)}" for name, value in words.items())


def _quoted(value: str) -> str:
    if re.fullmatch(r"[\w./:-]+", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def ask_source(given: Given, cluster: Cluster) -> Source:
    """What the other node's server says now.

    Raises:
        SourceError: it could not be asked, and why.
    """
    (found,) = _ask(given, cluster, _FACTS, "slot", given.own_slot)
    slot = found["slot"]
    return Source(
        system=found["system"],
        version=found["version"],
        in_recovery=found["in_recovery"],
        time=float(found["time"]),
        flushed=lsn(found["flushed"] or ""),
        timeline=int(found["timeline"] or "0", 16),
        next_xid=int(found["next_xid"]),
        tablespaces=int(found["tablespaces"]),
        limits={str(name): str(value) for name, value in sorted(found["limits"].items())},
        segment_bytes=int(found["segment_bytes"]),
        slot=None if slot is None else Slot(slot["status"] or "lost", lsn(slot["from"] or "")),
    )


def history_of(given: Given, cluster: Cluster, timeline: int) -> dict[int, int]:
    """Where the ancestors of the source's timeline ended.

    Raises:
        SourceError: it could not be asked.
        PostgresError: the history file is not understood.
    """
    if timeline <= 1:
        return {}
    (text,) = _ask(given, cluster, _HISTORY, "name", f"{timeline:08X}")
    points = switch_points(text)
    if points is None:
        raise PostgresError(f"the history of timeline {timeline} on {given.peer} is not understood", hint="look at pg_wal there")
    return points


def _ask(given: Given, cluster: Cluster, sql: str, name: str, value: str) -> list[Any]:
    words = {**connection(given, cluster), "dbname": MAINTENANCE}
    argv = [cluster.layout.program("psql"), "-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-v", f"{name}={value}"]
    as_owner = cluster.server.as_owner(None)
    as_owner["env"] = {"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8", "PGCLIENTENCODING": "UTF8"}
    try:
        ended = subprocess.run(
            [*argv, "-d", connection_string(words)],
            input=sql.encode(),
            capture_output=True,
            check=False,
            cwd="/",
            timeout=CONNECT_TIMEOUT_S * 4,
            **as_owner,
        )
    except subprocess.TimeoutExpired:
        raise _worded(given, "timed out") from None
    if ended.returncode != 0:
        raise _worded(given, ended.stderr.decode("utf-8", "replace"))
    return [json.loads(line) for line in ended.stdout.decode("utf-8", "surrogateescape").splitlines() if line]


def _worded(given: Given, said: str) -> SourceError:
    hint = f"look at PostgreSQL on {given.peer}, and at the network between the nodes"
    for pattern, kind, words in _REASONS:
        if re.search(pattern, said):
            text = words.format(peer=given.peer, role=ROLE, address=given.peer_address)
            refused = "xcat-ha sync puts the role, its password and pg_hba.conf right"
            return SourceError(kind, text, hint=refused if kind == "refused" else hint)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return SourceError("unknown", f"PostgreSQL on {given.peer} cannot be asked: {lines[0][:200] if lines else 'no answer'}", hint=hint)
