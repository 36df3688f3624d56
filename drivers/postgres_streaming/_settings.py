"""What the servers must be told: settings, who may connect, TLS, and when systemd may start them.

All of it is a function of the configuration and of two notes (``standby``: whether a standby is required now; ``limits``: those of the
primary this node followed last), so putting it in again changes nothing. It is put in on both nodes, so that
nothing has to be changed when the role moves.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from xcat_ha_drivers.database.disk import rooted, sync_directory, write_durably
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.postgres import access
from xcat_ha_drivers.postgres.daemon import start_at_boot, why_not_at_boot
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.location import require_postgres
from xcat_ha_drivers.postgres.server import MAINTENANCE
from xcat_ha_drivers.postgres.settings import read_settings
from xcat_ha_drivers.postgres_streaming._cluster import SIGNAL, Cluster, await_true, daemon_reload
from xcat_ha_drivers.postgres_streaming._places import OWN_MARK, OWNER_DIR, ROLE, Given, owner_directory, read_note
from xcat_ha_drivers.postgres_streaming._source import connection, connection_string

BLOCK = "postgres-streaming"
_CERTIFICATE_DAYS = "7300"
_NAMES = """SELECT coalesce(jsonb_object_agg(name, jsonb_build_array(setting, pending_restart, source)), '{}') FROM pg_settings
WHERE name IN (SELECT jsonb_array_elements_text(:'names'::jsonb));"""
_VERIFIERS = "SELECT to_jsonb(rolpassword LIKE 'md5%') FROM pg_authid WHERE rolname = :'user' AND rolpassword IS NOT NULL;"
_LIMITS = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
_NEED_RESTART = frozenset({"listen_addresses", "wal_log_hints", "hot_standby", *_LIMITS})
_SHOWN = {"15s": "15000"}
"""A few values as pg_settings shows them, in the setting's own unit."""


def required_standby(given: Given) -> str:
    """Value of ``synchronous_standby_names`` now: the other node if it is required, else nothing."""
    note = read_note("standby") or {}
    required = given.synchronous and note.get("required") is True and note.get("degraded_since") is None
    return given.peer_slot if required else ""


def settings_of(given: Given, cluster: Cluster) -> dict[str, str]:
    """The settings of this node, in the order they are written."""
    found = {
        # The service address comes and goes; a server that waits for it by name would have to be restarted (facts: xCAT 1.3).
        "listen_addresses": "*",
        "hot_standby": "on",
        "wal_log_hints": "on",  # this one and the next: for pg_rewind
        "full_page_writes": "on",
        "max_slot_wal_keep_size": f"{given.slot_mib}MB",
        "wal_sender_timeout": "15s",
        "wal_receiver_timeout": "15s",
        "primary_conninfo": connection_string(connection(given, cluster)),
        "primary_slot_name": given.own_slot,
        "synchronous_standby_names": required_standby(given),
    }
    limits = read_note("limits") or {}
    found |= {name: str(limits[name]) for name in _LIMITS if name in limits}
    if _certificate().exists():
        found |= {"ssl": "on", "ssl_cert_file": str(_certificate()), "ssl_key_file": str(_key())}
    return found


def rules_of(given: Given, cluster: Cluster, *, method: str) -> tuple[access.Rule, ...]:
    """Replication from the other node; xCAT from both nodes and the service addresses."""
    location = require_postgres(given.xcat_dir).location
    peers = (given.peer_address, given.address)
    return (
        *access.rules_for("replication", ROLE, peers, kind="hostssl"),
        *access.rules_for(MAINTENANCE, ROLE, peers, kind="hostssl"),
        *access.rules_for(cluster.database, location.user, (*given.service, given.address, given.peer_address), method=method),
    )


def _method(given: Given, cluster: Cluster) -> str:
    """How xCAT's role can prove itself: what is stored decides. Remembered in the file while the server does not answer."""
    user = require_postgres(given.xcat_dir).location.user
    try:
        legacy = cluster.server.ask(_VERIFIERS, variables={"user": user})
    except DatabaseError:
        legacy = []
    if not legacy:
        present = access.block_of(Path(cluster.layout.hba_file).read_text(encoding="utf-8", errors="surrogateescape"), BLOCK)
        return access.LEGACY_METHOD if any(line.endswith(f" {access.LEGACY_METHOD}") for line in present) else access.PASSWORD_METHOD
    return access.LEGACY_METHOD if legacy[0] else access.PASSWORD_METHOD


def put_files(given: Given, cluster: Cluster) -> bool:
    """Write blocks, certificate and drop-in; returns whether any of them changed."""
    _make_certificate_if_needed(given, cluster)
    changed = access.put_rules(cluster.layout, BLOCK, rules_of(given, cluster, method=_method(given, cluster)))
    changed = access.put_settings(cluster.layout, BLOCK, settings_of(given, cluster)) or changed
    if why_not_at_boot(cluster.layout):
        start_at_boot(cluster.layout)
    return _put_drop_in(cluster) or changed


def has_files(given: Given, cluster: Cluster) -> bool:
    """Whether :func:`put_files` would change nothing."""
    return (
        access.has_rules(cluster.layout, BLOCK, rules_of(given, cluster, method=_method(given, cluster)))
        and access.has_settings(cluster.layout, BLOCK, settings_of(given, cluster))
        and not why_not_at_boot(cluster.layout)
        and _drop_in(cluster).is_file()
        and _drop_in(cluster).read_text() == _drop_in_text(cluster)
    )


def not_in_force(given: Given, cluster: Cluster) -> list[str]:
    """Settings that the running server does not have as they are written.

    Where it listens may have been narrowed by its administrator's own means; whether that suits is asked by connecting.
    """
    wanted = settings_of(given, cluster)
    (found,) = cluster.server.ask(_NAMES, variables={"names": json.dumps(list(wanted))})
    late = []
    for name, value in wanted.items():
        setting, pending, origin = found.get(name, (None, False, ""))
        # What the command line says no restart will change, and yet each reload notes that one is due.
        due = pending and origin != "command line"
        if due or (name != "listen_addresses" and setting != _shown(name, value)):
            late.append(name)
    return late


def _shown(name: str, value: str) -> str:
    if name == "max_slot_wal_keep_size":
        return value.removesuffix("MB")
    return _SHOWN.get(value, value)


def put_in_force(given: Given, cluster: Cluster, *, restart: bool) -> None:
    """Let the running server take over what is written. ``restart``: it may be restarted for that.

    Raises:
        PostgresError: a setting does not take effect.
    """
    cluster.reload()
    late = set(not_in_force(given, cluster))
    if restart and late & _NEED_RESTART:
        cluster.restart()

    def done() -> bool:
        return not set(not_in_force(given, cluster)) - (frozenset() if restart else _NEED_RESTART)

    names = ", ".join(sorted(late))
    await_true(
        done,
        timeout_s=15.0,
        what=f"the settings {names} are in force on {given.node}",
        hint="something overrules them: SELECT * FROM pg_file_settings; ALTER SYSTEM RESET takes out what ALTER SYSTEM set",
    )


# TLS


def _certificate() -> Path:
    return rooted(f"{OWNER_DIR}/server.crt")


def _key() -> Path:
    return rooted(f"{OWNER_DIR}/server.key")


def _make_certificate_if_needed(given: Given, cluster: Cluster) -> None:
    """A server that has TLS already keeps its certificate."""
    on = read_settings(Path(cluster.layout.config_file)).get("ssl", "off").lower() in {"on", "true", "yes", "1"}
    if on or _certificate().exists():
        return
    directory = owner_directory(cluster.layout)
    key, certificate = directory / ".server.key", directory / ".server.crt"
    words = ("-x509", "-newkey", "rsa:3072", "-nodes", "-sha256", "-days", _CERTIFICATE_DAYS, "-subj", f"/CN={given.node}")
    argv = ("openssl", "req", *words, "-keyout", str(key), "-out", str(certificate))
    old_mask = os.umask(0o077)
    try:
        ended = subprocess.run(argv, capture_output=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise PostgresError(
            "openssl is not installed, and the server has no certificate", hint="install openssl, or set ssl = on"
        ) from error
    finally:
        os.umask(old_mask)
    if ended.returncode != 0:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise PostgresError(f"openssl made no certificate: {said[-1][:200] if said else ended.returncode}", hint="try it by hand")
    for made, place in ((key, _key()), (certificate, _certificate())):
        if os.geteuid() == 0:
            os.chown(made, cluster.layout.uid, cluster.layout.gid)
        made.chmod(0o600)
        made.replace(place)
    sync_directory(directory)


# When it may start


def _drop_in(cluster: Cluster) -> Path:
    return rooted(f"/etc/systemd/system/{cluster.layout.unit}.d/xcat-ha.conf")


def _drop_in_text(cluster: Cluster) -> str:
    return (
        "# Written by xcat-ha. After a boot the server starts by itself as a standby only; as a primary when it is this node's turn.\n"
        "[Unit]\n"
        f"ConditionPathExists=|{rooted(OWN_MARK)}\n"
        f"ConditionPathExists=|{cluster.data / SIGNAL}\n"
    )


def _put_drop_in(cluster: Cluster) -> bool:
    path, text = _drop_in(cluster), _drop_in_text(cluster)
    if path.is_file() and path.read_text() == text:
        return False
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_durably(path, text)
    path.chmod(0o644)
    daemon_reload()
    return True
