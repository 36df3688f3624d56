"""Making both servers ready: the source to be followed, the target to follow."""

from __future__ import annotations

from xcat_ha_drivers.database.notes import is_marked, set_mark
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres_streaming import _account
from xcat_ha_drivers.postgres_streaming._cluster import Cluster
from xcat_ha_drivers.postgres_streaming._places import OWN_MARK, ROLE, Given, read_note, write_note
from xcat_ha_drivers.postgres_streaming._settings import has_files, not_in_force, put_files, put_in_force
from xcat_ha_drivers.postgres_streaming._source import ask_source

_SLOT = "SELECT to_jsonb(coalesce(wal_status, 'lost')) FROM pg_replication_slots WHERE slot_name = :'slot';"
_DROP = "SELECT to_jsonb(pg_drop_replication_slot(slot_name)::text IS NULL) FROM pg_replication_slots WHERE slot_name = :'slot';"
_MAKE = "SELECT to_jsonb(slot_name) FROM pg_create_physical_replication_slot(:'slot', true);"


def why_source_not_ready(given: Given, cluster: Cluster) -> str:
    """Empty if the other node could follow this one's server."""
    if not cluster.runs() or cluster.in_recovery():
        return "PostgreSQL does not run, or the database is a copy itself"
    if not is_marked(OWN_MARK):
        return "it is not noted that this database is the node's own"
    if not _account.known_password() or not _account.has_role(cluster.server):
        return f"the replication role {ROLE} is not as it should be"
    if not has_files(given, cluster):
        return "settings or pg_hba.conf are not as they should be"
    late = not_in_force(given, cluster)
    if late:
        return f"not in force yet: {', '.join(late)}"
    return why_no_slot(given, cluster)


def why_no_slot(given: Given, cluster: Cluster) -> str:
    """Empty if the log is kept for the other node."""
    found = cluster.server.ask(_SLOT, variables={"slot": given.peer_slot})
    if not found:
        return f"there is no replication slot {given.peer_slot}"
    return f"the replication slot {given.peer_slot} is lost" if found[0] == "lost" else ""


def prepare_source(given: Given, cluster: Cluster) -> None:
    """Let the other node follow. The server is restarted if a setting needs that: xcatd connects again by itself (facts: xCAT 1.3).

    Raises:
        PostgresError: the server does not run, is a standby, or does not take a setting.
    """
    if cluster.in_recovery():
        raise PostgresError(f"the database on {given.node} is a copy itself", hint="xcat-ha status shows who is what")
    if cluster.database not in cluster.databases():
        raise PostgresError(f"there is no database {cluster.database} on {given.node}", hint="look at cfgloc; pgsqlsetup makes it")
    set_mark(OWN_MARK)
    if read_note("standby") is None:
        write_note("standby", required=False, degraded_since=None)  # what this node's own database is known by while it is stopped
    _account.make_password(cluster.layout)
    if not _account.has_role(cluster.server):
        _account.make_role(cluster.server)
    put_files(given, cluster)
    put_in_force(given, cluster, restart=True)
    make_slot(given, cluster)


def make_slot(given: Given, cluster: Cluster) -> None:
    """A slot for the other node, from now on; one that is lost is replaced."""
    if why_no_slot(given, cluster):
        cluster.server.ask(_DROP, variables={"slot": given.peer_slot})
        cluster.server.ask(_MAKE, variables={"slot": given.peer_slot})


def why_target_not_ready(given: Given, cluster: Cluster) -> str:
    """Empty if this node's server could follow the other one's."""
    if not _account.known_password():
        return "the password of the replication role is not here"
    if not has_files(given, cluster):
        return "settings or pg_hba.conf are not as they should be"
    limits = ask_source(given, cluster).limits
    return "" if read_note("limits") == limits else f"the limits of the server are not those of {given.peer}"


def prepare_target(given: Given, cluster: Cluster) -> None:
    """Fetch the password; write what this server will need. It takes effect when it starts as a standby.

    Raises:
        PostgresError: the other node does not answer.
    """
    _account.fetch_password(given, cluster.layout)
    write_note("limits", **ask_source(given, cluster).limits)
    put_files(given, cluster)
    if cluster.runs() and cluster.in_recovery():
        put_in_force(given, cluster, restart=True)
