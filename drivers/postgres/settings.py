"""Reading postgresql.conf as the server does: the last setting of a name counts, included files in their place.

Source: PostgreSQL's documentation, "Setting Parameters" (19.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_LINE = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:=\s*|\s)\s*('(?:[^'\\]|''|\\.)*'|[^\s#']+)")
_INCLUDES = ("include", "include_if_exists", "include_dir")


def read_settings(path: Path) -> Mapping[str, str]:
    """Name (lower case) -> value, unquoted. A file that is missing has no settings."""
    return dict(_of_file(path, depth=0))


def settings_in(text: str, directory: Path) -> Mapping[str, str]:
    """As :func:`read_settings`, of a file in ``directory`` that would read like this."""
    return dict(_of_text(text, directory, depth=0))


def _of_file(path: Path, depth: int) -> Iterator[tuple[str, str]]:
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from _of_text(path.read_text(encoding="utf-8", errors="surrogateescape"), path.parent, depth)


def _of_text(text: str, directory: Path, depth: int) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, value = match[1].lower(), unquoted(match[2])
        if name not in _INCLUDES:
            yield name, value
        elif depth < 10:
            place = directory / value
            for file in sorted(place.glob("*.conf")) if name == "include_dir" else [place]:
                if not file.name.startswith("."):
                    yield from _of_file(file, depth + 1)


def unquoted(word: str) -> str:
    """A value without its quotes."""
    if not word.startswith("'"):
        return word
    return re.sub(r"''|\\(.)", lambda found: found[1] or "'", word[1:-1])


def quoted(value: str) -> str:
    """A value as it stands in the file."""
    doubled = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
