"""What a copy consists of, and its id."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from xcat_ha_drivers.database.disk import write_durably, writing_below
from xcat_ha_drivers.database.generations import stamp_of
from xcat_ha_drivers.postgres.contents import Contents, Digest
from xcat_ha_drivers.postgres.errors import PostgresError

FORMAT_VERSION = 1
DUMP, ACCESS, MANIFEST = "database.dump", "access.json", "manifest.json"
FILES = frozenset({DUMP, ACCESS, MANIFEST})
_HEX = re.compile(r"[0-9a-f]{64}")


class Manifest(NamedTuple):
    """A copy of the database.

    Attributes:
        source: id of the node whose database it is.
        snapshot_time: seconds since the epoch; everything committed before is in the copy.
        database: its name.
        version: of the server, as ``server_version_num``.
        contents: tables, rows and schema, from the same snapshot as the dump.
        dump_sha256: of the dump.
        access_sha256: of the file with roles and cfgloc.
        size_bytes: of the database on the source.
        fingerprint: a word that changes whenever something may have been committed on the source.
    """

    source: str
    snapshot_time: float
    database: str
    version: int
    contents: Contents
    dump_sha256: str
    access_sha256: str
    size_bytes: int
    fingerprint: str

    @property
    def id(self) -> str:
        """Equal for equal databases with equal access, and for nothing else."""
        return hashlib.sha256(f"{self.contents.id} {self.access_sha256}".encode()).hexdigest()[:20]

    @property
    def stamp(self) -> str:
        """Content and time in one word: what a sync makes equal on both nodes."""
        return stamp_of(self.id, self.snapshot_time)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` durably."""
    document = manifest._asdict() | {
        "format": FORMAT_VERSION,
        "id": manifest.id,
        "contents": {"schema": manifest.contents.schema, "tables": dict(sorted(manifest.contents.tables.items()))},
    }
    with writing_below(directory, "the last good copy is as it was"):
        write_durably(directory / MANIFEST, json.dumps(document, indent=1) + "\n")


def read_manifest(directory: Path) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        PostgresError: it is missing, of another format, or does not fit its own id.
    """
    path = directory / MANIFEST
    try:
        document: Any = json.loads(path.read_text())
        if document["format"] != FORMAT_VERSION:
            raise PostgresError(f"{path} has format {document['format']!r}", hint="install the same version of xcat-ha on both nodes")
        manifest = _manifest(document)
        if document["id"] != manifest.id:
            raise ValueError("its id does not fit its tables")  # noqa: TRY301  # handled with its likes, just below
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PostgresError(f"{path} is not usable ({error})", hint="run the sync again; it makes a new copy") from error
    return manifest


def _manifest(document: Any) -> Manifest:
    tables = {str(name): Digest(int(rows), str(word)) for name, (rows, word) in document["contents"]["tables"].items()}
    for name in ("dump_sha256", "access_sha256"):
        if not _HEX.fullmatch(document[name]):
            raise ValueError(f"{name} is no checksum")
    return Manifest(
        source=str(document["source"]),
        snapshot_time=float(document["snapshot_time"]),
        database=str(document["database"]),
        version=int(document["version"]),
        contents=Contents(tables, str(document["contents"]["schema"])),
        dump_sha256=document["dump_sha256"],
        access_sha256=document["access_sha256"],
        size_bytes=int(document["size_bytes"]),
        fingerprint=str(document["fingerprint"]),
    )
