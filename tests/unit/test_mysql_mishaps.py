"""What can go wrong between two real MariaDB servers, and what the administrator is promised then. Both are private and on loopback."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.mysql_site import CONFIG, DATABASE, PASSWORDS, MysqlSite, MysqlTables, await_replay
from xcat_ha.errors import XcatHaError
from xcat_ha.interfaces import ReplicaRole, ReplicaState
from xcat_ha_drivers.mysql import Mysql

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def made() -> Iterator[MysqlSite]:
    site = MysqlSite()
    yield site
    site.close()


@pytest.fixture
def site(made: MysqlSite) -> MysqlSite:
    """A pair: mnb is a copy of mna, which has node1."""
    made.fresh()

    def build() -> None:
        MysqlTables().install(made, "mna")
        MysqlTables().write(made, "mna", "node1")
        made.execute(driver_of(made).steps_to_seed(made.first, made.second))

    made.situation("seeded", build)
    return made


def driver_of(site: MysqlSite, **options: object) -> Mysql:
    return Mysql(site.pair, {"confirm_s": 3600, **options})


def state(site: MysqlSite, node_id: str, **options: object) -> ReplicaState:
    return driver_of(site, **options).observe(site.pair.node(node_id), site.runner)


def assert_named(site: MysqlSite, words: str) -> None:
    """``status`` says so, and neither a sync nor a promotion that may lose nothing goes over it."""
    found = state(site, "mnb")
    assert (found.role, found.healthy) == (ReplicaRole.COPY, False), found.detail
    assert words in found.detail
    with pytest.raises(XcatHaError):
        site.execute(driver_of(site).steps_to_sync(site.first, site.second))


def by_hand(site: MysqlSite, node_id: str, sql: str, *, logged: bool) -> None:
    """As an administrator at the server's prompt; root may write whatever ``read_only`` says."""
    site.servers[node_id].sql(f"SET SESSION sql_log_bin = {int(logged)}; {sql}", DATABASE)


def purge_up_to(site: MysqlSite, last: str) -> None:
    """A log that a connection still reads is not purged, and the primary notices that it is gone with its next heartbeat."""
    primary, deadline = site.servers["mna"], time.monotonic() + 60
    while len(primary.sql("SHOW BINARY LOGS")) > 1:
        assert time.monotonic() < deadline, "the binary log is still in use"
        primary.sql(f"PURGE BINARY LOGS TO '{last}'")
        time.sleep(0.2)


def test_bytes_of_another_character_set_arrive_as_they_are(made: MysqlSite) -> None:
    made.fresh()
    MysqlTables().install(made, "mna")
    made.servers["mna"].sql("INSERT INTO nodelist (node, comments) VALUES ('b', X'E4F6FC8081FF'), ('c', NULL), ('d', '')", DATABASE)
    made.execute(driver_of(made).steps_to_seed(made.first, made.second))
    made.servers["mna"].sql("INSERT INTO nodelist (node, comments) VALUES ('e', X'A4FE')", DATABASE)
    await_replay(made, made.servers["mna"])
    question = "SELECT node, HEX(comments), @@character_set_database FROM nodelist ORDER BY 1"
    left, right = (made.servers[name].sql(question, DATABASE) for name in ("mna", "mnb"))
    assert left == right == ["b\tE4F6FC8081FF\tlatin1", "c\tNULL\tlatin1", "d\t\tlatin1", "e\tA4FE\tlatin1"]
    driver = driver_of(made)
    found = [driver.interpret_contents(made.runner.run(node.id, driver.question_for_contents(node))) for node in made.pair.nodes]
    assert found[0] is not None
    assert found[0] == found[1]


def test_a_duplicate_key_on_the_standby_is_named_and_refused(site: MysqlSite) -> None:
    by_hand(site, "mnb", "INSERT INTO nodelist (node) VALUES ('node7')", logged=False)
    MysqlTables().write(site, "mna", "node7")
    assert_named(site, "DUPLICATE KEY")
    site.power_off("mna")
    with pytest.raises(XcatHaError, match="cannot be applied"):
        site.execute(driver_of(site).steps_to_promote(site.second, forced=False))
    assert state(site, "mnb").role is ReplicaRole.COPY


def test_a_row_that_was_changed_by_hand_is_named_when_the_primary_changes_it(site: MysqlSite) -> None:
    by_hand(site, "mnb", "DELETE FROM nodelist WHERE node = 'node1'", logged=False)
    by_hand(site, "mna", "UPDATE nodelist SET status = 'on' WHERE node = 'node1'", logged=True)
    await_replay(site, site.servers["mna"])
    assert_named(site, "ROW CHANGED BY HAND")


def test_a_transaction_of_the_standbys_own_is_named_and_a_seed_saves_it(site: MysqlSite) -> None:
    by_hand(site, "mnb", "INSERT INTO nodelist (node) VALUES ('mine')", logged=True)
    assert_named(site, "WRITTEN BY HAND")
    site.execute(driver_of(site).steps_to_seed(site.first, site.second))
    assert (state(site, "mnb").healthy, state(site, "mnb").lag_s) == (True, 0.0)
    assert MysqlTables().names(site, "mnb") == {"node1"}
    (saved,) = site.path("mnb", "/var/lib/xcat-ha/diverged").glob("*/database.sql")
    assert "'mine'" in saved.read_text()
    assert saved.stat().st_mode & 0o077 == 0


def test_a_binary_log_that_was_purged_is_named_and_healed_by_a_sync(site: MysqlSite) -> None:
    site.servers["mnb"].sql("STOP SLAVE")
    by_hand(site, "mna", "INSERT INTO nodelist (node) VALUES ('node8')", logged=True)
    site.servers["mna"].sql("FLUSH BINARY LOGS")
    last = site.servers["mna"].sql("SHOW BINARY LOGS")[-1].split("\t")[0]
    purge_up_to(site, last)
    site.servers["mnb"].sql("START SLAVE")
    await_replay(site, site.servers["mna"], timeout_s=3.0)
    found = state(site, "mnb")
    assert (found.role, found.healthy) == (ReplicaRole.COPY, False)
    assert "BINARY LOG GONE" in found.detail
    site.execute(driver_of(site).steps_to_sync(site.first, site.second))
    assert MysqlTables().names(site, "mnb") == {"node1", "node8"}


def test_a_wrong_server_id_is_named(site: MysqlSite) -> None:
    other = site.servers["mna"].sql("SELECT @@server_id")[0]
    site.servers["mnb"].sql(f"STOP SLAVE; SET GLOBAL server_id = {other}")
    found = state(site, "mnb")
    assert found.healthy is False
    assert "WRONG SERVER ID" in found.detail


def test_a_standby_that_semi_synchronous_commits_do_not_wait_for_is_shown_as_degraded(site: MysqlSite) -> None:
    options = {"mode": "semi-synchronous", "when_standby_gone": "degrade", "degrade_after_s": 1}
    site.execute(driver_of(site, **options).steps_to_sync(site.first, site.second))
    assert state(site, "mna", **options).healthy is True
    site.cut_link()
    by_hand(site, "mna", "INSERT INTO nodelist (node) VALUES ('node9')", logged=True)
    found = state(site, "mna", **options)
    assert found.healthy is False
    assert "DEGRADED" in found.detail


def test_what_was_acknowledged_while_commits_wait_survives_the_primary_and_the_roles_go_round(site: MysqlSite) -> None:
    options = {"mode": "semi-synchronous", "when_standby_gone": "wait"}
    driver = driver_of(site, **options)
    site.execute(driver.steps_to_sync(site.first, site.second))
    site.execute(driver.steps_to_hand_over(site.first, site.second))
    assert state(site, "mnb", **options).healthy is True
    MysqlTables().write(site, "mnb", "node5")
    assert state(site, "mna", **options).lag_s == 0.0, "a replica that waits for a standby of its own applies nothing"
    by_hand(site, "mnb", "INSERT INTO nodelist (node) VALUES ('node6')", logged=True)
    site.power_off("mnb")
    site.execute(driver.steps_to_promote(site.first, forced=False))
    assert MysqlTables().names(site, "mna") == {"node1", "node5", "node6"}
    by_hand(site, "mna", "INSERT INTO nodelist (node) VALUES ('alone')", logged=True)


def test_replication_is_encrypted_and_no_password_lies_about(site: MysqlSite) -> None:
    account = site.servers["mna"].sql("SELECT DISTINCT ssl_type FROM mysql.user WHERE User = 'xcat_ha'")
    assert account == ["ANY"]
    assert "Master_SSL_Verify_Server_Cert" in site.servers["mnb"].replica()
    assert site.servers["mnb"].replica()["Master_SSL_Verify_Server_Cert"] == "Yes"
    password = site.path("mna", "/var/lib/xcat-ha/mysql/password").read_text().strip()
    for name in ("mna", "mnb"):
        for secret in (password, *PASSWORDS.values()):
            logs = [*site.servers[name].data.glob("xcat-ha-bin.0*"), site.path(name, f"{CONFIG}/zz-xcat-ha.cnf")]
            for path in logs:
                assert secret.encode() not in path.read_bytes(), f"a password is in {path.name}"
            found = subprocess.run(["grep", "-rlF", secret, str(site.root(name))], capture_output=True, text=True, check=False).stdout
            for path_name in found.splitlines():
                assert subprocess.run(["stat", "-c", "%a", path_name], capture_output=True, text=True, check=True).stdout.strip() == "600"
