"""The stand-in on PostgreSQL: tables as xCAT makes them, a server that goes and comes back, rights that are missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres_site import DATABASE, USER, Cluster, PostgresSite, role_statement
from tests.simulators.xcat.standin.cfgloc import Cfgloc
from tests.simulators.xcat.standin.engine import ADD, DROP, SET, Change, DbError, Engine, NoSuchTableError, open_engine, schema

PASSWORD = "pw0OfTheStandIn"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site() -> Iterator[PostgresSite]:
    made = PostgresSite()
    yield made
    made.close()


@pytest.fixture
def cluster(site: PostgresSite) -> Cluster:
    site.fresh()
    cluster = site.clusters["mna"]
    cluster.sql(role_statement(USER, PASSWORD))
    cluster.sql(f"CREATE DATABASE {DATABASE};")
    cluster.sql(f"GRANT ALL ON SCHEMA public TO {USER};", DATABASE)
    return cluster


def engine_of(cluster: Cluster) -> Engine:
    return open_engine(Cfgloc(f"Pg:dbname={DATABASE};host=127.0.0.1;port={cluster.port}|{USER}|{PASSWORD}"))


def test_tables_are_made_and_rows_come_back_as_they_went(cluster: Cluster) -> None:
    engine = engine_of(cluster)
    engine.update_schema()
    assert set(cluster.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", DATABASE)) == set(schema())
    odd = 'it\'s "quoted" | back\\slash $x é %s'
    engine.write("nodelist", [Change(SET, {"node": "cn1"}, {"groups": "all", "comments": odd}), Change(ADD, {"node": "cn2"}, {})])
    engine.write("nodelist", [Change(SET, {"node": "cn1"}, {"groups": "compute"})])
    names, rows = engine.read("nodelist")
    found = {row[names.index("node")]: dict(zip(names, row, strict=True)) for row in rows}
    assert (found["cn1"]["groups"], found["cn1"]["comments"], found["cn2"]["groups"]) == ("compute", odd, None)
    engine.write("nodelist", [Change(DROP, {"node": "cn1"})])
    assert len(engine.read("nodelist")[1]) == 1
    with pytest.raises(NoSuchTableError):
        engine.read("nonsense")


def test_a_server_that_comes_back_is_used_again_without_a_restart(cluster: Cluster) -> None:
    engine = engine_of(cluster)
    assert engine.read("site")[1] == []
    cluster.stop()
    try:
        with pytest.raises(DbError):
            engine.read("site")
    finally:
        cluster.start()
    assert engine.read("site")[1] == []


def test_changes_of_one_write_are_made_all_or_none(cluster: Cluster) -> None:
    engine = engine_of(cluster)
    with pytest.raises(DbError):
        engine.write("site", [Change(ADD, {"key": "a"}, {"value": "1"}), Change(ADD, {"key": "a"}, {"value": "2"})])
    assert engine.read("site")[1] == []


def test_without_the_right_to_create_in_schema_public_nothing_starts(cluster: Cluster) -> None:
    """PostgreSQL 15 and later, as pgsqlsetup leaves it."""
    cluster.sql(f"REVOKE ALL ON SCHEMA public FROM {USER};", DATABASE)
    with pytest.raises(DbError, match="permission denied for schema public"):
        engine_of(cluster).read("site")


def test_the_password_is_not_shown() -> None:
    where = Cfgloc(f"Pg:dbname={DATABASE};host=h|{USER}|{PASSWORD}")
    assert PASSWORD not in repr(where)
    assert PASSWORD not in "".join(where.describe())
    assert where.password == PASSWORD
