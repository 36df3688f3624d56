"""The daemon: starts as the real one does, then listens."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import struct
import sys
import time
from types import FrameType

from .. import cfgloc, net, paths
from ..database import Database
from ..dbserver import RemoteEngine
from ..engine import DbError
from ..settings import Pace
from ..title import die_with_parent, outlive_parent, set_title
from . import processes, roles
from .serve import Service

SLOTS = 256
DATABASE_ROUNDS = 200
DATABASE_RETRY_S = (0, 1, 2, 4)
NO_SITE_TABLE = "Can not open basic site table for configuration, waiting the database to be initialized."


class Daemon:
    def __init__(self) -> None:
        self.pace = Pace()
        self.cfgloc = cfgloc.resolve()  # once: a later cfgloc is not read
        self.host = net.short_hostname()
        self.children: list[int] = []
        self.requests: dict[int, int] = {}  # pid -> slot
        self.slots = mmap.mmap(-1, SLOTS)  # 1: the request of this slot is being served
        self.begun = mmap.mmap(-1, 8)
        self.database_socket = paths.at(f"{processes.RUN}/dbworker.sock.{os.getpid()}")
        self.listener: socket.socket | None = None

    def run(self, ready: int) -> None:
        """Start everything, report on the descriptor, serve until SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        set_title("xcatd: SSL listener")
        self._start_database()
        database = self._await_site_table()
        self._bind(database)
        RemoteEngine(self.database_socket).update_schema()
        environment = dict(os.environ)
        if _take_reload_mark():
            environment["XCATRELOAD"] = "yes"
        roles.take_up(database, environment)
        self._start_helpers()
        self.pace.wait_until("xcatd")
        processes.write_pid("mainservice", os.getpid())
        processes.write_pid("xcatd", os.getpid())
        outlive_parent()
        os.write(ready, b"1")
        os.close(ready)
        self._listen()

    def _start_database(self) -> None:
        place = self.database_socket
        place.parent.mkdir(parents=True, exist_ok=True)
        for stale in place.parent.glob("dbworker.sock.*"):
            stale.unlink()
        previous = os.umask(0o077)
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        own.bind(str(place))
        own.listen(64)
        os.umask(previous)
        work = lambda: processes.database_access(self.cfgloc, own)  # noqa: E731
        self.children.append(processes.fork("xcatd: DB Access", work, []))
        own.close()

    def _await_site_table(self) -> Database:
        for _ in range(DATABASE_ROUNDS):
            for pause in DATABASE_RETRY_S:
                time.sleep(pause)
                database = Database(RemoteEngine(self.database_socket))
                try:
                    database.rows("site")
                except DbError as error:
                    print(error, file=sys.stderr, flush=True)
                else:
                    return database
            print(NO_SITE_TABLE, file=sys.stderr, flush=True)
        raise SystemExit(NO_SITE_TABLE)

    def _bind(self, database: Database) -> None:
        port = int(database.site("xcatdport", "3001"))
        try:
            self.listener = processes.wildcard(port, socket.SOCK_STREAM)
            self.udp = processes.wildcard(port, socket.SOCK_DGRAM)
            install = int(database.site("xcatiport", "3002"))
            self.install = processes.wildcard(install, socket.SOCK_STREAM)
            self.log = processes.loopback(int(database.site("xcatlport", "3003")))
        except OSError as error:
            raise SystemExit(f"xcatd unable to open SSL services on {port}, {error}") from None

    def _start_helpers(self) -> None:
        assert self.listener is not None
        own = {
            "udpservice": ("xcatd: UDP listener", self.udp, processes.udp_listener),
            "installservice": ("xcatd: install monitor", self.install, processes.install_monitor),
            "cmdlogservice": (
                "xcatd: Command log writer",
                self.log,
                processes.command_log_writer,
            ),
        }
        for name, (title, bound, work) in own.items():
            others = [s for s in (self.listener, self.udp, self.install, self.log) if s != bound]
            pid = processes.fork(title, lambda work=work, b=bound: work(b), others)  # type: ignore[misc]
            self.children.append(pid)
            processes.write_pid(name, pid)
        sockets = [self.listener, self.udp, self.install, self.log]
        pid = processes.fork("xcatd: Discovery worker", processes.wait_forever, sockets)
        self.children.append(pid)
        for bound in (self.udp, self.install, self.log):
            bound.close()

    def _listen(self) -> None:
        assert self.listener is not None
        self.listener.settimeout(0.2)
        while True:
            try:
                plain, _address = self.listener.accept()
            except TimeoutError:
                self._reap()
                continue
            except OSError:
                return
            self._reap()
            number = struct.unpack("q", self.begun[:])[0] + 1
            self.begun[:] = struct.pack("q", number)
            self._serve(plain, number)
            plain.close()

    def _serve(self, plain: socket.socket, number: int) -> None:
        slot = number % SLOTS
        self.slots[slot] = 1

        def others_running() -> bool:
            """Now, or at any time since this request began."""
            newer = bool(struct.unpack("q", self.begun[:])[0] != number)
            return newer or sum(self.slots[:]) > 1

        def answered() -> None:
            self.slots[slot] = 0

        def work() -> None:
            service = Service(self.database_socket, self.host, self.cfgloc)
            service.serve(plain, others_running, answered)

        assert self.listener is not None
        pid = processes.fork("xcatd SSL: Instance", work, [self.listener])
        self.requests[pid] = slot

    def _reap(self) -> None:
        while self.requests:
            try:
                pid, _status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.requests:
                self.slots[self.requests.pop(pid)] = 0

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """The pid files go, but xcatd.pid stays behind."""
        for pid in [*self.requests, *self.children]:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        for name in ("mainservice", "udpservice", "installservice", "cmdlogservice"):
            paths.at(f"{processes.RUN}/{name}.pid").unlink(missing_ok=True)
        self.database_socket.unlink(missing_ok=True)
        os._exit(0)


RELOAD_MARK = f"{processes.RUN}/reload"


def _take_reload_mark() -> bool:
    """Say whether restartxcatd -r has left its mark: this one start skips the roles."""
    mark = paths.at(RELOAD_MARK)
    there = mark.exists()
    mark.unlink(missing_ok=True)
    return there


def _detach() -> None:
    """Let go of the caller's streams; under systemd they are the journal's and stay."""
    nothing = os.open(os.devnull, os.O_RDWR)
    kept = (0,) if "INVOCATION_ID" in os.environ else (0, 1, 2)
    for stream in kept:
        os.dup2(nothing, stream)


def start(*, foreground: bool = False) -> int:
    """Fork like a daemon of old: the caller returns when the daemon listens."""
    reader, writer = os.pipe()
    if foreground:
        Daemon().run(writer)
        return 0
    if os.fork():
        os.close(writer)
        return 0 if os.read(reader, 1) == b"1" else 1
    # Until it is ready the daemon goes when its launcher goes: a start given up leaves nothing.
    die_with_parent()
    os.close(reader)
    os.setsid()
    os.chdir("/")
    _detach()
    try:
        Daemon().run(writer)
    except SystemExit as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    return 0
