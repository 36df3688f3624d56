"""The newest snapshot of this node's own tables, and whether it is what they hold now."""

from __future__ import annotations

import time
from pathlib import Path

from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.sqlite_copy._disk import outgoing
from xcat_ha_drivers.sqlite_copy._live import is_unchanged, read_known
from xcat_ha_drivers.sqlite_copy._manifest import Manifest, Table, id_of, read_manifest
from xcat_ha_drivers.sqlite_copy._tables import Seen, look, table_paths
from xcat_ha_drivers.sqlite_copy._xcat import require_sqlite


def unsent() -> Path:
    """Present while a snapshot made by a sync waits to be delivered."""
    return outgoing() / "unsent"


def current_snapshot() -> Manifest | None:
    """The manifest of the newest snapshot; None when there is none that can be used."""
    current = outgoing() / "current"
    try:
        manifest = read_manifest(current)
        sizes = {name: (current / name).stat().st_size for name in manifest.tables}
    except (DatabaseError, OSError):
        return None
    return manifest if all(sizes[name] == table.size for name, table in manifest.tables.items()) else None


def why_outdated(xcat_dir: str, *, max_age_s: float | None) -> str:
    """Why the newest snapshot may not be what the tables hold now; empty when it surely is. Changes nothing, opens no table.

    A table that was written back to what it held counts as changed: the snapshot will find out, and nothing is sent.
    """
    snapshot = current_snapshot()
    if snapshot is None:
        return "there is no snapshot yet"
    if max_age_s is not None and not 0 <= time.time() - snapshot.snapshot_time <= max_age_s:
        return f"the snapshot was compared with the tables more than {max_age_s:g} s ago"
    require_sqlite(xcat_dir)
    known, tables = read_known(xcat_dir), {}
    for path in table_paths(xcat_dir):
        seen = look(path)
        if not is_unchanged(path, seen, known):
            return f"{path.name} was written since the snapshot"
        tables[path.name] = record_of(path, seen, known[path.name][1])
    return "" if id_of(tables) == snapshot.id else "tables came or went since the snapshot"


def mark_unsent() -> None:
    """Say that a sync's snapshot waits for delivery."""
    unsent().touch(mode=0o600)


def record_of(path: Path, seen: Seen, sha256: str) -> Table:
    """A table's record, of its checksum and how it looks now."""
    status = path.stat()
    return Table(sha256, seen.size, status.st_mode & 0o777, status.st_uid, status.st_gid, seen.counter)
