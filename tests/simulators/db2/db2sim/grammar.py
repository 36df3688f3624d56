"""Pieces of the commands' grammar."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from .messages import Answer, SqlError

if TYPE_CHECKING:
    from .commands import Context

DB = r"(?:DATABASE|DB) (?P<db>\S+)"
USER = r"(?: USER (?P<user>\S+)(?: USING (?P<password>\S+))?)?"

Handler = Callable[["Context", re.Match[str]], Answer]


def unexpected(word: str, after: str, expected: str) -> SqlError:
    return SqlError("SQL0104N", token=word, after=after, expected=expected)
