"""Talking to a server with its own client: statements on stdin, logins in an option file that exists in memory only.

``--defaults-file=/dev/fd/N`` names a memory file of mode 0600 (the client ignores files that others may write). It includes the
machine's own option files, so root's login works as it does on the command line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.mysql._dialect import Dialect, Replica, dialect_of
from xcat_ha_drivers.mysql.errors import MysqlError, ServerDownError

OPTION_FILES = ("/etc/my.cnf", "/etc/mysql/my.cnf", "/root/.my.cnf")
_DIRECTORIES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/mysql/bin")
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_DOWN = ("ERROR 2002", "ERROR 2003", "ERROR 2006", "ERROR 2013", "ERROR 2026")
QUERY_TIMEOUT_S = 60.0
Row = dict[str, str | None]


def program(names: tuple[str, ...]) -> str:
    """Path of the first of these programs that is here.

    Raises:
        ServerDownError: none is.
    """
    for name in names:
        for directory in _DIRECTORIES:
            path = rooted(f"{directory}/{name}")
            if path.exists():
                return str(path)
        if found := shutil.which(name):
            return found
    raise ServerDownError(f"there is no program {' or '.join(names)}", hint="install the client of MariaDB or MySQL")


def local_options() -> str:
    """The machine's own option files."""
    return "".join(f"!include {rooted(path)}\n" for path in OPTION_FILES if rooted(path).exists())


def _value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def login_options(user: str, password: str, **more: str) -> str:
    """Options of a login. ``more``: with underscores for dashes."""
    lines = [f"{name.replace('_', '-')}={_value(value)}" if value else name.replace("_", "-") for name, value in more.items()]
    return "\n".join(["[client]", f"user={_value(user)}", f"password={_value(password)}", *lines, ""])


@contextmanager
def option_file(text: str) -> Iterator[int]:
    """The descriptor of a memory file with these options."""
    handle = os.memfd_create("xcat-ha-options", os.MFD_CLOEXEC)
    try:
        os.fchmod(handle, 0o600)
        os.write(handle, text.encode("utf-8", "surrogateescape"))
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


def _unescaped(word: str) -> str | None:
    if word == "NULL":
        return None
    parts = word.split("\\\\")
    for letter in "nt0":
        parts = [part.replace(f"\\{letter}", _ESCAPES[letter]) for part in parts]
    return "\\".join(parts)


class Server(NamedTuple):
    """A server and the way in.

    Attributes:
        options: text of the option file.
        where: for messages.
    """

    options: str
    where: str

    def run(  # noqa: PLR0913  # what a child process is given
        self,
        names: tuple[str, ...],
        words: tuple[str, ...],
        *,
        text: str = "",
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> bytes:
        """Run one of the server's programs; returns what it printed, unless ``stdout`` takes it.

        Raises:
            ServerDownError: the server does not answer.
            MysqlError: it failed; the message is the server's own, which holds no password.
        """
        with option_file(self.options) as handle:
            argv = [program(names), f"--defaults-file=/dev/fd/{handle}", *words]
            try:
                done = subprocess.run(
                    argv,
                    input=text.encode("utf-8", "surrogateescape") if stdin is None else None,
                    stdin=stdin,
                    stdout=stdout or subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(handle,),
                    check=False,
                    timeout=timeout_s,
                )
            except subprocess.TimeoutExpired as error:
                raise ServerDownError(f"{self.where} did not answer within {timeout_s:g} s", hint="look at its log") from error
        if done.returncode != 0:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300]
            kind = ServerDownError if any(word in said for word in _DOWN) else MysqlError
            raise kind(f"{self.where}: {said or f'ended with {done.returncode}'}", hint="look at the server's log")
        return done.stdout or b""

    def rows(self, sql: str, *, database: str = "", timeout_s: float = QUERY_TIMEOUT_S) -> list[Row]:
        """Rows of a single statement, by name of the column. Errors as :meth:`run`."""
        words = ("--batch", "--default-character-set=utf8mb4", *((f"--database={database}",) if database else ()))
        lines = self.run(_MARIADB_FIRST, words, text=sql, timeout_s=timeout_s).decode("utf-8", "surrogateescape").split("\n")
        names = lines[0].split("\t")
        return [dict(zip(names, map(_unescaped, line.split("\t")), strict=True)) for line in lines[1:-1]]

    def values(self, sql: str, *, database: str = "", timeout_s: float = QUERY_TIMEOUT_S) -> list[str]:
        """First column of a single statement; NULL is empty. Errors as :meth:`run`."""
        return [next(iter(row.values())) or "" for row in self.rows(sql, database=database, timeout_s=timeout_s)]

    def value(self, sql: str) -> str:
        """The one value of a statement. Errors as :meth:`run`."""
        found = self.values(sql)
        if len(found) != 1:
            raise MysqlError(f"{self.where} gave {len(found)} answers instead of one", hint="look at the server's log")
        return found[0]

    def do(self, sql: str, *, database: str = "", timeout_s: float = QUERY_TIMEOUT_S) -> None:
        """Statements that give nothing, in one session; it ends with the first that fails. No log of statements gets them."""
        words = ("--batch", "--default-character-set=utf8mb4", *((f"--database={database}",) if database else ()))
        self.run(_MARIADB_FIRST, words, text=f"SET SESSION sql_log_off = 1;\n{sql}", timeout_s=timeout_s)

    def dialect(self) -> Dialect:
        """Which server it is. Errors as :meth:`run`, and if it is too old."""
        return dialect_of(self.value("SELECT VERSION();"))

    def replica(self, dialect: Dialect) -> Replica | None:
        """State of the replication into this server; None if it follows nobody."""
        rows = self.rows(dialect.status)
        try:
            return dialect.replica_of(rows[0]) if rows else None
        except (KeyError, ValueError) as error:
            raise MysqlError(f"{self.where}: state of the replica is not understood ({error})", hint="look at it by hand") from error


_MARIADB_FIRST = ("mariadb", "mysql")


def local(node: str) -> Server:
    """This node's server, as root over its socket."""
    return Server(local_options(), f"the database server of {node}")


def literal(text: str) -> str:
    """A text inside a statement, whatever it holds."""
    return f"CONVERT(X'{text.encode('utf-8', 'surrogateescape').hex()}' USING utf8mb4)"


def quoted(text: str) -> str:
    """A text in quotes, where an expression is not allowed (account names).

    Raises:
        MysqlError: it holds something that no account's name or address has.
    """
    if any(letter in text for letter in "'\\\0\n"):
        raise MysqlError("an account's name holds a quote or a backslash", hint="look at cfgloc")
    return f"'{text}'"


def await_true(holds: Callable[[], bool], *, timeout_s: float, what: str, hint: str) -> None:
    """Poll until it holds.

    Raises:
        MysqlError: it did not within ``timeout_s`` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() >= deadline:
            raise MysqlError(f"after {timeout_s:g} s it still does not hold: {what}", state="it may still get there", hint=hint)
        time.sleep(0.1)
