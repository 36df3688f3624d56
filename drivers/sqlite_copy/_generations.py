"""The verified copies received from the peer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.sqlite_copy._disk import generations
from xcat_ha_drivers.sqlite_copy._manifest import Manifest, read_manifest


class Generation(NamedTuple):
    """One complete copy."""

    path: Path
    manifest: Manifest


def newest() -> Generation | None:
    """The newest generation, or None.

    Raises:
        CopyError: its manifest cannot be read.
    """
    path = generations().newest_path()
    return Generation(path, read_manifest(path)) if path else None
