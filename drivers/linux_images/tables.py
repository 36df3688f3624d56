"""xCAT's tables as its own commands print them on this node. Standard library only.

``tabdump`` and ``lsdef`` are asked, not ``nodels``, which loses rows while another request runs (facts: xCAT, "seen in real failovers").
Where xcatd does not run, as on a standby, the commands read the tables themselves (``XCATBYPASS``, facts: xCAT 2.4). Such an answer with
status 0 may be an empty shell of a dead database, so nothing counts unless the site table gives its master.
"""

from __future__ import annotations

import csv
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SBIN = "/opt/xcat/sbin"
BIN = "/opt/xcat/bin"
ASK_LIMIT_S = 240.0
"""``lsdef`` of some attributes of 5,000 nodes takes many seconds (facts: xCAT 7); this is a bound, not an expectation."""

_NODE_ATTRIBUTES = ("provmethod", "currstate", "status", "mac", "servicenode", "netboot")
_ENABLED = frozenset({"", "0", "no"})
"""Values of the column ``disable`` of rows that count (``Table.pm`` getAllAttribs); any other one disables the row."""
_TABLES = ("site", "osimage", "linuximage", "nimimage")

Row = Mapping[str, str]


class TablesError(Exception):
    """xCAT's database does not answer in a way that can be believed."""


class Tables(NamedTuple):
    """What is needed of the database. Rows of ``osimage``, ``linuximage`` and ``nimimage`` by image, attributes by node."""

    site: Mapping[str, str]
    osimage: Mapping[str, Row]
    linuximage: Mapping[str, Row]
    nimimage: Mapping[str, Row]
    nodes: Mapping[str, Row]

    @property
    def installdir(self) -> str:
        """``site.installdir``."""
        return (self.site.get("installdir") or "/install").rstrip("/")

    @property
    def tftpdir(self) -> str:
        """``site.tftpdir``."""
        return (self.site.get("tftpdir") or "/tftpboot").rstrip("/")


def rooted(path: str) -> Path:
    """Where this node's absolute ``path`` is."""
    return Path(os.environ.get("XCAT_HA_ROOT", "/")) / path.lstrip("/")


def read_site() -> Mapping[str, str]:
    """The site table alone.

    Raises:
        TablesError: it does not answer, or has no master.
    """
    return _site(_answers([("tabdump", "site")])[0])


def read_tables() -> Tables:
    """All of it.

    Raises:
        TablesError: a part of it does not answer.
    """
    asked: list[Sequence[str]] = [("tabdump", table) for table in _TABLES]
    asked.append(("lsdef", "-t", "node", "-i", ",".join(_NODE_ATTRIBUTES), "-c"))
    site, osimage, linuximage, nimimage, nodes = _answers(asked)
    return Tables(_site(site), _by_image(osimage), _by_image(linuximage), _by_image(nimimage), _nodes(nodes))


def _site(text: str) -> Mapping[str, str]:
    site = {row.get("key", ""): row.get("value", "") for row in _rows(text)}
    if not site.get("master"):
        raise TablesError("the site table has no master: the database behind xCAT does not answer")
    return site


def _answers(asked: Sequence[Sequence[str]]) -> list[str]:
    """What xCAT says to each command: asked of xcatd; if it does not serve the first, all of them are asked past it."""
    try:
        return [*_run(asked[:1], bypass=False), *_run(asked[1:], bypass=False)]
    except TablesError:
        return _run(asked, bypass=True)


def _run(asked: Sequence[Sequence[str]], *, bypass: bool) -> list[str]:
    """Run them side by side.

    Raises:
        TablesError: one cannot be run, fails or does not end.
    """
    environment = {**os.environ, "XCATBYPASS": "1"} if bypass else dict(os.environ)
    running: list[subprocess.Popen[str]] = []
    texts = []
    deadline = time.monotonic() + ASK_LIMIT_S
    try:
        running.extend(_started(words, environment) for words in asked)
        for words, process in zip(asked, running, strict=True):
            out, err = process.communicate(timeout=max(deadline - time.monotonic(), 0.0))
            if process.returncode:
                said = (err.strip() or out.strip()).splitlines()
                raise TablesError(f"{' '.join(words[:3])}: exit {process.returncode}" + (f": {said[-1][:200]}" if said else ""))
            texts.append(out)
    except subprocess.TimeoutExpired as error:
        raise TablesError(f"xCAT does not answer within {ASK_LIMIT_S:g} s") from error
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    return texts


def _started(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    program = rooted(f"{BIN if words[0] == 'lsdef' else SBIN}/{words[0]}")
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            (str(program), *words[1:]), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, errors="replace", env=environment
        )
    except OSError as error:
        raise TablesError(f"{program} cannot be run: {error.strerror}") from error


def _rows(text: str) -> list[Row]:
    """Rows of a ``tabdump`` that xCAT itself would not ignore. Noise of failing plug-ins may come before the heading."""
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.startswith("#")), None)
    if start is None:
        raise TablesError("tabdump printed no table")
    rows = list(csv.reader(lines[start:]))
    heading = [word.lstrip("#") for word in rows[0]]
    found = [dict(zip(heading, row, strict=False)) for row in rows[1:]]
    return [row for row in found if row.get("disable", "").lower() in _ENABLED]


def _by_image(text: str) -> Mapping[str, Row]:
    return {row["imagename"]: row for row in _rows(text) if row.get("imagename")}


def _nodes(text: str) -> Mapping[str, Row]:
    """``cn1: attribute=value`` lines."""
    nodes: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        name, separator, assignment = line.partition(": ")
        attribute, equals, value = assignment.partition("=")
        if separator and equals and attribute in _NODE_ATTRIBUTES:
            nodes.setdefault(name, {})[attribute] = value.strip()
    return nodes
