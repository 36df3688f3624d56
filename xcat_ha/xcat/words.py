"""Addresses and host names as words of a text. Standard library only: programs on the node use it.

``10.77.0.2`` is no word of ``10.77.0.21``, ``mna`` none of ``mna-data`` or of ``mna.elsewhere.example``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def word_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Finds any of ``words``, the longest first; dots may be escaped, as in a regular expression of a table."""
    ordered = sorted({word for word in words if word}, key=len, reverse=True)
    return re.compile("|".join(map(_alone, ordered)) or r"(?!)", re.IGNORECASE)


def _alone(word: str) -> str:
    if ":" in word:  # an IPv6 address: a colon goes on with it
        return rf"(?<![\w:.]){re.escape(word)}(?![\w:])"
    dotted = re.escape(word).replace(r"\.", r"\\?\.")
    return rf"(?<![\w.-]){dotted}(?![\w-]|\.\w)"


def found_word(found: str) -> str:
    """What was found, without the escapes."""
    return found.replace("\\", "")


def around(text: str, begin: int, end: int, *, margin: int = 40) -> str:
    """The part of a line around a word, with ``…`` where something is left out."""
    first, last = max(0, begin - margin), min(len(text), end + margin)
    return ("…" if first else "") + text[first:last].strip() + ("…" if last < len(text) else "")
