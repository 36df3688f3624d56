"""What ``/etc/xcat/cfgloc`` says: which database xCAT uses, where, and as whom.

Facts: the first line counts; ``Pg:dbname=xcatdb;host=10.1.0.1|xcatadm|PASSWORD``, ended by a newline (some readers cut the last character
off, whatever it is); mode 0600; ``XCATCFG`` in the daemon's environment comes first; a file that is missing, empty or without a colon means
SQLite (``Table.pm`` get_xcatcfg). A running xcatd never reads it again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from xcat_ha_drivers.database.disk import rooted, write_durably
from xcat_ha_drivers.postgres.errors import PostgresError

ENGINE = "Pg"
DEFAULT_PORT = 5432
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", ""})
ENVIRONMENT_FILE = "/etc/sysconfig/xcat"


class Location(NamedTuple):
    """Where xCAT's database is, without the password.

    Attributes:
        engine: ``Pg``, ``mysql``, ``DB2`` or ``SQLite``; the rest is empty unless it is ``Pg``.
        database: its name (``xcatdb``).
        host: address or name; empty means the local socket.
        port: TCP port.
        user: role name (``xcatadm``).
    """

    engine: str
    database: str = ""
    host: str = ""
    port: int = DEFAULT_PORT
    user: str = ""


class Credentials:
    """A location with its password. The password appears in no text made of it."""

    def __init__(self, location: Location, password: str, line: str) -> None:
        """``line`` is the line of cfgloc it was read from."""
        self.location = location
        self.password = password
        self._line = line

    def __repr__(self) -> str:
        return f"Credentials({self.location!r})"

    def line(self, *, host: str, port: int) -> str:
        """The line of cfgloc for another host and port, everything else as it is. The port is written unless it is the usual one."""
        connect, _, rest = self._line.partition("|")
        parts = [
            part for part in connect.partition(":")[2].split(";") if part.partition("=")[0].strip() not in ("host", "port", "hostaddr")
        ]
        parts.append(f"host={host}")
        parts += [f"port={port}"] if port != DEFAULT_PORT else []
        return f"{ENGINE}:{';'.join(parts)}|{rest}"


def read_line(xcat_dir: str) -> str:
    """The line that counts; empty if there is none.

    Raises:
        PostgresError: there is a file and it cannot be read.
    """
    try:
        with rooted(f"{xcat_dir}/cfgloc").open(encoding="utf-8", errors="surrogateescape") as file:
            return file.readline().rstrip("\n")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PostgresError(f"{xcat_dir}/cfgloc cannot be read ({error.strerror})", hint="look at that file") from error


def parse(line: str) -> Credentials:
    """Read a line of cfgloc. Another engine gives a location without anything else.

    Raises:
        PostgresError: it is a line for PostgreSQL and lacks a part, or has a port that is no number.
    """
    engine, colon, rest = line.partition(":")
    if not colon or engine != ENGINE:
        return Credentials(Location(engine if colon else "SQLite"), "", line)
    connect, user, password = [*rest.split("|", 2), "", ""][:3]
    values = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in connect.split(";"))}
    port = values.get("port", str(DEFAULT_PORT))
    database = values.get("dbname") or values.get("database") or values.get("db") or ""
    if not database or not user or not port.isdecimal():
        raise PostgresError(
            "cfgloc does not name database, user and port of a PostgreSQL server",
            hint="it should read Pg:dbname=xcatdb;host=ADDRESS|xcatadm|PASSWORD",
        )
    host = values.get("host") or values.get("hostaddr") or ""
    return Credentials(Location(ENGINE, database, host, int(port), user), password, line)


def read(xcat_dir: str) -> Credentials:
    """What cfgloc of this node says. Errors as :func:`parse` and :func:`read_line`."""
    return parse(read_line(xcat_dir))


def require_postgres(xcat_dir: str) -> Credentials:
    """As :func:`read`, but refuse any other engine.

    Raises:
        PostgresError: cfgloc names another engine or is not usable, or ``XCATCFG`` is set for xcatd.
    """
    found = read(xcat_dir)
    if found.location.engine != ENGINE:
        raise PostgresError(
            f"{xcat_dir}/cfgloc names the database engine {found.location.engine}, not PostgreSQL ({ENGINE})",
            hint=f"choose the replication driver for {found.location.engine}, or correct cfgloc",
        )
    if _is_overruled():
        raise PostgresError(f"{ENVIRONMENT_FILE} sets XCATCFG, so xcatd does not read cfgloc", hint="take it out there")
    return found


def _is_overruled() -> bool:
    try:
        lines = rooted(ENVIRONMENT_FILE).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise PostgresError(
            f"{ENVIRONMENT_FILE} cannot be read ({error.strerror})", hint="look at that file: xcatd's environment may overrule cfgloc"
        ) from error
    return any(line.strip().startswith("XCATCFG=") and line.strip() != "XCATCFG=" for line in lines)


def is_right_host(host: str, *, service_addresses: Collection[str], service_name: str) -> bool:
    """Whether ``host`` of cfgloc is right on whichever node has the role: this machine itself, or the service identity."""
    if host in LOOPBACK or host in service_addresses or host == service_name:
        return True
    return host[0].isalpha() and host.partition(".")[0] == service_name.partition(".")[0]


def write_line(xcat_dir: str, line: str) -> None:
    """Replace cfgloc: one line with its newline, 0600, durable."""
    path = rooted(f"{xcat_dir}/cfgloc")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, f"{line}\n")
