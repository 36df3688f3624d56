"""Records of an xCAT database, written and read behind a driver's back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Protocol

from xcat_ha.testing.site import Site

_TABLES = {
    "nodelist": "node TEXT NOT NULL, groups TEXT, status TEXT, statustime TEXT, appstatus TEXT, comments TEXT, disable TEXT, PRIMARY KEY (node)",
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
        directory = site.path(node_id, self.directory)
        directory.mkdir(parents=True, exist_ok=True)
        for table, columns in _TABLES.items():
            path = directory / f"{table}.sqlite"
            with closing(sqlite3.connect(path)) as database, database:
                database.execute(f"CREATE TABLE {table} ({columns})")
            path.chmod(0o600)
        with closing(sqlite3.connect(directory / "site.sqlite")) as database, database:
            master = str(site.pair.identity.primary_address)
            database.execute("INSERT INTO site (key, value) VALUES ('master', ?)", (master,))

    def write(self, site: Site, node_id: str, name: str) -> None:
        """See :meth:`RecordStore.write`."""
        with closing(sqlite3.connect(site.path(node_id, f"{self.directory}/nodelist.sqlite"))) as database, database:
            database.execute("INSERT INTO nodelist (node, groups) VALUES (?, 'all')", (name,))

    def names(self, site: Site, node_id: str) -> frozenset[str]:
        """See :meth:`RecordStore.names`."""
        path = site.path(node_id, f"{self.directory}/nodelist.sqlite")
        if not path.exists():
            return frozenset()
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            try:
                return frozenset(name for (name,) in database.execute("SELECT node FROM nodelist"))
            except sqlite3.OperationalError:
                return frozenset()  # an empty file: xCAT takes it for an empty table
