"""The target's side: fetch the source's snapshot, prove it, keep it as a generation, put it in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.sqlite_copy._apply import put_in_place
from xcat_ha_drivers.sqlite_copy._disk import (
    MANIFEST,
    CopyError,
    base,
    generations,
    no_room,
    remove_directory,
    remove_leftovers,
    sha256_of,
    side_by_side,
    sync_directory,
    sync_file,
    writing_below,
)
from xcat_ha_drivers.sqlite_copy._diverged import diverged, save
from xcat_ha_drivers.sqlite_copy._generations import Generation, add, newest, prune
from xcat_ha_drivers.sqlite_copy._live import in_place
from xcat_ha_drivers.sqlite_copy._manifest import Manifest, read_manifest, write_manifest
from xcat_ha_drivers.sqlite_copy._sqlite import prove
from xcat_ha_drivers.sqlite_copy._tables import table_paths
from xcat_ha_drivers.sqlite_copy._xcat import refuse_if_xcatd_runs, require_sqlite

RSYNC_SILENCE_S = 60
MAX_VANISHED_SHARE = 0.1
MAX_VANISHED_ALWAYS = 3


class Order(NamedTuple):
    """What to receive.

    Attributes:
        node: id of this node.
        source: id of the node that sends.
        xcat_dir: xCAT's directory.
        address: what rsync reads (``root@10.77.0.21:/…/``).
        rsh: rsync's ``-e``; empty for a local address.
        keep: generations kept.
        over_own: whether this node's own database may be replaced (seed).
        wait_s: seconds to wait for a table or a process that uses one.
    """

    node: str
    source: str
    xcat_dir: str
    address: str
    rsh: str
    keep: int
    over_own: bool
    wait_s: float


def receive(order: Order, lock: int) -> Manifest:
    """Make this node's database the source's newest snapshot. ``lock`` is inherited by rsync, so it is held while any part is alive.

    Raises:
        CopyError: this node must not receive, nothing usable came, or there is no room; the last good copy is as it was.
    """
    refuse_if_xcatd_runs()
    require_sqlite(order.xcat_dir)
    found = in_place(order.xcat_dir, order.wait_s)
    if found.kind == "own" and not order.over_own:
        raise CopyError(
            f"the tables in {order.xcat_dir} are this node's own, not a copy of {order.source}'s",
            hint="if they may be discarded: xcat-ha setup (it saves them first)",
        )
    good = newest()
    untouched = f"the last good copy ({good.path.name if good else 'none yet'}) is as it was"
    generations().mkdir(exist_ok=True, mode=0o700)
    incoming = base() / "incoming"
    for directory in (generations(), base(), diverged()):
        remove_leftovers(directory)
    remove_directory(incoming)
    with writing_below(base(), untouched):
        incoming.mkdir(mode=0o700)
        try:
            _fetch(order, incoming, good, lock, untouched)
            manifest = _verify(order, incoming, good)
            _guard_vanished(order, manifest, untouched)
            generation = _keep(incoming, manifest, good)
        except BaseException:
            remove_directory(incoming)
            raise
    if found.kind in ("touched", "waiting"):
        save(order.node, order.xcat_dir, wait_s=order.wait_s)
    # Before the marker says "applied": a run that dies while pruning is run again, and leaves nothing half removed.
    prune(order.keep, found.marker.generation if found.marker else "")
    put_in_place(generation, order.xcat_dir, wait_s=order.wait_s)
    return manifest


def _fetch(order: Order, incoming: Path, good: Generation | None, lock: int, untouched: str) -> None:
    """rsync: unchanged files become links to the last generation's, changed ones travel as a delta against them.

    ``--checksum``: an SQLite file changes without changing its size, and may do so within one tick of the clock.
    """
    import subprocess  # noqa: PLC0415  # slow to import, and the many questions a node is asked do not need it

    argv = ["rsync", "-r", "-z", "--checksum", "--info=progress2", f"--timeout={RSYNC_SILENCE_S}"]
    argv += ["-e", order.rsh] if order.rsh else []
    argv += [f"--link-dest={good.path.resolve()}"] if good else []
    done = subprocess.run(  # the argv holds no input of a stranger: addresses and paths are the configuration's
        [*argv, order.address, f"{incoming}/"],
        stderr=subprocess.PIPE,
        pass_fds=(lock,),
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return
    said = " ".join(done.stderr.split())
    if "No space left on device" in said or "Disk quota exceeded" in said:
        raise no_room(incoming, untouched, "the disk is full")
    raise CopyError(
        f"rsync from {order.source} ended with {done.returncode} ({said[:150]})",
        state=untouched,
        hint=f"try: ssh to {order.source} with xcat-ha's key; is rsync installed on both nodes?",
    )


def _verify(order: Order, incoming: Path, good: Generation | None) -> Manifest:
    """Prove what came against its manifest, and make it durable."""
    manifest = read_manifest(incoming)
    if manifest.source != order.source:
        raise CopyError(f"the copy says it is of {manifest.source!r}, expected {order.source!r}", hint="check the node ids on both nodes")
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
    with path.open("rb") as file:
        sha256 = sha256_of(file.fileno())
        size = os.fstat(file.fileno()).st_size
    if (sha256, size) != (table.sha256, table.size):
        raise CopyError(
            f"{path.name} arrived with another checksum than its manifest says",
            hint=f"run it again; if it stays so, remove the outgoing directory on {manifest.source}",
        )
    if not _is_linked(path, good):  # a linked file was proven and made durable when it came; its checksum has just been compared
        prove(path, path)
        sync_file(path)


def _is_linked(path: Path, good: Generation | None) -> bool:
    return good is not None and (good.path / path.name).exists() and path.samefile(good.path / path.name)


def _guard_vanished(order: Order, manifest: Manifest, untouched: str) -> None:
    """A source that lost many tables at once is more likely broken than tidied up."""
    if order.over_own:
        return
    present = {path.name for path in table_paths(order.xcat_dir)}
    vanished = sorted(present - set(manifest.tables))
    if len(vanished) > max(MAX_VANISHED_ALWAYS, MAX_VANISHED_SHARE * len(present)):
        raise CopyError(
            f"{len(vanished)} of {len(present)} tables are gone on {order.source} ({', '.join(vanished[:3])} ...)",
            state=untouched,
            hint=f"look at {order.xcat_dir} there; if it is right, seed this node anew",
        )


def _keep(incoming: Path, manifest: Manifest, good: Generation | None) -> Generation:
    """Make what came a generation, or only note its time if it is the newest one again."""
    if good is not None and manifest.id == good.manifest.id and all(_is_linked(incoming / name, good) for name in manifest.tables):
        write_manifest(good.path, manifest)
        remove_directory(incoming)
        return Generation(good.path, manifest)
    return add(incoming, manifest)
