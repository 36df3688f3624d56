"""Saving a node's own tables before they are discarded, as a copy that can be restored."""

from __future__ import annotations

import time
from pathlib import Path

from xcat_ha_drivers.database.disk import remove_leftovers, rooted, sha256_of, sync_directory, writing_below
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.sqlite_copy._disk import SIDE_SUFFIXES, STATE_DIR, base, copy_durably, side_by_side
from xcat_ha_drivers.sqlite_copy._live import Known, live_table, read_known
from xcat_ha_drivers.sqlite_copy._manifest import Manifest, Table, id_of, read_manifest, write_manifest
from xcat_ha_drivers.sqlite_copy._snapshot import copy_tables
from xcat_ha_drivers.sqlite_copy._tables import BusyError, table_paths


def diverged() -> Path:
    """Where saved copies are."""
    return rooted(STATE_DIR) / "diverged"


def saved_copy(xcat_dir: str, wait_s: float) -> Path | None:
    """The saved copy that equals the tables as they are now, if there is one; changes nothing."""
    if not diverged().is_dir():
        return None
    content = id_of(_as_they_are(table_paths(xcat_dir), read_known(xcat_dir), wait_s))
    for path in sorted(diverged().glob(f"*-{content}")):
        try:
            if read_manifest(path).id == content:
                return path
        except DatabaseError:
            continue
    return None


def save(node: str, xcat_dir: str, *, wait_s: float) -> Path:
    """Save all tables; returns where. What is saved already is not saved again.

    A table that SQLite cannot read any more is copied as it is, journal and all, and noted in the manifest: a broken file must not
    keep an old primary from rejoining, and nothing of it is lost.

    Raises:
        DatabaseError: a table is locked for too long, or the disk is full.
    """
    started = time.time()
    base()
    diverged().mkdir(parents=True, exist_ok=True, mode=0o700)
    remove_leftovers(diverged())
    fresh = diverged() / ".new"
    with writing_below(diverged(), "this node's tables are as they were"):
        fresh.mkdir(mode=0o700)
        sound, damaged = [], {}
        for path in table_paths(xcat_dir):
            try:
                sound += copy_tables([path], fresh, {}, fresh, wait_s=wait_s)
            except BusyError:
                raise
            except DatabaseError as error:
                damaged[path.name] = str(error)
                _copy_as_it_is(path, fresh)
        tables = {copy.path.name: copy.table for copy in sound}
        tables |= _as_they_are([path for path in table_paths(xcat_dir) if path.name in damaged], {}, wait_s)
        manifest = Manifest(node, started, tables, damaged)
        write_manifest(fresh, manifest)
        if found := saved_copy(xcat_dir, wait_s):
            remove_leftovers(diverged())
            return found
        place = diverged() / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(started))}-{node}-{manifest.id}"
        fresh.rename(place)
        sync_directory(diverged())
        sync_directory(diverged().parent)
    return place


def _as_they_are(paths: list[Path], known: Known, wait_s: float) -> dict[str, Table]:
    """Records of all tables, damaged ones by their raw bytes."""
    return dict(zip((path.name for path in paths), side_by_side(lambda path: _record(path, known, wait_s), paths), strict=True))


def _record(path: Path, known: Known, wait_s: float) -> Table:
    try:
        return live_table(path, known, wait_s)
    except BusyError:
        raise
    except DatabaseError:
        status = path.stat()
        return Table(sha256_of(path), status.st_size, status.st_mode & 0o777, status.st_uid, status.st_gid)


def _copy_as_it_is(path: Path, target: Path) -> None:
    """The damaged file with what lies beside it, under names that cannot be mistaken for a table with a live journal."""
    (target / path.name).unlink(missing_ok=True)
    for suffix in ("", *SIDE_SUFFIXES):
        original = path.with_name(path.name + suffix)
        if original.exists():
            name = original.name if not suffix else f"{path.name}.left{suffix}"
            status = original.stat()
            copy_durably(original, target / name, mode=0o600, uid=status.st_uid, gid=status.st_gid)
