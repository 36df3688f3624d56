"""The target's side: fetch the source's snapshot, prove it, keep it as a generation, put it in place."""

from __future__ import annotations

from pathlib import Path

from xcat_ha_drivers.database.arrival import Order, fetch, refuse_strangers, refuse_vanished
from xcat_ha_drivers.database.disk import (
    made,
    remove_directory,
    remove_leftovers,
    sha256_of,
    sync_directory,
    sync_file,
    writing_below,
)
from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
from xcat_ha_drivers.sqlite_copy._apply import put_in_place
from xcat_ha_drivers.sqlite_copy._disk import MANIFEST, CopyError, base, generations, side_by_side
from xcat_ha_drivers.sqlite_copy._diverged import diverged, save
from xcat_ha_drivers.sqlite_copy._generations import Generation, newest
from xcat_ha_drivers.sqlite_copy._live import in_place
from xcat_ha_drivers.sqlite_copy._manifest import Manifest, read_manifest, write_manifest
from xcat_ha_drivers.sqlite_copy._sqlite import prove
from xcat_ha_drivers.sqlite_copy._tables import table_paths
from xcat_ha_drivers.sqlite_copy._xcat import require_sqlite


def receive(order: Order, xcat_dir: str, lock: int, *, wait_s: float) -> Manifest:
    """Make this node's database the source's newest snapshot.

    Args:
        order: what to receive.
        xcat_dir: xCAT's directory.
        lock: of the driver; rsync inherits it.
        wait_s: seconds to wait for a table or a process that uses one.

    Raises:
        DatabaseError: this node must not receive, nothing usable came, or there is no room; the last good copy is as it was.
    """
    refuse_if_xcatd_runs()
    require_sqlite(xcat_dir)
    found = in_place(xcat_dir, wait_s)
    if found.kind == "own" and not order.over_own:
        raise CopyError(
            f"the tables in {xcat_dir} are this node's own, not a copy of {order.source}'s",
            hint="if they may be discarded: xcat-ha setup (it saves them first)",
        )
    good = newest()
    untouched = f"the last good copy ({good.path.name if good else 'none yet'}) is as it was"
    incoming = base() / "incoming"
    for directory in (made(generations().directory), base(), diverged()):
        remove_leftovers(directory)
    remove_directory(incoming)
    with writing_below(base(), untouched):
        incoming.mkdir(mode=0o700)
        try:
            _fetch(order, incoming, good, lock, untouched)
            manifest = _verify(order, incoming, good)
            present = (path.name for path in table_paths(xcat_dir))
            refuse_vanished(order, present, manifest.tables, untouched=untouched, look_at=xcat_dir)
            generation = _keep(incoming, manifest, good)
        except BaseException:
            remove_directory(incoming)
            raise
    if found.kind in ("touched", "waiting"):
        save(order.node, xcat_dir, wait_s=wait_s)
    # Before the marker says "applied": a run that dies while pruning is run again, and leaves nothing half removed.
    generations().prune(order.keep, but=found.marker.generation if found.marker else "")
    put_in_place(generation, xcat_dir, wait_s=wait_s)
    return manifest


def _fetch(order: Order, incoming: Path, good: Generation | None, lock: int, untouched: str) -> None:
    """rsync: unchanged files become links to the last generation's, changed ones travel as a delta against them.

    ``--checksum``: an SQLite file changes without changing its size, and may do so within one tick of the clock.
    """
    against = (f"--link-dest={good.path.resolve()}",) if good else ()
    fetch(order, ("-r", "-z", "--checksum", *against), ("",), incoming, lock=lock, untouched=untouched)


def _verify(order: Order, incoming: Path, good: Generation | None) -> Manifest:
    """Prove what came against its manifest, and make it durable."""
    manifest = read_manifest(incoming)
    refuse_strangers(order, manifest.source)
    arrived = {path.name for path in incoming.iterdir()} - {MANIFEST}
    if not manifest.tables or arrived != set(manifest.tables):
        odd = ", ".join(sorted(arrived ^ set(manifest.tables))[:3])
        raise CopyError(f"what came does not fit its manifest ({odd or 'no tables'})", hint="run it again")
    side_by_side(lambda name: _verify_one(incoming / name, manifest, good), sorted(arrived))
    sync_file(incoming / MANIFEST)
    sync_directory(incoming)
    return manifest


def _verify_one(path: Path, manifest: Manifest, good: Generation | None) -> None:
    table = manifest.tables[path.name]
    if (sha256_of(path), path.stat().st_size) != (table.sha256, table.size):
        raise CopyError(
            f"{path.name} arrived with another checksum than its manifest says",
            hint=f"run it again; if it stays so, remove the outgoing directory on {manifest.source}",
        )
    if not _is_linked(path, good):  # a linked file was proven and made durable when it came; its checksum has just been compared
        prove(path, path)
        sync_file(path)


def _is_linked(path: Path, good: Generation | None) -> bool:
    return good is not None and (good.path / path.name).exists() and path.samefile(good.path / path.name)


def _keep(incoming: Path, manifest: Manifest, good: Generation | None) -> Generation:
    """Make what came a generation, or only note its time if it is the newest one again."""
    if good is not None and manifest.id == good.manifest.id and all(_is_linked(incoming / name, good) for name in manifest.tables):
        write_manifest(good.path, manifest)
        remove_directory(incoming)
        return Generation(good.path, manifest)
    return Generation(generations().add(incoming, manifest.id), manifest)
