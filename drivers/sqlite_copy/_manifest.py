"""What a copy holds: one record per table, and the id made of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xcat_ha_drivers.database.disk import write_durably, writing_below
from xcat_ha_drivers.database.generations import stamp_of
from xcat_ha_drivers.sqlite_copy._disk import MANIFEST, TABLE_SUFFIX, CopyError

FORMAT_VERSION = 1
_TABLE_NAME = re.compile(r"[^./\0\n][^/\0\n]*" + re.escape(TABLE_SUFFIX))
_HEX = re.compile(r"[0-9a-f]{64}")


class Table(NamedTuple):
    """One table file: checksum, size in bytes, permission bits, numeric owner, SQLite's change counter."""

    sha256: str
    size: int
    mode: int
    uid: int
    gid: int
    counter: int = 0


class Manifest(NamedTuple):
    """A copy of all tables.

    Attributes:
        source: id of the node whose tables they are.
        snapshot_time: seconds since the epoch; everything committed before is in the copy.
        tables: by file name (``nodelist.sqlite``).
        damaged: only in saved diverged copies: file name -> why that file could only be copied as it was.
    """

    source: str
    snapshot_time: float
    tables: Mapping[str, Table]
    damaged: Mapping[str, str] = {}

    @property
    def id(self) -> str:
        """See :func:`id_of`."""
        return id_of(self.tables)

    @property
    def stamp(self) -> str:
        """Content and time in one word: what a sync makes equal on both nodes."""
        return stamp_of(self.id, self.snapshot_time)


def id_of(tables: Mapping[str, Table]) -> str:
    """The id of a set of tables: equal for equal names, contents, modes and owners (and for nothing else)."""
    lines = (f"{table.sha256} {table.mode:o} {table.uid} {table.gid} {name}\n" for name, table in sorted(tables.items()))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:20]


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` durably."""
    document = {
        "format": FORMAT_VERSION,
        "id": manifest.id,
        "source": manifest.source,
        "snapshot_time": manifest.snapshot_time,
        "tables": {name: table._asdict() for name, table in sorted(manifest.tables.items())},
        "damaged": dict(manifest.damaged),
    }
    with writing_below(directory, "the last good copy is as it was"):
        write_durably(directory / MANIFEST, json.dumps(document, indent=1) + "\n")


def read_manifest(directory: Path) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        CopyError: it is missing, of another format, or does not fit its own id.
    """
    path = directory / MANIFEST
    try:
        document: Any = json.loads(path.read_text())
        if document["format"] != FORMAT_VERSION:
            raise CopyError(f"{path} has format {document['format']!r}", hint="install the same version of xcat-ha on both nodes")
        manifest = Manifest(
            source=str(document["source"]),
            snapshot_time=float(document["snapshot_time"]),
            tables={_checked_name(name): _checked_table(record) for name, record in document["tables"].items()},
            damaged={str(name): str(why) for name, why in document["damaged"].items()},
        )
        if document["id"] != manifest.id:
            raise ValueError("its id does not fit its tables")  # noqa: TRY301  # handled with its likes, just below
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CopyError(f"{path} is not usable ({error})", hint="run the sync again; it makes a new copy") from error
    return manifest


def _checked_name(name: str) -> str:
    if not _TABLE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a table file")
    return name


def _checked_table(record: Mapping[str, Any]) -> Table:
    table = Table(**{field: record[field] for field in Table._fields})
    if not _HEX.fullmatch(table.sha256) or not all(isinstance(number, int) and number >= 0 for number in table[1:]):
        raise ValueError("a table's record is malformed")
    return table._replace(mode=table.mode & 0o777)
