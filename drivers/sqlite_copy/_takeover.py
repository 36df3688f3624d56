"""Which tables become the writable database of a new primary, and the marker that says so."""

from __future__ import annotations

from pathlib import Path

from xcat_ha_drivers.database.marker import HANDED_OVER, PROMOTED, Marker
from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
from xcat_ha_drivers.sqlite_copy._apply import put_in_place
from xcat_ha_drivers.sqlite_copy._disk import CopyError, generations, side_by_side
from xcat_ha_drivers.sqlite_copy._diverged import save
from xcat_ha_drivers.sqlite_copy._generations import newest
from xcat_ha_drivers.sqlite_copy._live import InPlace, in_place, is_writable, write_marker
from xcat_ha_drivers.sqlite_copy._outgoing import current_snapshot
from xcat_ha_drivers.sqlite_copy._sqlite import close as close_table
from xcat_ha_drivers.sqlite_copy._sqlite import open_locked
from xcat_ha_drivers.sqlite_copy._tables import table_paths
from xcat_ha_drivers.sqlite_copy._xcat import require_sqlite


def promote(node: str, xcat_dir: str, *, wait_s: float) -> str:
    """Make the newest copy (or, where the tables are this node's own, these) the writable database; returns what was done.

    Raises:
        DatabaseError: xcatd runs, there is nothing to promote, or a table is damaged or cannot be written.
    """
    refuse_if_xcatd_runs()
    require_sqlite(xcat_dir)
    found = in_place(xcat_dir, wait_s)
    base = _chosen(node, xcat_dir, found, wait_s)
    paths = table_paths(xcat_dir)
    if not paths:
        raise CopyError(f"there is neither a copy nor any table file in {xcat_dir}", hint="seed this node, or restore a copy by hand")
    side_by_side(lambda path: _recover_and_prove(path, wait_s), paths)
    if not is_writable(xcat_dir):
        raise CopyError(f"{xcat_dir} is not writable", state="the copy is in place", hint="is it mounted read-only?")
    write_marker(base._replace(newest=generations().newest_number()))
    return f"promoted {base.generation or base.id}"


def _chosen(node: str, xcat_dir: str, found: InPlace, wait_s: float) -> Marker:
    """Put the right tables in place and return the marker to set."""
    marker, generation = found.marker, newest()
    was_primary = marker is None or marker.state in (PROMOTED, HANDED_OVER)
    if generation is None or (was_primary and found.kind != "waiting"):
        # Generations received before a node was primary are history: what is in place came later.
        content = marker or Marker(PROMOTED, "", found.id, node, 0.0)
        return content._replace(state=PROMOTED)
    if found.kind in ("touched", "waiting"):
        save(node, xcat_dir, wait_s=wait_s)
    put_in_place(generation, xcat_dir, wait_s=wait_s)
    manifest = generation.manifest
    return Marker(PROMOTED, generation.path.name, manifest.id, manifest.source, manifest.snapshot_time)


def _recover_and_prove(path: Path, wait_s: float) -> None:
    """Roll back a hot journal as any writer would, and check the table's integrity."""
    if not path.stat().st_size:
        return
    live = open_locked(path, writable=True, wait_s=wait_s)
    try:
        answer = live.connection.execute("PRAGMA integrity_check(1)").fetchone()
    finally:
        close_table(live)
    if answer != ("ok",):
        raise CopyError(f"{path} fails SQLite's integrity check", state="nothing was promoted", hint="restore it from a generation")


def note_handed_over(xcat_dir: str, peer: str, *, wait_s: float) -> None:
    """Note that the peer took over exactly what is in place here: from now on these tables are a copy.

    Raises:
        DatabaseError: xcatd runs, or the tables are not those of the snapshot that was handed over.
    """
    refuse_if_xcatd_runs()
    snapshot, found = current_snapshot(), in_place(xcat_dir, wait_s)
    if snapshot is None or found.id != snapshot.id:
        raise CopyError("the tables are not those of the last snapshot", hint="run the hand-over again")
    write_marker(Marker(HANDED_OVER, "", snapshot.id, peer, snapshot.snapshot_time, generations().newest_number()))
