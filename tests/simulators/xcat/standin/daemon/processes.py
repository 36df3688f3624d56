"""The daemon's processes beside the SSL listener, and the pid files of all of them."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable

from .. import dbserver, paths
from ..cfgloc import Cfgloc
from ..engine import open_engine
from ..title import die_with_parent, set_title

PID_FILE = "/run/xcatd.pid"
RUN = "/run/xcat"
COMMAND_LOG = "/var/log/xcat/commands.log"


def fork(title: str, work: Callable[[], None], close: list[socket.socket]) -> int:
    """Run work in a child with this title; the child dies with its parent."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in close:
            other.close()
        set_title(title)
        work()
        code = 0
    except KeyboardInterrupt:
        pass
    except Exception as error:  # noqa: BLE001 - the only place left to say it
        print(f"xcatd: {title}: {error!r}", file=sys.stderr, flush=True)
    os._exit(code)


def write_pid(name: str, pid: int) -> None:
    place = paths.at(f"{RUN}/{name}.pid" if name != "xcatd" else PID_FILE)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"{pid}\n")


def wildcard(port: int, kind: socket.SocketKind) -> socket.socket:
    """A socket on [::] that takes IPv4 too, or on 0.0.0.0 where there is no IPv6."""
    try:
        bound = socket.socket(socket.AF_INET6, kind)
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        address = "::"
    except OSError:
        bound = socket.socket(socket.AF_INET, kind)
        address = "0.0.0.0"
    if kind == socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((address, port))
    if kind == socket.SOCK_STREAM:
        bound.listen(64)
    return bound


def loopback(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    bound.listen(16)
    return bound


def database_access(cfgloc: Cfgloc, listener: socket.socket) -> None:
    dbserver.serve(open_engine(cfgloc), listener)


def udp_listener(bound: socket.socket) -> None:
    """Takes findme and resourcerequest packets; nobody discovers nodes here."""
    while True:
        bound.recvfrom(65535)


def install_monitor(bound: socket.socket) -> None:
    """Tells an installing node that it may go on."""
    while True:
        client, _address = bound.accept()
        client.settimeout(5)
        try:
            client.sendall(b"ready\n")
            if client.recv(1024):
                client.sendall(b"done\n")
        except OSError:
            pass
        client.close()


def command_log_writer(bound: socket.socket) -> None:
    place = paths.at(COMMAND_LOG)
    place.parent.mkdir(parents=True, exist_ok=True)
    while True:
        client, _address = bound.accept()
        client.settimeout(5)
        try:
            with place.open("ab") as log:
                log.write(client.recv(65535))
        except OSError:
            pass
        client.close()


def wait_forever() -> None:
    while True:
        signal.pause()
