"""Objects read from the tables: nodes with what their groups give them, groups, images, ..."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from . import inheritance
from .attributes import Home, homes_of
from .database import Database
from .engine import Row
from .noderange import NodeRange

Attributes = dict[str, str]
DEFAULTS_ROW = "xcatdefaults"
SITE_OBJECT = "clustersite"


class Objects:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.noderange = NodeRange(database)

    def names(self, kind: str) -> list[str]:
        """Names of all objects of a type, sorted."""
        if kind == "node":
            return sorted(self.noderange.nodes)
        if kind == "group":
            return sorted(self.noderange.groups if self.noderange.nodes else [])
        if kind == "site":
            return [SITE_OBJECT] if self.site() else []
        first = homes_of(kind)[0]
        return sorted(r[first.key] or "" for r in self.database.rows(first.table))

    def load(self, kind: str, names: Iterable[str], wanted: Collection[str] | None = None) -> dict[str, Attributes]:
        """Map name -> attributes that have a value; wanted: only these (None: all)."""
        if kind == "node":
            return self.nodes(names, wanted)
        if kind == "site":
            return {SITE_OBJECT: self.site()}
        homes = [h for h in homes_of(kind) if wanted is None or h.attribute in wanted]
        if wanted is not None:
            conditions = {h.only_if[0] for h in homes if h.only_if}
            homes = [h for h in homes_of(kind) if h in homes or h.attribute in conditions]
        rows = {h.table: self._rows_by(h.table, h.key) for h in homes}
        found = {name: _plain(homes, rows, name) for name in names}
        if kind == "group":
            for name, values in found.items():
                values["members"] = ",".join(sorted(self.noderange.groups.get(name, [])))
        return found

    def site(self) -> Attributes:
        return {r["key"]: r["value"] for r in self.database.rows("site") if r["key"] and r["value"] not in (None, "")}

    def nodes(self, names: Iterable[str], wanted: Collection[str] | None = None) -> dict[str, Attributes]:
        found: dict[str, Attributes] = {name: {} for name in names}
        conditional = [home for home in homes_of("node") if home.only_if]
        needed = set(wanted) if wanted is not None else None
        if needed is not None:
            needed |= {h.only_if[0] for h in conditional if h.only_if and h.attribute in needed}
        for home in homes_of("node"):
            if needed is None or home.attribute in needed:
                self._fill(home, found)
        if wanted is not None:
            for values in found.values():
                for extra in [a for a in values if a not in wanted]:
                    del values[extra]
        return found

    def raw_column(self, table: str, column: str, names: Iterable[str]) -> Attributes:
        """Map node -> value of one column, its group's where it has none."""
        found: dict[str, Attributes] = {name: {} for name in names}
        self._fill(Home(column, table, column, "node"), found)
        return {name: values[column] for name, values in found.items() if values}

    def _fill(self, home: Home, found: dict[str, Attributes]) -> None:
        rows = self._rows_by(home.table, home.key)
        if not rows:
            return
        column = home.column
        by_group = self._group_values(home, rows)
        groups_of = self.noderange.nodes
        for name, values in found.items():
            row = rows.get(name)
            value = row.get(column) if row else None
            if not value and by_group and home.table != "nodelist":
                for group in groups_of.get(name, ()):
                    value = by_group.get(group)
                    if value:
                        break
            if not value:
                continue
            if home.only_if and values.get(home.only_if[0]) != home.only_if[1]:
                continue
            if value[0] == "|":
                value = inheritance.expand(value, name)
                if not value:
                    continue
            values[home.attribute] = value

    def _group_values(self, home: Home, rows: dict[str, Row]) -> dict[str, str]:
        """Map group -> value, for rows that belong to a group and not to a node."""
        nodes = self.noderange.nodes
        if len(rows) == len(nodes) and rows.keys() == nodes.keys():
            return {}
        return {key: row[home.column] or "" for key, row in rows.items() if key not in nodes and row.get(home.column)}

    def _rows_by(self, table: str, key: str) -> dict[str, Row]:
        cache: dict[str, tuple[list[Row], dict[str, Row]]] = self.__dict__.setdefault("_by", {})
        rows = self.database.rows(table) if table not in cache else cache[table][0]
        if table not in cache:
            cache[table] = (rows, {row[key] or "": row for row in rows})
        return cache[table][1]

    def postscript_defaults(self) -> Attributes:
        """The row xcatdefaults, which every node gets in front of its own scripts."""
        row = self._rows_by("postscripts", "node").get(DEFAULTS_ROW, {})
        return {k: row[k] or "" for k in ("postscripts", "postbootscripts") if row.get(k)}


def _plain(homes: list[Home], rows: dict[str, dict[str, Row]], name: str) -> Attributes:
    values: Attributes = {}
    for home in homes:
        value = rows[home.table].get(name, {}).get(home.column)
        if not value:
            continue
        if home.only_if and values.get(home.only_if[0]) != home.only_if[1]:
            continue
        values[home.attribute] = value
    return values
