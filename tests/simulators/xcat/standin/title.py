"""What `ps` shows for a process: its argument area overwritten, as Perl's $0 does it."""

from __future__ import annotations

import ctypes
import pathlib
import signal

PR_SET_NAME = 15
PR_SET_PDEATHSIG = 1
PADDING = "." * 80  # an extra argument that gives the titles room


def _argument_area() -> tuple[int, int]:
    stat = pathlib.Path("/proc/self/stat").read_text(encoding="latin-1")
    fields = stat.rpartition(")")[2].split()
    return int(fields[45]), int(fields[46])  # arg_start, arg_end: fields 48 and 49


def set_title(text: str) -> None:
    """Best effort: without /proc the title stays what it was."""
    try:
        start, end = _argument_area()
    except (OSError, IndexError, ValueError):
        return
    room = end - start
    if start <= 0 or room < 2:
        return
    data = text.encode()[: room - 2]
    # The last byte must not be NUL: that is how the kernel knows a title.
    ctypes.memmove(start, data.ljust(room - 1, b"\0") + b".", room)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NAME, text.encode()[:15], 0, 0, 0)


def die_with_parent() -> None:
    """So that a killed listener leaves nobody behind who holds its sockets."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def outlive_parent() -> None:
    """Undo die_with_parent()."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)
