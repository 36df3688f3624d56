"""Objects written into the tables: collected per table, written in one go each."""

from __future__ import annotations

from .attributes import NIC_ATTRIBUTES, Home, homes_by_attribute, homes_of
from .database import Database
from .engine import DROP, SET, Change, Row, schema
from .objects import Attributes, Objects

NODE_KEYED = "node"


class RefusedError(Exception):
    """An attribute cannot be set as asked."""


class Store:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[str, list[Change]] = {}

    def save(self) -> None:
        """Write everything collected; nodelist first, as a node begins to exist there."""
        for table in sorted(self._pending, key=lambda t: (t != "nodelist", t)):
            self._database.write(table, self._pending[table])
        self._pending.clear()

    def set(self, kind: str, name: str, values: Attributes, known: Attributes) -> None:
        """Set attributes of one object; `known` is what it has already."""
        if kind == "site":
            for key, value in values.items():
                self._add("site", Change(SET if value else DROP, {"key": key}, _value(value)))
            return
        rows: dict[tuple[str, str], Row] = {}
        nics: Attributes = {}
        for attribute, value in values.items():
            base, dot, nic = attribute.partition(".")
            if dot and base in NIC_ATTRIBUTES:
                whole = _with_nic(nics.get(base) or known.get(base, ""), nic, value)
                nics[base] = whole
                rows.setdefault(("nics", "node"), {})[base] = whole
                continue
            home = _home(kind, attribute, {**known, **values})
            rows.setdefault((home.table, home.key), {})[home.column] = value
        first = homes_of(kind)[0]
        if kind != "group" and (first.table, first.key) not in rows and not known:
            rows[(first.table, first.key)] = {}
        for (table, key), row in rows.items():
            self._add(table, Change(SET, {key: name}, row))

    def set_members(self, objects: Objects, group: str, members: list[str]) -> None:
        """Make exactly these nodes members of a group."""
        for node, groups in objects.noderange.nodes.items():
            if (node in members) != (group in groups):
                now = [*groups, group] if node in members else [g for g in groups if g != group]
                self._add("nodelist", Change(SET, {"node": node}, {"groups": ",".join(now)}))

    def remove(self, kind: str, name: str) -> None:
        tables = {(h.table, h.key) for h in homes_of(kind)}
        if kind in ("node", "group"):
            tables |= {(t, NODE_KEYED) for t in _node_tables() if kind == "node" or t != "nodelist"}
        for table, key in tables:
            self._add(table, Change(DROP, {key: name}))

    def rename(self, kind: str, old: str, new: str) -> None:
        tables = {(h.table, h.key) for h in homes_of(kind)}
        if kind == "node":
            tables |= {(t, NODE_KEYED) for t in _node_tables()}
        for table, key in tables:
            for row in self._database.all_rows(table):
                if row.get(key) == old:
                    self._add(table, Change(SET, {key: old}, {key: new}))
                    break

    def _add(self, table: str, change: Change) -> None:
        self._pending.setdefault(table, []).append(change)


def _value(text: str) -> Row:
    return {"value": text} if text else {}


def _node_tables() -> list[str]:
    return [t for t, text in schema().items() if "\n  node VARCHAR" in text and t != "performance"]


def _with_nic(whole: str, nic: str, value: str) -> str:
    """The table's form of nicips.eth0=value put into what is there for other NICs."""
    kept = [e for e in whole.split(",") if e and e.partition("!")[0] != nic]
    return ",".join([*kept, f"{nic}!{value}"] if value else kept)


def _home(kind: str, attribute: str, values: Attributes) -> Home:
    homes = homes_by_attribute(kind)[attribute]
    for home in homes:
        if home.only_if is None or values.get(home.only_if[0]) == home.only_if[1]:
            return home
    if kind == "group":
        return homes[0]
    condition = homes[0].only_if
    assert condition is not None
    raise RefusedError(f"Cannot set the '{attribute}' attribute unless a value is provided for '{condition[0]}'.")
