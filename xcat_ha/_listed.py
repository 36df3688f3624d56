"""Many names in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 20
"""Names shown in a sentence, unless it is told otherwise."""


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """The first of them, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
