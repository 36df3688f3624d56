"""The primary: ships its log, holds commits back, gives the role away."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from .hadr import DISCONNECTED, DISCONNECTED_PEER, NO_PEER_MODES, PEER, REMOTE_CATCHUP, Hadr, Port
from .log import Position
from .messages import SqlError
from .settings import Settings
from .wire import Channel, Message

if TYPE_CHECKING:
    from .database import Database

BATCH = 200
PROBE_S = 1.0


class Primary(Hadr):
    fallen_back = DISCONNECTED

    def __init__(self, database: Database, settings: Settings, port: Port) -> None:
        super().__init__(database, settings, port)
        self.state = DISCONNECTED
        self.sent = 0
        self.acked = 0
        self.denied = False  # the other side is a primary

    def start(self) -> None:
        super().start()
        self._thread(self._probe)

    def _probe(self) -> None:
        """Look who is there: another primary, or a standby that may try at once."""
        while not self.stopped.is_set():
            with self.database.lock:
                if self.connected:
                    return
                hello = self.hello("probe")
            with contextlib.suppress(OSError):
                channel = self.dial()
                channel.send(hello)
                answer = channel.receive()
                channel.close()
                if answer is not None and answer.get("role") == "PRIMARY":
                    with self.database.lock:
                        self.denied = True
                        self.database.changed.notify_all()
            with self.database.lock:
                # Only a starting primary looks around; one that runs waits to be asked.
                if self.database.hadr is self:
                    return
            self.stopped.wait(PROBE_S)

    def wait_for_standby(self) -> None:
        """A primary does not start without one. Raises SQL1768N, SQL1776N. The lock is held."""
        database = self.database
        database.changed.wait_for(lambda: self.connected or self.denied or database.interrupted, self.settings.timeout_s)
        if self.connected:
            return
        if database.interrupted:
            raise SqlError("SQL1768N", rc=10)
        if self.denied:
            raise SqlError("SQL1776N", rc=6)
        raise SqlError("SQL1768N", rc=7)

    # --- a standby connects

    def on_hello(self, channel: Channel, hello: Message) -> None:
        if hello["t"] == "probe":
            with self.database.lock:
                running = self.database.hadr is self
            channel.send({"t": "answer", "role": "PRIMARY" if running else "STARTING"})
            return
        with self.database.lock:
            why = self._refusal(hello)
            old = self.link
        if why:
            self.diag(f"HADR: standby {hello.get('host')} refused: {why}")
            channel.send({"t": "refused", "why": why})
            return
        if old is not None:  # it has noticed before us that the link is dead
            self.lost(old, in_order=False)
        channel.send({"t": "welcome", **self._take(channel, hello)})
        self._thread(self._ship, channel)
        self._listen_to(channel)

    def _refusal(self, hello: Message) -> str:
        """Why this standby cannot be ours; empty if it can."""
        database, settings = self.database, self.settings
        agreed = [settings.timeout_s, settings.peer_window_s, settings.mode]
        answers = {
            "it is another database": hello["database"] == database.name and hello["seed"] == database.state.seed,
            "configuration: another level of the database manager": hello["flavour"] == database.instance.flavour,
            f"configuration: {hello['local']} is not HADR_REMOTE_HOST, HADR_REMOTE_SVC": tuple(hello["local"]) in settings.remotes,
            "configuration: HADR_REMOTE_INST": hello["instance"] == settings.remote_instance,
            "configuration: HADR_TIMEOUT, HADR_PEER_WINDOW or HADR_SYNCMODE differ": hello["agreed"] == agreed,
            "configuration: this primary is stopping": not database.disabled and not self.stopped.is_set(),
            "log streams diverged": database.log.holds(Position(hello["lsn"], hello["chain"])),
        }
        return next((why for why, holds in answers.items() if not holds), "")

    def _take(self, channel: Channel, hello: Message) -> Message:
        with self.database.lock:
            self.link, self.other = channel, hello
            self.connected_since = self.last_received = time.time()
            self.sent = self.acked = self.other_lsn = int(hello["lsn"])
            self.state = REMOTE_CATCHUP
            self._maybe_peer()
            self.database.changed.notify_all()
            return self.hello("welcome")

    def _maybe_peer(self) -> None:
        if self.state == REMOTE_CATCHUP and self.acked >= self.database.log.end.lsn and self.settings.mode not in NO_PEER_MODES:
            self.state = PEER
            self.database.changed.notify_all()

    def _listen_to(self, channel: Channel) -> None:
        in_order = False
        try:
            while (message := channel.receive()) is not None:
                if message["t"] == "bye":
                    in_order = True
                    break
                self._on_message(channel, message)
        except OSError:
            pass
        self.lost(channel, in_order=in_order)

    def _on_message(self, channel: Channel, message: Message) -> None:
        database = self.database
        with database.lock:
            self.last_received = time.time()
            if message["t"] == "ack":
                self.acked = max(self.acked, int(message["lsn"]))
                self.other_lsn = self.acked
                self._maybe_peer()
                database.changed.notify_all()
            elif message["t"] == "stop-logging":
                self.diag("HADR: the standby took over by force; this primary stops logging")
                database.disabled = True
                for application in list(database.applications.values()):
                    database.drop(application)
            elif message["t"] == "takeover":
                from .takeover import give_role_away

                self._thread(give_role_away, self, channel)

    # --- shipping

    def _ship(self, channel: Channel) -> None:
        told = ""
        try:
            while True:
                with self.database.lock:
                    self._wait_for_news(channel, told)
                    if self.link is not channel:
                        return
                    message = self._message()
                    told = message["state"]
                channel.send(message)
                with self.database.lock:
                    self.sent = max(self.sent, int(message["upto"]))
                    self.database.changed.notify_all()
        except OSError:
            self.lost(channel, in_order=False)

    def _wait_for_news(self, channel: Channel, told: str) -> None:
        """Something to ship, a state that the standby was not told, or a heartbeat's time."""

        def news() -> bool:
            return self.link is not channel or self.sent < self.database.log.end.lsn or self.now() != told

        self.database.changed.wait_for(news, self.settings.heartbeat_s)

    def _message(self) -> Message:
        records = self.database.log.after(self.sent, BATCH)
        if self.state == PEER and self.settings.peer_window_s:
            self.window_end = time.time() + self.settings.peer_window_s
        return {
            "t": "log",
            "lines": [record.line for record in records],
            "upto": records[-1].end.lsn if records else self.sent,
            "end": self.database.log.end.lsn,
            "state": self.now(),
            "window_end": self.window_end,
        }

    # --- commits

    def holds_commits(self) -> bool:
        return self.now() in {PEER, DISCONNECTED_PEER} or (self.state == REMOTE_CATCHUP and time.time() < self.window_end)

    def wait_for(self, lsn: int, gone: threading.Event) -> bool:
        """In peer: until the standby has it (ASYNC: until it is sent). In disconnected peer: until the window is over, or that."""
        database = self.database
        asynchronous = self.settings.mode == "ASYNC"
        while (self.sent if asynchronous else self.acked) < lsn:
            if gone.is_set() or database.disabled or database.hadr is not self:
                return False
            if self.now() == DISCONNECTED:
                return True
            database.changed.wait(0.5)
        return not database.disabled

    def drain(self, lsn: int) -> None:
        """Before an orderly end, what was written last goes out. The lock is held."""
        if self.connected:
            self.database.changed.wait_for(lambda: self.acked >= lsn or not self.connected, self.settings.timeout_s)

    def _freeze_window(self) -> None:
        """Commits are held for the whole window, counted from when we noticed."""
        if self.settings.peer_window_s:
            self.window_end = time.time() + self.settings.peer_window_s
