"""What all tests need."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Started in the background by a shell, this program ignores Ctrl-C, and would hand that on to the programs whose Ctrl-C is tested."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
