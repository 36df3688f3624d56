"""XCAT's tables on the node the program runs on, as ``tabdump`` prints them. Standard library only.

Rows count, not the exit status: a daemon without its database prints a header and exits with 0 (facts: xCAT 2.4).
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from xcat_ha.xcat.commands import TABDUMP

Row: TypeAlias = dict[str, str]

ROOT = Path(os.environ.get("XCAT_HA_ROOT", "/"))
TABDUMP_LIMIT_S = 100.0
_AT_ONCE = 4
_OFF = frozenset({"1", "yes", "y", "true"})


class TableError(Exception):
    """A table cannot be read; the text says why."""


def rows_of(text: str) -> list[Row]:
    """The rows in the output of ``tabdump`` that are not disabled; empty cells are ``""``.

    Raises:
        TableError: there is no header, or a row is cut off. Lines before the header (a plugin that did not load) are passed over.
    """
    lines = text.split("\n")
    begin = next((number for number, line in enumerate(lines) if line.startswith("#")), None)
    if begin is None:
        raise TableError("tabdump printed no header")
    try:
        header, *cells = csv.reader(io.StringIO("\n".join(lines[begin:])[1:]), strict=True)
        rows = [dict(zip((name.strip() for name in header), row, strict=True)) for row in cells if row]
    except (csv.Error, ValueError) as error:
        raise TableError(f"tabdump printed what is no table: {error}") from error
    return [row for row in rows if row.get("disable", "").strip().lower() not in _OFF]


def read_table(table: str) -> list[Row]:
    """The enabled rows of a table, asked of the running xcatd.

    Raises:
        TableError: it does not answer.
    """
    argv = (str(ROOT / TABDUMP.lstrip("/")), table)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=TABDUMP_LIMIT_S, check=False)
    except OSError as error:
        raise TableError(f"{TABDUMP}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise TableError(f"tabdump {table} did not end within {TABDUMP_LIMIT_S:g} s") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise TableError(f"tabdump {table}: exit {done.returncode}{': ' + said[-1][:200] if said else ''}")
    return rows_of(done.stdout)


def read_tables(tables: Iterable[str]) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """Several tables at once: rows of those that answered, and why the others did not."""
    found: dict[str, list[Row]] = {}
    troubles: dict[str, str] = {}

    def read(table: str) -> None:
        try:
            found[table] = read_table(table)
        except TableError as error:
            troubles[table] = str(error)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as workers:
        list(workers.map(read, tables))
    return found, troubles


def site_of(rows: Iterable[Row]) -> dict[str, str]:
    """The site table as key -> value.

    Raises:
        TableError: it has no ``master``: the database behind the daemon is not there.
    """
    site = {row.get("key", ""): row.get("value", "") for row in rows}
    if not site.get("master"):
        raise TableError("the site table has no master")
    return site
