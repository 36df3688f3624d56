"""Saving a node's own database before it is discarded: a dump that was restored once and compared; where that cannot be, all files.

A saved copy is a directory below ``/var/lib/xcat-ha/diverged`` with ``manifest.json`` and either ``database.dump`` (for ``pg_restore``) or
``data`` (a data directory as it was). To get a row back: restore the dump into a side database and look.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xcat_ha_drivers.database.disk import made, remove_directory, rooted, sha256_of, sync_directory, sync_file, write_durably, writing_below
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.postgres.contents import Contents, look
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_streaming._cluster import Cluster
from xcat_ha_drivers.postgres_streaming._private import on_own_data, reading
from xcat_ha_drivers.postgres_streaming._wal import SHUT_DOWN

DIVERGED_DIR = "/var/lib/xcat-ha/diverged"
DUMP = "database.dump"
PROOF_DATABASE = "xcat_ha_proof"
_LIMIT_S = 3600.0


def has_own_database(cluster: Cluster) -> bool:
    """Whether there is something to save: a database of xCAT's that is no copy.

    A stopped server is asked by what its directory says: a standby has none of its own.

    Raises:
        DatabaseError: that cannot be told.
    """
    if not cluster.runs():
        if cluster.has_signal:
            return False
        with reading(cluster) as server:
            return cluster.database in _names(server)
    return not cluster.in_recovery() and cluster.database in cluster.databases()


def _names(server: Server) -> list[str]:
    return [str(name) for name in server.ask("SELECT to_jsonb(datname) FROM pg_database WHERE datallowconn;")]


def why_not_saved(cluster: Cluster) -> str:
    """Empty if the database as it is now is saved, or there is none of this node's own."""
    if not cluster.runs():
        if cluster.has_signal or _is_kept_as_it_stands(cluster):
            return ""
        return "the server is stopped, and what it holds is not saved"
    if not has_own_database(cluster):
        return ""
    return "" if _kept_as(_contents(cluster.server, cluster.database).id) else "the database as it is now is not saved yet"


def save(node: str, cluster: Cluster) -> Path | None:
    """Save xCAT's database; returns where, None if there is none of this node's own. What is saved already is not saved again.

    Raises:
        DatabaseError: it cannot be read and its files cannot be copied either, or the disk is full.
    """
    directory = made(rooted(DIVERGED_DIR))
    with writing_below(directory, "this node's database is as it was"):
        if cluster.runs():
            return _dump(node, cluster, cluster.server) if has_own_database(cluster) else None
        if cluster.has_signal:
            return None
        try:
            with on_own_data(cluster, writable=True) as server:
                place = _dump(node, cluster, server) if cluster.database in _names(server) else None
        except DatabaseError as error:
            return _keep_files(node, cluster, str(error))
    if place is not None:
        _note_position(place, cluster)
    return place


def _is_kept_as_it_stands(cluster: Cluster) -> bool:
    """A cleanly stopped server's log ends where it ended when it was saved. After a crash its files have to be the same ones."""
    control = cluster.control()
    for path, manifest in _kept():
        if manifest.get("kind") == "dump" and control.state == SHUT_DOWN and manifest.get("position") == control.position:
            return True
        if manifest.get("kind") == "files" and (path / "data").is_dir() and manifest.get("id") == _tree_digest(cluster.data):
            return True
    return False


def _contents(server: Server, database: str) -> Contents:
    return look(lambda sql: server.ask(sql, database=database, timeout_s=_LIMIT_S))


def _kept() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(rooted(DIVERGED_DIR).glob("*/manifest.json")):
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if not path.parent.name.startswith(".") and isinstance(manifest, dict):
            yield path.parent, manifest


def _kept_as(content: str) -> Path | None:
    """A saved dump of that content which is still what was written."""
    for path, manifest in _kept():
        if manifest.get("id") == content and (path / DUMP).is_file() and sha256_of(path / DUMP) == manifest.get("sha256"):
            return path
    return None


def _dump(node: str, cluster: Cluster, server: Server) -> Path:
    """One snapshot for digest and dump; then the dump is restored once and compared."""
    fresh = _fresh()
    dump = fresh / DUMP
    with server.session(cluster.database) as session:
        session.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        (snapshot,) = session.ask("SELECT to_jsonb(pg_export_snapshot())")
        found = look(session.ask)
        kept = _kept_as(found.id)
        if kept is not None:
            remove_directory(fresh)
            return kept
        with dump.open("wb") as file:
            words = ("--format=custom", f"--snapshot={snapshot}", "--no-password", f"--dbname={cluster.database}")
            server.run("pg_dump", words, stdout=file, timeout_s=_LIMIT_S)
    sync_file(dump)
    _prove(server, dump, found)
    rows = {name: digest.rows for name, digest in found.tables.items()}
    facts = {"kind": "dump", "node": node, "id": found.id, "sha256": sha256_of(dump), "database": cluster.database, "rows": rows}
    return _finish(fresh, node, found.id, facts)


def _prove(server: Server, dump: Path, expected: Contents) -> None:
    """A dump that was never restored is none."""
    with _side_database(server), dump.open("rb") as file:
        server.run("pg_restore", ("--exit-on-error", "--no-password", f"--dbname={PROOF_DATABASE}"), stdin=file, timeout_s=_LIMIT_S)
        found = _contents(server, PROOF_DATABASE)
    difference = expected.difference(found)
    if difference and not _same_rows(expected, found):
        raise PostgresError(
            f"the dump does not restore what was dumped: {difference}",
            state="this node's database is as it was",
            hint=f"keep its data directory {server.layout.data_directory} by hand",
        )


def _same_rows(left: Contents, right: Contents) -> bool:
    """What the database's own access list grants is not part of a dump; rows are what must not be lost."""
    return left.tables == right.tables


@contextmanager
def _side_database(server: Server) -> Iterator[None]:
    """Its commits wait for no standby: a required one may be gone for good, or be the new primary."""
    local = "SET synchronous_commit = local;\n"
    drop = f"{local}DROP DATABASE IF EXISTS {PROOF_DATABASE};"
    server.ask(drop)
    server.ask(f"{local}CREATE DATABASE {PROOF_DATABASE} TEMPLATE template0;")
    server.ask(f"{local}ALTER DATABASE {PROOF_DATABASE} SET synchronous_commit = local;")
    try:
        yield
    finally:
        server.ask(drop)


def _keep_files(node: str, cluster: Cluster, why: str) -> Path:
    """The database cannot be dumped: all its files are copied, and compared with the originals."""
    fresh = _fresh()
    try:
        shutil.copytree(cluster.data, fresh / "data", symlinks=True)
        digest = _tree_digest(cluster.data)
        _require_same(_tree_digest(fresh / "data"), digest)
        for path in (fresh / "data", *(fresh / "data").rglob("*")):
            if path.is_dir() and not path.is_symlink():
                sync_directory(path)
            elif path.is_file() and not path.is_symlink():
                sync_file(path)
    except (OSError, DatabaseError, shutil.Error):
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return _finish(fresh, node, digest[:20], {"kind": "files", "node": node, "id": digest, "why": why})


def _require_same(found: str, wanted: str) -> None:
    if found != wanted:
        raise PostgresError("the copy of the data directory differs from it", hint="is the disk sound?")


def _tree_digest(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            digest.update(f"{path.relative_to(directory)} {sha256_of(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _fresh() -> Path:
    fresh = rooted(DIVERGED_DIR) / ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    return fresh


def _finish(fresh: Path, node: str, content: str, facts: Mapping[str, object]) -> Path:
    began = time.time()
    write_durably(fresh / "manifest.json", json.dumps({**facts, "time": began}))
    sync_directory(fresh)
    place = fresh.with_name(f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(began))}-{node}-{content}")
    fresh.rename(place)
    sync_directory(place.parent)
    return place


def _note_position(place: Path, cluster: Cluster) -> None:
    """Remember where the stopped server's log ends: while it is still there, what it holds is what was saved."""
    path = place / "manifest.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    write_durably(path, json.dumps({**facts, "position": cluster.control().position}))
