"""The record of an operation: JSON lines, each on disk before the world is changed.

One file per operation, ``/var/lib/xcat-ha/journal/<time>-<operation>-<id>.jsonl``, on the machine that runs it. The first line is
``begin``, the last ``end``; a file without ``end`` is an operation whose program died.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import field, frozen

from xcat_ha.clock import Clock
from xcat_ha.errors import JournalError
from xcat_ha.models import STATE_DIR

JOURNAL_DIR = Path(STATE_DIR) / "journal"
FORMAT = 1
KEPT_JOURNALS = 500


class Outcome(StrEnum):
    """How an operation ended."""

    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    ABANDONED = "abandoned"
    DIED = "died"
    """Its program ended without a word (no ``end`` in the journal)."""


@frozen
class Record:
    """What a journal says of an operation as a whole.

    Attributes:
        id: name of the operation's journal, without suffix.
        operation: the verb.
        parameters: what it was asked to do (node ids, never secrets).
        began / ended: seconds since the epoch; ``ended`` is None while it runs or if it died.
        outcome: None while its program still runs.
        message: closing words.
        changed: whether any step had begun to change something.
        must_finish: whether the next operation has to wait until this one is resumed or abandoned.
        host: node id or hostname of the machine that ran it.
        pid: its process there, with ``started`` (the process's start time in clock ticks since boot) and ``boot`` (boot id).
        user: who ran it.
    """

    id: str
    operation: str
    parameters: Mapping[str, str]
    began: float
    ended: float | None
    outcome: Outcome | None
    message: str
    changed: bool
    must_finish: bool
    host: str
    pid: int
    user: str

    @property
    def in_the_way(self) -> bool:
        """Whether the pair may be in a half-done state because of it."""
        return self.must_finish and self.changed and self.outcome not in {Outcome.DONE, Outcome.ABANDONED}


@frozen
class Beginning:
    """What the first line of a journal holds."""

    operation: str
    parameters: Mapping[str, str]
    must_finish: bool
    host: str
    user: str
    pid: int = field(factory=os.getpid)


def new_operation_id(operation: str, clock: Clock) -> str:
    """A name for an operation: sorts by time, holds the verb, is unique."""
    moment = datetime.fromtimestamp(clock.now(), UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{operation}-{os.urandom(2).hex()}"


class Journal:
    """An open journal. Thread-safe; every ``write`` returns only when the line is on disk."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Go on with the journal at ``path``; a new one is made by :meth:`begin`."""
        self.path = path
        self.changed = False
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """Name of the operation."""
        return self.path.stem

    @classmethod
    def begin(cls, operation_id: str, beginning: Beginning, clock: Clock, directory: Path = JOURNAL_DIR) -> Journal:
        """Create the journal of a new operation, named by :func:`new_operation_id`.

        Raises:
            JournalError: the directory cannot be written; nothing may be changed without a journal.
        """
        journal = cls(directory / f"{operation_id}.jsonl", clock)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _prune(directory)
            descriptor = os.open(journal.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.close(descriptor)
            _fsync_directory(directory)
        except OSError as error:
            raise _unwritable(journal.path, error) from error
        journal.write(
            "begin",
            format=FORMAT,
            operation=beginning.operation,
            parameters=dict(beginning.parameters),
            host=beginning.host,
            user=beginning.user,
            pid=beginning.pid,
            must_finish=beginning.must_finish,
        )
        return journal

    def write(self, event: str, **facts: Any) -> None:
        """Append one line and wait until it is on disk.

        Raises:
            JournalError: it could not be written.
        """
        self.changed = self.changed or (event == "step" and facts.get("state") == "started")
        line = json.dumps({"event": event, "time": round(self._clock.now(), 3), **facts}, ensure_ascii=True).encode("ascii") + b"\n"
        try:
            with self._lock, self.path.open("a+b") as file:
                if file.tell() > 0:
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else b"\n" + line  # a half-written line (power loss) must not swallow this one
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def forget(self) -> None:
        """Remove it: an operation that found nothing to do (a scheduled sync, every few minutes) need not be remembered."""
        self.path.unlink(missing_ok=True)

    def entries(self) -> list[dict[str, Any]]:
        """Everything written so far.

        Raises:
            JournalError: it cannot be read.
        """
        try:
            return parse_lines(self.path.read_text(encoding="ascii", errors="replace"))
        except OSError as error:
            raise JournalError(
                f"the journal cannot be read: {error.strerror}",
                where=str(self.path),
                hint="run resume on the node that ran the operation",
            ) from error

    def end(self, outcome: Outcome, message: str = "") -> None:
        """Write the last line."""
        self.write("end", outcome=str(outcome), message=message)


def keep_journal(path: Path, text: str) -> None:
    """Put the other node's copy of a journal in place, durably and in one piece.

    Raises:
        JournalError: it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _fsync_directory(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def _prune(directory: Path) -> None:
    """Keep the newest journals; names sort by time."""
    for path in sorted(directory.glob("*.jsonl"))[:-KEPT_JOURNALS]:
        path.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"the journal cannot be written: {error.strerror}",
        where=str(path),
        state="nothing is changed without a journal",
        hint=f"make room or mend permissions on {path.parent}, then run the verb again",
    )


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def parse_lines(text: str) -> list[dict[str, Any]]:
    """The lines of a journal; a half-written last line (power loss) is left out."""
    entries: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and "event" in entry:
            entries.append(entry)
    return entries


def summarise(name: str, text: str, *, alive: bool | None = None) -> Record | None:
    """The record of a journal's text; None if it does not even hold a readable first line.

    Args:
        name: file name without suffix.
        text: the lines, all of them or those that matter (``begin``, the first ``step``, ``end``).
        alive: whether its process still runs; None if not known, then an unended operation counts as running.
    """
    entries = parse_lines(text)
    if not entries or entries[0]["event"] != "begin" or not _is_time(entries[0].get("time")):
        return None
    begin = entries[0]
    parameters, pid = begin.get("parameters"), begin.get("pid")
    # What comes after an end (it was resumed) takes the end back.
    last = entries[-1] if entries[-1]["event"] == "end" else None
    return Record(
        id=name,
        operation=str(begin.get("operation", "")),
        parameters={str(key): str(value) for key, value in parameters.items()} if isinstance(parameters, dict) else {},
        began=float(begin["time"]),
        ended=float(last["time"]) if last and _is_time(last.get("time")) else None,
        outcome=_outcome(last) if last else (Outcome.DIED if alive is False else None),
        message=str(last.get("message", "")) if last else "",
        changed=any(entry["event"] == "step" and entry.get("state") == "started" for entry in entries),
        must_finish=bool(begin.get("must_finish", False)),
        host=str(begin.get("host", "")),
        pid=pid if isinstance(pid, int) else 0,
        user=str(begin.get("user", "")),
    )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _outcome(end: Mapping[str, Any]) -> Outcome:
    """How it ended; a word of another version is not taken for a good end."""
    try:
        return Outcome(str(end.get("outcome")))
    except ValueError:
        return Outcome.FAILED
