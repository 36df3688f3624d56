"""Where the driver keeps things on a node."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import made, rooted
from xcat_ha_drivers.database.generations import Generations
from xcat_ha_drivers.postgres_dump._manifest import Manifest, read_manifest

STATE_DIR = "/var/lib/xcat-ha"
BASE_DIR = f"{STATE_DIR}/postgres-dump"


def base() -> Path:
    """The driver's own directory on this node, made if need be."""
    return made(rooted(BASE_DIR))


def outgoing() -> Path:
    """Where snapshots of this node's own database wait for the peer."""
    return rooted(BASE_DIR) / "outgoing"


def unsent() -> Path:
    """Present while a snapshot made by a sync waits to be delivered."""
    return outgoing() / "unsent"


def generations() -> Generations:
    """Verified copies from the peer."""
    return Generations(rooted(BASE_DIR) / "generations")


def diverged() -> Path:
    """Where saved databases are."""
    return rooted(STATE_DIR) / "diverged"


class Generation(NamedTuple):
    """One complete copy."""

    path: Path
    manifest: Manifest


def newest() -> Generation | None:
    """The newest generation, or None.

    Raises:
        PostgresError: its manifest cannot be read.
    """
    path = generations().newest_path()
    return Generation(path, read_manifest(path)) if path else None


def incoming() -> Path:
    """Where a copy arrives."""
    return rooted(BASE_DIR) / "incoming"


def is_arriving(copy: Generation) -> bool:
    """Whether a copy has no number yet."""
    return copy.path == incoming()
