"""What ``/etc/xcat/cfgloc`` says about MariaDB or MySQL: ``mysql:dbname=xcatdb;host=10.1.0.1|xcatadmin|PASSWORD`` (facts: xCAT 1.1).

The first line counts and ends with a newline (some readers cut the last character off, whatever it is); mode 0600.
"""

from __future__ import annotations

from typing import NamedTuple

from xcat_ha_drivers.database.disk import rooted, write_durably
from xcat_ha_drivers.mysql.errors import MysqlError

ENGINE = "mysql"
DEFAULT_PORT = 3306


class Login(NamedTuple):
    """Where xCAT's database is, and as whom. Never print it: it holds the password."""

    database: str
    host: str
    port: int
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.database!r}, {self.host!r}, {self.port!r}, {self.user!r})"

    def line(self, host: str, port: int) -> str:
        """The line of cfgloc for another place. The port is written unless it is the usual one."""
        where = f";port={port}" if port != DEFAULT_PORT else ""
        return f"{ENGINE}:dbname={self.database};host={host}{where}|{self.user}|{self.password}"


def parse(line: str) -> Login:
    """Read the line that counts.

    Raises:
        MysqlError: it names another engine, or lacks a part. The message holds nothing of the line but the engine.
    """
    engine, colon, rest = line.partition(":")
    if not colon or engine != ENGINE:
        named = engine[:20] if colon and engine.isalnum() else "SQLite"
        raise MysqlError(f"cfgloc names the database engine {named}, not {ENGINE}", hint=f"choose the replication driver for {named}")
    connect, user, password = [*rest.split("|", 2), "", ""][:3]
    values = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in connect.split(";"))}
    port = values.get("port", str(DEFAULT_PORT))
    database = values.get("dbname") or values.get("database") or ""
    if not (database.isascii() and database.replace("_", "").isalnum()) or not user or not port.isdecimal():
        raise MysqlError(
            "cfgloc does not name database, user and port", hint="it should read mysql:dbname=xcatdb;host=ADDRESS|xcatadmin|PASSWORD"
        )
    return Login(database, values.get("host", ""), int(port), user, password)


def read(xcat_dir: str) -> Login:
    """What cfgloc of this node says. Errors as :func:`parse`, and if the file cannot be read."""
    try:
        with rooted(f"{xcat_dir}/cfgloc").open(encoding="utf-8", errors="surrogateescape") as file:
            return parse(file.readline().rstrip("\n"))
    except FileNotFoundError:
        return parse("")
    except OSError as error:
        raise MysqlError(f"{xcat_dir}/cfgloc cannot be read ({error.strerror})", hint="look at that file") from error


def write(xcat_dir: str, line: str) -> None:
    """Replace cfgloc: one line with its newline, 0600, durable."""
    path = rooted(f"{xcat_dir}/cfgloc")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, f"{line}\n")
