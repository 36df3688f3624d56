"""The target's side: fetch the source's snapshot, prove it, keep it as a generation, put it in place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

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
from xcat_ha_drivers.postgres import location
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres_dump._access import read_access
from xcat_ha_drivers.postgres_dump._apply import Hands, put_in_place
from xcat_ha_drivers.postgres_dump._diverged import save
from xcat_ha_drivers.postgres_dump._manifest import ACCESS, DUMP, MANIFEST, Manifest, read_manifest, write_manifest
from xcat_ha_drivers.postgres_dump._node import Here
from xcat_ha_drivers.postgres_dump._places import Generation, base, diverged, generations, incoming, newest


def receive(xcat_dir: str, data_directory: str, order: Order, hands: Hands) -> Manifest:
    """Make this node's database the source's newest snapshot. A seed also brings cfgloc to a node that has none for PostgreSQL.

    Raises:
        DatabaseError: this node must not receive, nothing usable came, or there is no room; the last good copy is as it was.
    """
    refuse_if_xcatd_runs()
    is_new = order.over_own and location.read(xcat_dir).location.engine != location.ENGINE
    if not is_new:
        _require_copy(Here(xcat_dir, data_directory), order)
    good = newest()
    untouched = f"the last good copy ({good.path.name if good else 'none yet'}) is as it was"
    for directory in (made(generations().directory), base(), diverged()):
        remove_leftovers(directory)
    remove_directory(incoming())
    try:
        with writing_below(base(), untouched):
            incoming().mkdir(mode=0o700)
            fetch_here = partial(_fetch, order, hands, untouched)
            fetch_here(MANIFEST, ACCESS)
            credentials = read_access(incoming() / ACCESS).credentials if is_new else None
            here = Here(xcat_dir, data_directory, credentials)
            copy = _arrive(here, order, good, fetch_here, untouched)
        found = here.in_place()
        if found.is_somebodys:
            save(order.node, here, hands)
        put_in_place(here, copy, found, hands)
        generations().prune(order.keep)
    finally:
        remove_directory(incoming())
    return copy.manifest


def _require_copy(here: Here, order: Order) -> None:
    """Only a seed replaces a node's own database."""
    if here.in_place().kind == "own" and not order.over_own:
        raise PostgresError(
            f"the database {here.database} is this node's own, not a copy of {order.source}'s",
            hint="if it may be discarded: xcat-ha setup, or xcat-ha rejoin (they save it first)",
        )


def _arrive(here: Here, order: Order, good: Generation | None, fetch_here: Callable[[str], None], untouched: str) -> Generation:
    """The manifest is there: if it is of what we have, there is nothing to fetch but the time."""
    manifest = read_manifest(incoming())
    refuse_strangers(order, manifest.source)
    _require_fit(here, manifest)
    if good is not None and manifest.id == good.manifest.id and good.manifest.source == manifest.source and _is_whole(good):
        manifest = manifest._replace(dump_sha256=good.manifest.dump_sha256)
        write_manifest(good.path, manifest)
        return Generation(good.path, manifest)
    if good is not None and here.in_place().kind == "copy":
        tables = (good.manifest.contents.tables, manifest.contents.tables)
        refuse_vanished(order, *tables, untouched=untouched, look_at="the database")
    fetch_here(DUMP)
    for name, wanted in ((ACCESS, manifest.access_sha256), (DUMP, manifest.dump_sha256)):
        if not (incoming() / name).exists() or sha256_of(incoming() / name) != wanted:
            raise PostgresError(
                f"{name} arrived with another checksum than its manifest says",
                state=untouched,
                hint=f"run it again; if it stays so, remove the outgoing directory on {manifest.source}",
            )
        sync_file(incoming() / name)
    sync_file(incoming() / MANIFEST)
    sync_directory(incoming())
    return Generation(incoming(), manifest)


def _is_whole(generation: Generation) -> bool:
    """Whether a copy on our own disk is still what it was; a broken one is fetched again."""
    try:
        return all(
            sha256_of(generation.path / name) == wanted
            for name, wanted in ((ACCESS, generation.manifest.access_sha256), (DUMP, generation.manifest.dump_sha256))
        )
    except OSError:
        return False


def _require_fit(here: Here, manifest: Manifest) -> None:
    ours, theirs = int(here.server.layout.version.partition(".")[0]), manifest.version // 10000
    if ours != theirs:
        raise PostgresError(
            f"PostgreSQL is {theirs} on {manifest.source} and {ours} here", hint="install the same major version on both nodes"
        )
    if manifest.database != here.database:
        raise PostgresError(
            f"xCAT's database is {manifest.database} on {manifest.source} and {here.database} here",
            hint="make cfgloc name the same on both",
        )


def _fetch(order: Order, hands: Hands, untouched: str, *names: str) -> None:
    fetch(order, ("-L", "--chmod=F600"), names, incoming(), lock=hands.lock, untouched=untouched)
