"""How far a long command has come, read from its own output."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

ProgressParser: TypeAlias = Callable[[str], float | None]
"""Takes the latest piece of stdout, returns the share done (0.0 to 1.0) or None if the piece does not say."""

_RSYNC_PERCENT = re.compile(r"\s(\d{1,3})%\s")


def rsync_progress2(text: str) -> float | None:
    """The percentage of ``rsync --info=progress2``; the last one in the piece counts."""
    found = _RSYNC_PERCENT.findall(text)
    return min(int(found[-1]), 100) / 100 if found else None


PARSERS: dict[str, ProgressParser] = {"rsync": rsync_progress2}
"""Parsers by the name a ``Command.progress`` uses. A driver's package may add its own when it is imported."""
