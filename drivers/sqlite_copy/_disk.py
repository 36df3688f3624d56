"""Where the node-side programs keep things, and how they copy and work on many files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TypeVar

from xcat_ha_drivers.database.disk import CHUNK_BYTES, made, rooted, write_all
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.generations import Generations

STATE_DIR = "/var/lib/xcat-ha"
BASE_DIR = f"{STATE_DIR}/sqlite-copy"
TABLE_SUFFIX = ".sqlite"
MANIFEST = "manifest.json"
SIDE_SUFFIXES = ("-journal", "-wal", "-shm")
WORKERS = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


class CopyError(DatabaseError):
    """A refusal or failure that has to do with SQLite's files."""


def base() -> Path:
    """The driver's own directory on this node, made if need be."""
    return made(rooted(BASE_DIR))


def outgoing() -> Path:
    """Where snapshots of this node's own tables wait for the peer."""
    return rooted(BASE_DIR) / "outgoing"


def generations() -> Generations:
    """Verified copies from the peer."""
    return Generations(rooted(BASE_DIR) / "generations")


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
