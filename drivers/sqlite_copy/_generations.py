"""Verified copies received from the peer, numbered in the order they came."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.sqlite_copy._disk import generations, remove_directory, sync_directory
from xcat_ha_drivers.sqlite_copy._manifest import Manifest, read_manifest

_NAME = re.compile(r"\d{6,}-[0-9a-f]{20}")


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


def newest() -> Generation | None:
    """The newest generation, or None.

    Raises:
        CopyError: its manifest cannot be read.
    """
    paths = generation_paths()
    return Generation(paths[-1], read_manifest(paths[-1])) if paths else None


def add(arrived: Path, manifest: Manifest) -> Generation:
    """Give a verified, durable directory its place among the generations."""
    paths = generation_paths()
    place = generations() / f"{number_of(paths[-1]) + 1 if paths else 1:06d}-{manifest.id}"
    arrived.rename(place)
    sync_directory(generations())
    sync_directory(arrived.parent)
    return Generation(place, manifest)


def newest_number() -> int:
    """Number of the newest generation; 0 when there is none."""
    paths = generation_paths()
    return number_of(paths[-1]) if paths else 0


def prune(keep: int, in_place: str) -> None:
    """Keep the newest ``keep`` generations, and the one in place."""
    for path in generation_paths()[:-keep]:
        if path.name != in_place:
            remove_directory(path)
