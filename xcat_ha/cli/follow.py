"""Progress on stderr: one line a step; on a terminal long commands show how far they are."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TextIO

from xcat_ha.steps import Phase, Step

_ERASE_LINE = "\r\x1b[K"


class Follower:
    """Prints what an operation does. Usable from several threads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """``stream``: stderr by default."""
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._shown_pct: dict[tuple[str, str], int] = {}

    def phase_started(self, phase: Phase) -> None:
        """A heading."""
        self._print(f"{phase.name}: {phase.why}")

    def step_started(self, step: Step) -> None:
        """Nothing on a pipe; on a terminal a line that will be overwritten."""
        if self._terminal:
            self._overwrite(f"  {step.host}  {step.name} …")

    def step_progressed(self, step: Step, share: float) -> None:
        """A percentage: overwritten on a terminal, every quarter on a pipe."""
        pct = int(share * 100)
        if self._terminal:
            self._overwrite(f"  {step.host}  {step.name} … {pct} %")
            return
        key = (step.host, step.name)
        if pct // 25 > self._shown_pct.get(key, 0) // 25:
            self._shown_pct[key] = pct
            self._print(f"  {step.host}  {step.name}  {pct} %")

    def step_ended(self, step: Step, state: str, seconds: float, detail: str) -> None:
        """One line with the outcome."""
        words = {"already": "nothing to do", "done": "done", "failed": "FAILED"}.get(state, state)
        said = f": {detail.splitlines()[0]}" if state == "failed" and detail else ""
        self._print(f"  {step.host}  {step.name}  {words} ({seconds:.1f} s){said}")

    def _print(self, line: str) -> None:
        # The terminal may be gone (the operator was logged in over the address that moves): the operation goes on.
        with self._lock, contextlib.suppress(OSError):
            start = _ERASE_LINE if self._terminal else ""
            print(f"{start}[{time.monotonic() - self._began:6.1f}] {line}", file=self._stream, flush=True)

    def _overwrite(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            print(f"{_ERASE_LINE}[{time.monotonic() - self._began:6.1f}] {line}", end="", file=self._stream, flush=True)
