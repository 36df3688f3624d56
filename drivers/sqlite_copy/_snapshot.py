"""The source's side: a verified snapshot of all tables, made anew only for those that changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.sqlite_copy._disk import (
    BASE_DIR,
    CopyError,
    base,
    outgoing,
    remove_directory,
    remove_leftovers,
    rooted,
    sha256_of,
    side_by_side,
    sync_directory,
    sync_file,
    write_durably,
    writing_below,
)
from xcat_ha_drivers.sqlite_copy._live import Known, is_unchanged, live_tables, read_known, write_known
from xcat_ha_drivers.sqlite_copy._manifest import Manifest, Table, id_of, read_manifest, write_manifest
from xcat_ha_drivers.sqlite_copy._tables import BusyError, Live, Seen, back_up, close, look, open_locked, prove, table_paths
from xcat_ha_drivers.sqlite_copy._xcat import require_sqlite

# xcatd waits about 30 s for a lock. While we wait for one table we may hold others, so each wait is short, then all are given back.
ONE_WAIT_S = 1.0
UNTOUCHED = "nothing was sent, the standby's last good copy is as it was"


class Copied(NamedTuple):
    """One table in a snapshot: how the original looked, and the record of the copy."""

    path: Path
    seen: Seen
    table: Table


def unsent() -> Path:
    """Present while a snapshot made by a sync waits to be delivered."""
    return rooted(BASE_DIR) / "outgoing" / "unsent"


def current_snapshot() -> Manifest | None:
    """The manifest of the newest snapshot; None when there is none that can be used."""
    current = outgoing() / "current"
    try:
        manifest = read_manifest(current)
        sizes = {name: (current / name).stat().st_size for name in manifest.tables}
    except (CopyError, OSError):
        return None
    return manifest if all(sizes[name] == table.size for name, table in manifest.tables.items()) else None


def why_outdated(xcat_dir: str, *, max_age_s: float | None, wait_s: float) -> str:
    """Why the newest snapshot is not what the tables hold now; empty when it is. Changes nothing."""
    snapshot = current_snapshot()
    if snapshot is None:
        return "there is no snapshot yet"
    if max_age_s is not None and not 0 <= time.time() - snapshot.snapshot_time <= max_age_s:
        return f"the snapshot was compared with the tables more than {max_age_s:g} s ago"
    require_sqlite(xcat_dir)
    if id_of(live_tables(xcat_dir, wait_s)) != snapshot.id:
        return "the tables have changed since the snapshot"
    return ""


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


def mark_unsent() -> None:
    """Say that a sync's snapshot waits for delivery."""
    write_durably(unsent(), "")


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
    with copy.open("rb") as file:
        if sha256_of(file.fileno()) != known[path.name][1]:
            return None
    (target / path.name).hardlink_to(copy.resolve())
    return Copied(path, seen, _record(path, seen, known[path.name][1]))


def _record(path: Path, seen: Seen, sha256: str) -> Table:
    status = path.stat()
    return Table(sha256, seen.size, status.st_mode & 0o777, status.st_uid, status.st_gid, seen.counter)


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
    with copy.open("rb") as file:
        sha256 = sha256_of(file.fileno())
    return Copied(path, seen, _record(path, seen, sha256)._replace(size=_size(copy)))
