"""The table files in xCAT's own directory: what they hold now, cheaply, and what the marker says they are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xcat_ha_drivers.database.disk import rooted, write_durably, writing_below
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.marker import HANDED_OVER, PROMOTED, Marker, marker_of
from xcat_ha_drivers.sqlite_copy._disk import BASE_DIR, CopyError, base, generations, side_by_side
from xcat_ha_drivers.sqlite_copy._manifest import Table, id_of
from xcat_ha_drivers.sqlite_copy._tables import Seen, journal_of, look, table_paths

APPLYING, APPLIED = "applying", "applied"

Known = Mapping[str, tuple[Seen, str]]


def read_marker() -> Marker | None:
    """The marker, or None when there is none.

    Raises:
        CopyError: it cannot be understood.
    """
    path = rooted(BASE_DIR) / "in-place.json"
    try:
        return marker_of(path.read_text(), (APPLYING, APPLIED, HANDED_OVER, PROMOTED))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CopyError(f"{path} is not usable ({error})", hint=f"remove {path} and seed this node again") from error


def write_marker(marker: Marker) -> None:
    """Set the marker, durably and in one piece."""
    with writing_below(base(), "the marker is as it was"):
        write_durably(base() / "in-place.json", marker.text + "\n")


def read_known(xcat_dir: str) -> Known:
    """The cache of checksums by file name; empty whenever it is of no use. It saves work, it decides nothing."""
    try:
        document: Any = json.loads((rooted(BASE_DIR) / "known.json").read_text())
        if document["directory"] != xcat_dir:
            return {}
        return {name: (Seen(*seen), str(sha256)) for name, (seen, sha256) in document["tables"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_known(xcat_dir: str, known: Known) -> None:
    """Keep the cache."""
    with writing_below(base(), "the copy itself is complete"):
        write_durably(base() / "known.json", json.dumps({"directory": xcat_dir, "tables": known}) + "\n")


def is_unchanged(path: Path, seen: Seen, known: Known) -> bool:
    """Whether a table surely holds what it held when it became known (a journal beside it means: ask SQLite)."""
    recorded = known.get(path.name)
    return recorded is not None and recorded[0] == seen and not journal_of(path).exists()


def live_table(path: Path, known: Known, wait_s: float) -> Table:
    """One table as it is now; changes nothing.

    Raises:
        CopyError: it cannot be read as an SQLite table, or has a hot journal.
    """
    seen = look(path)
    sha256 = known[path.name][1] if is_unchanged(path, seen, known) else ""
    if not sha256:
        from xcat_ha_drivers.sqlite_copy._sqlite import hash_live  # noqa: PLC0415  # slow to import, and rarely needed

        seen, sha256 = hash_live(path, wait_s)
    status = path.stat()
    return Table(sha256, seen.size, status.st_mode & 0o777, status.st_uid, status.st_gid, seen.counter)


def live_tables(xcat_dir: str, wait_s: float) -> dict[str, Table]:
    """All tables as they are now; changes nothing. Errors as :func:`live_table`."""
    known = read_known(xcat_dir)
    paths = table_paths(xcat_dir)
    return dict(zip((path.name for path in paths), side_by_side(lambda path: live_table(path, known, wait_s), paths), strict=True))


class InPlace(NamedTuple):
    """Marker and files together.

    Attributes:
        kind: ``none``, ``half``, ``waiting``, ``copy``, ``touched``, ``own`` (see the package's table).
        marker: as read.
        tables: how many table files there are.
        id: id of the tables; empty when they could not be read.
        trouble: why not.
    """

    kind: str
    marker: Marker | None
    tables: int
    id: str
    trouble: str = ""


def in_place(xcat_dir: str, wait_s: float) -> InPlace:
    """What this node's database is; changes nothing.

    Raises:
        CopyError: the marker or the directory cannot be read.
    """
    marker = read_marker()
    paths = table_paths(xcat_dir)
    content, trouble = "", ""
    try:
        content = id_of(live_tables(xcat_dir, wait_s)) if paths else ""
    except DatabaseError as error:
        trouble = str(error)
    return InPlace(_kind(marker, content, tables=len(paths)), marker, len(paths), content, trouble)


def pending_generation(marker: Marker | None) -> Path | None:
    """The complete generation that counts instead of the files in place, because a run died before they were (all) replaced by it."""
    if marker is not None and marker.state == APPLYING:
        return generations().directory / marker.generation
    is_older = marker is None or (marker.state in (PROMOTED, HANDED_OVER) and generations().newest_number() > marker.newest)
    return generations().newest_path() if is_older else None


def _kind(marker: Marker | None, content: str, *, tables: int) -> str:
    if pending_generation(marker):
        return "half" if marker is not None and marker.state == APPLYING else "waiting"
    if not tables:
        return "none"
    if marker is None or marker.state == PROMOTED:
        return "own"
    if content == marker.id:
        return "copy"
    return "touched" if marker.state == APPLIED else "own"


def is_writable(xcat_dir: str) -> bool:
    """Whether xcatd could write: directory and files are writable and the file system is not mounted read-only."""
    directory = rooted(xcat_dir)
    if not os.access(directory, os.W_OK) or os.statvfs(directory).f_flag & os.ST_RDONLY:
        return False
    return all(os.access(path, os.W_OK) for path in table_paths(xcat_dir))
