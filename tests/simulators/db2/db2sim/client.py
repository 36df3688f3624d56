"""A program's connection to a database, as DBD::DB2 gives one: through the local catalogue, or over TCP/IP."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from . import wire
from .disk import Instance
from .messages import SqlError
from .wire import Channel, Message

Rows = tuple[list[str], list[list[Any]]]


class ClientError(Exception):
    """What the server answered, or that it did not. `code` is the message's, as SQL1224N."""

    def __init__(self, code: str, line: str) -> None:
        super().__init__(line)
        self.code = code


class Connection:
    """One connection. It does not come back by itself when it broke."""

    def __init__(self, channel: Channel, database: str, user: str) -> None:
        self._channel = channel
        self.server = str(self._ask({"op": "connect", "database": database, "user": user})["server"])

    @classmethod
    def local(cls, instance: str, database: str) -> Connection:
        """Raises ClientError, also when the instance is down or not there."""
        try:
            return cls(wire.connect_to(Instance.named(instance).ipc), database, instance)
        except SqlError as error:
            raise ClientError(error.code, error.line) from error
        except OSError as error:
            down = SqlError("SQL1032N")
            raise ClientError(down.code, down.line) from error

    @classmethod
    def remote(cls, host: str, port: int, database: str, user: str, timeout_s: float = 30) -> Connection:
        """Raises ClientError."""
        try:
            connection = socket.create_connection((host, port), timeout_s)
        except OSError as error:
            lost = SqlError("SQL30081N", where=host, errno=error.errno or "*")
            raise ClientError(lost.code, lost.line) from error
        connection.settimeout(None)
        return cls(Channel(connection), database, user)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Rows:
        """One statement, committed."""
        return self.execute_all([(statement, values)])

    def execute_all(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> Rows:
        """One unit of work; returns when it is committed. The rows of the last statement."""
        answer = self._ask({"op": "execute", "statements": [[text, list(values)] for text, values in statements]})
        return answer["columns"], answer["rows"]

    def tables(self) -> list[str]:
        names: list[str] = self._ask({"op": "tables"})["tables"]
        return names

    def columns(self, table: str) -> list[str]:
        names: list[str] = self._ask({"op": "columns", "table": table})["columns"]
        return names

    def close(self) -> None:
        self._channel.close()

    def _ask(self, message: Message) -> Message:
        answer: Message | None = None
        try:
            self._channel.send(message)
            answer = self._channel.receive()
        except OSError:
            pass
        if answer is None:
            gone = SqlError("SQL1224N")
            raise ClientError(gone.code, gone.line)
        if "code" in answer:
            raise ClientError(str(answer["code"]), str(answer["error"]))
        return answer
