"""Saving a node's own database before it is discarded: a dump that was restored once and compared.

A saved copy is a directory below ``/var/lib/xcat-ha/diverged`` with ``database.sql`` and ``manifest.json``. To get a row back: create a
database beside xCAT's, feed the dump to the client, and look.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from xcat_ha_drivers.database.disk import made, rooted, sha256_of, sync_directory, write_durably, writing_below
from xcat_ha_drivers.mysql import _dump
from xcat_ha_drivers.mysql._contents import database_of, has_database
from xcat_ha_drivers.mysql._dialect import Dialect
from xcat_ha_drivers.mysql._places import DIVERGED_DIR, Given
from xcat_ha_drivers.mysql._server import Server

DUMP = "database.sql"


def why_not_saved(given: Given, server: Server, dialect: Dialect) -> str:
    """Empty if the database as it is now is saved, or there is none of this node's own."""
    database = database_of(given)
    if server.replica(dialect) is not None or not has_database(server, database):
        return ""
    if server.value(dialect.is_writable) == "1":
        return "the server is writable: what is written to it now would not be saved"
    digest = _dump.digest_now(server, dialect, database, made(rooted(DIVERGED_DIR)))
    return "" if _kept_as(digest) else "the database as it is now is not saved yet"


def save(given: Given, server: Server, dialect: Dialect) -> Path | None:
    """Save xCAT's database; returns where, None if there is none. What is saved already is not saved again.

    Raises:
        DatabaseError: it cannot be dumped or restored, or the disk is full.
    """
    database = database_of(given)
    if not has_database(server, database):
        return None
    directory = made(rooted(DIVERGED_DIR))
    with writing_below(directory, "this node's database is as it was"):
        fresh = directory / ".new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        dump = fresh / DUMP
        _dump.take(server, dialect, database, dump, with_position=False)
        digest = _dump.digest_of(dump)
        if kept := _kept_as(digest):
            shutil.rmtree(fresh)
            return kept
        _dump.restore_beside(server, dialect, dump, _dump.character_set(server, database))
        _dump.drop_side(server)
        facts = {"kind": "dump", "node": given.node, "id": digest, "sha256": sha256_of(dump), "database": database}
        now = time.time()
        position = server.value(dialect.position)
        write_durably(fresh / "manifest.json", json.dumps({**facts, "position": position, "time": now}))
        sync_directory(fresh)
        place = directory / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{given.node}-{digest[:20]}"
        fresh.rename(place)
        sync_directory(directory)
        return place


def _kept_as(digest: str) -> Path | None:
    """A saved dump of that content which is still what was written."""
    for path in sorted(rooted(DIVERGED_DIR).glob("*/manifest.json")):
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        dump = path.parent / DUMP
        if manifest.get("id") == digest and dump.is_file() and sha256_of(dump) == manifest.get("sha256"):
            return path.parent
    return None
