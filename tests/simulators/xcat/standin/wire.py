"""The stand-in's own wire format: JSON lines, one request, answers, one end.

To the daemon: {"command": "lsdef", "args": ["-t", "site"], ...}.
From it: {"o": "text for stdout"}, {"e": "text for stderr"}, ..., {"end": exit code}.
"""

from __future__ import annotations

import json
from typing import Any, Protocol


class Stream(Protocol):
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...
    def readline(self) -> bytes: ...


def write_line(stream: Stream, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def read_line(stream: Stream) -> dict[str, Any] | None:
    """The next message; None when the other side has closed."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message: dict[str, Any] = json.loads(line)
    return message
