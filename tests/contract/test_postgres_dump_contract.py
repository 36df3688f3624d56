"""The driver ``postgres-dump`` keeps its interface's promises on two simulated hosts with a real PostgreSQL each."""

from __future__ import annotations

import pytest

from tests.postgres_site import PostgresSite, PostgresTables
from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Node, Pair
from xcat_ha.testing import RecordStore, ReplicationContract, Site
from xcat_ha_drivers.postgres_dump import PostgresDump

pytestmark = pytest.mark.soak


class TestPostgresDump(ReplicationContract):
    def make_driver(self, pair: Pair) -> PostgresDump:
        return PostgresDump(pair, {"wait_s": 1})

    def make_site(self) -> Site:
        return PostgresSite()

    def make_store(self) -> RecordStore:
        return PostgresTables()

    def saved_records(self, site: Site, driver: ReplicationBackend, node: Node) -> frozenset[str]:
        del driver
        assert isinstance(site, PostgresSite)
        saved = max(path for path in site.path(node.id, "/var/lib/xcat-ha/diverged").iterdir() if path.is_dir())
        dump = (saved / "database.dump").read_bytes()
        copy = site.clusters[node.id].directory / "saved.dump"
        copy.write_bytes(dump)
        copy.chmod(0o644)
        text = site.clusters[node.id].run("pg_restore", "--data-only", "--table=nodelist", "--file=-", str(copy))
        body = text.partition("\nCOPY public.nodelist")[2].partition("\n\\.\n")[0].splitlines()[1:]
        return frozenset(line.split("\t")[0] for line in body)
