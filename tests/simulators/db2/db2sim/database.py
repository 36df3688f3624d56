"""A database in the running engine: activation, applications, commits, roles."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .disk import PRIMARY, STANDARD, STANDBY, Folder, Instance, State
from .log import LogStream, Position
from .messages import SqlError, in_use
from .store import Result, Statement, Store, is_reading

if TYPE_CHECKING:
    from .hadr import Hadr

FORCE_DELAY_S = 0.3
"""FORCE APPLICATION answers before it has happened."""


@dataclasses.dataclass
class Application:
    """One connection to a database."""

    number: int
    user: str
    program: str
    is_owner: bool
    gone: threading.Event = dataclasses.field(default_factory=threading.Event)


class Database:
    """Everything here happens under `lock`; `changed` is notified about whatever somebody may wait for."""

    def __init__(self, instance: Instance, name: str) -> None:
        self.instance = instance
        self.name = name.upper()
        self.folder: Folder = instance.folder(name)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.state: State = self.folder.read()
        self.loaded = dict(self.state.cfg)
        self.active = False
        self.since = time.time()
        self.activated = False  # by ACTIVATE or START HADR, so it stays when the last application leaves
        self.leaving = False  # DEACTIVATE while applications were connected
        self.quiesced = False
        self.disabled = False  # the other database took over by force and said so
        self.taking_over = False
        self.closing = False
        self.busy = ""
        self.interrupted = False
        self.applications: dict[int, Application] = {}
        self._numbers = itertools.count(7)
        self.hadr: Hadr | None = None
        self.log: LogStream
        self.store: Store

    # --- what is so now

    @property
    def role(self) -> str:
        return self.state.role

    def refresh(self) -> None:
        """Files may have been changed while the database was not active."""
        if not self.active:
            self.state = self.folder.read()

    def save(self, **changes: Any) -> None:
        """Change the control file."""
        changed = dataclasses.replace(self.state, **changes)
        self.folder.write(changed)
        self.state = changed
        self.changed.notify_all()

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """START, STOP, ACTIVATE, DEACTIVATE, TAKEOVER do not run beside each other."""
        with self.lock:
            if self.busy:
                raise SqlError("SQL1770N", rc=8) if what == "TAKEOVER" else in_use(self.instance.flavour)
            self.busy, self.interrupted = what, False
        try:
            yield
        finally:
            with self.lock:
                self.busy = ""
                self.changed.notify_all()

    # --- activation

    def check_startable(self) -> None:
        """Raises what keeps a database from being used."""
        if self.state.restoring:
            raise SqlError("SQL1119N", db=self.name)
        if self.state.pending:
            raise SqlError("SQL1117N", db=self.name)
        if self.state.backup_pending:
            raise SqlError("SQL1116N", db=self.name)

    def open_files(self) -> None:
        """Bring the rows up to the end of the log: crash recovery, or a standby's local catchup."""
        self.state = self.folder.read()
        self.loaded = dict(self.state.cfg)
        self.log = LogStream(self.folder.log)
        self.store = Store(self.folder.rows, self.instance.name)
        for record in self.log.after(self.store.applied):
            self.store.replay(record)
        self.active, self.since = True, time.time()
        self.disabled = self.leaving = self.quiesced = self.taking_over = self.closing = False
        if self.state.must_recover:
            self.save(must_recover=False)

    def close_files(self) -> None:
        self.active = self.activated = self.leaving = self.quiesced = False
        self.store.close()
        self.changed.notify_all()

    def shut(self) -> None:
        """Stop using the database, in order: nothing but its role is left. The lock is held."""
        hadr, self.hadr, self.closing = self.hadr, None, True
        for application in list(self.applications.values()):
            self.drop(application)
        abnormal = self.is_disconnected_peer_primary(hadr)
        if self.role != STANDBY and not self.disabled and not abnormal:
            self._checkpoint(hadr)
        if hadr is not None:
            hadr.stop()
        if abnormal:
            self.save(must_recover=True)
        self.close_files()

    def is_disconnected_peer_primary(self, hadr: Hadr | None) -> bool:
        """A primary that still holds commits back; one that was told to stop has none any more."""
        return hadr is not None and self.role == PRIMARY and not self.disabled and hadr.now() == "DISCONNECTED_PEER"

    def _panic(self) -> None:
        """The log has what the rows have not: only a restart puts that right."""
        self.instance.diag(self.name, "the database is marked bad: its rows could not be written")
        self.store.rollback()
        for application in list(self.applications.values()):
            self.drop(application)
        if self.hadr is not None:
            self.hadr.cut()
            self.hadr = None
        self.close_files()

    def _checkpoint(self, hadr: Hadr | None) -> None:
        """A database that was changed writes down that it was closed in order."""
        last = self.log.last
        if last is None or last.kind != "commit":
            return
        try:
            _, end = self.commit("checkpoint", list, [])
        except SqlError:
            return
        if hadr is not None:
            hadr.drain(end)

    # --- applications

    def connect(self, user: str, program: str, *, is_owner: bool) -> Application:
        """Raises what the CONNECT answers. Activates a database that is not active, if it is no standby."""
        with self.lock:
            self.refresh()
            if not self.active:
                self.check_startable()
            self._check_connectable(is_owner=is_owner)
        if not self.active:
            from .activation import activate_for_application

            activate_for_application(self)
        with self.lock:
            self._check_connectable(is_owner=is_owner)
            if not self.active or self.closing:
                raise SqlError("SQL1224N")
            application = Application(next(self._numbers), user, program, is_owner)
            self.applications[application.number] = application
            return application

    def _check_connectable(self, *, is_owner: bool) -> None:
        if self.taking_over:
            raise SqlError("SQL1776N", rc=2)
        if self.role == STANDBY and not self.readable_standby:
            raise SqlError("SQL1776N", rc=1)
        if self.disabled:
            raise SqlError("SQL1776N", rc=6)
        if self.quiesced and not is_owner:
            raise SqlError("SQL20157N", user=self.instance.name.upper())

    @property
    def readable_standby(self) -> bool:
        return self.active and self.instance.registry().get("DB2_HADR_ROS", "").upper() == "ON"

    def drop(self, application: Application) -> None:
        """Take an application's connection away; it learns of it with its next statement."""
        application.gone.set()
        self.applications.pop(application.number, None)
        self.changed.notify_all()

    def disconnect(self, application: Application) -> None:
        """An application leaves."""
        with self.lock:
            self.drop(application)
            stays = self.closing or bool(self.busy or self.applications) or ((self.activated or self.hadr is not None) and not self.leaving)
            if self.active and not stays:
                self.shut()

    def force_later(self) -> None:
        """FORCE APPLICATION ALL."""
        numbers = list(self.applications)

        def force() -> None:
            with self.lock:
                applications = [self.applications[n] for n in numbers if n in self.applications]
            for application in applications:
                self.disconnect(application)

        timer = threading.Timer(FORCE_DELAY_S, force)
        timer.daemon = True
        timer.start()

    # --- rows

    def execute(self, application: Application, statements: Sequence[Statement]) -> Result:
        """One unit of work; returns when it may be called committed."""
        if all(is_reading(text) for text, _ in statements):
            with self.lock:
                self._check_usable(application)
                results = [self.store.run(statement) for statement in statements]
                return results[-1] if results else Result()
        return self._change(application, statements)

    def _check_usable(self, application: Application) -> None:
        if application.gone.is_set() or not self.active or self.disabled:
            raise SqlError("SQL1224N")

    def _change(self, application: Application, statements: Sequence[Statement]) -> Result:
        with self.lock:
            self.changed.wait_for(lambda: not self.taking_over or application.gone.is_set())
            self._check_usable(application)
            if self.role == STANDBY:
                raise SqlError("SQL1773N", rc=5)
            hadr = self.hadr
            must_wait = hadr is not None and hadr.holds_commits()
            result, end = self.commit("commit", lambda: [self.store.run(statement) for statement in statements], statements)
            if hadr is not None and must_wait and not hadr.wait_for(end, application.gone):
                raise SqlError("SQL1224N")
            return result

    def commit(self, kind: str, work: Callable[[], list[Result]], statements: Sequence[Statement]) -> tuple[Result, int]:
        """Do the work, write its log record, keep both or none; (last result, LSN behind the record). The lock is held."""
        self.store.begin()
        try:
            results = work()
            record = self.log.append(kind, statements)
        except OSError as error:
            self.store.rollback()
            raise SqlError("SQL0964C") from error
        except BaseException:
            self.store.rollback()
            raise
        try:
            self.store.commit(record.end.lsn)
        except SqlError:
            self._panic()
            raise
        self.changed.notify_all()
        return results[-1] if results else Result(), record.end.lsn

    def replay(self, lines: Sequence[str], *, on_disk: bool) -> None:
        """A standby takes what came. Raises ValueError, OSError, SqlError; what was written to the log is replayed later."""
        for line in lines:
            self.log.take(line, on_disk=on_disk)
        for record in self.log.after(self.store.applied):
            self.store.replay(record)
        self.changed.notify_all()

    # --- positions

    def position(self) -> Position:
        if self.active:
            return self.log.end
        return LogStream(self.folder.log).end

    def is_in_use(self) -> bool:
        return self.active or bool(self.busy)


__all__ = ["PRIMARY", "STANDARD", "STANDBY", "Application", "Database"]
