"""The driver ``postgres-streaming`` keeps its interface's promises on two simulated hosts with a real PostgreSQL each."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.streaming_site import StreamingSite, StreamingTables, cluster_of
from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Node, Pair
from xcat_ha.testing import Deed, RecordStore, ReplicationContract, Site
from xcat_ha_drivers.postgres_streaming import PostgresStreaming

pytestmark = pytest.mark.soak


class TestPostgresStreaming(ReplicationContract):
    def make_driver(self, pair: Pair) -> PostgresStreaming:
        return PostgresStreaming(pair, {"confirm_s": 3600})  # a slow machine must not make a proof old

    def make_site(self) -> Site:
        return StreamingSite()

    def make_store(self) -> RecordStore:
        return StreamingTables()

    def deeds(self) -> tuple[Deed[ReplicationBackend], ...]:
        """After a power loss the server of an own database starts at its node's turn, not at boot: its health is no outcome of a save."""
        return tuple(evolve(deed, outcome=self.saved) if deed.name == "save-divergence" else deed for deed in super().deeds())

    def saved(self, site: Site, driver: ReplicationBackend) -> object:
        """What is saved, the roles, and which records both databases hold."""
        nodes = site.pair.nodes
        roles = [driver.observe(node, site.runner).role for node in nodes]
        records = [self.has(site, driver, node, name) for node in nodes for name in ("node1", "node3")]
        return self.saved_records(site, driver, site.first), roles, records

    def test_divergence_is_saved_and_restorable(self, driver: ReplicationBackend, site: Site, store: RecordStore) -> None:
        """As published, but what streams has no "written after the last copy": the write is made while the network is cut."""
        assert isinstance(site, StreamingSite)
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
        cluster = cluster_of(site, node.id)
        copy = cluster.directory / "saved.dump"
        copy.write_bytes((saved / "database.dump").read_bytes())
        copy.chmod(0o644)
        text = cluster.run("pg_restore", "--data-only", "--table=nodelist", "--file=-", str(copy))
        body = text.partition("\nCOPY public.nodelist")[2].partition("\n\\.\n")[0].splitlines()[1:]
        return frozenset(line.split("\t")[0] for line in body)
