"""Speaking for the owner of a server: psql and its companions, over the local socket, as the OS user the data belong to.

No password is involved (``peer``). Everything that is asked comes back as JSON, one value a line.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import Layout

MAINTENANCE = "postgres"
"""A database that every server has."""
CONNECT_TIMEOUT_S = 10
_SILENT = re.compile(r"could not connect|connection to server|Connection refused|No such file or directory")
_ANSWERED = re.compile(r"FATAL|ERROR|PANIC")
_BETWEEN = re.compile(r"starting up|shutting down|(not yet|not) accepting connections|in recovery mode")


class ServerDownError(PostgresError):
    """The server does not answer (it does not run, starts, or stops)."""


class Server:
    """The server of a layout. Holds no connection."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def ask(
        self, sql: str, *, database: str = MAINTENANCE, variables: Mapping[str, str] | None = None, timeout_s: float = 60.0
    ) -> list[Any]:
        """Run statements; every row must have one column of JSON (``to_jsonb``); returns them in order.

        Args:
            sql: constant text; input comes as ``:'name'`` (a literal) or ``:"name"`` (an identifier) from ``variables``.
            database: to connect to.
            variables: see ``sql``. They are seen in the process list: no secrets.
            timeout_s: after this many seconds psql is ended.

        Raises:
            ServerDownError: nobody answers.
            PostgresError: a statement failed; its transaction is rolled back.
        """
        argv = [self.layout.program("psql"), *self._psql_words(database)]
        for name, value in (variables or {}).items():
            argv += ["-v", f"{name}={value}"]
        try:
            ended = subprocess.run(
                argv,
                input=sql.encode("utf-8", "surrogateescape"),
                capture_output=True,
                check=False,
                timeout=timeout_s,
                cwd="/",
                **self.as_owner(timeout_s),
            )
        except subprocess.TimeoutExpired as error:
            raise PostgresError(f"psql did not end within {timeout_s:g} s", hint="look at pg_stat_activity and pg_locks") from error
        said = ended.stderr.decode("utf-8", "replace")
        if ended.returncode != 0:
            raise self.failure(said, f"psql ended with {ended.returncode}")
        return [json.loads(line) for line in ended.stdout.decode("utf-8", "surrogateescape").splitlines() if line]

    @contextmanager
    def session(self, database: str) -> Iterator[Session]:
        """One psql that stays: for what needs one transaction, such as a snapshot that another process uses."""
        argv = [self.layout.program("psql"), *self._psql_words(database)]
        with tempfile.TemporaryFile() as complaints:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, cwd="/", **self.as_owner(None)
            )
            try:
                yield Session(self, process, complaints)
            finally:
                process.kill()
                process.wait()

    def run(  # noqa: PLR0913  # what a process is started with
        self,
        name: str,
        words: Sequence[str],
        *,
        stdin: IO[bytes] | int | None = None,
        stdout: IO[bytes] | int | None = None,
        pass_fds: Collection[int] = (),
        timeout_s: float = 3600.0,
    ) -> str:
        """Run one of the server's programs (pg_dump, pg_restore …) as the owner; returns what it complained of although it succeeded.

        It is told where the socket is by its environment. Its files are opened by us, so that root alone can read them.

        Raises:
            PostgresError: it failed, or ran out of time.
        """
        try:
            ended = subprocess.run(
                [self.layout.program(name), *words],
                stdin=stdin if stdin is not None else subprocess.DEVNULL,
                stdout=stdout if stdout is not None else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=tuple(pass_fds),
                check=False,
                timeout=timeout_s,
                cwd="/",
                **self.as_owner(None),
            )
        except subprocess.TimeoutExpired as error:
            raise PostgresError(f"{name} did not end within {timeout_s:g} s", hint="look at pg_stat_activity and pg_locks") from error
        said: str = ended.stderr.decode("utf-8", "replace")
        if ended.returncode != 0:
            raise self.failure(said, f"{name} ended with {ended.returncode}")
        return said

    def is_up(self) -> bool:
        """Whether it answers a query."""
        try:
            self.ask("SELECT to_jsonb(1)", timeout_s=CONNECT_TIMEOUT_S)
        except ServerDownError:
            return False
        return True

    def await_up(self, timeout_s: float) -> None:
        """Wait until it answers.

        Raises:
            ServerDownError: it does not, within ``timeout_s`` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while not self.is_up():
            if time.monotonic() >= deadline:
                raise self.down("it did not come up")
            time.sleep(0.2)

    def down(self, reason: str) -> ServerDownError:
        """The error for a server that does not answer."""
        unit = self.layout.unit
        return ServerDownError(
            f"PostgreSQL {self.layout.version} (port {self.layout.port}) does not answer: {reason}",
            hint=f"systemctl status {unit}; systemctl start {unit}",
        )

    def failure(self, said: str, ended: str) -> PostgresError:
        """What a program of the server's complained of, as an error."""
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if re.search(r"FATAL|ERROR|error:|PANIC", line)] or lines or [ended]
        words = re.sub(r"^(psql|pg_dump|pg_restore)(:<stdin>:\d+)?: (error: )?", "", telling[0])[:300]
        if "No space left on device" in said:
            return PostgresError(f"PostgreSQL cannot write: {words}", hint=f"make room in {self.layout.data_directory}")
        if _BETWEEN.search(words) or (_SILENT.search(words) and not _ANSWERED.search(words)):
            return self.down(words)
        return PostgresError(f"PostgreSQL says: {words}", hint=f"journalctl -u {self.layout.unit} tells more")

    def as_owner(self, statement_timeout_s: float | None) -> dict[str, Any]:
        """Arguments of :mod:`subprocess` that make a child the owner's, with a clean environment."""
        options = "-c lc_messages=C -c log_statement=none"
        if statement_timeout_s is not None:
            options += f" -c statement_timeout={int(statement_timeout_s * 1000)}"
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/",
            "LC_ALL": "C.UTF-8",
            "PGHOST": self.layout.socket_directory,
            "PGPORT": str(self.layout.port),
            "PGAPPNAME": "xcat-ha",
            "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT_S),
            "PGCLIENTENCODING": "UTF8",
            "PGOPTIONS": options,
        }
        if os.geteuid() == 0:
            return {"user": self.layout.uid, "group": self.layout.gid, "extra_groups": [], "env": environment}
        return {"env": environment}

    @staticmethod
    def _psql_words(database: str) -> list[str]:
        # -w: never ask for a password; the database's name is put as a connection string, so that it is never taken for one.
        quoted = database.replace("\\", "\\\\").replace("'", "\\'")
        return ["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse", "-d", f"dbname='{quoted}'"]


class Session:
    """A psql that answers one question after the other, in one connection."""

    def __init__(self, server: Server, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
        self._server = server
        self._process = process
        self._complaints = complaints

    def ask(self, sql: str) -> list[Any]:
        """As :meth:`Server.ask`, in this connection."""
        end = f"end-{secrets.token_hex(8)}"
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018  # made with pipes
        try:
            self._process.stdin.write(f"{sql}\n;\n\\echo {end}\n".encode("utf-8", "surrogateescape"))
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and said why
        found: list[Any] = []
        for line in self._process.stdout:
            text = line.decode("utf-8", "surrogateescape").rstrip("\n")
            if text == end:
                return found
            if text:
                found.append(json.loads(text))
        self._process.wait()
        self._complaints.seek(0)
        raise self._server.failure(self._complaints.read().decode("utf-8", "replace"), f"psql ended with {self._process.returncode}")
