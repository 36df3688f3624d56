"""One JSON object per line over a stream socket: for clients, and between the two HADR databases."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import threading
from typing import Any

Message = dict[str, Any]


class Channel:
    """Sends and receives messages; any number of threads may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._sending:
            self._connection.sendall(data)

    def receive(self) -> Message | None:
        """The next message; None when the other side closed. Raises OSError (TimeoutError) when the connection broke."""
        line = self._reader.readline()
        if not line.endswith(b"\n"):
            return None
        try:
            message: Message = json.loads(line)
        except ValueError as error:
            raise OSError("what came is not our protocol") from error
        if not isinstance(message, dict):
            raise OSError("what came is not our protocol")
        return message

    def set_timeout(self, seconds: float | None) -> None:
        self._connection.settimeout(seconds)

    def close(self) -> None:
        """Wakes whoever reads or writes."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._connection.close()


@contextlib.contextmanager
def _short(path: pathlib.Path) -> Any:
    """A name of the path that fits into the 108 bytes of a socket's address."""
    folder = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen_at(path: pathlib.Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(path) as name:
        listener.bind(name)
    listener.listen(64)
    return listener


def connect_to(path: pathlib.Path) -> Channel:
    """Raises OSError when nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    return Channel(connection)
