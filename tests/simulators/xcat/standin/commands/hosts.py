"""makehosts: node lines in /etc/hosts."""

from __future__ import annotations

import re
import shutil

from .. import options, paths
from ..objects import Objects
from ..request import Request

HOSTS = "/etc/hosts"
BACKUP = "/etc/hosts.xcatbak"


def makehosts(request: Request) -> None:
    chosen, operands = options.parse(request.args, "nldomahvV", ["help", "version"])
    objects = Objects(request.database)
    names, missing = objects.noderange.expand(",".join(operands) or "all")
    if missing:
        request.err(f"Error: Invalid nodes and/or groups in noderange: {','.join(missing)}")
        return
    if not request.database.site("domain"):
        raise request.stop("domain not defined in site table")
    place = paths.at(HOSTS)
    lines = place.read_text().splitlines() if place.exists() else []
    if place.exists():
        shutil.copyfile(place, paths.at(BACKUP))
    if "n" in chosen:  # everything else goes, this node's own line too
        lines = ["127.0.0.1 localhost"]
    delete = "d" in chosen
    kept = _without(lines, set(names)) if delete else _merged(lines, _node_lines(request, objects, names))
    place.write_text("".join(line + "\n" for line in kept))
    request.pace.wait_until("makehosts")


def _node_lines(request: Request, objects: Objects, names: list[str]) -> list[tuple[str, str, str]]:
    """(address, name, line) for each interface of each node."""
    domain = request.database.site("domain")
    wanted = ("ip", "hostnames", "nicips", "nichostnamesuffixes", "nichostnameprefixes")
    found = objects.load("node", names, wanted)
    lines = []
    for name in names:
        values = found[name]
        if values.get("ip"):
            others = " ".join(values.get("hostnames", "").replace(",", " ").split())
            lines.append((values["ip"], name, f"{values['ip']} {name} {name}.{domain} {others}"))
        suffixes = _by_nic(values.get("nichostnamesuffixes", ""))
        prefixes = _by_nic(values.get("nichostnameprefixes", ""))
        for nic, address in _by_nic(values.get("nicips", "")).items():
            own = f"{prefixes.get(nic, '')}{name}{suffixes.get(nic, f'-{nic}')}"
            lines.append((address, own, f"{address} {own} {own}.{domain} "))
    return lines


def _by_nic(text: str) -> dict[str, str]:
    entries = (e.partition("!") for e in text.split(",") if e)
    return {nic: value.partition("|")[0] for nic, _, value in entries}


def _merged(lines: list[str], fresh: list[tuple[str, str, str]]) -> list[str]:
    """Replace a node's line where its address or name is found, else append."""
    place: dict[str, int] = {}
    for number, line in enumerate(lines):
        fields = line.partition("#")[0].split()
        for word in fields[:2]:
            place.setdefault(word, number)
    for address, name, line in fresh:
        number = place.get(address, place.get(name, -1))
        if number < 0:
            number = len(lines)
            lines.append("")
        lines[number] = line
        place[address] = place[name] = number
    return lines


def _without(lines: list[str], names: set[str]) -> list[str]:
    def is_theirs(line: str) -> bool:
        match = re.match(r"\s*[0-9.]+\s+(\S+)", line)
        return match is not None and match[1] in names

    return [line for line in lines if not is_theirs(line)]
