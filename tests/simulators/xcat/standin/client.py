"""The client half: what a command does before and after the daemon does its work."""

from __future__ import annotations

import os
import pathlib
import pwd
import re
import socket
import sys
from typing import Any

from . import commands, paths, wire
from .request import ERR, OUT

HERE = "at /opt/xcat/lib/perl/xCAT/Client.pm line"
CONNECT_TIMEOUT_S = 15.0


class ConnectionFailedError(Exception):
    """No talk with the daemon; `code` is the exit status that follows."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code


def sink(kind: str, text: str) -> None:
    stream = sys.stdout if kind == OUT else sys.stderr
    if kind == ERR:
        sys.stdout.flush()
    stream.write(text)
    stream.flush()


def main(command: str, args: list[str]) -> int:
    try:
        if command in commands.LOCAL:
            return run_local(command, args)
        return submit(command, args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def submit(command: str, args: list[str], sink: Any = sink, stdin: str | None = None) -> int:
    """Have a command done: by the daemon, or in this process under XCATBYPASS."""
    message = {
        "command": command,
        "args": args,
        "stdin": _stdin(command, args) if stdin is None else stdin,
        "cwd": str(pathlib.Path.cwd()),
        "environment": {k: v for k, v in os.environ.items() if k.startswith("XCAT")},
    }
    if os.environ.get("XCATBYPASS"):
        return bypass(message, sink)
    host = os.environ.get("XCATHOST") or "localhost:3001"
    try:
        return exchange(host, message, sink)
    except ConnectionFailedError as failure:
        sink(OUT, f"Unable to open socket connection to xcatd daemon on {host}.\n")
        sink(
            OUT,
            "Verify that the xcatd daemon is running and that your SSL setup is correct.\n",
        )
        sink(ERR, f"Connection failure: {failure}\n")
        return failure.code


def _stdin(command: str, args: list[str]) -> str | None:
    if command == "tabrestore":
        from .commands.tabwrite import read_csv

        return read_csv(args)
    wants = any(re.match(r"-\w*z|--stanza", a) for a in args)
    if command in ("mkdef", "chdef") and wants and not sys.stdin.isatty():
        return sys.stdin.read()
    return None


def bypass(message: dict[str, Any], sink: Any = sink) -> int:
    """Serve the request in this process, with the database opened directly."""
    if os.geteuid() != 0 and paths.is_whole_machine():
        user = pwd.getpwuid(os.geteuid()).pw_name
        sink(
            OUT,
            f"WARNING: Only allow root to run XCATBYPASS mode, your current user ID is {user}.\n",
        )
        return 0
    from . import cfgloc, engine, net
    from .database import Database
    from .request import Request

    where = cfgloc.resolve()
    try:
        database = Database(engine.open_engine(where))
    except engine.DbError as error:
        sink(ERR, f"{error}\n")
        return 1
    return commands.run(
        Request(
            command=message["command"],
            args=message["args"],
            database=database,
            sink=sink,
            host=net.short_hostname(),
            cfgloc=where,
            bypass=True,
            stdin=message["stdin"],
            cwd=message["cwd"],
            environment=message["environment"],
        )
    )


def exchange(host: str, message: dict[str, Any], sink: Any = sink) -> int:
    """One request over TLS; ConnectionFailedError when there is no talk at all."""
    plain = _connect(host)
    own = paths.home() / ".xcat"
    credentials, authority = own / "client-cred.pem", own / "ca.pem"
    ready = all(os.access(f, os.R_OK) for f in (credentials, authority))
    if not ready:
        place = paths.inside(own)
        sink(
            OUT,
            f"warning: the client certificates under {place}/ are not setup correctly,"
            f" please run '/opt/xcat/share/xcat/scripts/setup-local-client.sh' as root to"
            f" generate the client certificates; otherwise, the SSL connection between xcat"
            f" client and xcatd will be setup without certificate verification and open to"
            f" Man-In-The-Middle attacks.\n",
        )
    secure = _secured(plain, credentials if ready else None, authority if ready else None)
    try:
        stream = secure.makefile("rwb")
        wire.write_line(stream, message)
        return _print_answer(stream, sink)
    except OSError:
        return _ended_early(sink)


def _connect(host: str) -> socket.socket:
    name, _, port = host.rpartition(":")
    try:
        return socket.create_connection((name, int(port)), timeout=CONNECT_TIMEOUT_S)
    except (socket.gaierror, ValueError):
        why = f"IO::Socket::INET: Bad hostname '{host}' {HERE} 248."
        raise ConnectionFailedError(why, 22) from None
    except TimeoutError:
        why = f"IO::Socket::INET: connect: Connection timed out {HERE} 248."
        raise ConnectionFailedError(why, 110) from None
    except OSError as error:
        number = error.errno or 255
        why = f"IO::Socket::INET: connect: {os.strerror(number)} {HERE} 248."
        raise ConnectionFailedError(why, number) from None


def _secured(plain: socket.socket, credentials: Any, authority: Any) -> Any:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        if credentials is not None:
            context.load_cert_chain(credentials)
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
        secure = context.wrap_socket(plain)
    except ssl.SSLCertVerificationError:
        why = f"SSL connect attempt failed error:0A000086:SSL routines::certificate verify failed {HERE} 282."
        raise ConnectionFailedError(why, 255) from None
    except ssl.SSLError as error:
        code = 104 if isinstance(error, ssl.SSLEOFError) else 255
        raise ConnectionFailedError(f"SSL connect attempt failed {HERE} 282.", code) from None
    except OSError as error:
        why = f"SSL connect attempt failed {HERE} 282."
        raise ConnectionFailedError(why, error.errno or 104) from None
    secure.settimeout(None)
    return secure


def _print_answer(stream: wire.Stream, sink: Any) -> int:
    while True:
        message = wire.read_line(stream)
        if message is None:
            return _ended_early(sink)
        if "end" in message:
            return int(message["end"])
        for kind in (OUT, ERR):
            if kind in message:
                sink(kind, message[kind])


def _ended_early(sink: Any) -> int:
    sink(
        ERR,
        "ERROR/WARNING: communication with the xCAT server seems to have been ended prematurely\n",
    )
    return 1


def run_local(command: str, args: list[str]) -> int:
    """Commands that are programs of their own."""
    import importlib

    from . import cfgloc, engine, net
    from .database import Database
    from .request import CommandError, Request

    module = importlib.import_module(f".commands.{commands.LOCAL[command]}", __package__)
    where = cfgloc.resolve()
    try:
        database = Database(engine.open_engine(where))
        request = Request(
            command=command,
            args=args,
            database=database,
            sink=sink,
            host=net.short_hostname(),
            cfgloc=where,
            bypass=True,
            cwd=str(pathlib.Path.cwd()),
        )
        getattr(module, command)(request)
    except CommandError:
        return request.code
    except engine.DbError as error:
        sink(ERR, f"{error}\n")
        return 1
    return request.code
