"""The driver ``sqlite-copy`` keeps its interface's promises on the simulated pair."""

from __future__ import annotations

from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Node, Pair
from xcat_ha.testing import ReplicationContract, Site, SqliteTables
from xcat_ha_drivers.sqlite_copy import SqliteCopy


class TestSqliteCopy(ReplicationContract):
    def make_driver(self, pair: Pair) -> SqliteCopy:
        return SqliteCopy(pair, {"lock_wait_s": 1})

    def saved_records(self, site: Site, driver: ReplicationBackend, node: Node) -> frozenset[str]:
        del driver
        saved = max(path.name for path in site.path(node.id, "/var/lib/xcat-ha/diverged").iterdir() if path.is_dir())
        tables = SqliteTables()
        tables.directory = f"/var/lib/xcat-ha/diverged/{saved}"
        return tables.names(site, node.id)
