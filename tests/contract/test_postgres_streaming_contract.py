"""The driver ``postgres-streaming`` keeps its interface's promises on two simulated hosts with a real PostgreSQL each."""

from __future__ import annotations

import pytest

from tests.contract.following import FollowingContract
from tests.streaming_site import StreamingSite, StreamingTables, cluster_of
from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Node, Pair
from xcat_ha.testing import RecordStore, Site
from xcat_ha_drivers.postgres_streaming import PostgresStreaming

pytestmark = pytest.mark.soak


class TestPostgresStreaming(FollowingContract):
    def make_driver(self, pair: Pair) -> PostgresStreaming:
        return PostgresStreaming(pair, {"confirm_s": 3600})  # a slow machine must not make a proof old

    def make_site(self) -> Site:
        return StreamingSite()

    def make_store(self) -> RecordStore:
        return StreamingTables()

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
