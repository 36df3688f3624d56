"""What primary and standby have in common: the port they listen on, the link, the state, the peer window."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

from .messages import SqlError
from .settings import Endpoint, Settings
from .wire import Channel, Message

if TYPE_CHECKING:
    from .database import Database

PEER, DISCONNECTED_PEER = "PEER", "DISCONNECTED_PEER"
REMOTE_CATCHUP, REMOTE_CATCHUP_PENDING = "REMOTE_CATCHUP", "REMOTE_CATCHUP_PENDING"
LOCAL_CATCHUP, DISCONNECTED = "LOCAL_CATCHUP", "DISCONNECTED"
NO_PEER_MODES = ("SUPERASYNC",)
RETRY_S = 2.0
"""A standby tries to connect this often."""


class Hadr:
    """One database's side of the pair. Attributes are read and written under the database's lock."""

    fallen_back = REMOTE_CATCHUP_PENDING
    """The state without a connection, outside of the peer window."""

    def __init__(self, database: Database, settings: Settings, port: Port) -> None:
        self.database = database
        self.port = port
        self.settings = settings
        self.state = LOCAL_CATCHUP
        self.link: Channel | None = None
        self.connected_since = time.time()
        self.last_received = time.time()
        self.window_end = 0.0
        self.other: Message = {}  # the other side's hello
        self.other_lsn = 0
        self.stopped = threading.Event()
        self._channels: set[Channel] = set()

    # --- what is so now

    def now(self) -> str:
        """The state; a peer window that ran out is over. The lock is held."""
        if self.state == DISCONNECTED_PEER and time.time() >= self.window_end:
            self.state = self.fallen_back
            self.database.changed.notify_all()
        return self.state

    @property
    def connected(self) -> bool:
        return self.link is not None

    @property
    def heartbeats_missed(self) -> int:
        if not self.connected:
            return 0
        return int((time.time() - self.last_received) / self.settings.heartbeat_s)

    def holds_commits(self) -> bool:
        """Whether a commit that begins now waits for the standby."""
        return False

    def wait_for(self, lsn: int, gone: threading.Event) -> bool:
        """Wait until a commit may be acknowledged; False: it never may."""
        del lsn, gone
        return True

    def drain(self, lsn: int) -> None:
        """Give the other side a chance to get everything before we leave."""

    # --- start and stop

    def start(self) -> None:
        """Begin to work: from now on we answer at the port."""
        self.port.owner = self

    def stop(self) -> None:
        """Leave in order: the other side is told. The lock is held."""
        if self.link is not None:
            with contextlib.suppress(OSError):
                self.link.set_timeout(2)
                self.link.send({"t": "bye"})
        self.cut()

    def cut(self, *, keep_port: bool = False) -> None:
        """Close everything, without a word."""
        self.stopped.set()
        if not keep_port:
            self.port.close()
        for channel in list(self._channels):
            channel.close()
        self.link = None
        self.database.changed.notify_all()

    def diag(self, message: str) -> None:
        self.database.instance.diag(self.database.name, message)

    def _thread(self, work: object, *args: object) -> None:
        threading.Thread(target=work, args=args, daemon=True).start()  # type: ignore[arg-type]

    def _channel(self, connection: socket.socket) -> Channel:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.settings.timeout_s)
        channel = Channel(connection)
        self._channels.add(channel)
        return channel

    def greet(self, connection: socket.socket) -> None:
        """Somebody connected to the port."""
        channel = self._channel(connection)
        try:
            hello = channel.receive()
            if hello is not None:
                self.on_hello(channel, hello)
        except OSError:
            pass
        finally:
            self._channels.discard(channel)
            channel.close()

    def on_hello(self, channel: Channel, hello: Message) -> None:
        """Somebody connected; the channel is closed when this returns."""
        raise NotImplementedError

    # --- the other side

    def dial(self) -> Channel:
        """Connect to the remote side, from the local address. Raises OSError."""
        host, port = self.settings.remotes[0]
        source = (self.settings.local[0], 0)
        return self._channel(socket.create_connection((host, port), self.settings.timeout_s, source))

    def hello(self, kind: str) -> Message:
        """Who we are. The lock is held."""
        position = self.database.log.end
        return {
            "t": kind,
            "role": self.database.role,
            "database": self.database.name,
            "seed": self.database.state.seed,
            "instance": self.database.instance.name,
            "flavour": self.database.instance.flavour,
            "host": self.database.loaded["HADR_LOCAL_HOST"],
            "local": list(self.settings.local),
            "agreed": [self.settings.timeout_s, self.settings.peer_window_s, self.settings.mode],
            "lsn": position.lsn,
            "chain": position.chain,
        }

    def lost(self, channel: Channel, *, in_order: bool) -> None:
        """The link is gone. A peer that is lost without a word opens, or leaves open, the peer window."""
        with self.database.lock:
            if self.link is not channel:
                return
            self.link = None
            self.connected_since = time.time()
            was = self.now()
            if in_order:
                self.window_end = 0.0
            elif was == PEER:
                self._freeze_window()
            # Also one that had come back, but not yet to peer, was in the window.
            self.state = DISCONNECTED_PEER if time.time() < self.window_end else self.fallen_back
            self.diag(f"HADR connection {'ended' if in_order else 'lost'}; state was {was}, is {self.state}")
            self.database.changed.notify_all()
        channel.close()

    def _freeze_window(self) -> None:
        """Called when the link drops."""


class Port:
    """Where the other side connects to; it stays open when primary and standby change places."""

    def __init__(self, local: Endpoint) -> None:
        self._listener = _listen(local)
        self.owner: Hadr | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            owner = self.owner
            if owner is None:
                connection.close()
            else:
                threading.Thread(target=owner.greet, args=(connection,), daemon=True).start()


def _listen(local: Endpoint) -> socket.socket:
    """Raises SQL1768N rc 5 when something else has the port."""
    listener = socket.socket(socket.AF_INET6 if ":" in local[0] else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(local)
        listener.listen(8)
    except OSError as error:
        listener.close()
        raise SqlError("SQL1768N", rc=5) from error
    return listener
