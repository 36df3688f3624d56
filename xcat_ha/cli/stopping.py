"""Ctrl-C, SIGTERM and a lost terminal while something is being changed."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Self

from xcat_ha.errors import InterruptedOperationError


class Stopper:
    """First Ctrl-C or SIGTERM: stop after the command that runs now. Second Ctrl-C: stop at once. SIGHUP: go on.

    The operator may be logged in over the address that moves, so losing the terminal must not stop a hand-over in the middle.
    """

    def __init__(self) -> None:
        """Signals are caught only while it is used as a context."""
        self._asked = False

    def __call__(self) -> bool:
        """Whether a stop was requested."""
        return self._asked

    def __enter__(self) -> Self:
        """Catch signals from now on."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        """As before.

        Raises:
            InterruptedOperationError: it was stopped at once, wherever that was.
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if kind is KeyboardInterrupt:
            raise InterruptedOperationError(
                "stopped at once, by the keyboard",
                state="a command may still be running",
                hint="xcat-ha status explains the state; xcat-ha resume goes on",
            ) from error

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True
        print("xcat-ha: stopping after the command that runs now; once more to stop at once", file=sys.stderr)  # noqa: T201
