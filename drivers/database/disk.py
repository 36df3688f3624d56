"""How the programs on a node write, so that a power loss leaves the old or the new, never half of it.

Paths are prefixed with the environment variable ``XCAT_HA_ROOT`` (default ``/``), so that tests run in temporary trees; paths that a
database server itself names (its data directory, its configuration's) are real ones and are not.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xcat_ha_drivers.database.errors import DatabaseError

CHUNK_BYTES = 1 << 20
LOCK_WAIT_S = 120.0
"""As long as an orphaned rsync may live on after its parent was killed (its own time limit is half of that)."""


def rooted(path: str) -> Path:
    """``path`` below ``XCAT_HA_ROOT``."""
    return Path(os.environ.get("XCAT_HA_ROOT", "/").rstrip("/") + path)


def made(directory: Path) -> Path:
    """The directory, made (0700) and durable if it was not there."""
    if not directory.is_dir():
        if not directory.parent.is_dir():
            made(directory.parent)
        directory.mkdir(mode=0o700)
        sync_directory(directory.parent)
    return directory


@contextmanager
def locked(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[int]:
    """Hold a lock file; yields its descriptor, to be inherited by children that write.

    A program that survived the death of its caller is waited for, never doubled.

    Raises:
        DatabaseError: somebody else holds it for longer than ``wait_s`` seconds.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise DatabaseError(
                        f"another copy of the database is at work (lock {path} is held)", hint=f"wait for it, or find it: fuser -v {path}"
                    ) from None
                time.sleep(0.05)
        yield handle
    finally:
        os.close(handle)


@contextmanager
def writing_below(path: Path, untouched: str) -> Iterator[None]:
    """Turn "disk full" and its like into a message naming path and free bytes; ``untouched`` says what is still good."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        raise no_room(path, untouched, os.strerror(error.errno or errno.ENOSPC)) from error


def free_bytes(path: Path) -> int:
    """What is left on the file system of ``path`` (or of its nearest directory that is there)."""
    figures = os.statvfs(_nearest(path))
    return figures.f_bavail * figures.f_frsize


def _nearest(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def no_room(path: Path, untouched: str, reason: str) -> DatabaseError:
    """The error for a file system that takes nothing more."""
    return DatabaseError(
        f"cannot write below {path}: {reason}, {free_bytes(path)} bytes free", state=untouched, hint=f"make room in {_nearest(path)}"
    )


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Write all of ``data``; ``os.write`` may write less (a disk that fills up does so before it refuses)."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def write_durably(path: Path, text: str, *, like: os.stat_result | None = None) -> None:
    """Replace a small text file: temporary file beside it, fsync, rename, fsync of the directory.

    It is root's alone (0600), or has mode and owner of ``like``, the file it replaces.
    """
    temporary = path.with_name(f".{path.name}.xcat-ha")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(handle, text.encode("utf-8", "surrogateescape"))
        if like is not None:
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(handle, like.st_uid, like.st_gid)
            os.fchmod(handle, like.st_mode & 0o7777)
        os.fsync(handle)
    finally:
        os.close(handle)
    temporary.replace(path)
    sync_directory(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb", buffering=0) as file:
        return sha256_of_open(file.fileno())


def sha256_of_open(handle: int) -> str:
    """SHA-256 of an open file, from its beginning."""
    digest = hashlib.sha256()
    offset = 0
    while chunk := os.pread(handle, CHUNK_BYTES, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()


def remove_directory(path: Path) -> None:
    """Remove a flat directory; harmless when it is not there.

    It is renamed first: a directory that is half removed never has a name that means something.
    """
    doomed = path.with_name(f".doomed-{path.name}") if not path.name.startswith(".doomed-") else path
    if path.exists() and path != doomed:
        if doomed.exists():
            remove_directory(doomed)
        path.rename(doomed)
    if doomed.exists():
        for entry in doomed.iterdir():
            entry.unlink()
        doomed.rmdir()


def remove_leftovers(directory: Path) -> None:
    """Remove what a killed run left in a directory of ours: everything whose name begins with a dot."""
    for entry in directory.iterdir() if directory.is_dir() else ():
        if entry.name.startswith("."):
            if entry.is_dir() and not entry.is_symlink():
                remove_directory(entry)
            else:
                entry.unlink()
