"""The database directory and the instance's own parameters: commands that work on files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .grammar import Handler, unexpected
from .messages import Answer, SqlError, done, text

if TYPE_CHECKING:
    from .commands import Context


def alternate_server(ctx: Context, match: re.Match[str]) -> Answer:
    entries = ctx.instance.directory()
    entry = ctx.instance.entry(match["db"])
    host, port = match["host"], match["port"]
    if host.upper() == "NULL" and port.upper() == "NULL":
        host = port = ""
    elif not port.isdigit():
        raise unexpected(port, "PORT", "<port number>")
    entries[match["db"].upper()] = {**entry, "alternate host": host, "alternate port": port}
    ctx.instance.write_directory(entries)
    said = done("UPDATE ALTERNATE SERVER FOR DATABASE") + "\n" + text("DB21056W")
    return Answer(said, 0 if ctx.instance.flavour == "97" else 2)


def list_directory(ctx: Context, _match: re.Match[str]) -> Answer:
    entries = ctx.instance.directory()
    lines = ["", " System Database Directory", "", f" Number of entries in the directory = {len(entries)}", ""]
    for number, (alias, entry) in enumerate(entries.items(), 1):
        rows = {
            "Database alias": alias,
            "Database name": entry["name"],
            "Local database directory": entry["path"],
            "Database release level": "d.00" if ctx.instance.flavour == "97" else "15.00",
            "Comment": "",
            "Directory entry type": "Indirect",
            "Catalog database partition number": "0",
            "Alternate server hostname": entry.get("alternate host", ""),
            "Alternate server port number": entry.get("alternate port", ""),
        }
        lines += [f"Database {number} entry:", "", *(f" {label:<36} = {value}" for label, value in rows.items()), ""]
    return Answer("\n".join(lines))


def create(ctx: Context, match: re.Match[str]) -> Answer:
    if ctx.engine is None:
        raise SqlError("SQL1032N")
    ctx.instance.create_database(match["db"])
    return Answer(done("CREATE DATABASE"))


def get_dbm(ctx: Context, _match: re.Match[str]) -> Answer:
    names = {"SVCENAME": "TCP/IP Service name", "AUTHENTICATION": "Database manager authentication"}
    rows = ["", "          Database Manager Configuration", ""]
    rows += [
        f" {names.get(name, name)}{f'({name})'.rjust(55 - len(names.get(name, name)))} = {value}"
        for name, value in ctx.instance.settings().items()
    ]
    return Answer("\n".join([*rows, ""]))


def update_dbm(ctx: Context, match: re.Match[str]) -> Answer:
    name = match["name"].upper()
    if name not in ctx.instance.settings():
        raise unexpected(name, "USING", "SVCENAME")
    ctx.instance.change_setting(name, match["value"])
    return Answer(done("UPDATE DATABASE MANAGER CONFIGURATION"))


DBM = r"(?:DATABASE MANAGER|DBM) (?:CONFIGURATION|CONFIG|CFG)"
COMMANDS: tuple[tuple[str, Handler], ...] = (
    (
        r"UPDATE ALTERNATE SERVER FOR (?:DATABASE|DB) (?P<db>\S+) USING HOSTNAME (?P<host>\S+) PORT (?P<port>\S+)",
        alternate_server,
    ),
    (r"LIST (?:DATABASE|DB) DIRECTORY", list_directory),
    (r"CREATE (?:DATABASE|DB) (?P<db>\w+)(?: .*)?", create),
    (rf"GET {DBM}", get_dbm),
    (rf"UPDATE {DBM} USING (?P<name>\S+) (?P<value>\S+)", update_dbm),
)
