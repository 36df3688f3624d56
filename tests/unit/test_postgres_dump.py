"""The driver ``postgres-dump`` on two private servers: what arrives broken, what was opened, who gets in, what is named."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres_site import DATABASE, PASSWORDS, USER, PostgresSite, PostgresTables, PrivateServer, psycopg2
from xcat_ha.errors import ConfigError, XcatHaError
from xcat_ha.interfaces import ReplicaRole
from xcat_ha.testing import example_pair
from xcat_ha.xcat.site import interpret_site
from xcat_ha_drivers.postgres import location
from xcat_ha_drivers.postgres.contents import Contents
from xcat_ha_drivers.postgres.layout import find
from xcat_ha_drivers.postgres.questions import Login, try_login
from xcat_ha_drivers.postgres_dump import PostgresDump
from xcat_ha_drivers.postgres_dump._manifest import read_manifest, write_manifest

STATE = "/var/lib/xcat-ha/postgres-dump"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made() -> Iterator[PostgresSite]:
    site = PostgresSite()
    yield site
    site.close()


@pytest.fixture
def site(made: PostgresSite) -> PostgresSite:
    """``mnb`` is a copy of ``mna``."""
    made.fresh()

    def build() -> None:
        PostgresTables().install(made, "mna")
        PostgresTables().write(made, "mna", "node1")
        made.execute(driver_of(made).steps_to_seed(made.first, made.second))

    made.situation("seeded", build)
    return made


def driver_of(site: PostgresSite) -> PostgresDump:
    return PostgresDump(site.pair, {"wait_s": 1, "keep": 2})


def define(site: PostgresSite, name: str, node_id: str = "mna") -> None:
    PostgresTables().write(site, node_id, name)


def sync(site: PostgresSite) -> None:
    site.execute(driver_of(site).steps_to_sync(site.first, site.second))


def refused(site: PostgresSite) -> str:
    with pytest.raises(XcatHaError) as stop:
        sync(site)
    return str(stop.value)


def copied(site: PostgresSite) -> set[str]:
    return set(site.clusters["mnb"].sql("SELECT node FROM nodelist", DATABASE))


def await_answer(server: PrivateServer, query: str, wanted: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while (found := server.sql(query)) != [wanted]:
        assert time.monotonic() < deadline, f"{query} says {found}, not {wanted}"
        time.sleep(0.1)


def test_a_dump_that_arrives_broken_is_refused_and_the_copy_stays(site: PostgresSite) -> None:
    define(site, "node2")
    discard, snapshot, receive = driver_of(site).steps_to_sync(site.first, site.second)
    site.execute((discard, snapshot))
    dump = site.path("mna", f"{STATE}/outgoing/current/database.dump")
    dump.write_bytes(dump.read_bytes()[:-7] + b"garbage")
    with pytest.raises(XcatHaError, match="another checksum"):
        site.execute((receive,))
    assert copied(site) == {"node1"}
    state = driver_of(site).observe(site.second, site.runner)
    assert (state.role, state.healthy) == (ReplicaRole.COPY, True)
    sync(site)
    assert copied(site) == {"node1", "node2"}


def test_a_dump_whose_rows_are_not_those_of_its_manifest_is_refused(site: PostgresSite) -> None:
    """A dump can be whole and still be the wrong one: what was restored is compared, not believed."""
    define(site, "node2")
    discard, snapshot, receive = driver_of(site).steps_to_sync(site.first, site.second)
    site.execute((discard, snapshot))
    outgoing = site.path("mna", f"{STATE}/outgoing/current")
    manifest = read_manifest(outgoing)
    nodelist = manifest.contents.tables["public.nodelist"]
    tables = {**manifest.contents.tables, "public.nodelist": nodelist._replace(rows=nodelist.rows + 1)}
    write_manifest(outgoing, manifest._replace(contents=Contents(tables, manifest.contents.schema)))
    with pytest.raises(XcatHaError, match=r"public.nodelist has 2 rows instead of 3"):
        site.execute((receive,))
    assert copied(site) == {"node1"}
    assert [name for name in site.clusters["mnb"].databases() if not name.startswith("ck")] == [DATABASE]


def test_a_copy_that_was_opened_and_written_is_saved_before_it_is_replaced(site: PostgresSite) -> None:
    standby = site.clusters["mnb"]
    standby.sql(f"ALTER DATABASE {DATABASE} CONNECTION LIMIT -1")
    assert driver_of(site).observe(site.second, site.runner).role is ReplicaRole.SOURCE
    standby.sql("INSERT INTO nodelist (node) VALUES ('stray')", DATABASE)
    define(site, "node2")
    sync(site)
    assert copied(site) == {"node1", "node2"}
    saved = [path for path in site.path("mnb", "/var/lib/xcat-ha/diverged").iterdir() if path.is_dir()]
    assert len(saved) == 1
    names = json.loads((saved[0] / "manifest.json").read_text())["contents"]["tables"]["public.nodelist"]
    assert names[0] == 2


def test_somebody_who_is_connected_is_named_and_not_thrown_out(site: PostgresSite) -> None:
    define(site, "node2")
    standby = site.clusters["mnb"]
    words = ["psql", "-X", "-h", str(standby.directory), "-p", str(standby.port), "-d", DATABASE]
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'report'"
    with subprocess.Popen(words, stdin=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "PGAPPNAME": "report"}, **standby.as_owner) as reader:
        try:
            await_answer(standby, query, "1")
            said = refused(site)
        finally:
            reader.kill()
    await_answer(standby, query, "0")
    assert f"{DATABASE} is in use" in said
    assert "report" in said
    assert copied(site) == {"node1"}
    sync(site)
    assert copied(site) == {"node1", "node2"}


def test_many_tables_gone_at_once_stop_a_sync_but_not_a_seed(site: PostgresSite) -> None:
    cluster = site.clusters["mna"]
    cluster.sql("".join(f"CREATE TABLE t{number} (a text);" for number in range(9)), DATABASE)
    sync(site)
    cluster.sql("".join(f"DROP TABLE t{number};" for number in range(9)), DATABASE)
    assert "9 of" in refused(site)
    site.execute(driver_of(site).steps_to_seed(site.first, site.second))
    assert copied(site) == {"node1"}


def test_owners_grants_and_passwords_are_those_of_the_source(site: PostgresSite) -> None:
    standby = site.clusters["mnb"]
    site.execute(driver_of(site).steps_to_promote(site.second, forced=True))
    assert standby.sql(f"SELECT has_schema_privilege('{USER}', 'public', 'CREATE')", DATABASE) == ["t"]
    assert set(standby.sql("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'", DATABASE)) == {USER}
    query = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{USER}'"
    assert standby.sql(query) == site.clusters["mna"].sql(query)
    PostgresTables().write(site, "mnb", "written-by-xcat")
    assert "written-by-xcat" in copied(site)


def test_generations_are_kept_and_everything_is_roots_alone(site: PostgresSite) -> None:
    for number in range(3):
        define(site, f"node{number + 2}")
        sync(site)
    kept = sorted(path.name for path in site.path("mnb", f"{STATE}/generations").iterdir())
    assert [name.partition("-")[0] for name in kept] == ["000003", "000004"]
    for node_id in ("mna", "mnb"):
        for path in [*site.path(node_id, STATE).rglob("*"), site.path(node_id, "/etc/xcat/cfgloc")]:
            assert not stat.S_IMODE(path.lstat().st_mode) & 0o077 or path.is_symlink(), path


def test_a_copys_site_table_can_be_asked_while_xcatd_does_not_run(site: PostgresSite) -> None:
    driver = driver_of(site)
    found = interpret_site(site.runner.run("mnb", driver.question_for_site(site.second)))
    assert (found.known, found.master) == (True, str(site.pair.identity.primary_address))


def test_table_files_of_sqlite_beside_cfgloc_confuse_nobody(site: PostgresSite) -> None:
    for node_id in ("mna", "mnb"):
        site.path(node_id, "/etc/xcat/nodelist.sqlite").write_bytes(b"SQLite format 3\0")
    driver = driver_of(site)
    roles = [driver.observe(node, site.runner).role for node in site.pair.nodes]
    assert roles == [ReplicaRole.SOURCE, ReplicaRole.COPY]
    assert site.runner.run("mnb", driver.question_for_record(site.second, "node1")).stdout.strip() == "present"


def test_an_old_primarys_database_takes_no_writes_any_more_and_keeps_every_row(site: PostgresSite) -> None:
    driver = driver_of(site)
    site.execute(driver.steps_to_promote(site.second, forced=True))
    define(site, "unseen")
    site.execute(driver.steps_when_superseded(site.first))
    with pytest.raises(psycopg2.Error, match="too many connections"):
        define(site, "lost")
    state = driver.observe(site.first, site.runner)
    assert (state.role, state.healthy) == (ReplicaRole.SOURCE, True)
    site.runner.forget()
    site.execute(driver.steps_when_superseded(site.first))
    assert not site.runner.changes
    assert site.clusters["mna"].sql("SELECT node FROM nodelist ORDER BY 1", DATABASE) == ["node1", "unseen"]
    site.execute(driver.steps_to_promote(site.first, forced=True))
    define(site, "again")


def test_a_database_restored_by_hand_is_the_nodes_own_whatever_copies_lie_around(site: PostgresSite) -> None:
    site.execute(driver_of(site).steps_to_promote(site.second, forced=True))
    site.clusters["mnb"].sql(f"COMMENT ON DATABASE {DATABASE} IS NULL")
    driver = driver_of(site)
    assert driver.observe(site.second, site.runner).role is ReplicaRole.SOURCE
    define(site, "by-hand", "mnb")
    site.execute(driver.steps_to_promote(site.second, forced=False))
    assert copied(site) == {"node1", "by-hand"}


def test_a_copy_that_was_dropped_is_restored_from_the_newest_generation(site: PostgresSite) -> None:
    site.clusters["mnb"].sql(f"DROP DATABASE {DATABASE}")
    assert driver_of(site).observe(site.second, site.runner).role is ReplicaRole.NONE
    site.execute(driver_of(site).steps_to_promote(site.second, forced=True))
    assert copied(site) == {"node1"}


def test_a_wrong_password_is_named_without_being_shown(site: PostgresSite) -> None:
    site.clusters["mna"].sql(f"ALTER ROLE {USER} PASSWORD 'another'")
    state = driver_of(site).observe(site.first, site.runner)
    assert (state.role, state.healthy) == (ReplicaRole.SOURCE, False)
    assert "the password in cfgloc is not that of role xcatadm" in state.detail
    assert PASSWORDS["mna"] not in state.detail


def test_a_server_that_is_down_is_named_and_nothing_is_claimed(site: PostgresSite) -> None:
    cluster = site.clusters["mnb"]
    cluster.stop()
    try:
        state = driver_of(site).observe(site.second, site.runner)
        said = refused(site)
    finally:
        cluster.start()
    assert (state.role, state.healthy, state.last_good) == (None, False, None)
    assert "does not answer" in state.detail
    assert "systemctl start postgresql@15-main" in state.detail
    assert "does not answer" in said


def test_psql_is_asked_where_psycopg2_is_missing_and_that_is_said(site: PostgresSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCAT_HA_ROOT", str(site.root("mna")))
    credentials = location.read("/etc/xcat")
    with_it = try_login(credentials, find())
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    without = try_login(credentials, find())
    assert (with_it.login, with_it.by) == (Login.WORKS, "psycopg2")
    assert without.login is Login.WORKS
    assert "pip install 'xcat-ha[postgres]'" in without.by
    assert not list(Path(site.root("mna") / "run").glob(".xcat-ha-*")), "the file with the password was left behind"
    wrong = location.Credentials(credentials.location, "wrong", "")
    assert try_login(wrong, find()).login is Login.REFUSED


def test_a_data_directory_must_be_a_path() -> None:
    with pytest.raises(ConfigError, match="absolute path"):
        PostgresDump(example_pair(), {"data_directory": 15})
