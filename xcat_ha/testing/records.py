"""Records of an xCAT database, written and read behind a driver's back."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Protocol

from xcat_ha.testing.site import Site

_TABLES = {
    "nodelist": "node TEXT NOT NULL, groups TEXT, status TEXT, statustime TEXT, comments TEXT, disable TEXT, PRIMARY KEY (node)",
    "site": "key TEXT NOT NULL, value TEXT, comments TEXT, disable TEXT, PRIMARY KEY (key)",
    "networks": "netname TEXT NOT NULL, net TEXT, mask TEXT, mgtifname TEXT, comments TEXT, disable TEXT, PRIMARY KEY (netname)",
}


class RecordStore(Protocol):
    """How a test works on the database that xcatd of a node would work on. One per database engine."""

    def install(self, site: Site, node_id: str) -> None:
        """An xCAT database without any node definition; xcatd is stopped."""

    def write(self, site: Site, node_id: str, name: str) -> None:
        """Define an xCAT node, as a running xcatd of that management node would."""

    def names(self, site: Site, node_id: str) -> frozenset[str]:
        """The xCAT nodes defined there; empty if there is no database."""


class SqliteTables:
    """xCAT's default: one SQLite file for each table in ``/etc/xcat`` (mode 0600)."""

    directory = "/etc/xcat"

    def install(self, site: Site, node_id: str) -> None:
        """See :meth:`RecordStore.install`."""
        for table, columns in _TABLES.items():
            self._change(site, node_id, table, f"CREATE TABLE {table} ({columns})")
        master = str(site.pair.identity.primary_address)
        self._change(site, node_id, "site", "INSERT INTO site (key, value) VALUES ('master', ?)", master)

    def write(self, site: Site, node_id: str, name: str) -> None:
        """See :meth:`RecordStore.write`."""
        self._change(site, node_id, "nodelist", "INSERT INTO nodelist (node, groups) VALUES (?, 'all')", name)

    def names(self, site: Site, node_id: str) -> frozenset[str]:
        """See :meth:`RecordStore.names`."""
        path = self._path(site, node_id, "nodelist")
        if not path.exists() or not path.stat().st_size:
            return frozenset()  # xCAT takes an empty file for an empty table
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory) / path.name
            copy.write_bytes(path.read_bytes())
            with closing(sqlite3.connect(copy)) as database:
                return frozenset(name for (name,) in database.execute("SELECT node FROM nodelist"))

    def _path(self, site: Site, node_id: str, table: str) -> Path:
        return site.path(node_id, f"{self.directory}/{table}.sqlite")

    def _change(self, site: Site, node_id: str, table: str, statement: str, *values: str) -> None:
        """Work on a copy and write it back in place: SQLite resolves paths, and a path like ``/proc/PID/root`` then leads elsewhere."""
        path = self._path(site, node_id, table)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory) / path.name
            copy.write_bytes(path.read_bytes() if path.exists() else b"")
            with closing(sqlite3.connect(copy)) as database, database:
                database.execute(statement, values)
            path.write_bytes(copy.read_bytes())
            path.chmod(0o600)
