"""The CSV of tabdump and tabrestore: quoted values, bare commas for NULL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .engine import Row, Value


def _cell(value: Value) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def dump(columns: list[str], rows: Iterable[Row]) -> str:
    lines = ["#" + ",".join(columns)]
    lines += [",".join(_cell(row.get(c)) for c in columns) for row in rows]
    return "".join(line + "\n" for line in lines)


def records(text: str) -> Iterator[list[Value]]:
    """Rows of a CSV text; an unquoted empty cell is NULL, a quoted one is a string."""
    cells: list[Value] = []
    value: Value
    position, size = 0, len(text)
    while position < size:
        if text[position] == '"':
            value, position = _quoted(text, position + 1)
        else:
            end = position
            while end < size and text[end] not in ",\n":
                end += 1
            plain = text[position:end].rstrip("\r")
            value, position = plain or None, end
        cells.append(value)
        if position >= size or text[position] == "\n":
            yield cells
            cells = []
        position += 1
        if position >= size and cells:
            yield [*cells, None]


def _quoted(text: str, position: int) -> tuple[str, int]:
    pieces: list[str] = []
    while True:
        end = text.find('"', position)
        if end < 0:
            return "".join([*pieces, text[position:]]), len(text)
        pieces.append(text[position:end])
        if text[end + 1 : end + 2] != '"':
            end += 1
            while end < len(text) and text[end] not in ",\n":
                end += 1
            return "".join(pieces), end
        pieces.append('"')
        position = end + 2
