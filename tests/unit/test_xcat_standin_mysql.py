"""The stand-in on MariaDB: tables as xCAT makes them, a server that goes and comes back, rights that are missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mysql_site import DATABASE, PASSWORDS, USER, MysqlSite, Server
from tests.simulators.xcat.standin.cfgloc import Cfgloc
from tests.simulators.xcat.standin.engine import ADD, DROP, SET, Change, DbError, Engine, NoSuchTableError, open_engine, schema

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def site() -> Iterator[MysqlSite]:
    made = MysqlSite()
    yield made
    made.close()


@pytest.fixture
def server(site: MysqlSite) -> Server:
    site.fresh()
    server = site.servers["mna"]
    server.sql(f"CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET latin1; CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORDS['mna']}'")
    server.sql(f"GRANT ALL ON {DATABASE}.* TO {USER}@'%'")
    return server


def engine_of(server: Server) -> Engine:
    return open_engine(Cfgloc(f"mysql:dbname={DATABASE};host={server.address};port={server.port}|{USER}|{PASSWORDS['mna']}"))


def test_all_tables_are_made_and_rows_come_back_as_they_went(server: Server) -> None:
    engine = engine_of(server)
    engine.update_schema()
    assert server.sql(f"SHOW TABLES FROM {DATABASE}") == sorted(schema())
    engine.write("site", [Change(ADD, {"key": "master"}, {"value": "x'; DROP `é"}), Change(SET, {"key": "domain"}, {"value": None})])
    columns, rows = engine.read("site")
    found = {row[columns.index("key")]: row[columns.index("value")] for row in rows}
    assert found == {"master": "x'; DROP `é", "domain": None}
    engine.write("site", [Change(SET, {"key": "master"}, {"value": "x'; DROP `é"}), Change(DROP, {"key": "domain"})])
    assert len(engine.read("site")[1]) == 1


def test_changes_to_a_table_are_made_all_or_none(server: Server) -> None:
    engine = engine_of(server)
    engine.write("site", [Change(ADD, {"key": "a"}, {"value": "1"})])
    with pytest.raises(DbError):
        engine.write("site", [Change(ADD, {"key": "b"}, {"value": "2"}), Change(ADD, {"key": "a"}, {"value": "3"})])
    assert len(engine.read("site")[1]) == 1


def test_a_server_that_comes_back_is_used_again(server: Server) -> None:
    engine = engine_of(server)
    engine.write("site", [Change(ADD, {"key": "a"}, {"value": "1"})])
    server.stop()
    with pytest.raises(DbError):
        engine.read("site")
    server.start()
    assert len(engine.read("site")[1]) == 1


def test_a_read_only_server_and_an_unknown_table_are_errors(server: Server) -> None:
    engine = engine_of(server)
    with pytest.raises(NoSuchTableError):
        engine.read("nosuchtab")
    engine.read("site")
    server.sql("SET GLOBAL read_only = ON")
    with pytest.raises(DbError, match="read-only"):
        engine.write("site", [Change(ADD, {"key": "a"}, {"value": "1"})])
