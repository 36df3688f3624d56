"""Table files seen from outside: their names, SQLite's header, whether they may have changed.

Facts this relies on (SQLite's file format, and xCAT: one file per table, rollback journal, no WAL): a commit raises the change counter in
bytes 24..27; a file whose inode, size, times and counter are as before, and which has no journal beside it, holds what it held before.

This module and those it imports start fast: they are what most questions to a node need. SQLite itself is in ``_sqlite``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.sqlite_copy._disk import SIDE_SUFFIXES, TABLE_SUFFIX, CopyError

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
WAL_VERSION = 2


class BusyError(CopyError):
    """A table is locked by another process."""


class HotJournalError(CopyError):
    """A writer died within a transaction, and the table may not be written here."""


class Seen(NamedTuple):
    """What a table file looked like from outside."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    counter: int


def table_paths(xcat_dir: str) -> list[Path]:
    """All table files of the directory, sorted by name; an empty list when the directory is not there.

    Raises:
        CopyError: the directory cannot be read, or something called ``*.sqlite`` is no file.
    """
    directory = rooted(xcat_dir)
    try:
        names = sorted(name.name for name in directory.iterdir() if name.suffix == TABLE_SUFFIX and not name.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CopyError(f"cannot read {directory}: {error.strerror}", hint="check that the directory is there and readable") from error
    for name in names:
        if not (directory / name).is_file():
            raise CopyError(f"{directory / name} is not a regular file", hint="a table is one file; move it out of the way")
    return [directory / name for name in names]


def journal_of(path: Path) -> Path:
    """The rollback journal that belongs to a table file."""
    return path.with_name(path.name + SIDE_SUFFIXES[0])


def look(path: Path) -> Seen:
    """See a table file without locking it.

    Raises:
        CopyError: it is no SQLite file, it is in WAL mode, or it cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise CopyError(f"cannot read {path}: {error.strerror}", hint="check the file and its directory") from error
    try:
        return seen_in(path, handle)
    finally:
        os.close(handle)


def seen_in(path: Path, handle: int) -> Seen:
    """As :func:`look`, of an open file."""
    header = os.pread(handle, HEADER_BYTES, 0)
    status = os.fstat(handle)
    if header and (len(header) < HEADER_BYTES or not header.startswith(MAGIC)):
        raise CopyError(f"{path} is not an SQLite file", hint="move it out of the way, or restore the table it should be")
    if header and WAL_VERSION in header[18:20]:
        raise CopyError(
            f"{path} is in WAL mode, which xCAT never uses and this driver does not copy",
            hint=f"set it back: sqlite3 {path} 'PRAGMA journal_mode=delete'",
        )
    return Seen(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, int.from_bytes(header[24:28], "big"))
