"""The driver ``mysql`` keeps its interface's promises on two simulated hosts with a real MariaDB each."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.mysql_site import MysqlSite, MysqlTables, server_of
from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Node, Pair
from xcat_ha.testing import Deed, RecordStore, ReplicationContract, Site
from xcat_ha_drivers.mysql import Mysql

pytestmark = pytest.mark.soak


class TestMysql(ReplicationContract):
    def make_driver(self, pair: Pair) -> Mysql:
        return Mysql(pair, {"confirm_s": 3600})  # a slow machine must not make a proof old

    def make_site(self) -> Site:
        return MysqlSite()

    def make_store(self) -> RecordStore:
        return MysqlTables()

    def deeds(self) -> tuple[Deed[ReplicationBackend], ...]:
        """Servers start read-only: whether one that lost power is writable is decided at its node's turn, and no outcome of a save."""
        return tuple(evolve(deed, outcome=self.saved) if deed.name == "save-divergence" else deed for deed in super().deeds())

    def saved(self, site: Site, driver: ReplicationBackend) -> object:
        """What is saved, the roles, and which records both databases hold."""
        nodes = site.pair.nodes
        roles = [driver.observe(node, site.runner).role for node in nodes]
        records = [self.has(site, driver, node, name) for node in nodes for name in ("node1", "node3")]
        return self.saved_records(site, driver, site.first), roles, records

    def test_divergence_is_saved_and_restorable(self, driver: ReplicationBackend, site: Site, store: RecordStore) -> None:
        """As published, but what streams has no "written after the last copy": the write is made while the network is cut."""
        assert isinstance(site, MysqlSite)
        self.seeded(site, driver)
        site.cut_link()
        store.write(site, site.first.id, "node3")
        site.execute(driver.steps_to_promote(site.second, forced=True))
        store.write(site, site.second.id, "node4")
        site.fresh_link()
        site.execute(driver.steps_to_save_divergence(site.first))
        assert self.saved_records(site, driver, site.first) == {"node1", "node2", "node3"}
        site.execute(driver.steps_to_seed(site.second, site.first))
        assert [self.has(site, driver, site.first, name) for name in ("node3", "node4")] == [False, True]
        assert self.saved_records(site, driver, site.first) == {"node1", "node2", "node3"}

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
