"""The source's side: dump and manifest from one snapshot, and whether the newest one is what the database holds now."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import made, remove_directory, remove_leftovers, sha256_of, sync_directory, sync_file, writing_below
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.postgres import contents, location
from xcat_ha_drivers.postgres.contents import Contents
from xcat_ha_drivers.postgres_dump._access import access_of
from xcat_ha_drivers.postgres_dump._manifest import ACCESS, DUMP, Manifest, read_manifest, write_manifest
from xcat_ha_drivers.postgres_dump._node import Here
from xcat_ha_drivers.postgres_dump._places import outgoing

# Which transactions are visible, in which life of which server: nothing is committed without one of its own. The checkpointer is started
# anew when the server recovers from a crash, after which numbers of lost transactions may be used again.
FINGERPRINT = """
SELECT to_jsonb((SELECT system_identifier::text FROM pg_control_system()) || ' ' || d.oid || ' ' || txid_current_snapshot()::text || ' ' ||
  coalesce((SELECT extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE backend_type = 'checkpointer'), 'none'))
FROM pg_database d WHERE datname = current_database();
"""
_FACTS = """
SELECT to_jsonb(pg_database_size(current_database()));
SELECT to_jsonb(current_setting('server_version_num')::int);
"""


class Taken(NamedTuple):
    """What was read in one transaction."""

    contents: Contents
    fingerprint: str
    size_bytes: int
    version: int
    started: float


def current_snapshot() -> Manifest | None:
    """The manifest of the newest snapshot; None when there is none that can be used, a broken one included."""
    manifest = _noted_snapshot()
    return manifest if manifest is not None and _is_whole(manifest) else None


def _noted_snapshot() -> Manifest | None:
    """As :func:`current_snapshot`, whatever became of its files: they may be gigabytes."""
    try:
        return read_manifest(outgoing() / "current")
    except DatabaseError:
        return None


def _is_whole(manifest: Manifest) -> bool:
    current = outgoing() / "current"
    try:
        return (sha256_of(current / DUMP), sha256_of(current / ACCESS)) == (manifest.dump_sha256, manifest.access_sha256)
    except OSError:
        return False


def fingerprint_of(word: str, line: str) -> str:
    """The server's word together with cfgloc."""
    return f"{word} {hashlib.sha256(line.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def why_outdated(here: Here, *, max_age_s: float | None, closely: bool = False) -> str:
    """Why the newest snapshot may not be what the database holds now; empty when it surely is. Changes nothing.

    Whatever was committed counts as a change, also in another database of the server: the snapshot will find out, and nothing is sent.
    ``closely``: if something was committed, the whole database is read and compared.
    """
    snapshot = _noted_snapshot()
    if snapshot is None:
        return "there is no snapshot yet"
    if max_age_s is not None and not 0 <= time.time() - snapshot.snapshot_time <= max_age_s:
        return f"the snapshot was compared with the database more than {max_age_s:g} s ago"
    now = fingerprint_of(str(here.ask(FINGERPRINT)[0]), location.read_line(here.xcat_dir))
    if now != snapshot.fingerprint and not (closely and contents.look(here.ask) == snapshot.contents):
        return "something was committed since the snapshot"
    return "" if _is_whole(snapshot) else "the files of the snapshot are damaged"


def take_snapshot(node: str, here: Here) -> Manifest:
    """Dump the database unless it is what the newest snapshot holds; that one then only gets the new time.

    Raises:
        DatabaseError: the database cannot be read, or there is no room; the newest snapshot is as it was.
    """
    made(outgoing())
    remove_leftovers(outgoing())
    old = current_snapshot()
    line = location.read_line(here.xcat_dir)
    fresh = outgoing() / ".new"
    with writing_below(outgoing(), "the newest snapshot is as it was"):
        fresh.mkdir(mode=0o700)
        access = access_of(here.server, here.credentials, line)
        write_text(fresh / ACCESS, access.text)
        kept = outgoing() / "current" / DUMP

        def dump(snapshot: str, found: Contents) -> None:
            if old is not None and found == old.contents:
                os.link(kept, fresh / DUMP)
            else:
                run_pg_dump(here, fresh / DUMP, snapshot)

        taken = read_and(here, dump)
        manifest = describe(node, here, taken, fresh, fingerprint=fingerprint_of(taken.fingerprint, line))
        write_manifest(fresh, manifest)
        _publish(fresh, manifest)
    return manifest


def read_and(here: Here, dump: Callable[[str, Contents], None]) -> Taken:
    """Read the whole database in one transaction, and call ``dump`` with the name of its snapshot while that lasts."""
    started = time.time()
    with here.server.session(here.database) as session:
        session.ask("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = session.ask("SELECT to_jsonb(pg_export_snapshot())")[0]
        fingerprint, size_bytes, version = session.ask(FINGERPRINT + _FACTS)
        found = contents.look(session.ask)
        dump(str(snapshot), found)
        session.ask("COMMIT")
    return Taken(found, str(fingerprint), int(size_bytes), int(version), started)


def run_pg_dump(here: Here, path: Path, snapshot: str) -> None:
    """Dump in pg_dump's custom format. The file is ours; pg_dump only has it open."""
    with path.open("xb") as file:
        # Level 1: the line is seldom the narrow place, and a processor on a management node often is.
        words = [
            "--format=custom",
            "--compress=1",
            f"--snapshot={snapshot}",
            "--lock-wait-timeout=60000",
            "--no-password",
            "-d",
            here.database,
        ]
        here.server.run("pg_dump", words, stdout=file)
    sync_file(path)


def describe(node: str, here: Here, taken: Taken, directory: Path, *, fingerprint: str) -> Manifest:
    """The manifest of the files in ``directory``."""
    return Manifest(
        source=node,
        snapshot_time=taken.started,
        database=here.database,
        version=taken.version,
        contents=taken.contents,
        dump_sha256=sha256_of(directory / DUMP),
        access_sha256=sha256_of(directory / ACCESS),
        size_bytes=taken.size_bytes,
        fingerprint=fingerprint,
    )


def write_text(path: Path, text: str) -> None:
    """Write a new file durably."""
    with path.open("x", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _publish(fresh: Path, manifest: Manifest) -> None:
    """Give the snapshot its name, let ``current`` point to it, and remove all others."""
    place = outgoing() / manifest.stamp
    fresh.rename(place)
    sync_directory(outgoing())
    link = outgoing() / ".current"
    link.symlink_to(manifest.stamp)
    link.replace(outgoing() / "current")
    sync_directory(outgoing())
    for other in outgoing().iterdir():
        if other.is_dir() and not other.is_symlink() and other.name != manifest.stamp:
            remove_directory(other)
