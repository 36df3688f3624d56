"""tabdump and gettab: tables read as they are."""

from __future__ import annotations

import re

from .. import VERSION, csvtext, options, paths
from ..engine import NoSuchTableError, Row
from ..request import Request

USAGE = (
    "Usage: tabdump [-d] [table]\n"
    "       tabdump [-f filename] [table]\n"
    "       tabdump [-w attr==val] [-w attr=~val] ... [table]\n"
    "       tabdump [-v|--version]\n"
    "       tabdump [-?|-h|--help]"
)


def tabdump(request: Request) -> None:
    try:
        chosen, operands = options.parse(request.args, "hvVdw:f:n:", ["help", "version"])
    except options.BadOptionError:
        request.out(USAGE)
        request.code |= 1
        return
    if "v" in chosen or "version" in chosen:
        request.out(VERSION)
        return
    if "h" in chosen or "help" in chosen:
        request.out(USAGE)
        return
    if not operands:
        request.raw("".join(name + "\n" for name in request.database.tables()))
        return
    table = operands[0]
    try:
        rows = request.database.all_rows(table)
        columns = request.database.columns(table)
    except NoSuchTableError:
        raise request.stop(f"No such table: {table}") from None
    for condition in chosen.get("w", []):
        rows = [row for row in rows if _holds(row, condition)]
    text = csvtext.dump(columns, rows)
    if "f" in chosen:
        paths.at(chosen["f"][-1]).write_text(text)
    else:
        request.raw(text)


def _holds(row: Row, condition: str) -> bool:
    match = re.match(r"(\w+)(==|!=|=~|!~|=)(.*)", condition, re.DOTALL)
    if not match:
        return False
    have, sign, want = row.get(match[1]) or "", match[2], match[3]
    if sign in ("==", "="):
        return have == want
    if sign == "!=":
        return have != want
    return (re.search(want.strip("/"), have) is not None) == (sign == "=~")


def gettab(request: Request) -> None:
    """Run gettab [-H] key=value,... table.column ..."""
    heading = False
    words = list(request.args)
    if words and words[0] in ("-H", "--with-fieldname"):
        heading = True
        words = words[1:]
    if words and words[0] in ("-v", "--version"):
        request.out(VERSION)
        return
    if len(words) < 2 or "=" not in words[0]:
        request.out("Usage: gettab [-H|--with-fieldname] key=value,...  table.attribute ...")
        request.code |= 1
        return
    keys = dict(pair.split("=", 1) for pair in words[0].split(",") if "=" in pair)
    for word in words[1:]:
        table, _, column = word.partition(".")
        try:
            rows = request.database.rows(table)
        except NoSuchTableError:
            raise request.stop(f"No such table: {table}") from None
        for row in rows:
            if all((row.get(k) or "") == v for k, v in keys.items()):
                value = row.get(column) or ""
                request.out(f"{word}: {value}" if heading or len(words) > 2 else value)
                break
        else:
            request.out(f"{word}: " if heading or len(words) > 2 else "")
