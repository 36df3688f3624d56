"""Questions about a node's database. Asking changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from xcat_ha_drivers.sqlite_copy._disk import CopyError, rooted
from xcat_ha_drivers.sqlite_copy._generations import generation_paths, newest
from xcat_ha_drivers.sqlite_copy._live import in_place, pending_generation, read_marker
from xcat_ha_drivers.sqlite_copy._tables import HotJournalError, journal_of, look, reading, table_paths, worded
from xcat_ha_drivers.sqlite_copy._xcat import database_location, sign_of_xcatd

# xCAT ignores rows whose "disable" is set (Table.pm getAllAttribs).
_RECORD = "SELECT count(*) FROM nodelist WHERE node = ? AND (disable IS NULL OR lower(disable) IN ('', '0', 'no'))"
_NODELIST = "nodelist.sqlite"


def observation(xcat_dir: str, wait_s: float) -> dict[str, Any]:
    """Everything the driver wants to know about this node, for JSON. A part that cannot be known carries its reason."""
    engine, directory = database_location()
    answer: dict[str, Any] = {"engine": engine, "directory": directory}
    try:
        answer["xcatd"] = sign_of_xcatd()
        found = in_place(xcat_dir, wait_s)
        answer["kind"], answer["tables"], answer["id"], answer["trouble"] = found.kind, found.tables, found.id, found.trouble
        answer["marker"] = found.marker._asdict() if found.marker else None
        answer["journals"] = [path.name for path in table_paths(xcat_dir) if journal_of(path).exists()]
        answer["generations"] = [path.name for path in generation_paths()]
        last = newest()
        answer["newest"] = {"name": last.path.name, "source": last.manifest.source, "snapshot_time": last.manifest.snapshot_time,
                            "id": last.manifest.id} if last else None
    except CopyError as error:
        answer["error"] = str(error)
    return answer


def received_stamp(xcat_dir: str, wait_s: float, *, or_promoted: bool) -> str:
    """Stamp of the copy in place, if it is complete and untouched; else why there is none.

    ``or_promoted``: also if the node took it over since, and nothing was written (a hand-over that is run again).
    """
    found = in_place(xcat_dir, wait_s)
    if found.marker is not None and (found.kind == "copy" or (or_promoted and found.kind == "own" and found.id == found.marker.id)):
        return found.marker.stamp
    return f"none: the tables in place are {found.kind}"


def has_node(xcat_dir: str, name: str, wait_s: float) -> bool:
    """Whether an xCAT node of that name is defined in the database in place (or in the generation that is not quite in place).

    Raises:
        CopyError: the table cannot be read; nothing may be concluded.
    """
    path = (pending_generation(read_marker()) or rooted(xcat_dir)) / _NODELIST
    if not path.parent.is_dir():
        raise CopyError(f"{path.parent} is not there", hint="is it mounted?")
    if not path.exists() or look(path).size == 0:
        return False
    if journal_of(path).exists():
        return _has_node_recovered(path, name, wait_s)
    return _query(path, name, wait_s)


def _query(path: Path, name: str, wait_s: float) -> bool:
    with reading(path, wait_s) as live, worded(path):
        found: tuple[int] = live.connection.execute(_RECORD, (name,)).fetchone()
    return found[0] > 0


def _has_node_recovered(path: Path, name: str, wait_s: float) -> bool:
    """Ask a table with a journal: if a live writer owns it, as usual; if it is hot, a private copy that SQLite may roll back."""
    try:
        return _query(path, name, wait_s)
    except HotJournalError:
        pass
    from tempfile import TemporaryDirectory  # noqa: PLC0415  # slow to import, and nearly never needed

    with TemporaryDirectory(prefix="xcat-ha-") as private:
        copy = Path(private) / path.name
        copy.write_bytes(path.read_bytes())
        journal_of(copy).write_bytes(journal_of(path).read_bytes())
        with worded(path):
            connection = sqlite3.connect(copy)
            try:
                return bool(connection.execute(_RECORD, (name,)).fetchone()[0])
            finally:
                connection.close()

