"""The database configuration: what is allowed, what GET DB CFG prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .messages import SqlError

Config = dict[str, str]

DEFAULTS: Config = {
    "LOGARCHMETH1": "OFF",
    "TRACKMOD": "OFF",
    "LOGINDEXBUILD": "OFF",
    "INDEXREC": "SYSTEM",
    "HADR_LOCAL_HOST": "",
    "HADR_LOCAL_SVC": "",
    "HADR_REMOTE_HOST": "",
    "HADR_REMOTE_SVC": "",
    "HADR_REMOTE_INST": "",
    "HADR_TIMEOUT": "120",
    "HADR_TARGET_LIST": "",
    "HADR_SYNCMODE": "NEARSYNC",
    "HADR_SPOOL_LIMIT": "AUTOMATIC(0)",
    "HADR_REPLAY_DELAY": "0",
    "HADR_PEER_WINDOW": "0",
}
ONLY_NEW = ("HADR_TARGET_LIST", "HADR_SPOOL_LIMIT", "HADR_REPLAY_DELAY")
READ_ONLY = ("HADR_DB_ROLE",)
DYNAMIC = ("TRACKMOD", "LOGINDEXBUILD", "INDEXREC")


def _words(*allowed: str) -> Callable[[str], str | None]:
    return lambda value: value.upper() if value.upper() in allowed else None


def _number(value: str) -> str | None:
    return value if re.fullmatch(r"\d{1,10}", value) else None


def _text(value: str) -> str | None:
    return "" if value.upper() == "NULL" else value


def _archive(value: str) -> str | None:
    if value.upper() in {"OFF", "LOGRETAIN", "USEREXIT"}:
        return value.upper()
    return value if re.match(r"(?i)(DISK|TSM|VENDOR):?", value) else None


def _spool(value: str) -> str | None:
    return "AUTOMATIC(0)" if value.upper() == "AUTOMATIC" else _number(value)


CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "LOGARCHMETH1": _archive,
    "TRACKMOD": _words("ON", "OFF", "YES", "NO"),
    "LOGINDEXBUILD": _words("ON", "OFF"),
    "INDEXREC": _words("SYSTEM", "ACCESS", "ACCESS_NO_REDO", "RESTART", "RESTART_NO_REDO"),
    "HADR_SYNCMODE": _words("SYNC", "NEARSYNC", "ASYNC", "SUPERASYNC"),
    "HADR_TIMEOUT": _number,
    "HADR_PEER_WINDOW": _number,
    "HADR_REPLAY_DELAY": _number,
    "HADR_SPOOL_LIMIT": _spool,
}


def checked(name: str, value: str, flavour: str) -> tuple[str, str]:
    """(parameter, value) as stored. Raises SQL0104N, SQL5099N, SQL5186N."""
    name = name.upper()
    if name == "LOGRETAIN":
        if flavour != "97":
            raise SqlError("SQL5186N", name=name)
        kept = _words("ON", "RECOVERY", "YES", "OFF", "NO")(value)
        if kept is None:
            raise SqlError("SQL5099N", value=value, name=name, rc=1)
        return "LOGARCHMETH1", "OFF" if kept in {"OFF", "NO"} else "LOGRETAIN"
    if name not in DEFAULTS or (flavour == "97" and name in ONLY_NEW):
        raise SqlError("SQL0104N", token=name, after="USING", expected="HADR_LOCAL_HOST")
    found = CHECKS.get(name, _text)(value)
    if found is None:
        raise SqlError("SQL5099N", value=value, name=name, rc=1)
    return name, found


LABELS: tuple[tuple[str, str], ...] = (
    ("Log retain for recovery enabled", "LOGRETAIN"),
    ("Track modified pages", "TRACKMOD"),
    ("Log pages during index build", "LOGINDEXBUILD"),
    ("Index re-creation time and redo index build", "INDEXREC"),
    ("First active log file", ""),
    ("First log archive method", "LOGARCHMETH1"),
    ("HADR database role", ""),
    ("HADR local host name", "HADR_LOCAL_HOST"),
    ("HADR local service name", "HADR_LOCAL_SVC"),
    ("HADR remote host name", "HADR_REMOTE_HOST"),
    ("HADR remote service name", "HADR_REMOTE_SVC"),
    ("HADR instance name of remote server", "HADR_REMOTE_INST"),
    ("HADR timeout value", "HADR_TIMEOUT"),
    ("HADR target list", "HADR_TARGET_LIST"),
    ("HADR log write synchronization mode", "HADR_SYNCMODE"),
    ("HADR spool log data limit (4KB)", "HADR_SPOOL_LIMIT"),
    ("HADR log replay delay (seconds)", "HADR_REPLAY_DELAY"),
    ("HADR peer window duration (seconds)", "HADR_PEER_WINDOW"),
)
WIDTH = 56


def _line(label: str, name: str, value: str) -> str:
    where = f"({name})" if name else ""
    return f" {label}{where.rjust(WIDTH - 1 - len(label))} = {value}"


def report(database: str, flavour: str, config: Config, facts: Mapping[str, str]) -> str:
    """GET DB CFG. `facts`: values of the lines that are no parameters, by label."""
    retain = "RECOVERY" if config["LOGARCHMETH1"] == "LOGRETAIN" else "OFF"
    lines = ["", f"       Database Configuration for Database {database}", ""]
    lines += [_line("Backup pending", "", facts["Backup pending"]), ""]
    lines += [_line("Rollforward pending", "", facts["Rollforward pending"]), _line("Restore pending", "", "NO"), ""]
    lines += [_line("Log retain for recovery status", "", "NO" if config["LOGARCHMETH1"] == "OFF" else "RECOVERY")]
    for label, name in LABELS:
        if (name in ONLY_NEW and flavour == "97") or (name == "LOGRETAIN" and flavour != "97"):
            continue
        value = retain if name == "LOGRETAIN" else config[name] if name else facts[label]
        lines.append(_line(label, name, value))
    return "\n".join([*lines, ""])
