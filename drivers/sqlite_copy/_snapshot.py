"""The source's side: a verified snapshot of all tables, made anew only for those that changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import remove_directory, remove_leftovers, sha256_of, sync_directory, sync_file, writing_below
from xcat_ha_drivers.sqlite_copy._disk import CopyError, base, outgoing, side_by_side
from xcat_ha_drivers.sqlite_copy._live import Known, is_unchanged, read_known, write_known
from xcat_ha_drivers.sqlite_copy._manifest import Manifest, Table, write_manifest
from xcat_ha_drivers.sqlite_copy._outgoing import record_of
from xcat_ha_drivers.sqlite_copy._sqlite import Live, back_up, close, open_locked, prove
from xcat_ha_drivers.sqlite_copy._tables import BusyError, Seen, look, table_paths
from xcat_ha_drivers.sqlite_copy._xcat import require_sqlite

# xcatd waits about 30 s for a lock. While we wait for one table we may hold others, so each wait is short, then all are given back.
ONE_WAIT_S = 1.0
UNTOUCHED = "nothing was sent, the standby's last good copy is as it was"


class Copied(NamedTuple):
    """One table in a snapshot: how the original looked, and the record of the copy."""

    path: Path
    seen: Seen
    table: Table


def take_snapshot(node: str, xcat_dir: str, *, wait_s: float) -> Manifest:
    """Make ``outgoing/current`` what the tables hold now.

    Raises:
        CopyError: there is no SQLite database here, a table is locked for too long, damaged or no table; nothing was changed then.
    """
    started = time.time()
    require_sqlite(xcat_dir)
    paths = table_paths(xcat_dir)
    if not paths:
        raise CopyError(f"there are no table files in {xcat_dir}", state=UNTOUCHED, hint="is it mounted, and is xCAT set up here?")
    base()
    outgoing().mkdir(exist_ok=True, mode=0o700)
    remove_leftovers(outgoing())
    fresh = outgoing() / ".new"
    with writing_below(outgoing(), UNTOUCHED):
        fresh.mkdir(mode=0o700)
        copied = copy_tables(paths, fresh, read_known(xcat_dir), outgoing() / "current", wait_s=wait_s)
        manifest = Manifest(node, started, {copy.path.name: copy.table for copy in copied})
        _publish(fresh, manifest)
    write_known(xcat_dir, {copy.path.name: (copy.seen, copy.table.sha256) for copy in copied})
    return manifest


def _publish(fresh: Path, manifest: Manifest) -> None:
    """Give the snapshot its name and point ``current`` to it."""
    write_manifest(fresh, manifest)
    place = outgoing() / manifest.stamp
    remove_directory(place)
    fresh.rename(place)
    link = outgoing() / ".current"
    link.symlink_to(place.name)
    link.replace(outgoing() / "current")
    sync_directory(outgoing())
    for entry in outgoing().iterdir():
        if entry.is_dir() and not entry.is_symlink() and entry != place:
            remove_directory(entry)


def copy_tables(paths: list[Path], target: Path, known: Known, earlier: Path, *, wait_s: float) -> list[Copied]:
    """Verified, durable copies of all tables in ``target``: linked from ``earlier`` where nothing changed, else by SQLite's backup.

    All changed tables are locked together for a moment before the first one is copied, so the copies are of one point in time.
    """
    deadline = time.monotonic() + wait_s
    while True:
        linked = [copy for path in paths if (copy := _link(path, target, known, earlier)) is not None]
        done = {copy.path for copy in linked}
        opened: list[Live] = []
        try:
            _lock_all([path for path in paths if path not in done], opened, deadline)
            # What was linked before the locks were held must still be unchanged now, or the copies were of two points in time.
            if all(is_unchanged(copy.path, look(copy.path), known) for copy in linked):
                backed_up = side_by_side(lambda live: _copy_and_unlock(live, target), sorted(opened, key=lambda live: _size(live.path)))
                break
        finally:
            for live in opened:
                close(live)
        for copy in linked:
            (target / copy.path.name).unlink()
    return linked + side_by_side(lambda item: _finish(*item, target), backed_up)


def _size(path: Path) -> int:
    return path.stat().st_size


def _link(path: Path, target: Path, known: Known, earlier: Path) -> Copied | None:
    """Take over an unchanged table's earlier copy, proven by its checksum."""
    seen, copy = look(path), earlier / path.name
    if not is_unchanged(path, seen, known) or not copy.is_file():
        return None
    if sha256_of(copy) != known[path.name][1]:
        return None
    (target / path.name).hardlink_to(copy.resolve())
    return Copied(path, seen, record_of(path, seen, known[path.name][1]))


def _lock_all(paths: list[Path], opened: list[Live], deadline: float) -> None:
    """Lock all tables; when one is busy, give all back for a moment and start again until the deadline."""
    while True:
        try:
            for path in paths:
                opened.append(open_locked(path, writable=True, wait_s=ONE_WAIT_S))  # noqa: PERF401  # what is open must be closed on failure
        except BusyError:
            while opened:
                close(opened.pop())
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _copy_and_unlock(live: Live, target: Path) -> tuple[Path, Seen]:
    """Copy one table and give its lock back at once: a writer waits for the copy of its own table only."""
    seen = back_up(live, target / live.path.name)
    live.connection.rollback()
    return live.path, seen


def _finish(path: Path, seen: Seen, target: Path) -> Copied:
    """Prove and fsync a copy."""
    copy = target / path.name
    prove(copy, path)
    sync_file(copy)
    return Copied(path, seen, record_of(path, seen, sha256_of(copy))._replace(size=_size(copy)))
