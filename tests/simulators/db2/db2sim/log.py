"""The transaction log of a database: records one after the other, in files S0000000.LOG ...

A position is a log sequence number (LSN, bytes since the beginning of the log) and the digest of everything before it, so two logs
can be compared: whoever holds a position has written the same up to it.
"""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

PAGE_BYTES = 4096
FILE_BYTES = 1000 * PAGE_BYTES
ORIGIN = 0x0FA00000
"""The LSN at which S0000000.LOG begins."""


@dataclasses.dataclass(frozen=True)
class Position:
    lsn: int
    chain: str

    @property
    def file(self) -> str:
        return file_name(self.lsn)

    @property
    def page(self) -> int:
        return (self.lsn - ORIGIN) % FILE_BYTES // PAGE_BYTES


def file_name(lsn: int) -> str:
    return f"S{(lsn - ORIGIN) // FILE_BYTES:07d}.LOG"


@dataclasses.dataclass(frozen=True)
class Record:
    start: int
    end: Position
    kind: str
    time: float
    statements: list[Any]
    line: str


def _chain(before: str, body: str) -> str:
    return hashlib.sha256((before + body).encode()).hexdigest()[:16]


def parse(line: str) -> Record:
    """Raises ValueError or KeyError for what is no whole record."""
    found = json.loads(line)
    end = Position(found["lsn"] + len(line.encode()) + 1, found["chain"])
    return Record(found["lsn"], end, found["kind"], found["time"], found["do"], line)


class LogStream:
    """All records since the base, in memory and in their files."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._records: list[Record] = []
        self._starts: list[int] = []
        base = json.loads((folder / "base.json").read_text())
        self.base = Position(base["lsn"], base["chain"])
        self._load()

    @staticmethod
    def create(folder: pathlib.Path, base: Position) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("S*.LOG"):
            old.unlink()
        (folder / "base.json").write_text(json.dumps(dataclasses.asdict(base)))

    @property
    def end(self) -> Position:
        return self._records[-1].end if self._records else self.base

    @property
    def last(self) -> Record | None:
        return self._records[-1] if self._records else None

    def after(self, lsn: int, count: int | None = None) -> list[Record]:
        first = bisect.bisect_left(self._starts, lsn)
        return self._records[first : None if count is None else first + count]

    def holds(self, position: Position) -> bool:
        """Whether this log has, or ends with, exactly what leads to the position."""
        if position == self.base:
            return True
        at = bisect.bisect_left(self._starts, position.lsn) - 1
        return at >= 0 and self._records[at].end == position

    def append(self, kind: str, statements: Sequence[Any]) -> Record:
        """Write a new record; on disk when this returns. Raises OSError when the disk is full."""
        body = json.dumps({"lsn": self.end.lsn, "kind": kind, "time": time.time(), "do": list(statements)}, separators=(",", ":"))
        line = f'{body[:-1]},"chain":"{_chain(self.end.chain, body)}"}}'
        return self.take(line, on_disk=True)

    def take(self, line: str, *, on_disk: bool) -> Record:
        """Add a record as it came from the other database. Raises ValueError if it does not follow."""
        record = parse(line)
        body = line[: line.rindex(',"chain":"')] + "}"
        if record.start != self.end.lsn or record.end.chain != _chain(self.end.chain, body):
            raise ValueError("the record does not follow this log")
        self._write(record, on_disk=on_disk)
        self._records.append(record)
        self._starts.append(record.start)
        return record

    def _write(self, record: Record, *, on_disk: bool) -> None:
        path = self._folder / file_name(record.start)
        with path.open("ab") as file:
            whole = file.tell()
            try:
                file.write(record.line.encode() + b"\n")
                file.flush()
                if on_disk:
                    os.fsync(file.fileno())
            except OSError:
                os.truncate(path, whole)
                raise

    def _load(self) -> None:
        """Read the files; what a killed writer left behind at the end is cut off."""
        for path in sorted(self._folder.glob("S*.LOG")):
            good = 0
            data = path.read_bytes()
            for raw in data.splitlines(keepends=True):
                try:
                    record = parse(raw.decode().removesuffix("\n")) if raw.endswith(b"\n") else None
                except (ValueError, KeyError):
                    record = None
                if record is None or record.start != self.end.lsn:
                    break
                self._records.append(record)
                self._starts.append(record.start)
                good += len(raw)
            if good != len(data):
                os.truncate(path, good)
