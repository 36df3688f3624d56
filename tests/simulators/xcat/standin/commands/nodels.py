"""nodels and nodech: names of nodes and raw columns of their tables."""

from __future__ import annotations

import re

from .. import VERSION
from ..engine import SET, Change, NoSuchTableError
from ..objects import Attributes, Objects
from ..request import Request

BUFFER_NODES = 100


def nodels(request: Request) -> None:
    words = [w for w in request.args if not w.startswith("-")]
    if "-v" in request.args or "--version" in request.args:
        request.out(VERSION)
        return
    if "-h" in request.args or "--help" in request.args:
        request.out(
            "Usage: nodels [noderange] [-b|--blame] [-H|--with-fieldname] [-S]\n       [table.attribute | shortname] [-V|--verbose]"
        )
        return
    busy = request.others_running()
    names, missing = _range(request, words[0] if words else "all")
    if missing:
        if request.bypass:
            request.out(f"Invalid nodes in noderange:{','.join(missing)}")
        else:
            request.err(f"Error: Invalid nodes and/or groups in noderange: {','.join(missing)}")
        return
    lines = _columns(request, names, words[1:]) if words[1:] else names
    request.pace.wait_until("nodels")
    # Seen on real nodes: beside another request the tail gets lost, silently.
    if (busy or request.others_running()) and len(lines) > BUFFER_NODES:
        lines = lines[: len(lines) * 9 // 10]
    request.raw("".join(line + "\n" for line in lines))


def _range(request: Request, text: str) -> tuple[list[str], list[str]]:
    objects = Objects(request.database)
    if text == "all":
        return sorted(objects.noderange.nodes), []
    return objects.noderange.expand(text)


def _columns(request: Request, names: list[str], words: list[str]) -> list[str]:
    asked, tests = [], []
    for word in words:
        match = re.fullmatch(r"([\w.]+)(==|!=|=~|!~)(.*)", word)
        if match:
            tests.append((match[1], match[2], match[3]))
        else:
            asked.append(word)
    values = {w: _column(request, names, w) for w in [*asked, *(t[0] for t in tests)]}
    for column, sign, want in tests:
        names = [n for n in names if _holds(values[column].get(n, ""), sign, want)]
    if not asked:
        return names
    alone = len(asked) == 1
    return [f"{n}: {values[w].get(n, '')}" if alone else f"{n}: {w}: {values[w].get(n, '')}" for n in names for w in asked]


def _holds(have: str, sign: str, want: str) -> bool:
    if sign in ("==", "!="):
        return (have == want) == (sign == "==")
    return (re.search(want.strip("/"), have) is not None) == (sign == "=~")


def _column(request: Request, names: list[str], word: str) -> Attributes:
    """Map node -> value of table.column, with what the node's groups give it."""
    table, dot, column = word.partition(".")
    if not dot:
        table, column = "nodelist", word
    try:
        columns = request.database.columns(table)
    except NoSuchTableError:
        raise request.stop(f"No such table: {table}") from None
    if column not in columns or "node" not in columns:
        raise request.stop(f"{column} is not a valid attribute of {table}")
    return Objects(request.database).raw_column(table, column, names)


def nodech(request: Request) -> None:
    """Run nodech noderange table.column=value ...   or -d noderange."""
    words = [w for w in request.args if not w.startswith("-")]
    if len(words) < 2:
        request.out("Usage: nodech <noderange> table.column=value [...]")
        request.code |= 1
        return
    names, missing = _range(request, words[0])
    if missing:
        request.err(f"Error: Invalid nodes and/or groups in noderange: {','.join(missing)}")
        return
    for word in words[1:]:
        target, _, value = word.partition("=")
        table, _, column = target.partition(".")
        try:
            request.database.columns(table)
        except NoSuchTableError:
            raise request.stop(f"No such table: {table}") from None
        request.database.write(table, [Change(SET, {"node": n}, {column: value}) for n in names])
