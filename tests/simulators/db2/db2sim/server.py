"""The engine: the process db2sysc that db2start starts. Everything that is not on disk is gone when it is killed."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence

from . import commands, monitor, paths, wire
from .database import Application, Database
from .disk import Instance
from .messages import SqlError, answer_of
from .store import Result, Statement
from .wire import Channel, Message


class Session:
    """One client: a CLP's back-end, or a program that reads and writes rows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.application: Application | None = None
        self.database: Database | None = None
        self.alias = ""

    def connect(self, alias: str, user: str, program: str) -> None:
        self.reset()
        database = self._engine.database(alias)
        user = user or self._engine.instance.name
        self.application = database.connect(user, program, is_owner=program == "db2bp")
        self.database, self.alias = database, alias

    def reset(self) -> None:
        application, database = self.application, self.database
        self.application = self.database = None
        if application is not None and database is not None:
            database.disconnect(application)

    def live(self) -> Database:
        """The database, if the connection was not taken away. Raises SQL1024N, SQL1224N."""
        if self.application is None or self.database is None:
            raise SqlError("SQL1024N")
        if self.application.gone.is_set():
            self.application = self.database = None
            raise SqlError("SQL1224N")
        return self.database

    def execute(self, statements: Sequence[Statement]) -> Result:
        database = self.live()
        assert self.application is not None
        try:
            return database.execute(self.application, statements)
        except SqlError as error:
            if error.code == "SQL1224N":
                self.reset()
            raise


class Engine:
    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._lock = threading.Lock()
        self._databases: dict[str, Database] = {}

    def database(self, alias: str) -> Database:
        with self._lock:
            self.instance.entry(alias)
            if alias.upper() not in self._databases:
                self._databases[alias.upper()] = Database(self.instance, alias)
            return self._databases[alias.upper()]

    def known(self) -> list[Database]:
        with self._lock:
            return list(self._databases.values())

    # --- clients

    def serve(self, listener: socket.socket, *, local: bool) -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._client, args=(Channel(connection),), kwargs={"local": local}, daemon=True).start()

    def _client(self, channel: Channel, *, local: bool) -> None:
        session = Session(self)
        with contextlib.suppress(OSError):
            while (message := channel.receive()) is not None:
                channel.send(self._answer(session, channel, message, local=local))
                if message.get("op") == "stop" and not self._running():
                    channel.close()
                    os._exit(0)
        session.reset()
        channel.close()

    def _answer(self, session: Session, channel: Channel, message: Message, *, local: bool) -> Message:
        operations: dict[str, Callable[[], Message]] = {
            "connect": lambda: self._connect(session, message),
            "execute": lambda: _rows(session.execute(message["statements"])),
            "tables": lambda: _tables(session),
            "columns": lambda: _columns(session, str(message["table"])),
            "reset": lambda: _reset(session),
        }
        if local:
            operations |= {
                "clp": lambda: self._command(session, channel, message),
                "db2pd": lambda: {"text": self._db2pd(message["databases"])},
                "stop": lambda: self._stop(force=bool(message["force"])),
                "ping": lambda: {"ok": True},
            }
        operation = operations.get(str(message.get("op")))
        try:
            return operation() if operation else {"code": "SQL0104N", "error": "no such operation"}
        except SqlError as error:
            return {"code": error.code, "error": error.line}

    def _connect(self, session: Session, message: Message) -> Message:
        session.connect(str(message["database"]), str(message.get("user", "")), "db2client")
        return {"ok": True, "server": self.instance.server}

    def _command(self, session: Session, channel: Channel, message: Message) -> Message:
        def ask(question: str) -> str:
            channel.send({"ask": question})
            answer = channel.receive()
            return str(answer["answer"]) if answer else ""

        context = commands.Context(self.instance, self, session, ask, bare=bool(message.get("bare")))
        try:
            answer = commands.run(context, str(message["text"]))
        except SqlError as error:
            answer = answer_of(error)
        return {"text": answer.text, "code": answer.code}

    def _db2pd(self, names: list[str]) -> str:
        found = []
        for name in names or [database.name for database in self.known() if database.active]:
            database = self._databases.get(name.upper())
            if database is None:
                found.append(monitor.not_activated(name.upper(), self.instance.flavour))
                continue
            # It reads memory that others are writing to, and does not wait for them for ever.
            if not database.lock.acquire(timeout=5):
                found.append(f"\n{monitor.CHANGING}\n")
                continue
            try:
                found.append(monitor.db2pd(database))
            finally:
                database.lock.release()
        return "\n".join(found)

    # --- the end

    def _running(self) -> bool:
        return not self._stopped

    _stopped = False

    def _stop(self, *, force: bool) -> Message:
        for database in self.known():
            with database.lock:
                if database.is_in_use() and not force:
                    raise SqlError("SQL1025N")
        for database in self.known():
            with database.lock:
                database.interrupted = True
                database.changed.notify_all()
                database.changed.wait_for(lambda d=database: not d.busy, 10)  # type: ignore[misc]
                if database.active:
                    database.shut()
        self._stopped = True
        return {"ok": True}


def _rows(result: Result) -> Message:
    return {"ok": True, "columns": result.columns, "rows": result.rows, "count": result.count}


def _tables(session: Session) -> Message:
    database = session.live()
    with database.lock:
        return {"ok": True, "tables": database.store.tables()}


def _columns(session: Session, table: str) -> Message:
    database = session.live()
    with database.lock:
        return {"ok": True, "columns": database.store.columns(table)}


def _reset(session: Session) -> Message:
    session.reset()
    return {"ok": True}


def _client_listener(instance: Instance) -> socket.socket | None:
    """The port of SVCENAME, if DB2COMM says tcpip. Raises OSError when it is taken."""
    port = paths.port_of(instance.setting("SVCENAME"))
    if "tcpip" not in instance.registry().get("DB2COMM", "").lower() or not port:
        return None
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # A machine below a test's root has an address of its own on loopback.
    listener.bind(("" if paths.is_whole_machine() else paths.address_of(paths.hostname()), port))
    listener.listen(64)
    return listener


def main(name: str) -> int:
    """Run until stopped. One line on stdout when ready: `ok`, or `SQL5043N` without TCP/IP."""
    instance = Instance.named(name)
    engine = Engine(instance)
    said = "ok"
    local = wire.listen_at(instance.ipc)
    instance.ipc.chmod(0o777)
    (instance.run / "db2sysc.pid").write_text(f"{os.getpid()}\n")
    try:
        remote = _client_listener(instance)
    except OSError as error:
        instance.diag("", f"SQL5043N  TCP/IP: {error}")
        remote, said = None, "SQL5043N"
    if remote is not None:
        threading.Thread(target=engine.serve, args=(remote,), kwargs={"local": False}, daemon=True).start()
    sys.stdout.write(said + "\n")
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    engine.serve(local, local=True)
    return 0
