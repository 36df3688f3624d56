"""Verified copies received from the peer, in a directory of their driver, numbered in the order they came (a clock may be wrong)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import remove_directory, sync_directory

_NAME = re.compile(r"\d{6,}-[0-9a-f]{20}")


class Generations(NamedTuple):
    """The copies in a directory. Each got its name only after it was verified and durable."""

    directory: Path

    def paths(self) -> list[Path]:
        """All of them, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted((path for path in self.directory.iterdir() if _NAME.fullmatch(path.name)), key=lambda path: number_of(path.name))

    def newest_path(self) -> Path | None:
        """The one that came last, if any did."""
        return next(reversed(self.paths()), None)

    def newest_number(self) -> int:
        """Number of the one that came last; 0 when there is none."""
        path = self.newest_path()
        return number_of(path.name) if path else 0

    def add(self, arrived: Path, content: str) -> Path:
        """Give a verified, durable directory its place among them. ``content``: id of what it holds (20 hexadecimal digits)."""
        place = self.directory / f"{self.newest_number() + 1:06d}-{content}"
        arrived.rename(place)
        sync_directory(self.directory)
        sync_directory(arrived.parent)
        return place

    def prune(self, keep: int, *, but: str = "") -> None:
        """Keep the newest ``keep`` (one at least), and the one of the name ``but``."""
        for path in self.paths()[:-keep]:
            if path.name != but:
                remove_directory(path)


def number_of(name: str) -> int:
    """Number of the generation of that name."""
    return int(name.partition("-")[0])


def stamp_of(content: str, snapshot_time: float) -> str:
    """Content and time of a copy in one word: what a sync makes equal on both nodes, and the name of a snapshot's directory."""
    return f"{content}-{snapshot_time:.6f}"
