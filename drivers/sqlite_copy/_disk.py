"""Where the node-side programs keep things, and how they write so that a power loss leaves the old or the new, never half of it.

Every path is prefixed with the environment variable ``XCAT_HA_ROOT`` (default ``/``), so that tests run in temporary trees.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TypeVar

STATE_DIR = "/var/lib/xcat-ha"
BASE_DIR = f"{STATE_DIR}/sqlite-copy"
TABLE_SUFFIX = ".sqlite"
MANIFEST = "manifest.json"
SIDE_SUFFIXES = ("-journal", "-wal", "-shm")
CHUNK_BYTES = 1 << 20
WORKERS = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


class CopyError(Exception):
    """A refusal or failure, worded in one line: what happened, what the state is, what to do."""

    def __init__(self, what: str, *, hint: str, state: str = "nothing was changed") -> None:
        super().__init__(f"{what}; {state}; hint: {hint}")


def rooted(path: str) -> Path:
    """``path`` below ``XCAT_HA_ROOT``."""
    return Path(os.environ.get("XCAT_HA_ROOT", "/").rstrip("/") + path)


def base() -> Path:
    """The driver's own directory on this node, made if need be."""
    directory = rooted(BASE_DIR)
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for parent in (directory.parent, directory.parent.parent):
            sync_directory(parent)
    return directory


def outgoing() -> Path:
    """Where snapshots of this node's own tables wait for the peer."""
    return rooted(BASE_DIR) / "outgoing"


def generations() -> Path:
    """Where verified copies from the peer are kept."""
    return rooted(BASE_DIR) / "generations"


@contextmanager
def locked(wait_s: float) -> Iterator[int]:
    """Hold this node's lock of the driver; yields its descriptor, to be inherited by children that write.

    A program that survived the death of its caller is waited for, never doubled.
    """
    handle = os.open(base() / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise CopyError(
                        f"another copy of the database is at work (lock {base() / 'lock'} is held)",
                        hint=f"wait for it, or find it with: fuser -v {base() / 'lock'}",
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


def no_room(path: Path, untouched: str, reason: str) -> CopyError:
    """The error for a file system that takes nothing more."""
    place = path
    while not place.exists():
        place = place.parent
    figures = os.statvfs(place)
    free_bytes = figures.f_bavail * figures.f_frsize
    return CopyError(f"cannot write below {path}: {reason}, {free_bytes} bytes free", state=untouched, hint=f"make room in {place}")


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


def write_durably(path: Path, text: str) -> None:
    """Replace a small text file (0600): temporary file, fsync, rename, fsync of the directory."""
    temporary = path.with_name(f".{path.name}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(handle, text.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    temporary.replace(path)
    sync_directory(path.parent)


def copy_durably(source: Path, target: Path, *, mode: int, uid: int, gid: int) -> str:
    """Copy a file with mode and owner, fsync it, and return the SHA-256 of what was copied. ``target`` must not exist."""
    digest = hashlib.sha256()
    writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with source.open("rb", buffering=0) as reader:
            while chunk := reader.read(CHUNK_BYTES):
                digest.update(chunk)
                write_all(writer, chunk)
        if (uid, gid) != (os.geteuid(), os.getegid()):
            os.fchown(writer, uid, gid)
        os.fchmod(writer, mode)
        os.fsync(writer)
    finally:
        os.close(writer)
    return digest.hexdigest()


def sha256_of(handle: int) -> str:
    """SHA-256 of an open file, from its beginning."""
    digest = hashlib.sha256()
    offset = 0
    while chunk := os.pread(handle, CHUNK_BYTES, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()


def remove_directory(path: Path) -> None:
    """Remove a flat directory (all of this driver's are flat); harmless when it is not there.

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
    """Remove what a killed run left in one of this driver's directories: everything whose name begins with a dot."""
    if not directory.is_dir():
        return
    for entry in directory.iterdir():
        if entry.name.startswith("."):
            if entry.is_dir() and not entry.is_symlink():
                remove_directory(entry)
            else:
                entry.unlink()


def side_by_side(work: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    """``work`` on each item in a few threads (hashing, SQLite and fsync release Python's lock); results in order.

    Raises:
        Exception: the first one of any item, after all threads have ended.
    """
    results: dict[int, Result] = {}
    failures: list[BaseException] = []
    queue = iter(list(enumerate(items)))

    def worker() -> None:
        for index, item in queue:  # next() of a list's iterator is atomic
            if failures:
                return
            try:
                results[index] = work(item)
            except BaseException as error:  # noqa: BLE001  # raised again below, in the caller's thread
                failures.append(error)

    threads = [Thread(target=worker) for _ in range(min(WORKERS, len(items)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(items))]
