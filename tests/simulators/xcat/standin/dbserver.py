"""`xcatd: DB Access`: the one process of the daemon that holds the table files open.

Its clients are the daemon's other processes, over a socket of root's.  One
pickled question, one pickled answer, as many as the client likes.
"""

from __future__ import annotations

import pathlib
import pickle
import selectors
import socket
import struct
from collections.abc import Sequence
from typing import Any

from .engine import Change, DbError, Engine, NoSuchTableError, Value


def send(connection: socket.socket, message: object) -> None:
    data = pickle.dumps(message, protocol=5)
    connection.sendall(struct.pack("!I", len(data)) + data)


def receive(connection: socket.socket) -> Any:
    head = _exactly(connection, 4)
    data = _exactly(connection, struct.unpack("!I", head)[0])
    return pickle.loads(data)  # noqa: S301 - only root reaches this socket


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(min(count - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


class RemoteEngine:
    """The engine of a process that is not the DB Access process."""

    def __init__(self, path: pathlib.Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connection.connect(str(path))
        except OSError as error:
            raise DbError("the DB Access process is gone") from error

    def _ask(self, *question: object) -> Any:
        try:
            send(self._connection, question)
            answer = receive(self._connection)
        except (OSError, EOFError) as error:
            raise DbError("the DB Access process is gone") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def tables(self) -> list[str]:
        names: list[str] = self._ask("tables")
        return names

    def read(self, table: str) -> tuple[list[str], list[list[Value]]]:
        found: tuple[list[str], list[list[Value]]] = self._ask("read", table)
        return found

    def write(self, table: str, changes: Sequence[Change]) -> None:
        self._ask("write", table, list(changes))

    def update_schema(self) -> None:
        self._ask("update_schema")


def serve(engine: Engine, listener: socket.socket) -> None:
    """Answer questions until killed."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            if ready is listener:
                client, _address = listener.accept()
                selector.register(client, selectors.EVENT_READ)
                continue
            try:
                send(ready, _answer(engine, receive(ready)))
            except (OSError, EOFError):
                selector.unregister(ready)
                ready.close()


def _answer(engine: Engine, question: tuple[Any, ...]) -> object:
    try:
        return getattr(engine, question[0])(*question[1:])
    except NoSuchTableError as error:
        return NoSuchTableError(*error.args)
    except DbError as error:
        return DbError(*error.args)
    except Exception as error:  # noqa: BLE001 - the process must outlive any question
        return DbError(repr(error))
