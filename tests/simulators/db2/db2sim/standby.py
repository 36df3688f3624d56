"""The standby: connects to its primary, takes its log, replays it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from .hadr import LOCAL_CATCHUP, PEER, REMOTE_CATCHUP, REMOTE_CATCHUP_PENDING, RETRY_S, Hadr, Port
from .messages import SqlError
from .settings import Settings
from .wire import Channel, Message

if TYPE_CHECKING:
    from .database import Database


class Standby(Hadr):
    fallen_back = REMOTE_CATCHUP_PENDING

    def __init__(self, database: Database, settings: Settings, port: Port) -> None:
        super().__init__(database, settings, port)
        self.state = LOCAL_CATCHUP
        self.yielded: Message | None = None
        self._poked = threading.Event()

    def start(self) -> None:
        super().start()
        self._thread(self._work)

    def on_hello(self, channel: Channel, hello: Message) -> None:
        if hello["t"] == "probe":
            self._poked.set()
        channel.send({"t": "refused" if hello["t"] == "hello" else "answer", "role": "STANDBY", "why": "it is a standby itself"})

    def _work(self) -> None:
        """Local catchup was done when the files were opened."""
        with self.database.lock:
            self.state = REMOTE_CATCHUP_PENDING
            self.database.changed.notify_all()
        while not self.stopped.is_set():
            with contextlib.suppress(OSError):
                self._session()
            self._poked.wait(RETRY_S)
            self._poked.clear()

    def _session(self) -> None:
        channel = self.dial()
        try:
            with self.database.lock:
                hello = self.hello("hello")
            channel.send(hello)
            answer = channel.receive()
            if answer is None:
                return
            if answer["t"] == "refused":
                self._on_refusal(str(answer["why"]))
                return
            self._follow(channel, answer)
        finally:
            self._channels.discard(channel)
            channel.close()

    def _on_refusal(self, why: str) -> None:
        self.diag(f"HADR: the remote database refused the connection: {why}")
        if why.startswith(("log streams", "it is another database")):
            self.diag(
                f"ADM12500E  The HADR standby database cannot be made consistent with the primary database ({why})."
                "  The standby database is being shut down."
            )
            with self.database.lock:
                if self.database.hadr is self:
                    self.database.shut()

    def _follow(self, channel: Channel, welcome: Message) -> None:
        with self.database.lock:
            if self.stopped.is_set():
                return
            self.link, self.other = channel, welcome
            self.connected_since = self.last_received = time.time()
            self.other_lsn = int(welcome["lsn"])
            self.state = REMOTE_CATCHUP
            self.database.changed.notify_all()
        in_order = False
        try:
            while (message := channel.receive()) is not None:
                if message["t"] == "bye":
                    in_order = True
                    break
                self._on_message(channel, message)
        except (OSError, ValueError, SqlError) as error:
            self.diag(f"HADR: the link broke: {error}")
        self.lost(channel, in_order=in_order)

    def _on_message(self, channel: Channel, message: Message) -> None:
        if message["t"] == "log":
            self._take(channel, message)
        elif message["t"] in {"yield", "no-yield"}:
            with self.database.lock:
                self.yielded = message
                self.database.changed.notify_all()

    def _take(self, channel: Channel, message: Message) -> None:
        """SYNC: acknowledged when on disk. Else: when received."""
        ack = {"t": "ack", "lsn": message["upto"]}
        durable = self.settings.mode == "SYNC"
        if not durable:
            channel.send(ack)
        with self.database.lock:
            if self.link is not channel:
                return
            self.last_received = time.time()
            self.other_lsn = int(message["end"])
            self.database.replay(message["lines"], on_disk=durable)
            if message["state"] == PEER:
                self.window_end = float(message["window_end"])
            self.state = PEER if message["state"] == PEER else REMOTE_CATCHUP
            self.database.changed.notify_all()
        if durable:
            channel.send(ack)

    def answered(self) -> Message | None:
        """What the primary said to our wish to take over."""
        return self.yielded

    def say(self, message: Message) -> bool:
        """Tell the primary something, if it is there."""
        link = self.link
        if link is None:
            return False
        with contextlib.suppress(OSError):
            link.send(message)
            return True
        return False
