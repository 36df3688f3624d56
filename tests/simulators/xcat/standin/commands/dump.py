"""dumpxCATdb and restorexCATdb: scripts around tabdump and tabrestore."""

from __future__ import annotations

import os
import pathlib

from .. import VERSION, client, options
from ..request import OUT, Request

GROWING = ("auditlog", "eventlog")


class Capture:
    """Collects what a command prints."""

    def __init__(self, request: Request) -> None:
        self.text = ""
        self._request = request

    def __call__(self, kind: str, text: str) -> None:
        if kind == OUT:
            self.text += text
        else:
            self._request.sink(kind, text)


def _skipped(request: Request) -> set[str]:
    override = os.environ.get("XCAT_SKIPTABLES")
    if override is not None:
        return set(override.split(","))
    capture = Capture(request)
    client.submit("gettab", ["key=skiptables", "site.value"], capture)
    return {t for t in capture.text.strip().split(",") if t}


def dumpxCATdb(request: Request) -> None:  # noqa: N802 - the command's name
    chosen, _ = options.parse(request.args, "ap:bhvV", ["help", "version"])
    if "v" in chosen or "version" in chosen:
        request.out(VERSION)
        return
    if "h" in chosen or "help" in chosen:
        request.out("Usage: dumpxCATdb [-a] [-V] {-p|--path} <path> [-b]")
        return
    if "p" not in chosen:
        request.err(" Requires -p with path to directory to hold db files.")
        return
    if "b" in chosen:
        request.err(f" {request.cfgloc.engine} does not support the -b option.")
        return
    target = pathlib.Path(chosen["p"][-1])
    if not target.is_dir():
        request.out(f" Creating {target} for database dump")
        target.mkdir(parents=True)
    names = Capture(request)
    if client.submit("tabdump", [], names) != 0:
        request.err("Error running tabdump to get list of tables")
        return
    skipped = _skipped(request) | (set() if "a" in chosen else set(GROWING))
    for table in names.text.split():
        if table in skipped:
            continue
        capture = Capture(request)
        client.submit("tabdump", [table], capture)
        (target / f"{table}.csv").write_text(capture.text)
    request.pace.wait_until("dumpxCATdb")
    request.out("Backup Complete.")


def restorexCATdb(request: Request) -> None:  # noqa: N802
    chosen, _ = options.parse(request.args, "ap:bt:u:hvV", ["help", "version"])
    if "v" in chosen or "version" in chosen:
        request.out(VERSION)
        return
    if "p" not in chosen:
        request.err(" Requires -p with path to the database dump.")
        return
    source = pathlib.Path(chosen["p"][-1])
    if not source.exists():
        request.err(" Input path must exist ")
        return
    skipped = _skipped(request) | (set() if "a" in chosen else set(GROWING))
    # Every entry of the directory, whatever it is, and whatever becomes of it.
    for entry in sorted(source.iterdir()):
        if entry.name.partition(".")[0] in skipped:
            continue
        client.submit("tabrestore", [str(entry)], request.sink)
    request.pace.wait_until("restorexCATdb")
    request.out("Restore of Database Complete.")
