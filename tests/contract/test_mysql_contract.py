"""The driver ``mysql`` keeps its interface's promises on two simulated hosts with a real MariaDB each."""

from __future__ import annotations

import pytest

from tests.contract.following import FollowingContract
from tests.mysql_site import MysqlSite, MysqlTables, server_of
from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Node, Pair
from xcat_ha.testing import RecordStore, Site
from xcat_ha_drivers.mysql import Mysql

pytestmark = pytest.mark.soak


class TestMysql(FollowingContract):
    def make_driver(self, pair: Pair) -> Mysql:
        return Mysql(pair, {"confirm_s": 3600})  # a slow machine must not make a proof old

    def make_site(self) -> Site:
        return MysqlSite()

    def make_store(self) -> RecordStore:
        return MysqlTables()

    def saved_records(self, site: Site, driver: ReplicationBackend, node: Node) -> frozenset[str]:
        del driver
        saved = max(path for path in site.path(node.id, "/var/lib/xcat-ha/diverged").iterdir() if path.is_dir())
        server = server_of(site, node.id)
        dump = (saved / "database.sql").read_text()
        local = "SET SESSION sql_log_bin = 0;"
        server.sql(f"{local} CREATE DATABASE looked_at; USE looked_at;\n{dump}")
        try:
            return frozenset(server.sql("SELECT node FROM looked_at.nodelist"))
        finally:
            server.sql(f"{local} DROP DATABASE looked_at")
