"""Node ranges: names, groups, cn[0001-0003], cn0001-cn0003, a@b, -except, /regex, ^file."""

from __future__ import annotations

import functools
import re

from . import paths
from .database import Database


class NodeRange:
    """Expands ranges against nodelist and nodegroup as they are at the first use."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @functools.cached_property
    def nodes(self) -> dict[str, list[str]]:
        """Every node with its groups, in order."""
        return {row["node"]: [g for g in (row["groups"] or "").split(",") if g] for row in self._database.rows("nodelist") if row["node"]}

    @functools.cached_property
    def groups(self) -> dict[str, list[str]]:
        members: dict[str, list[str]] = {"all": list(self.nodes)}
        for node, groups in self.nodes.items():
            for group in groups:
                if group != "all":
                    members.setdefault(group, []).append(node)
        for row in self._database.rows("nodegroup"):
            if row["groupname"] and row["members"] and row["members"] != "static":
                members[row["groupname"]] = (row["members"] or "").split(",")
        return members

    def expand(self, text: str) -> tuple[list[str], list[str]]:
        """(nodes sorted, names that are neither node nor group)."""
        chosen: set[str] = set()
        dropped: set[str] = set()
        missing: list[str] = []
        for atom in _atoms(text):
            into = dropped if atom.startswith("-") else chosen
            found, lacking = self._atom(atom.removeprefix("-"))
            into |= found
            missing += lacking
        return sorted(chosen - dropped), missing

    def _atom(self, atom: str) -> tuple[set[str], list[str]]:
        if atom in self.nodes:
            return {atom}, []
        if atom.startswith("^"):
            lines = paths.at(atom[1:]).read_text().split()
            listed, missing = self.expand(",".join(lines))
            return set(listed), missing
        if atom.startswith("/"):
            return {n for n in self.nodes if re.search(atom[1:], n)}, []
        if "@" in atom.lstrip("@"):
            parts = [self._atom(part) for part in atom.split("@")]
            return set.intersection(*(p[0] for p in parts)), [m for p in parts for m in p[1]]
        name = atom.lstrip("@")
        if name in self.groups:
            return set(self.groups[name]), []
        names = _series(atom)
        found = {n for n in names if n in self.nodes}
        return found, [n for n in names if n not in self.nodes]


def _atoms(text: str) -> list[str]:
    """Split at commas outside brackets."""
    return [a for a in re.split(r",(?![^\[]*\])", text) if a]


def _series(atom: str) -> list[str]:
    """cn[1-3,7]x or cn1-cn3 or cn1:cn3 -> names; anything else is one name."""
    bracket = re.fullmatch(r"(.*)\[([0-9,:-]+)\](.*)", atom)
    if bracket:
        names = []
        for part in bracket[2].split(","):
            first, _, last = part.replace(":", "-").partition("-")
            names += [f"{bracket[1]}{n}{bracket[3]}" for n in _count(first, last or first)]
        return names
    two = re.fullmatch(r"(\D*)(\d+)(\D*)[-:]\1(\d+)\3", atom)
    if two:
        return [f"{two[1]}{n}{two[3]}" for n in _count(two[2], two[4])]
    return [atom]


def _count(first: str, last: str) -> list[str]:
    return [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
