"""A base backup of the other node's server, made beside the data directory, proven, and put in its place as a whole."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

from xcat_ha_drivers.database.disk import sync_directory
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres_streaming._cluster import SIGNAL, Cluster
from xcat_ha_drivers.postgres_streaming._places import Given
from xcat_ha_drivers.postgres_streaming._source import Source, connection, connection_string

_LIMIT_S = 4 * 3600.0
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def incoming(cluster: Cluster) -> Path:
    """Where a backup grows."""
    return cluster.data.with_name(f"{cluster.data.name}.xcat-ha-new")


def previous(cluster: Cluster) -> Path:
    """Where the replaced data directory is until the new one is proven."""
    return cluster.data.with_name(f"{cluster.data.name}.xcat-ha-previous")


def tidy_up(cluster: Cluster) -> None:
    """What a killed run left: a backup that never was put in place."""
    shutil.rmtree(incoming(cluster), ignore_errors=True)


def make_backup(given: Given, cluster: Cluster, source: Source) -> None:
    """Fetch a backup into :func:`incoming`, prove it by its own manifest and by the system identifier, and make it a standby.

    Raises:
        PostgresError: it could not be fetched, or is not what the source has; the data directory is as it was.
    """
    place = incoming(cluster)
    tidy_up(cluster)
    place.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(place, cluster.layout.uid, cluster.layout.gid)
    words = (
        "-D",
        str(place),
        "-X",
        "stream",
        "-S",
        given.own_slot,
        "-c",
        "fast",
        "-w",
        "-d",
        connection_string(connection(given, cluster)),
    )
    try:
        _run(cluster, "pg_basebackup", *words)
        _run(cluster, "pg_verifybackup", "-q", str(place))
        _require_system(cluster.control(place).system_identifier, source)
    except BaseException:
        tidy_up(cluster)
        raise
    make_standby(cluster, place)


def _run(cluster: Cluster, program: str, *words: str) -> None:
    code, _said, complained = cluster.call(program, *words, timeout_s=_LIMIT_S)
    if code != 0:
        raise _failure(program, complained, cluster)


def _require_system(found: str, source: Source) -> None:
    if found != source.system:
        raise PostgresError(f"the backup is of another cluster ({found}, not {source.system})", hint="who answers at that address?")


def _failure(program: str, said: str, cluster: Cluster) -> PostgresError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line] or lines
    hint = f"make room in {cluster.data.parent}" if "No space left" in said else "mend the cause, then run it again"
    state = f"the data directory {cluster.data} is as it was"
    return PostgresError(f"{program} failed: {telling[0][:300] if telling else 'it says nothing'}", state=state, hint=hint)


def make_standby(cluster: Cluster, data: Path) -> None:
    """Let the server on ``data`` be a standby whenever it starts; durable."""
    signal = data / SIGNAL
    if not signal.exists():
        signal.touch(mode=0o600)
        if os.geteuid() == 0:
            os.chown(signal, cluster.layout.uid, cluster.layout.gid)
    sync_directory(data)


def put_in_place(cluster: Cluster) -> None:
    """Exchange :func:`incoming` and the data directory, whose server is stopped; the replaced one becomes :func:`previous`.

    Raises:
        PostgresError: the directory cannot be exchanged (it is a mount point); everything is as it was.
    """
    shutil.rmtree(previous(cluster), ignore_errors=True)
    _exchange(incoming(cluster), cluster.data)
    incoming(cluster).rename(previous(cluster))
    sync_directory(cluster.data.parent)


def forget_previous(cluster: Cluster) -> None:
    """Remove the replaced data directory: the new one is proven."""
    shutil.rmtree(previous(cluster), ignore_errors=True)


def _exchange(left: Path, right: Path) -> None:
    """Both names at once (renameat2, Linux 3.15, glibc 2.28): at no moment is there no data directory."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(_AT_FDCWD, os.fsencode(left), _AT_FDCWD, os.fsencode(right), _RENAME_EXCHANGE)
    if done == 0:
        return
    code = ctypes.get_errno()
    reason = "it is a mount point, or on another file system" if code in {errno.EBUSY, errno.EXDEV} else os.strerror(code)
    raise PostgresError(
        f"{right} cannot be exchanged for the backup beside it: {reason}",
        state="the old data directory is in place",
        hint="let the data directory be one below the mount point (initdb, or mv, and PGDATA or data_directory)",
    )
