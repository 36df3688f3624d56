"""Where the driver keeps things on a node, and the verified copies received from the peer, numbered in the order they came."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.postgres.disk import made, remove_directory, rooted, sync_directory
from xcat_ha_drivers.postgres_dump._manifest import Manifest, read_manifest

STATE_DIR = "/var/lib/xcat-ha"
BASE_DIR = f"{STATE_DIR}/postgres-dump"
OUTGOING = f"{BASE_DIR}/outgoing"
_NAME = re.compile(r"\d{6,}-[0-9a-f]{20}")


def base() -> Path:
    """The driver's own directory on this node, made if need be."""
    return made(rooted(BASE_DIR))


def outgoing() -> Path:
    """Where snapshots of this node's own database wait for the peer."""
    return rooted(OUTGOING)


def unsent() -> Path:
    """Present while a snapshot made by a sync waits to be delivered."""
    return outgoing() / "unsent"


def generations() -> Path:
    """Where verified copies from the peer are kept."""
    return rooted(BASE_DIR) / "generations"


def diverged() -> Path:
    """Where saved databases are."""
    return rooted(STATE_DIR) / "diverged"


class Generation(NamedTuple):
    """One complete copy: it got its name only after it was verified and durable."""

    path: Path
    manifest: Manifest


def generation_paths() -> list[Path]:
    """All generations, oldest first (by number, not by a clock)."""
    directory = generations()
    if not directory.is_dir():
        return []
    return sorted((path for path in directory.iterdir() if _NAME.fullmatch(path.name)), key=number_of)


def number_of(path: Path) -> int:
    """A generation's number."""
    return int(path.name.partition("-")[0])


def newest_number() -> int:
    """Number of the newest generation; 0 when there is none."""
    paths = generation_paths()
    return number_of(paths[-1]) if paths else 0


def newest() -> Generation | None:
    """The newest generation, or None.

    Raises:
        PostgresError: its manifest cannot be read.
    """
    paths = generation_paths()
    return Generation(paths[-1], read_manifest(paths[-1])) if paths else None


def add(arrived: Path, manifest: Manifest) -> Generation:
    """Give a verified, durable directory its place among the generations."""
    place = generations() / f"{newest_number() + 1:06d}-{manifest.id}"
    arrived.rename(place)
    sync_directory(generations())
    sync_directory(arrived.parent)
    return Generation(place, manifest)


def incoming() -> Path:
    """Where a copy arrives."""
    return rooted(BASE_DIR) / "incoming"


def is_arriving(copy: Generation) -> bool:
    """Whether a copy has no number yet."""
    return copy.path == incoming()


def prune(keep: int) -> None:
    """Keep the newest ``keep`` generations; the newest is the one in place."""
    for path in generation_paths()[:-keep]:
        remove_directory(path)
