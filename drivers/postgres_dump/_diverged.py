"""Saving a node's own database before it is discarded, as a dump that was proven to be restorable."""

from __future__ import annotations

import time
from pathlib import Path

from xcat_ha_drivers.database.disk import made, remove_leftovers, sync_directory, writing_below
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.postgres import contents, location
from xcat_ha_drivers.postgres_dump._access import access_of
from xcat_ha_drivers.postgres_dump._apply import Hands, drop, restore
from xcat_ha_drivers.postgres_dump._manifest import ACCESS, DUMP, MANIFEST, read_manifest, write_manifest
from xcat_ha_drivers.postgres_dump._node import Here
from xcat_ha_drivers.postgres_dump._places import Generation, base, diverged
from xcat_ha_drivers.postgres_dump._snapshot import describe, fingerprint_of, read_and, run_pg_dump, write_text


def saved_copy(here: Here) -> Path | None:
    """The saved copy that equals the database as it is now, if there is one; changes nothing."""
    candidates = sorted(path for path in diverged().glob("*") if (path / MANIFEST).exists() and (path / DUMP).exists())
    if not candidates:
        return None
    now = contents.look(here.ask)
    for path in candidates:
        try:
            if read_manifest(path).contents == now:
                return path
        except DatabaseError:
            continue  # of another driver, or broken
    return None


def save(node: str, here: Here, hands: Hands) -> Path:
    """Save the database; returns where. What is saved already is not saved again.

    Raises:
        DatabaseError: it cannot be read or restored, or the disk is full.
    """
    base()
    made(diverged())
    remove_leftovers(diverged())
    if found := saved_copy(here):
        return found
    fresh = diverged() / ".new"
    untouched = "this node's database is as it was"
    with writing_below(diverged(), untouched):
        fresh.mkdir(mode=0o700)
        line = location.read_line(here.xcat_dir)
        access = access_of(here.server, here.credentials, line)
        write_text(fresh / ACCESS, access.text)
        taken = read_and(here, lambda snapshot, _found: run_pg_dump(here, fresh / DUMP, snapshot))
        manifest = describe(node, here, taken, fresh, fingerprint=fingerprint_of(taken.fingerprint, line))
        write_manifest(fresh, manifest)
    restore(here, Generation(fresh, manifest), access, hands, untouched=untouched)
    drop(here.server, here.side)
    place = diverged() / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(taken.started))}-{node}-{manifest.id}"
    fresh.rename(place)
    sync_directory(diverged())
    sync_directory(diverged().parent)
    return place
