"""SQL statements given to the CLP, and how it prints rows."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any

from . import monitor
from .grammar import unexpected
from .messages import Answer, SqlError, done, text
from .store import Result, is_reading, translated

if TYPE_CHECKING:
    from .commands import Context
    from .database import Database

VERBS = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "VALUES", "WITH"}
MONITOR = re.compile(r"TABLE\s*\(\s*(?:SYSPROC\.)?MON_GET_HADR\s*\(\s*(?:NULL|-?\d+)\s*\)\s*\)(?:\s+AS)?(?:\s+T\b)?", re.IGNORECASE)


def run_sql(ctx: Context, line: str) -> Answer:
    """Errors come with DB21034E before them, except that there is no connection."""
    try:
        return _run(ctx, line)
    except SqlError as error:
        if error.code != "SQL1024N":
            error.before = text("DB21034E") + "\n"
        raise


def _run(ctx: Context, line: str) -> Answer:
    first = line.split(maxsplit=1)[0].upper() if line else ""
    if first not in VERBS and not re.fullmatch(r"(?i)COMMIT(?: WORK)?", line):
        raise unexpected(first or "END-OF-STATEMENT", "BEGIN-OF-STATEMENT", "<values>")
    session = ctx.own()
    if first == "COMMIT":
        return Answer(done("SQL"))
    if MONITOR.search(line):
        return _print(_monitor(session.live(), line), bare=ctx.bare)
    result = session.execute([(line, [])])
    if is_reading(line):
        return _print(result, bare=ctx.bare)
    if first in {"UPDATE", "DELETE"} and not result.count:
        empty = "SQL0100W  No row was found for FETCH, UPDATE or DELETE; or the result of a query is an empty table.  SQLSTATE=02000"
        return Answer(empty, 1)
    return Answer(done("SQL"))


def _print(result: Result, *, bare: bool) -> Answer:
    rows = [["-" if value is None else str(value) for value in row] for row in result.rows]
    widths = [max([len(name), *(len(row[at]) for row in rows)]) for at, name in enumerate(result.columns)]
    lines = [" ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)) for row in rows]
    if bare:
        return Answer("\n".join(lines), 0 if rows else 1)
    head = " ".join(name.upper().ljust(width) for name, width in zip(result.columns, widths, strict=True))
    line = " ".join("-" * width for width in widths)
    return Answer("\n".join(["", head, line, *lines, "", f"  {len(rows)} record(s) selected.", ""]), 0 if rows else 1)


def list_tables(ctx: Context, _match: re.Match[str]) -> Answer:
    session = ctx.own()
    database = session.live()
    with database.lock:
        names = database.store.tables()
    schema = database.instance.name.upper()
    lines = [f"{name.upper():<31} {schema:<15} T     -" for name in names]
    head = ["", "Table/View                      Schema          Type  Creation time", "-" * 31 + " " + "-" * 15 + " ----- " + "-" * 26]
    return Answer("\n".join([*head, *lines, "", f"  {len(names)} record(s) selected.", ""]), 0 if names else 1)


def _monitor(database: Database, line: str) -> Result:
    """MON_GET_HADR: db2pd's values, times in milliseconds."""
    if database.instance.flavour == "97":
        raise SqlError("SQL0440N", name="MON_GET_HADR")
    with database.lock:
        found = monitor.fields(database, database.hadr) if database.hadr is not None else {}
    row: dict[str, Any] = {}
    for key, value in found.items():
        name = re.sub(r"\(\w+\)", "", key).replace(",", "_")
        milliseconds = key.endswith("(seconds)") and name != "LOG_HADR_WAIT_RECENT_AVG"
        row[name] = int(float(value) * 1000) if milliseconds else None if value == "NULL" else value
    rows = sqlite3.connect(":memory:")
    columns = list(row) or ["HADR_ROLE", "HADR_STATE", "HADR_CONNECT_STATUS"]
    rows.execute(f"CREATE TABLE mon_get_hadr ({', '.join(columns)})")
    if row:
        rows.execute(f"INSERT INTO mon_get_hadr VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    try:
        cursor = rows.execute(translated(MONITOR.sub("mon_get_hadr", line), database.instance.name))
        return Result([column[0] for column in cursor.description], [list(r) for r in cursor.fetchall()])
    except sqlite3.Error as error:
        raise SqlError("SQL0901N", why=str(error)) from error
    finally:
        rows.close()
