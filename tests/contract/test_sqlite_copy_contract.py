from __future__ import annotations

import sqlite3
from contextlib import closing

from xcat_ha_drivers.sqlite_copy import SqliteCopy

from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Node, Pair
from xcat_ha.testing import ReplicationContract, Site


class TestSqliteCopy(ReplicationContract):
    def make_driver(self, pair: Pair) -> SqliteCopy:
        return SqliteCopy(pair, {"lock_wait_s": 1})

    def saved_records(self, site: Site, driver: ReplicationBackend, node: Node) -> frozenset[str]:
        del driver
        saved = max(path for path in site.path(node.id, "/var/lib/xcat-ha/diverged").iterdir() if path.is_dir())
        with closing(sqlite3.connect(f"file:{saved}/nodelist.sqlite?mode=ro", uri=True)) as database:
            return frozenset(name for (name,) in database.execute("SELECT node FROM nodelist"))
