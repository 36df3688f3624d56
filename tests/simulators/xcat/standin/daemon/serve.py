"""One connection of the SSL listener, in a process of its own."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

from .. import commands, paths, wire
from ..cfgloc import Cfgloc
from ..database import Database
from ..dbserver import RemoteEngine
from ..engine import DbError
from ..request import Request
from ..title import set_title
from .policy import is_allowed

HANDSHAKE_TIMEOUT_S = 15.0


def server_context() -> ssl.SSLContext:
    """Read anew for each connection: certificates put back in place work at once."""
    cert = paths.at("/etc/xcat/cert")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert / "server-cred.pem")
    context.load_verify_locations(cert / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def peer_name(connection: ssl.SSLSocket) -> str:
    """The CN of the client's certificate; empty without one."""
    certificate: Any = connection.getpeercert() or {}
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""


class Service:
    """What every connection needs to know of the daemon."""

    def __init__(self, database_socket: pathlib.Path, host: str, cfgloc: Cfgloc) -> None:
        self._database_socket = database_socket
        self._host = host
        self._cfgloc = cfgloc

    def serve(
        self,
        plain: socket.socket,
        others_running: Callable[[], bool],
        answered: Callable[[], None],
    ) -> None:
        plain.settimeout(HANDSHAKE_TIMEOUT_S)
        try:
            context = server_context()
        except (OSError, ssl.SSLError):
            _reset(plain)
            return
        try:
            connection = context.wrap_socket(plain, server_side=True)
        except (OSError, ssl.SSLError):
            plain.close()
            return
        connection.settimeout(None)
        stream = connection.makefile("rwb")
        message = wire.read_line(stream)
        if message is None:
            return
        user = peer_name(connection)
        set_title(f"xcatd SSL: {message['command']} for {user}@{_client(connection)}")
        code = self._answer(stream, message, user, others_running)
        answered()
        wire.write_line(stream, {"end": code})
        stream.close()
        connection.close()

    def _answer(
        self,
        stream: wire.Stream,
        message: dict[str, Any],
        user: str,
        others_running: Callable[[], bool],
    ) -> int:
        database = Database(RemoteEngine(self._database_socket))
        request = Request(
            command=message["command"],
            args=message["args"],
            database=database,
            sink=lambda kind, text: wire.write_line(stream, {kind: text}),
            host=self._host,
            cfgloc=self._cfgloc,
            stdin=message.get("stdin"),
            cwd=message.get("cwd", "/"),
            environment=message.get("environment", {}),
            others_running=others_running,
        )
        try:
            allowed = is_allowed(database, user, request.command)
        except DbError:
            allowed = False
        if not allowed:
            request.err("Error: Permission denied for request")
            return 1
        if request.command not in commands.SERVED:
            request.err(f"Error: Unsupported command: {request.command}")
            return 1
        return commands.run(request)


def _reset(plain: socket.socket) -> None:
    """No certificates: the client, once it has said hello, sees a reset."""
    with contextlib.suppress(OSError):
        plain.recv(1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


def _client(connection: ssl.SSLSocket) -> str:
    address = str(connection.getpeername()[0]).removeprefix("::ffff:")
    return "localhost" if address in ("127.0.0.1", "::1") else address
