"""Questions to a server: is it up, which databases has it, does xCAT's own way in work. Asking changes nothing."""

from __future__ import annotations

import re
import subprocess
import tempfile
from enum import StrEnum
from importlib import import_module
from typing import Any, NamedTuple

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import Layout
from xcat_ha_drivers.postgres.location import Credentials
from xcat_ha_drivers.postgres.server import CONNECT_TIMEOUT_S, Server

_LISTEN = "0A"

_STATE = """
SELECT jsonb_build_object(
  'version', current_setting('server_version_num')::int,
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'in_recovery', pg_is_in_recovery(),
  'started', extract(epoch FROM pg_postmaster_start_time()),
  'listen_addresses', current_setting('listen_addresses'),
  'hba_file', current_setting('hba_file'),
  'config_file', current_setting('config_file'),
  'pending_restart', (SELECT coalesce(jsonb_agg(name), '[]') FROM pg_settings WHERE pending_restart),
  'hba_errors', (SELECT coalesce(jsonb_agg(line_number || ': ' || error), '[]') FROM pg_hba_file_rules WHERE error IS NOT NULL),
  'databases', (SELECT coalesce(jsonb_object_agg(datname, jsonb_build_object('oid', d.oid::bigint, 'limit', datconnlimit,
     'comment', coalesce(shobj_description(d.oid, 'pg_database'), ''), 'bytes', pg_database_size(d.oid))), '{}')
     FROM pg_database d WHERE NOT datistemplate));
"""


class ServerState(NamedTuple):
    """A server that answers.

    Attributes:
        version: as ``server_version_num`` (150018).
        system_identifier: names the cluster; copies made by pg_basebackup have that of their source.
        in_recovery: whether it is a physical standby.
        started: when, in seconds since the epoch.
        listen_addresses: the setting in force.
        hba_file: the file in force.
        config_file: likewise.
        pending_restart: settings that a restart would change.
        hba_errors: lines of pg_hba.conf it does not understand.
        databases: name -> ``oid``, connection ``limit``, ``comment``, size in ``bytes``.
    """

    version: int
    system_identifier: str
    in_recovery: bool
    started: float
    listen_addresses: str
    hba_file: str
    config_file: str
    pending_restart: list[str]
    hba_errors: list[str]
    databases: dict[str, dict[str, Any]]


def state_of(server: Server) -> ServerState:
    """Ask the server as its owner.

    Raises:
        ServerDownError: it does not answer.
        PostgresError: it answers with an error.
    """
    return ServerState(**server.ask(_STATE)[0])


class Login(StrEnum):
    """What came of logging in as xCAT does."""

    WORKS = "works"
    CLOSED = "closed"
    """Name and password are right; the database takes no connections now."""
    REFUSED = "refused"
    """Wrong password, no line in pg_hba.conf, no such role or database."""
    DOWN = "down"
    """Nobody listens there."""
    UNKNOWN = "unknown"


class LoginAnswer(NamedTuple):
    """``detail``: one line for the administrator, without password; ``by``: psycopg2 or psql."""

    login: Login
    detail: str
    by: str


_REFUSALS = (
    (r"password authentication failed", Login.REFUSED, "the password in cfgloc is not that of role {user}"),
    (r"no pg_hba\.conf entry", Login.REFUSED, "pg_hba.conf has no line for {user} from there"),
    (r"(Ident|Peer|GSSAPI|LDAP|PAM|certificate) authentication failed", Login.REFUSED, "pg_hba.conf wants another method than a password"),
    (r"pg_hba\.conf rejects", Login.REFUSED, "pg_hba.conf rejects {user} from there"),
    (r'role "[^"]*" (does not exist|is not permitted)', Login.REFUSED, "role {user} does not exist or may not log in"),
    (r'database "[^"]*" does not exist', Login.REFUSED, "there is no database {database}"),
    (r"too many connections for database", Login.CLOSED, "the database is closed"),
    (r"starting up|shutting down|recovery mode", Login.DOWN, "PostgreSQL is starting or stopping"),
    (r"Connection refused|No route to host|Network is unreachable|No such file", Login.DOWN, "nobody listens at {host} port {port}"),
    (r"timeout|timed out", Login.UNKNOWN, "{host} port {port} does not answer"),
)


def try_login(credentials: Credentials, layout: Layout, *, host: str = "", port: int | None = None) -> LoginAnswer:
    """Log in with cfgloc's name and password and read one row, by psycopg2 if it is installed, else by psql.

    ``host``, ``port``: instead of cfgloc's. The password is given to psql in a file of root's (0600), never in words or environment.
    """
    where = credentials.location
    place = where._replace(host=host or where.host, port=port or where.port)
    try:
        psycopg2 = import_module("psycopg2")  # an extra of its own, and only this question needs it
    except ImportError:
        said, by = _by_psql(credentials, layout, place.host, place.port), "psql (psycopg2 is missing: pip install 'xcat-ha[postgres]')"
    else:
        said, by = _by_psycopg2(psycopg2, credentials, place.host, place.port), "psycopg2"
    return _worded(said, place._asdict(), by)


def _by_psycopg2(psycopg2: Any, credentials: Credentials, host: str, port: int) -> str:
    """Empty if it worked, else what the server said."""
    where = credentials.location
    words: dict[str, Any] = {"dbname": where.database, "user": where.user, "password": credentials.password, "port": port}
    words |= {"host": host} if host else {}
    try:
        connection = psycopg2.connect(**words, connect_timeout=CONNECT_TIMEOUT_S, application_name="xcat-ha")
    except psycopg2.Error as error:
        return str(error) or "no answer"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error as error:
        return str(error)
    finally:
        connection.close()
    return ""


def _by_psql(credentials: Credentials, layout: Layout, host: str, port: int) -> str:
    where = credentials.location
    with tempfile.NamedTemporaryFile("w", prefix=".xcat-ha-", dir=rooted("/run"), encoding="utf-8", errors="surrogateescape") as secret:
        escaped = credentials.password.replace("\\", "\\\\").replace(":", "\\:")
        secret.write(f"*:*:*:*:{escaped}\n")
        secret.flush()
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8", "PGPASSFILE": secret.name, "PGAPPNAME": "xcat-ha"}
        environment |= {"PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT_S)}
        words = ["-X", "-A", "-t", "-q", "-w", "-c", "SELECT 1", "-p", str(port), "-U", where.user, "-d", where.database]
        words += ["-h", host or layout.socket_directory]
        try:
            ended = subprocess.run(
                [layout.program("psql"), *words],
                capture_output=True,
                check=False,
                text=True,
                errors="replace",
                env=environment,
                timeout=CONNECT_TIMEOUT_S * 3,
            )
        except subprocess.TimeoutExpired:
            return "timed out"
    return "" if ended.returncode == 0 else ended.stderr or f"psql ended with {ended.returncode}"


def _worded(said: str, place: dict[str, Any], by: str) -> LoginAnswer:
    if not said:
        return LoginAnswer(Login.WORKS, "", by)
    for pattern, login, words in _REFUSALS:
        if re.search(pattern, said):
            return LoginAnswer(login, words.format(**place), by)
    return LoginAnswer(Login.UNKNOWN, " ".join(said.split())[:200], by)


def listens(address: str, port: int) -> bool:
    """Whether a server on this node listens at ``address`` (or at every address of its family) and ``port``, as the kernel's tables say.

    PostgreSQL sets ``IPV6_V6ONLY``: listening at every IPv6 address, it is at no IPv4 one.

    Raises:
        PostgresError: they cannot be read.
    """
    import ipaddress  # noqa: PLC0415  # slow to import, and rarely needed

    wanted = ipaddress.ip_address(address)
    found, seen = False, False
    for name in ("tcp", "tcp6"):
        try:
            lines = (rooted("/proc/net") / name).read_text().splitlines()[1:]
        except OSError:
            continue
        seen = True
        for line in lines:
            fields = line.split()
            local, _, number = fields[1].rpartition(":")
            if fields[3] == _LISTEN and int(number, 16) == port:
                here = _address_of(local)
                found = found or here == wanted or (here.is_unspecified and here.version == wanted.version)
    if not seen:
        raise PostgresError("/proc/net/tcp cannot be read, so nobody knows who listens", hint="mount /proc")
    return found


def _address_of(text: str) -> Any:
    """An address as the kernel prints it: 32-bit words in the byte order of the machine."""
    import ipaddress  # noqa: PLC0415
    import sys  # noqa: PLC0415

    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return ipaddress.ip_address(raw)
