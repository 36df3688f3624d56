"""A server that nobody else can reach: for reading a data directory whose own server does not, and must not, run.

It listens nowhere but at a socket in a directory of the owner's alone, starts nothing of the site's (no archiving, no replication), and is
stopped again before anything else happens. On the node's own data directory it does what any start does (recovery after a crash, a clean
stop); on a copy of it, it leaves the original as it is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xcat_ha_drivers.database.disk import free_bytes, no_room
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_streaming._cluster import START_LIMIT_S, Cluster

_QUIET = {
    "archive_mode": "off",
    "cluster_name": "xcat-ha-private",
    "external_pid_file": "",
    "listen_addresses": "",
    "logging_collector": "off",
    "primary_conninfo": "",
    "ssl": "off",
    "synchronous_standby_names": "",
}
_ROOM_FOR_START = 64 << 20


@contextmanager
def reading(cluster: Cluster) -> Iterator[Server]:
    """The running server, or a private one on a copy of the data directory of a stopped one. Changes nothing that stays.

    Raises:
        DatabaseError: there is no room for the copy, or it cannot be started.
    """
    if cluster.runs():
        yield cluster.server
        return
    with _beside(cluster) as place:
        copy = place / "data"
        _copy(cluster, copy)
        with started(cluster, copy, place) as server:
            yield server


@contextmanager
def on_own_data(cluster: Cluster, *, writable: bool = False) -> Iterator[Server]:
    """A private server on the data directory itself, whose own server is stopped; afterwards it is cleanly shut down."""
    with _beside(cluster) as place, started(cluster, cluster.data, place, writable=writable) as server:
        yield server


@contextmanager
def started(cluster: Cluster, data: Path, place: Path, *, writable: bool = False) -> Iterator[Server]:
    """A private server on ``data`` with its socket and log in ``place``, which its owner can write to."""
    (place / "hba").write_text("local all all trust\n")  # whoever gets at the socket is its owner or root
    _give(cluster, place / "hba")
    settings = _QUIET | {"hba_file": str(place / "hba"), "unix_socket_directories": str(place), "port": str(cluster.layout.port)}
    settings |= {"data_directory": str(data), "config_file": _config_file(cluster, data)}
    settings |= {} if writable else {"default_transaction_read_only": "on"}
    options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
    words = ("-D", str(data), "-w", "-t", str(int(START_LIMIT_S)), "-s", "-l", str(place / "log"), "-o", options)
    code, said, complained = cluster.call("pg_ctl", "start", *words, timeout_s=START_LIMIT_S + 30)
    try:
        if code != 0:
            raise PostgresError(
                f"PostgreSQL cannot be started on {data}: {_last_words(place / 'log') or (complained or said).strip()[:200]}",
                hint="its own log tells more",
            )
        yield Server(cluster.layout._replace(socket_directory=str(place), data_directory=str(data)))
    finally:
        cluster.call("pg_ctl", "stop", "-D", str(data), "-m", "fast", "-w", "-s", "-t", "300", timeout_s=330)


def _config_file(cluster: Cluster, data: Path) -> str:
    """Where configuration and data are one directory, a copy has its own configuration."""
    config = Path(cluster.layout.config_file)
    return str(data / config.name) if config.parent == cluster.data else str(config)


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    telling = [line for line in lines if "FATAL" in line or "PANIC" in line] or lines
    return telling[-1][-300:] if telling else ""


def _give(cluster: Cluster, path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, cluster.layout.uid, cluster.layout.gid)


@contextmanager
def _beside(cluster: Cluster) -> Iterator[Path]:
    """A directory of the owner's, on a disk that has room, with a short name (that of a socket may have 107 bytes)."""
    place = Path(tempfile.mkdtemp(prefix="xha-", dir="/var/tmp"))
    try:
        _give(cluster, place)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _copy(cluster: Cluster, copy: Path) -> None:
    """As a crash leaves it: the server does not run, so the files do not change."""
    size = sum(path.lstat().st_size for path in cluster.data.rglob("*") if path.is_file() and not path.is_symlink())
    if any((cluster.data / "pg_tblspc").iterdir()):
        raise PostgresError("the server has tablespaces of its own", hint="xcat-ha cannot read it while it is stopped: start it")
    if free_bytes(copy.parent) < size + _ROOM_FOR_START:
        raise no_room(copy, "nothing was changed", f"a copy of {size} bytes is needed to read the stopped database")
    shutil.copytree(cluster.data, copy, ignore=shutil.ignore_patterns("postmaster.pid", "postmaster.opts"), symlinks=True)
    if os.geteuid() == 0:
        for directory, _names, files in os.walk(copy):
            for path in (directory, *(os.path.join(directory, name) for name in files)):  # noqa: PTH118  # thousands of them
                os.chown(path, cluster.layout.uid, cluster.layout.gid, follow_symlinks=False)
    copy.chmod(0o700)
