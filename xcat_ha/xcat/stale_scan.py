"""Finds what names a node where the service identity should stand, on the node it runs on: ``python3 -m xcat_ha.xcat.stale_scan VERB …``.

``look`` prints one JSON document for :mod:`xcat_ha.xcat.stale`. ``cell``, ``policy`` and ``renewed`` print a verdict as their last line.
``renew`` alone changes something: it runs ``nodeset`` or ``mknb`` for what names a word, where that is safe. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from xcat_ha.xcat.commands import MKNB, NODESET
from xcat_ha.xcat.generated import Found, Look, look, node_of
from xcat_ha.xcat.pointing import GENERATED_CELL, HOSTS, KEY_IS_HOST, KEYS, TEXTS
from xcat_ha.xcat.renewing import TABLES as NODE_TABLES
from xcat_ha.xcat.renewing import Nodes
from xcat_ha.xcat.tables import ROOT, Row, TableError, read_table, read_tables, site_of
from xcat_ha.xcat.words import around, found_word, word_pattern

MOST_ROWS = 5_000
NODESET_LIMIT_S = 1800.0
_BATCH = 200
_POLICY = ("priority", "name", "host", "commands", "noderange", "parameters", "time", "rule")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    parser = argparse.ArgumentParser(prog="xcat_ha.xcat.stale_scan", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    for name, verb in _VERBS.items():
        one = verbs.add_parser(name)
        one.set_defaults(run=verb)
        one.add_argument("--word", action="append", default=[], help="an address, or a host name, that should stand nowhere")
        one.add_argument("--name", action="append", default=[], help="a host name; with the domain of the site table it is a word too")
        if name in {"look", "cfgloc"}:
            one.add_argument("--xcat-dir", default="/etc/xcat")
        if name == "cell":
            one.add_argument("--table", required=True)
            one.add_argument("--key", action="append", default=[], metavar="COLUMN=VALUE")
            one.add_argument("--column", required=True)
            one.add_argument("--is", dest="expected", help="the value it has to have; else: it must hold no word")
        if name == "policy":
            one.add_argument("--row", action="append", default=[], metavar="COLUMN=VALUE")
        if name in {"renew", "renewed"}:
            # makedhcp makes the configuration of the DHCP server anew, not this program.
            one.add_argument("--kind", choices=("nodeset", "mknb", *(("dhcp",) if name == "renewed" else ())), required=True)
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except TableError as error:
        print(f"UNKNOWN: {error}")  # noqa: T201
        return 1 if given.run is _renew else 0


def _pattern(given: argparse.Namespace, domain: str) -> re.Pattern[str]:
    full = [f"{name}.{domain}" for name in given.name if domain and "." not in name]
    return word_pattern([*given.word, *given.name, *full])


# --- look


def _look(given: argparse.Namespace) -> int:
    tables, troubles = read_tables([*KEYS, "policy", "nodelist"])
    try:
        site = site_of(tables.get("site", []))
    except TableError as error:
        troubles.setdefault("site", str(error))
        site = {}
    pattern = _pattern(given, site.get("domain", ""))
    rows = [row for table in KEYS for row in _rows(table, tables.get(table, []), pattern)]
    if len(rows) > MOST_ROWS:
        troubles["rows"] = f"{len(rows)} values name a node; the first {MOST_ROWS} are shown"
    files = _files(site, pattern) if site else None
    found, cells = files.found if files else (), _cells(tables, pattern)
    if cells or any(one.kind == "nodeset" for one in found):
        more, unread = read_tables(name for name in NODE_TABLES if name not in tables)
        tables, troubles = {**tables, **more}, {**troubles, **unread}
    generated = _described(found, cells, tables)
    if len(generated) > MOST_ROWS:
        troubles["generated"] = f"{len(generated)} generated files name a node; the first {MOST_ROWS} are shown"
    print(  # noqa: T201
        json.dumps(
            {
                "domain": site.get("domain", ""),
                "rows": rows[:MOST_ROWS],
                "policy": [{column: row.get(column, "") for column in _POLICY} for row in tables.get("policy", [])],
                "management_nodes": [row["node"] for row in tables.get("nodelist", []) if "__mgmtnode" in row.get("groups", "").split(",")],
                "generated": generated[:MOST_ROWS],
                "table_troubles": troubles,
                "file_troubles": dict(files.troubles) if files else {"generated files": "the site table does not say where they are"},
                "certificate": _certificate(f"{given.xcat_dir}/cert/server-cert.pem"),
                "cfgloc": _cfgloc_host(f"{given.xcat_dir}/cfgloc"),
            }
        )
    )
    return 0


def _files(site: Mapping[str, str], pattern: re.Pattern[str]) -> Look:
    """A DHCP server of somebody else's is not asked about."""
    dhcp = not site.get("externaldhcpservers")
    return look(pattern, site.get("tftpdir") or "/tftpboot", site.get("installdir") or "/install", dhcp=dhcp)


def _rows(table: str, rows: Iterable[Row], pattern: re.Pattern[str]) -> Iterable[dict[str, object]]:
    hosts, texts = HOSTS.get(table, frozenset()), TEXTS.get(table, frozenset())
    columns = {"value"} if table == "site" else {"node"} if table in KEY_IS_HOST else hosts | texts
    for row in rows:
        key = {name: row.get(name, "") for name in KEYS[table]}
        for column in sorted(columns):
            value = row.get(column, "")
            found = pattern.search(value)
            if found:
                shown = around(value, *found.span()) if column in texts else value
                yield {"table": table, "key": key, "column": column, "value": shown, "word": found_word(found.group())}


def _cells(tables: Mapping[str, list[Row]], pattern: re.Pattern[str]) -> list[tuple[str, re.Match[str]]]:
    """Cells that ``nodeset`` has written: node, and where its value names a word."""
    table, column = GENERATED_CELL
    return [(row["node"], hit) for row in tables.get(table, []) if (hit := pattern.search(row.get(column, "")))]


def _described(
    found: Iterable[Found], cells: Iterable[tuple[str, re.Match[str]]], tables: Mapping[str, list[Row]]
) -> list[dict[str, object]]:
    """Generated files and cells with the node each is for, and why they must not be made anew."""
    table, column = GENERATED_CELL
    names, nodes = frozenset(row.get("node", "") for row in tables.get("nodelist", [])), Nodes(tables)
    described: list[dict[str, object]] = []
    for one in found:
        node = node_of(one.names, names) if one.kind == "nodeset" else ""
        trouble = (nodes.why_not_renewed(node) if node else "no node has this name") if one.kind == "nodeset" else ""
        described.append({**one._asdict(), "node": node, "trouble": trouble})
    for node, hit in cells:
        facts = {"path": f"table {table}", "kind": "nodeset", "column": column, "word": found_word(hit.group()), "node": node}
        described.append({**facts, "text": around(hit.string, *hit.span()), "trouble": nodes.why_not_renewed(node)})
    return described


def _certificate(path: str) -> dict[str, object]:
    """Common name and alternative names in the text that ``openssl ca`` writes into the file; else openssl is asked."""
    try:
        text = (ROOT / path.lstrip("/")).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        return {"path": path, "trouble": str(error.strerror)}
    found = re.search(r"Subject:.*?CN ?= ?([^,/\n]+)", text)
    if not found:
        argv = ("openssl", "x509", "-noout", "-text", "-in", str(ROOT / path.lstrip("/")))
        try:
            text = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            return {"path": path, "trouble": f"openssl: {error}"}
        found = re.search(r"Subject:.*?CN ?= ?([^,/\n]+)", text)
    if not found:
        return {"path": path, "trouble": "no common name is found in it"}
    return {"path": path, "cn": found.group(1).strip(), "alternatives": re.findall(r"DNS:([^,\s]+)", text)}


def _cfgloc(given: argparse.Namespace) -> int:
    print(json.dumps(_cfgloc_host(f"{given.xcat_dir}/cfgloc")))  # noqa: T201
    return 0


def _cfgloc_host(path: str) -> dict[str, object]:
    """The database host. What follows the first ``|`` holds the password and is never looked at."""
    try:
        with (ROOT / path.lstrip("/")).open(encoding="utf-8", errors="replace") as file:
            connect = file.readline().partition("|")[0]
    except FileNotFoundError:
        return {"path": path, "host": ""}
    except OSError as error:
        return {"path": path, "trouble": str(error.strerror)}
    found = re.search(r"(?:^|[:;])host=([^;|\s]*)", connect)
    return {"path": path, "host": found.group(1) if found else ""}


# --- verdicts


def _say(reason: str) -> int:
    print(f"FAILS: {reason}" if reason else "HOLDS")  # noqa: T201
    return 0


def _cell(given: argparse.Namespace) -> int:
    key = dict(part.partition("=")[::2] for part in given.key)
    rows = [row for row in read_table(given.table) if all(row.get(name, "") == value for name, value in key.items())]
    value = rows[0].get(given.column, "") if rows else ""
    if given.expected is not None:
        return _say("" if value == given.expected else f"it is {value!r} now")
    domain = site_of(read_table("site")).get("domain", "")
    return _say(f"it is {value!r}" if _pattern(given, domain).search(value) else "")


def _policy(given: argparse.Namespace) -> int:
    wanted = dict(part.partition("=")[::2] for part in given.row)
    rows = read_table("policy")
    there = any(all(row.get(name, "") == value for name, value in wanted.items()) for row in rows)
    return _say("" if there else "there is no such row")


# --- making files anew


def _stale(given: argparse.Namespace) -> tuple[list[dict[str, object]], dict[str, str], dict[str, list[Row]]]:
    tables, troubles = read_tables(("site", GENERATED_CELL[0], *NODE_TABLES))
    if troubles:
        raise TableError("; ".join(troubles.values()))
    site = site_of(tables["site"])
    pattern = _pattern(given, site.get("domain", ""))
    found = _files(site, pattern)
    described = [one for one in _described(found.found, _cells(tables, pattern), tables) if one["kind"] == given.kind]
    return described, dict(found.troubles), tables


def _renewed(given: argparse.Namespace) -> int:
    described, troubles, _ = _stale(given)
    left = [str(one["path"]) for one in described if not one["trouble"]]
    if troubles and not left:
        print(f"UNKNOWN: {next(iter(troubles))}: {next(iter(troubles.values()))}")  # noqa: T201
        return 0
    return _say(f"{len(left)} places still name a node: {', '.join(left[:5])}" if left else "")


def _renew(given: argparse.Namespace) -> int:
    """Only for those nodes that the database allows it for at this moment."""
    described, _, tables = _stale(given)
    if given.kind == "mknb":
        return _run(MKNB, _architecture(described))
    by_image: dict[str, list[str]] = {}
    nodes_known = Nodes(tables)
    for node in sorted({str(one["node"]) for one in described if not one["trouble"]}):
        by_image.setdefault(nodes_known.image_of(node), []).append(node)
    status = 0
    for image, nodes in by_image.items():
        for begin in range(0, len(nodes), _BATCH):
            status = _run(NODESET, ",".join(nodes[begin : begin + _BATCH]), f"osimage={image}") or status
    return status


def _architecture(described: Iterable[dict[str, object]]) -> str:
    """What the files themselves load: ``genesis.kernel.x86_64``."""
    for one in described:
        text = Path(ROOT / str(one["path"]).lstrip("/")).read_text(encoding="utf-8", errors="replace")
        found = re.search(r"genesis\.(?:kernel|fs)\.(\w+)", text)
        if found:
            return found.group(1)
    return "x86_64"


def _run(*argv: str) -> int:
    words = (str(ROOT / argv[0].lstrip("/")), *argv[1:])
    return subprocess.run(words, timeout=NODESET_LIMIT_S, check=False).returncode


_VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "look": _look,
    "cfgloc": _cfgloc,
    "cell": _cell,
    "policy": _policy,
    "renewed": _renewed,
    "renew": _renew,
}

if __name__ == "__main__":
    sys.exit(main())
