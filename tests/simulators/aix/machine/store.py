"""State on disk: a JSON file that many processes read and change."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import paths

Data = dict[str, Any]

ONE_BY_ONE_S = 30.0


class LockedError(Exception):
    """Somebody else has held the file for too long."""


class Store:
    """One file of state; ``empty`` makes what it holds before anybody wrote it."""

    def __init__(self, path: str, empty: Callable[[], Data] = dict) -> None:
        self._place = paths.at(path)
        self._empty = empty

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._place.exists()

    def read(self) -> Data:
        """What it holds now."""
        try:
            text = self._place.read_text(encoding="utf-8")
        except FileNotFoundError:
            return self._empty()
        found: Data = json.loads(text)
        return found

    @contextlib.contextmanager
    def change(self, wait_s: float = ONE_BY_ONE_S) -> Iterator[Data]:
        """Change it alone: written, whole or not at all, when the block ends without an exception.

        Raises LockedError when another process does not let go within ``wait_s``.
        """
        self._place.parent.mkdir(parents=True, exist_ok=True)
        with self._place.with_suffix(".lock").open("w") as lock:
            _lock(lock.fileno(), wait_s)
            data = self.read()
            yield data
            self._write(data)

    def forget(self) -> None:
        """Remove it."""
        self._place.unlink(missing_ok=True)

    def _write(self, data: Data) -> None:
        fresh = self._place.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(data, indent=1), encoding="utf-8")
        fresh.replace(self._place)


def _lock(handle: int, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LockedError from None
            time.sleep(0.02)
        else:
            return
