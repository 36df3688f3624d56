"""What all tables in place hold, as digests of their rows: two databases can then be compared without moving them."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from xcat_ha_drivers.sqlite_copy._sqlite import worded
from xcat_ha_drivers.sqlite_copy._tables import HotJournalError, journal_of, table_paths

# They change all the time, and nobody restores a row of them.
_CHATTER = frozenset({"auditlog", "eventlog"})
_LIVE_WAIT_S = 30.0


class _Rows(NamedTuple):
    columns: list[str]
    rows: list[tuple[object, ...]]


def contents(xcat_dir: str) -> dict[str, Any]:
    """``{"tables": {name: [digest, ...]}, "nodes": [name, ...]}``; changes nothing.

    Raises:
        CopyError: a table cannot be read.
    """
    found: dict[str, list[str]] = {}
    nodes: list[str] = []
    for path in table_paths(xcat_dir):
        name = path.name.removesuffix(".sqlite")
        if name in _CHATTER or not path.stat().st_size:
            continue
        table = _table(path, name)
        found[name] = sorted(hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).hexdigest()[:16] for row in table.rows)
        if name == "nodelist" and "node" in table.columns:
            place = table.columns.index("node")
            nodes = sorted(str(row[place]) for row in table.rows)
    return {"tables": found, "nodes": nodes}


def schema(xcat_dir: str) -> dict[str, list[str]]:
    """Table -> its columns, sorted: xCAT adds columns at the end when it is upgraded, so their order tells nothing.

    Raises:
        CopyError: a table cannot be read.
    """
    found: dict[str, list[str]] = {}
    for path in table_paths(xcat_dir):
        name = path.name.removesuffix(".sqlite")
        if path.stat().st_size:
            found[name] = sorted(_table(path, name, limit=0).columns)
    return found


def _table(path: Path, name: str, limit: int = -1) -> _Rows:
    """As a reader beside a writer; where a crash left a hot journal, a private copy that SQLite may roll back."""
    try:
        return _read(f"file:{path}?mode=ro", name, path, limit)
    except HotJournalError:
        pass
    with TemporaryDirectory(prefix="xcat-ha-") as private:
        copy = Path(private) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(journal_of(path), journal_of(copy))
        return _read(f"file:{copy}?mode=rw", name, path, limit)


def _read(uri: str, name: str, path: Path, limit: int) -> _Rows:
    with worded(path), closing(sqlite3.connect(uri, uri=True, timeout=_LIVE_WAIT_S)) as connection:
        quoted = name.replace('"', '""')
        cursor = connection.execute(f'SELECT * FROM "{quoted}" LIMIT ?', (limit,))  # noqa: S608 - the name of a file of ours, quoted
        return _Rows([str(column[0]) for column in cursor.description], list(cursor))
