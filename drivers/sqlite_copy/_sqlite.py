"""Reading xCAT's table files, live or crashed, the way SQLite wants it.

* While a SHARED lock is held nobody writes to the file; opening a file with a hot journal writable rolls it back first.
* Closing *any* descriptor of a file drops all of the process's POSIX locks on it, so descriptors opened beside SQLite are closed last.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import sha256_of_open
from xcat_ha_drivers.sqlite_copy._disk import CopyError
from xcat_ha_drivers.sqlite_copy._tables import HEADER_BYTES, BusyError, HotJournalError, Seen, seen_in

# What SQLite's backup writes anew into the copy's header: change counter, schema cookie, version-valid-for and library version.
BACKUP_OWN_FIELDS = (slice(24, 28), slice(40, 44), slice(92, 100))


class Live(NamedTuple):
    """An open table under a SHARED lock."""

    path: Path
    handle: int
    connection: sqlite3.Connection


@contextmanager
def worded(path: Path, state: str = "nothing was changed") -> Iterator[None]:
    """Turn SQLite's errors on a table into ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_BUSY"):
            raise BusyError(f"{path} is locked by another process", state=state, hint=f"find it with: fuser -v {path}") from error
        if name.startswith("SQLITE_READONLY"):
            raise HotJournalError(
                f"{path} has a hot journal: a writer died within a transaction",
                state=state,
                hint="the next snapshot rolls it back",
            ) from error
        raise CopyError(
            f"{path} is damaged or unreadable ({error})",
            state=state,
            hint=f"look at it: sqlite3 {path} 'PRAGMA integrity_check'",
        ) from error


def open_locked(path: Path, *, writable: bool, wait_s: float) -> Live:
    """Open a table and take its SHARED lock. ``writable`` lets SQLite roll back a hot journal; nothing else is ever written.

    Raises:
        CopyError: it is locked for longer than ``wait_s``, damaged, replaced meanwhile, or has a hot journal and is not writable.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise CopyError(f"cannot read {path}: {error.strerror}", hint="check the file and its directory") from error
    connection = None
    try:
        with worded(path):
            address = f"{path.absolute().as_uri()}?mode={'rw' if writable else 'ro'}"
            connection = sqlite3.connect(address, uri=True, timeout=wait_s, isolation_level=None, check_same_thread=False)
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if path.stat().st_ino != os.fstat(handle).st_ino:
            raise CopyError(f"{path} was replaced while it was read", hint="run it again")  # noqa: TRY301  # what is open is closed below
    except BaseException:
        if connection is not None:
            connection.close()
        os.close(handle)
        raise
    return Live(path, handle, connection)


def close(live: Live) -> None:
    """Give the lock back; the plain descriptor is closed last (see above)."""
    live.connection.close()
    os.close(live.handle)


@contextmanager
def reading(path: Path, wait_s: float) -> Iterator[Live]:
    """A table under its SHARED lock, read-only: changes nothing, not even a hot journal."""
    live = open_locked(path, writable=False, wait_s=wait_s)
    try:
        yield live
    finally:
        close(live)


def hash_live(path: Path, wait_s: float) -> tuple[Seen, str]:
    """How a table looks and the SHA-256 of what is committed in it; changes nothing."""
    with reading(path, wait_s) as live:
        return seen_in(path, live.handle), sha256_of_open(live.handle)


def back_up(live: Live, target: Path) -> Seen:
    """Copy a locked table with SQLite's online backup; the copy equals the original byte for byte. Not yet durable.

    The backup gives the copy's header counters of its own; the original's are put back, so that one checksum serves both.
    """
    seen = seen_in(live.path, live.handle)
    if seen.size == 0:
        target.write_bytes(b"")
        return seen
    with worded(live.path):
        copy = sqlite3.connect(target, isolation_level=None)
        try:
            copy.execute("PRAGMA journal_mode=OFF")
            copy.execute("PRAGMA synchronous=OFF")
            live.connection.backup(copy)
        finally:
            copy.close()
    header = os.pread(live.handle, HEADER_BYTES, 0)
    handle = os.open(target, os.O_WRONLY)
    try:
        for field in BACKUP_OWN_FIELDS:
            os.pwrite(handle, header[field], field.start)
    finally:
        os.close(handle)
    return seen


def prove(path: Path, original: Path) -> None:
    """Raise unless a finished copy passes SQLite's integrity check; ``original`` is named in the error."""
    with worded(original):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        try:
            answer = connection.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            connection.close()
    if answer != ("ok",):
        said = " ".join(str(answer[0]).split()) if answer else "no answer"
        raise CopyError(
            f"{original} fails SQLite's integrity check ({said[:120]})",
            state="nothing was sent and no good copy was touched",
            hint="restore the table, for example from the standby's last generation",
        )
