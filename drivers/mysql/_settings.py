"""What both servers need: settings in a file of their own, a certificate, and a restart where that is the only way.

Both nodes start read-only (``read_only`` in the file): whoever has the role is made writable by ``promote``, and again by its guard.

Facts: mysqlsetup leaves no server id and no binary log (xCAT 1.4), and lets the server listen at every address, as this does. MariaDB and
MySQL expire binary logs by age; ``binlog_expire_logs_seconds`` exists since MariaDB 10.6 and MySQL 8.0 (knowledge base, manual).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from xcat_ha_drivers.database.disk import rooted, sync_directory, write_durably
from xcat_ha_drivers.mysql._dialect import Dialect
from xcat_ha_drivers.mysql._places import CERTIFICATE, SERVER_DIR, Given, read_note
from xcat_ha_drivers.mysql._server import Server, await_true
from xcat_ha_drivers.mysql.errors import MysqlError, ServerDownError

DIRECTORIES = ("/etc/mysql/mariadb.conf.d", "/etc/mysql/mysql.conf.d", "/etc/my.cnf.d")
FILE = "zz-xcat-ha.cnf"
UNITS = ("mariadb", "mysqld", "mysql")
_UNIT_DIRECTORIES = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")
_KEY = f"{SERVER_DIR}/server.key"
_FOREVER_MS = 4294967295
"""The longest a commit can wait for a standby: 49 days."""
_RESTART_LIMIT_S = 300.0
_LIVE = frozenset({"read_only", "super_read_only", "bind_address"})
"""What is not compared with the running server: it changes with the role, or may be overruled for good reasons."""


def why_not_ready(given: Given, server: Server, dialect: Dialect) -> str:
    """Empty if the file is right and the running server goes by it."""
    wanted = _wanted(given, server, dialect)
    try:
        text = _path().read_text(encoding="utf-8")
    except OSError:
        return f"{_path().name} is not there"
    if text != _text(wanted):
        return f"{_path().name} is out of date"
    late = _not_in_force(server, wanted)
    return f"not in force yet: {', '.join(late)}" if late else ""


def put_ready(given: Given, server: Server, dialect: Dialect) -> bool:
    """Write the file, and restart the server if it does not go by it; whether it was restarted.

    Raises:
        MysqlError: the server does not take the settings.
    """
    _make_certificate(given, server)
    wanted = _wanted(given, server, dialect)
    path = _path()
    write_durably(path, _text(wanted))
    path.chmod(0o644)  # it holds no secret, and the server's owner reads it
    if not _not_in_force(server, wanted):
        return False
    restart(server)
    late = _not_in_force(server, wanted)
    if late:
        raise MysqlError(f"the server does not go by {path}: {', '.join(late)}", hint="which other option file sets these?")
    return True


def put_semi_sync(given: Given, server: Server, dialect: Dialect) -> None:
    """Let commits wait for the standby, or not any more, now and after a restart; as the note ``standby`` says."""
    for name, value in _semi_sync(given, dialect).items():
        server.do(f"SET GLOBAL {name.removeprefix('loose_')} = {value};")
    path = _path()
    if path.exists():
        write_durably(path, _text(_wanted(given, server, dialect)))
        path.chmod(0o644)


def semi_sync_is_right(given: Given, server: Server, dialect: Dialect) -> bool:
    """Whether the running server waits exactly if it should."""
    return not _not_in_force(server, _semi_sync(given, dialect))


def _semi_sync(given: Given, dialect: Dialect) -> dict[str, str]:
    if not given.semi_sync:
        return {}
    required = bool((read_note("standby") or {}).get("required"))
    source, replica = dialect.semi_sync
    limit_ms = _FOREVER_MS if given.semi_sync == "wait" else given.degrade_after_s * 1000
    return {
        f"loose_{source}_enabled": "ON" if required else "OFF",
        f"loose_{source}_timeout": str(limit_ms),
        f"loose_{source}_wait_no_{'slave' if dialect.is_mariadb else 'replica'}": "ON",
        f"loose_{source}_wait_point": "AFTER_SYNC",
        f"loose_{replica}_enabled": "ON",
    }


def _path() -> Path:
    for directory in DIRECTORIES:
        if rooted(directory).is_dir():
            return rooted(directory) / FILE
    raise MysqlError(f"none of {', '.join(DIRECTORIES)} is there", hint="where does this server read its option files?")


def _wanted(given: Given, server: Server, dialect: Dialect) -> dict[str, str]:
    in_days = dialect.is_mariadb and dialect.version < (10, 6, 0)
    wanted = {
        "server_id": str(given.server_id),
        "bind_address": "*",
        "read_only": "ON",
        **dialect.settings,
        **({"expire_logs_days": str(-(-given.keep_hours // 24))} if in_days else {}),
        **({} if in_days else {"binlog_expire_logs_seconds": str(given.keep_hours * 3600)}),
        **_semi_sync(given, dialect),
    }
    basename = Path(server.value("SELECT @@global.log_bin_basename;")).name
    if basename in {"", "xcat-ha-bin"}:
        wanted["log_bin"] = "xcat-ha-bin"
    certificate = server.value("SELECT @@global.ssl_cert;")
    if certificate in {"", str(rooted(CERTIFICATE))} or dialect.is_mariadb is False:
        wanted |= {"ssl_cert": str(rooted(CERTIFICATE)), "ssl_key": str(rooted(_KEY))}
    return wanted


def _text(wanted: dict[str, str]) -> str:
    lines = "".join(f"{name} = {value}\n" for name, value in sorted(wanted.items()))
    return f"# Written by xcat-ha; changes are overwritten.\n[mysqld]\n{lines}"


def _not_in_force(server: Server, wanted: dict[str, str]) -> list[str]:
    named = {name.removeprefix("loose_"): value for name, value in wanted.items() if name not in _LIVE}
    listed = ", ".join(f"'{name}'" for name in named)
    rows = server.rows(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({listed});") if named else []
    found = {str(row["Variable_name"]).lower(): row["Value"] or "" for row in rows}
    late = []
    for name, value in named.items():
        have = found.get(name, "")
        right = have == "ON" if name == "log_bin" else have.split(".")[0] == value if name == "expire_logs_days" else have == value
        if not right:
            late.append(name)
    return sorted(late)


def unit() -> str:
    """The unit of the server (facts: xCAT 2.1).

    Raises:
        MysqlError: none is there.
    """
    for name in UNITS:
        for directory in _UNIT_DIRECTORIES:
            if rooted(f"{directory}/{name}.service").exists():
                return f"{name}.service"
    raise MysqlError(f"no unit {', '.join(UNITS)} is there", hint="install the server from your distribution's package")


def restart(server: Server) -> None:
    """Restart the server, and wait until it answers.

    Raises:
        MysqlError: it does not come up.
    """
    _systemctl("restart", unit())

    def answers() -> bool:
        try:
            return server.value("SELECT 1;") == "1"
        except ServerDownError:
            return False

    await_true(answers, timeout_s=_RESTART_LIMIT_S, what="the database server answers", hint=f"journalctl -u {unit()}")


def keep_running(server: Server) -> None:
    """Start the server now, if it does not answer, and at every boot. Errors as :func:`restart`."""
    _systemctl("enable", unit())
    try:
        server.value("SELECT 1;")
    except ServerDownError:
        restart(server)


def why_not_running(server: Server) -> str:
    """Empty if the server answers, and starts at boot."""
    said = _systemctl("is-enabled", unit()).strip()
    if said not in {"enabled", "alias", "generated", "static", "indirect"}:
        return f"{unit()} is {said or 'not known to systemd'}"
    return "" if server.value("SELECT 1;") == "1" else "the server does not answer"


def _systemctl(*words: str) -> str:
    """What it prints; whether it worked is read from the effect."""
    try:
        ended = subprocess.run(
            ("systemctl", *words), stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, timeout=_RESTART_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MysqlError(f"systemctl {words[0]} did not end ({error})", hint=f"try it: systemctl {' '.join(words)}") from error
    return ended.stdout


def write_for_server(server: Server, path: str, text: str) -> None:
    """A file below :data:`SERVER_DIR` that only root and the server's owner can read."""
    owner = Path(server.value("SELECT @@global.datadir;")).stat()
    place = rooted(SERVER_DIR)
    if not place.is_dir():
        place.mkdir(mode=0o700, parents=True)
        sync_directory(place.parent)
    write_durably(rooted(path), text)
    if os.geteuid() == 0:
        os.chown(place, owner.st_uid, owner.st_gid)
        os.chown(rooted(path), owner.st_uid, owner.st_gid)


def _make_certificate(given: Given, server: Server) -> None:
    """Signed by itself: the other node gets it by ssh and trusts nothing else. It names the node's own address."""
    if rooted(CERTIFICATE).exists() and rooted(_KEY).exists():
        return
    write_for_server(server, _KEY, "")
    key, certificate = rooted(_KEY), rooted(CERTIFICATE)
    fresh = certificate.with_name(".server.crt.new")
    words = (
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "36500", "-subj", f"/CN=xcat-ha-{given.node}"),
        *("-addext", f"subjectAltName=IP:{given.address}", "-keyout", str(key), "-out", str(fresh)),
    )
    ended = subprocess.run(("openssl", *words), stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, timeout=120.0)
    if ended.returncode != 0 or not fresh.exists():
        raise MysqlError(f"openssl made no certificate: {' '.join(ended.stderr.split())[-200:]}", hint="is openssl installed?")
    write_for_server(server, CERTIFICATE, fresh.read_text(encoding="ascii"))
    fresh.unlink()
