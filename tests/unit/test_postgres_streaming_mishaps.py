"""What can go wrong between two real servers, and what the administrator is promised then. Both are private and on loopback."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres_site import CONFIG, DATABASE, programs
from tests.streaming_site import StreamingSite, StreamingTables, await_replay
from xcat_ha.errors import XcatHaError
from xcat_ha.interfaces import ReplicaRole, ReplicaState
from xcat_ha.models import Node
from xcat_ha_drivers.postgres_streaming import PostgresStreaming

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made() -> Iterator[StreamingSite]:
    site = StreamingSite()
    yield site
    site.close()


@pytest.fixture
def site(made: StreamingSite) -> StreamingSite:
    """A pair: mnb is a copy of mna, which has node1."""
    made.fresh()

    def build() -> None:
        StreamingTables().install(made, "mna")
        StreamingTables().write(made, "mna", "node1")
        made.execute(driver_of(made).steps_to_seed(made.first, made.second))

    made.situation("seeded", build)
    return made


def driver_of(site: StreamingSite, **options: object) -> PostgresStreaming:
    return PostgresStreaming(site.pair, options)


def seen(site: StreamingSite, node: Node, **options: object) -> ReplicaState:
    return driver_of(site, **options).observe(node, site.runner)


def sync(site: StreamingSite, **options: object) -> None:
    site.execute(driver_of(site, **options).steps_to_sync(site.first, site.second))


def names(site: StreamingSite, node_id: str) -> frozenset[str]:
    return StreamingTables().names(site, node_id)


def took_way(site: StreamingSite) -> str:
    """How the last node that had to follow did so."""
    said = [ran.completed.stdout for ran in site.runner.changes if "follow" in ran.argv and ran.completed is not None]
    return said[-1].strip().rpartition(": ")[2] if said else ""


def fill_log(site: StreamingSite, mib: int) -> None:
    """Write that much log on mna, and let it recycle what nobody needs."""
    mna = site.clusters["mna"]
    mna.sql("CREATE TABLE ballast (x text)", DATABASE)
    for _ in range(mib):
        mna.sql(
            "INSERT INTO ballast SELECT repeat(md5(random()::text), 32) FROM generate_series(1, 1100); SELECT pg_switch_wal();", DATABASE
        )
    mna.sql("DROP TABLE ballast; CHECKPOINT;", DATABASE)
    mna.sql("CHECKPOINT")


def replace_program(site: StreamingSite, node_id: str, name: str, script: str) -> None:
    """Let one of the server's programs on a node be this script; the others stay."""
    directory = site.path(node_id, "/usr/lib/postgresql/15/bin")
    directory.unlink()
    directory.mkdir()
    for path in Path(programs()).iterdir():
        (directory / path.name).symlink_to(path)
    (directory / name).unlink()
    (directory / name).write_text(script)
    (directory / name).chmod(0o755)


def lost_power(site: StreamingSite) -> None:
    """The primary mna wrote "only-here" where mnb could not see it, lost power, mnb took over and wrote "after"; mna is back."""
    site.cut_link()
    site.clusters["mna"].sql("INSERT INTO nodelist (node, groups) VALUES ('only-here', 'all')", DATABASE)
    site.power_off("mna")
    site.execute(driver_of(site).steps_to_promote(site.second, forced=True))
    StreamingTables().write(site, "mnb", "after")
    site.fresh_link()
    site.power_on("mna")


# An old primary comes back


def test_an_old_primary_is_not_writable_when_it_boots_and_what_only_it_has_can_be_read(site: StreamingSite) -> None:
    lost_power(site)
    assert not site.clusters["mna"].runs()
    site.command("mna", "systemctl", "start", "postgresql@15-main")
    assert not site.clusters["mna"].runs(), "an administrator's or a package's start makes it writable"
    state = seen(site, site.first)
    assert (state.role, state.healthy) == (ReplicaRole.SOURCE, False)
    driver = driver_of(site)
    found = driver.interpret_contents(site.runner.run("mna", driver.question_for_contents(site.first)))
    assert found is not None
    assert found.nodes == {"node1", "only-here"}
    assert not site.clusters["mna"].runs()


def test_it_comes_back_by_rewinding_after_what_only_it_has_was_saved(site: StreamingSite) -> None:
    lost_power(site)
    driver = driver_of(site)
    site.execute(driver.steps_to_save_divergence(site.first))
    (saved,) = site.path("mna", "/var/lib/xcat-ha/diverged").glob("2*")
    site.execute(driver.steps_to_seed(site.second, site.first))
    assert took_way(site) == "rewind"
    assert names(site, "mna") == {"node1", "after"}
    assert [path.name for path in site.path("mna", "/var/lib/xcat-ha/diverged").glob("2*")] == [saved.name]
    assert not list(site.clusters["mna"].directory.glob("*.xcat-ha-*"))


def test_a_seed_saves_even_if_nobody_asked_for_it(site: StreamingSite) -> None:
    lost_power(site)
    site.execute(driver_of(site).steps_to_seed(site.second, site.first))
    assert list(site.path("mna", "/var/lib/xcat-ha/diverged").glob("2*/database.dump"))


def test_only_if_rewinding_cannot_work_a_base_backup_is_made(site: StreamingSite) -> None:
    lost_power(site)
    replace_program(site, "mna", "pg_rewind", "#!/bin/sh\necho 'could not find previous WAL record' >&2\nexit 1\n")
    site.execute(driver_of(site).steps_to_seed(site.second, site.first))
    assert "pg_rewind failed" in [ran.completed.stdout for ran in site.runner.changes if "follow" in ran.argv and ran.completed][-1]
    assert names(site, "mna") == {"node1", "after"}


def test_a_sync_never_replaces_what_is_its_targets_own(site: StreamingSite) -> None:
    lost_power(site)
    with pytest.raises(XcatHaError, match="its own"):
        site.execute(driver_of(site).steps_to_sync(site.second, site.first))
    assert not site.clusters["mna"].runs()


def test_what_cannot_be_dumped_is_kept_as_files(site: StreamingSite) -> None:
    lost_power(site)
    replace_program(site, "mna", "pg_dump", "#!/bin/sh\necho 'pg_dump: error: invalid page in block 0' >&2\nexit 1\n")
    driver = driver_of(site)
    site.execute(driver.steps_to_save_divergence(site.first))
    (kept,) = site.path("mna", "/var/lib/xcat-ha/diverged").glob("2*/data")
    assert (kept / "global/pg_control").read_bytes() == (site.clusters["mna"].data / "global/pg_control").read_bytes()
    site.execute(driver.steps_to_seed(site.second, site.first))
    assert names(site, "mna") == {"node1", "after"}


# A standby that was away


def test_a_lost_slot_is_named_on_both_nodes_and_a_sync_makes_the_copy_anew(site: StreamingSite) -> None:
    sync(site, max_slot_wal_mib=2)
    site.power_off("mnb")
    fill_log(site, 8)
    assert "LOST" in seen(site, site.first, max_slot_wal_mib=2).detail
    assert seen(site, site.first, max_slot_wal_mib=2).healthy is False
    site.power_on("mnb")
    state = seen(site, site.second, max_slot_wal_mib=2)
    assert (state.role, state.healthy) == (ReplicaRole.COPY, False)
    assert "SLOT LOST" in state.detail
    StreamingTables().write(site, "mna", "node2")
    sync(site, max_slot_wal_mib=2)
    assert took_way(site) == "copy"
    assert names(site, "mnb") == {"node1", "node2"}
    assert seen(site, site.second, max_slot_wal_mib=2).healthy is True


def test_a_log_that_is_gone_is_named_and_a_sync_makes_the_copy_anew(site: StreamingSite) -> None:
    site.power_off("mnb")
    mna = site.clusters["mna"]
    mna.sql("SELECT pg_drop_replication_slot('xcat_ha_mnb')")
    fill_log(site, 8)
    mna.sql("SELECT pg_create_physical_replication_slot('xcat_ha_mnb', true)")
    site.power_on("mnb")
    state = seen(site, site.second)
    assert state.healthy is False
    assert "LOG GONE" in state.detail
    sync(site)
    assert took_way(site) == "copy"
    assert seen(site, site.second).healthy is True


def test_a_standby_that_was_merely_away_goes_on_where_it_was(site: StreamingSite) -> None:
    site.power_off("mnb")
    fill_log(site, 3)
    StreamingTables().write(site, "mna", "node2")
    site.power_on("mnb")
    sync(site)
    assert took_way(site) == "", "a copy that could go on was made anew"
    assert names(site, "mnb") == {"node1", "node2"}


def test_a_standby_of_another_cluster_is_named_and_refused(site: StreamingSite) -> None:
    """Somebody made the primary's cluster anew, with everything of the same name."""
    mna = site.clusters["mna"]
    mna.make()
    mna.start()
    StreamingTables().install(site, "mna")
    site.execute(driver_of(site).steps_to_sync(site.first, site.second)[:1])
    state = seen(site, site.second)
    assert (state.role, state.healthy) == (ReplicaRole.COPY, False)
    assert "ANOTHER CLUSTER" in state.detail
    with pytest.raises(XcatHaError, match="another database cluster"):
        sync(site)
    assert names(site, "mnb") == {"node1"}


def test_a_primary_that_was_set_back_is_named(site: StreamingSite) -> None:
    """Somebody restored its data directory as it was before it was a pair."""
    mna = site.clusters["mna"]
    mna.restore(mna.kept)
    mna.start()
    StreamingTables().install(site, "mna")
    site.execute(driver_of(site).steps_to_sync(site.first, site.second)[:1])
    state = seen(site, site.second)
    assert (state.role, state.healthy) == (ReplicaRole.COPY, False)
    assert "AHEAD of mna" in state.detail
    assert names(site, "mnb") == {"node1"}


@pytest.mark.parametrize("what", ["password", "hba"])
def test_a_way_that_is_closed_is_named_and_a_sync_opens_it(site: StreamingSite, what: str) -> None:
    mna = site.clusters["mna"]
    if what == "password":
        mna.sql("ALTER ROLE xcat_ha PASSWORD 'something else'")
    else:
        hba = site.path("mna", f"{CONFIG}/pg_hba.conf")
        hba.write_text("\n".join(line for line in hba.read_text().splitlines() if "xcat_ha" not in line or line.startswith("#")) + "\n")
        mna.sql("SELECT pg_reload_conf()")
    mna.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    state = seen(site, site.second)
    assert (state.role, state.healthy) == (ReplicaRole.COPY, False)
    assert {"password": "refuses the password", "hba": "pg_hba.conf of mna"}[what] in state.detail
    StreamingTables().write(site, "mna", "node2")
    sync(site)
    assert names(site, "mnb") == {"node1", "node2"}


def test_a_backup_that_breaks_off_leaves_the_old_copy(site: StreamingSite) -> None:
    site.power_off("mnb")
    site.clusters["mna"].sql("SELECT pg_drop_replication_slot('xcat_ha_mnb')")
    fill_log(site, 8)
    site.power_on("mnb")
    broken = f'#!/bin/sh\n{programs()}/pg_basebackup "$@" || exit 1\nrm "$2/global/pg_filenode.map"\n'
    replace_program(site, "mnb", "pg_basebackup", broken)
    with pytest.raises(XcatHaError, match="pg_verifybackup failed"):
        sync(site)
    assert names(site, "mnb") == {"node1"}
    assert not list(site.clusters["mnb"].directory.glob("*.xcat-ha-*"))


# A synchronous standby


def test_with_wait_commits_wait_and_the_status_says_so(site: StreamingSite) -> None:
    options = {"mode": "synchronous", "when_standby_gone": "wait"}
    sync(site, **options)
    assert "synchronous" in seen(site, site.first, **options).detail
    site.power_off("mnb")
    site.clusters["mna"].sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    state = seen(site, site.first, **options)
    assert state.healthy is False
    assert "every commit waits" in state.detail
    assert driver_of(site, **options).steps_while_serving(site.first) == ()


def test_with_degrade_commits_go_on_and_the_status_fails_until_it_is_back(site: StreamingSite) -> None:
    options = {"mode": "synchronous", "when_standby_gone": "degrade", "degrade_after_s": 1}
    driver = driver_of(site, **options)
    sync(site, **options)
    site.power_off("mnb")
    mna = site.clusters["mna"]
    mna.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    for _look in range(60):
        site.execute(driver.steps_while_serving(site.first))
        if mna.sql("SHOW synchronous_standby_names") == [""]:
            break
    mna.sql("INSERT INTO nodelist (node, groups) VALUES ('node2', 'all')", DATABASE)
    state = seen(site, site.first, **options)
    assert state.healthy is False
    assert "DEGRADED" in state.detail
    site.power_on("mnb")
    await_replay(site, mna)
    for _look in range(60):
        site.execute(driver.steps_while_serving(site.first))
        if mna.sql("SHOW synchronous_standby_names") == ["xcat_ha_mnb"]:
            break
    assert seen(site, site.first, **options).healthy is True
    assert names(site, "mnb") == {"node1", "node2"}


def test_a_sync_opens_a_closed_way_although_every_commit_waits_for_the_standby(site: StreamingSite) -> None:
    options = {"mode": "synchronous", "when_standby_gone": "wait"}
    sync(site, **options)
    mna = site.clusters["mna"]
    mna.sql("ALTER ROLE xcat_ha PASSWORD 'something else'")
    mna.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    sync(site, **options)
    assert seen(site, site.first, **options).healthy is True


def test_an_old_primary_that_waits_for_its_standby_is_saved_and_rejoins_all_the_same(site: StreamingSite) -> None:
    """The network was cut and healed: both ran on, the old one with its commits waiting."""
    options = {"mode": "synchronous", "when_standby_gone": "wait"}
    sync(site, **options)
    driver = driver_of(site, **options)
    site.cut_link()
    site.clusters["mna"].sql("SET synchronous_commit = local; INSERT INTO nodelist (node, groups) VALUES ('only-here', 'all')", DATABASE)
    site.execute(driver.steps_to_promote(site.second, forced=True))
    site.fresh_link()
    site.execute(driver.steps_to_save_divergence(site.first))
    assert list(site.path("mna", "/var/lib/xcat-ha/diverged").glob("2*/database.dump"))
    site.execute(driver.steps_to_seed(site.second, site.first))
    assert took_way(site) == "rewind"
    assert names(site, "mna") == {"node1"}


def test_a_new_primary_does_not_wait_for_the_old_one_until_that_follows(site: StreamingSite) -> None:
    options = {"mode": "synchronous", "when_standby_gone": "wait"}
    sync(site, **options)
    site.power_off("mna")
    driver = driver_of(site, **options)
    site.execute(driver.steps_to_promote(site.second, forced=True))
    site.clusters["mnb"].sql("INSERT INTO nodelist (node, groups) VALUES ('after', 'all')", DATABASE)
    site.power_on("mna")
    site.execute(driver.steps_to_seed(site.second, site.first))
    assert site.clusters["mnb"].sql("SHOW synchronous_standby_names") == ["xcat_ha_mna"]
    assert names(site, "mna") == {"node1", "after"}


# Settings


def test_a_standby_gets_the_limits_without_which_it_could_not_follow(site: StreamingSite) -> None:
    config = site.path("mna", f"{CONFIG}/postgresql.conf")
    config.write_text("max_connections = 150\n" + config.read_text())
    site.clusters["mna"].stop("fast")
    site.clusters["mna"].start()
    sync(site)
    assert site.clusters["mnb"].sql("SHOW max_connections") == ["150"]
    assert seen(site, site.second).healthy is True


# Secrets


def test_the_password_is_in_one_file_that_only_root_and_the_server_read(site: StreamingSite) -> None:
    for node_id, cluster in site.clusters.items():
        passfile = site.path(node_id, "/var/lib/xcat-ha-postgres/passfile")
        password = passfile.read_text().strip().rpartition(":")[2]
        assert len(password) >= 32
        assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
        assert stat.S_IMODE(passfile.parent.stat().st_mode) == 0o700
        trees = (site.root(node_id), cluster.data)
        holders = [path for tree in trees for path in tree.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
        assert holders == [passfile]
        assert password not in (cluster.directory / "log").read_text()
        assert not any(password in " ".join(ran.argv) for ran in site.runner.log)
    assert "password" not in site.clusters["mnb"].sql("SELECT conninfo FROM pg_stat_wal_receiver")[0].replace("passfile", "")


def test_replication_is_encrypted(site: StreamingSite) -> None:
    query = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)"
    assert site.clusters["mna"].sql(query) == ["t"]


def test_a_stopped_copy_leaves_no_temporary_copy_behind(site: StreamingSite) -> None:
    before = set(Path("/var/tmp").glob("xha-*"))
    lost_power(site)
    driver = driver_of(site)
    assert site.runner.run("mna", driver.question_for_record(site.first, "only-here")).stdout.strip() == "present"
    assert set(Path("/var/tmp").glob("xha-*")) <= before
