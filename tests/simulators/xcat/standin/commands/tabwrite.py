"""tabrestore, tabprune and chtab: tables written without looking at what they mean."""

from __future__ import annotations

import pathlib

from .. import VERSION, csvtext, options, paths
from ..engine import ADD, DROP, SET, Change, DbError, NoSuchTableError, Row
from ..request import Request


def tabrestore(request: Request) -> None:
    """The client has read the file: stdin is its text, or None when it could not."""
    chosen, operands = options.parse(request.args, "ahvV", ["help", "version"])
    if "v" in chosen or "version" in chosen:
        request.out(VERSION)
        return
    if not operands or "h" in chosen or "help" in chosen:
        request.out("Usage: tabrestore [-a] tablefile.csv\n       tabrestore [-?|-h|--help|-v]")
        request.code |= 0 if operands or chosen else 1
        return
    table = pathlib.PurePath(operands[0]).name.partition(".")[0]
    if request.stdin is None:
        request.err(f"ERROR: Unable to open {operands[0]} for reading.", 3)
        return
    try:
        columns = request.database.columns(table)
    except NoSuchTableError:
        raise request.stop(f"Unable to open {table}", 4) from None
    try:
        _restore(request, table, columns, keep="a" in chosen)
    except DbError as error:
        request.error(f"DB error {error}", 4)


def _restore(request: Request, table: str, columns: list[str], *, keep: bool) -> None:
    rows = csvtext.records(request.stdin or "")
    header = [(name or "").strip() for name in next(rows, [])]
    header[:1] = [name.removeprefix("#") for name in header[:1]]
    # The old rows go first and stay gone, whatever comes after: every statement
    # is its own transaction here.
    if not keep:
        request.database.drop(table, {})
    for name in header:
        if name not in columns:
            raise request.stop(
                f"The header line indicates that column '{name}' should exist, which is not defined in the schema for '{table}'"
            )
    keys = request.database.keys(table)
    changes = []
    for cells in rows:
        if len(cells) == 1 and not cells[0]:
            continue
        row = dict(zip(header, cells, strict=False))
        own = {k: row[k] for k in keys if k in row}
        rest = {k: v for k, v in row.items() if k not in own}
        changes.append(Change(SET if keep else ADD, own, rest))
    request.database.write(table, changes)


def tabprune(request: Request) -> None:
    chosen, operands = options.parse(request.args, "ahvVn:i:p:d:", ["help", "version"])
    if "v" in chosen or "version" in chosen:
        request.out(VERSION)
        return
    if not operands or not chosen or "h" in chosen:
        request.out("Usage: tabprune <tablename> [-V] -a|-n <# of records>|-i <recid>|-p <percent>")
        request.code |= 0 if "h" in chosen else 1
        return
    table = operands[0]
    try:
        rows = request.database.all_rows(table)
    except NoSuchTableError:
        raise request.stop(f"Table {table} does not exist.") from None
    if "a" in chosen:
        request.database.drop(table, {})
    else:
        request.database.write(table, [Change(DROP, keys) for keys in _oldest(rows, chosen)])
    request.out(f"tabprune of {table} complete.")


def _oldest(rows: list[Row], chosen: dict[str, list[str]]) -> list[Row]:
    numbers = sorted(int(r["recid"] or 0) for r in rows if "recid" in r)
    if "i" in chosen:
        gone = [n for n in numbers if n < int(chosen["i"][-1])]
    elif "p" in chosen:
        gone = numbers[: len(numbers) * int(chosen["p"][-1]) // 100]
    else:
        gone = numbers[: int(chosen.get("n", ["0"])[-1])]
    return [{"recid": str(n)} for n in gone]


def chtab(request: Request) -> None:
    """Run chtab [-d] key=value,... table.column=value ...   Opens the tables itself."""
    words = [w for w in request.args if not w.startswith("-")]
    if "-v" in request.args or "--version" in request.args:
        request.out(VERSION)
        return
    delete = "-d" in request.args or "--delete" in request.args
    if len(words) < 2:
        request.out("Usage: chtab [-d|--delete] keycolname=keyvalue table.column=value ...")
        request.code |= 1
        return
    keys: Row = {k: v for k, _, v in (p.partition("=") for p in words[0].split(","))}
    for word in words[1:]:
        target, _, value = word.partition("=")
        table, _, column = target.rstrip("+").partition(".")
        if table not in request.database.tables():
            request.out(f"Table {table} does not exist.")
            request.code |= 1
            return
        if delete:
            request.database.drop(table, keys)
        else:
            request.database.put(table, keys, {column: value})


def read_csv(args: list[str]) -> str | None:
    """The text of the file that tabrestore was given; None: not readable."""
    files = [a for a in args if not a.startswith("-")]
    try:
        return paths.at(str(pathlib.Path.cwd() / files[0])).read_text() if files else None
    except (OSError, UnicodeDecodeError):
        return None
