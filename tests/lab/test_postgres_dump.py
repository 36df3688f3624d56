"""The driver ``postgres-dump`` on two real machines with Debian's PostgreSQL: the story, and the moments in which copies get lost.

After every bad moment: the standby's last good database still answers, its age is told truthfully, and the next sync heals it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pytest

from tests.lab import Lab, Layer, Node, postgres
from tests.lab.conftest import Nodes
from tests.lab.databases import DATABASES
from tests.lab.demo import tell
from tests.lab.losses import DONE, FAILED, REFUSED, await_guard, holds_address, make_pair, status_of
from tests.lab.postgres import UNIT, psql, rows
from tests.lab.process import wait_until
from tests.lab.product import xcat_ha
from tests.lab.test_power_loss import lose_power_again_and_again

pytestmark = pytest.mark.lab

DATABASE = DATABASES["postgres-dump"]
STATE = "/var/lib/xcat-ha/postgres-dump"
DATA = "/var/lib/postgresql/15/main"
MIB = 1 << 20


@pytest.fixture(scope="module")
def made_of() -> Sequence[Layer]:
    return DATABASE.layers(None)


@pytest.mark.soak
def test_the_whole_story(lab_nodes: Nodes, made_of: Sequence[Layer]) -> None:
    lines = tell(lab_nodes.fresh("single", made_of), DATABASE)
    assert [f"{line.what}: {line.figure}" for line in lines if not line.holds] == []
    assert len(lines) > 40


@pytest.fixture(scope="module")
def site(lab_nodes: Nodes, made_of: Sequence[Layer]) -> Lab:
    lab = make_pair(lab_nodes.fresh("single", made_of), DATABASE.start_site)
    # The timer would sync in the middle of what is tested.
    lab.node("mna").run(("sh", "-c", "systemctl stop 'xcat-ha-sync-*.timer'"))
    return lab


@pytest.fixture
def mna(site: Lab) -> Node:
    return site.node("mna")


@pytest.fixture
def mnb(site: Lab) -> Node:
    return site.node("mnb")


def define(node: Node, name: str) -> None:
    node.run(("/opt/xcat/bin/mkdef", "-t", "node", "-f", "-o", name, "groups=mishap"), timeout_s=60)


def has(node: Node, name: str) -> bool:
    """Whether the database in place, asked by its owner, has the record."""
    return rows(node, f"SELECT count(*) FROM nodelist WHERE node = '{name}'") == ["1"]


def sync(node: Node, *, expect: int = DONE) -> str:
    done = xcat_ha(node, "sync", "database", "--yes", check=False)
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    if expect != DONE:
        assert "hint:" in done.stderr
    return str(done.stderr)


def age_s(node: Node) -> float:
    """How old the copy is, by what status says."""
    found = re.search(r"would be lost if \w+ died now: what was written in the last (\d+) s", status_of(node))
    assert found is not None, status_of(node)
    return float(found[1])


def databases(node: Node) -> list[str]:
    return rows(node, "SELECT datname FROM pg_database WHERE datname ~ '^xcatdb' ORDER BY 1", database="postgres")


def generations(node: Node) -> list[str]:
    return str(node.run(("ls", f"{STATE}/generations")).stdout).split()


def test_the_standbys_server_runs_its_database_is_closed_and_its_files_are_roots(mna: Node, mnb: Node) -> None:
    sync(mna)
    assert rows(mnb, "SELECT datconnlimit FROM pg_database WHERE datname = 'xcatdb'") == ["0"]
    login = ("env", f"PGPASSWORD={postgres.PASSWORD}", "psql", "-h", "127.0.0.1", "-U", "xcatadm", "-d", "xcatdb", "-c", "SELECT 1")
    refused = mnb.run(login, check=False)
    assert "too many connections for database" in refused.stderr, refused.stderr
    readable = mnb.run(("find", "/var/lib/xcat-ha", "/etc/xcat/cfgloc", "-type", "f", "-perm", "/077")).stdout
    assert "dump" not in readable
    assert "access" not in readable
    assert "cfgloc" not in readable
    assert rows(mnb, "SELECT has_schema_privilege('xcatadm', 'public', 'CREATE')") == ["t"]
    assert rows(mnb, "SELECT count(*) FROM nodelist") == rows(mna, "SELECT count(*) FROM nodelist")


def test_nothing_is_sent_when_nothing_changed_and_the_last_seven_are_kept(mna: Node, mnb: Node) -> None:
    for number in range(8):
        define(mna, f"kept-{number}")
        sync(mna)
    before = generations(mnb)
    assert len(before) == 7
    sync(mna)
    assert generations(mnb) == before


def test_a_sync_that_is_cut_off_in_transit(site: Lab, mna: Node, mnb: Node) -> None:
    define(mna, "before-cut")
    sync(mna)
    good = time.time()
    define(mna, "while-cut")
    site.delay("mnb", 150.0)  # what travels can then be met on its way
    started = mna.popen(("/opt/xcat-ha/bin/xcat-ha", "sync", "database", "--yes"))
    arriving = mnb.root / f"{STATE}/incoming".lstrip("/")
    wait_until(arriving.exists, timeout_s=120, what="a copy to be on its way", interval_s=0.01)
    site.delay("mnb", 0, 100)  # nothing gets through any more
    assert has(mnb, "before-cut")
    assert not has(mnb, "while-cut")
    started.communicate(timeout=300)
    assert started.returncode not in {DONE, None}
    site.delay("mnb", 0)
    wait_until(lambda: mna.run(("ping", "-c", "1", "-W", "1", "10.77.0.22"), check=False).returncode == 0, timeout_s=30, what="the line")
    assert has(mnb, "before-cut")
    assert age_s(mna) >= time.time() - good - 5
    sync(mna)
    assert has(mnb, "while-cut")


def test_a_corrupt_dump_is_noticed_where_it_is_and_made_anew(mna: Node, mnb: Node) -> None:
    """On the source's disk; that the target notices it, too, is proven by the unit tests."""
    define(mna, "before-corrupt")
    sync(mna)
    mna.run(("sh", "-c", f"printf x | dd of={STATE}/outgoing/current/database.dump bs=1 seek=2000 conv=notrunc"))
    define(mna, "after-corrupt")
    sync(mna)
    assert has(mnb, "after-corrupt")


def test_a_standby_without_room_for_a_restore(mna: Node, mnb: Node) -> None:
    define(mna, "before-full")
    sync(mna)
    good = time.time()
    define(mna, "while-full")
    mnb.run(("systemctl", "stop", UNIT), timeout_s=60)
    mnb.run(("cp", "-a", DATA, "/mnt/kept"), timeout_s=120)
    mnb.tmpfs(DATA, 160 * MIB)
    try:
        mnb.run(("sh", "-c", f"cp -a /mnt/kept/. {DATA} && chown postgres: {DATA} && chmod 700 {DATA}"), timeout_s=120)
        mnb.run(("sh", "-c", f"head -c $(($(df -B1 --output=avail {DATA} | tail -1) - {20 * MIB})) /dev/zero > {DATA}/fill"))
        mnb.run(("systemctl", "start", UNIT), timeout_s=60)
        said = sync(mna, expect=FAILED)
        assert "MiB" in said
        assert "make room" in said
        assert has(mnb, "before-full")
        assert databases(mnb) == ["xcatdb"]
        assert age_s(mna) >= time.time() - good - 5
        mnb.run(("rm", f"{DATA}/fill"))
        mnb.run(("systemctl", "stop", UNIT), timeout_s=60)
    finally:
        mnb.remove_tmpfs(DATA)
        mnb.run(("systemctl", "start", UNIT), timeout_s=60)
    sync(mna)
    assert has(mnb, "while-full")


def test_a_restore_that_is_killed_half_way(mna: Node, mnb: Node) -> None:
    define(mna, "before-kill")
    sync(mna)
    good = time.time()
    for number, kill in enumerate(("pkill -9 -x pg_restore", "pkill -9 -f '[p]ostgres_dump.node_side receive'")):
        define(mna, f"while-kill-{number}")
        started = mna.popen(("/opt/xcat-ha/bin/xcat-ha", "sync", "database", "--yes"))
        killed = mnb.run(("sh", "-c", f"{_WHEN_RESTORING} && {kill} && echo killed"), timeout_s=120, check=False)
        assert killed.stdout.strip() == "killed", killed.stdout
        assert has(mnb, "before-kill")
        started.communicate(timeout=300)
        assert started.returncode != DONE
        assert not has(mnb, f"while-kill-{number}")
        assert age_s(mna) >= time.time() - good - 5
    sync(mna)
    assert has(mnb, "while-kill-1")
    assert databases(mnb) == ["xcatdb"]


_WHEN_RESTORING = "for try in $(seq 3000); do pgrep -x pg_restore > /dev/null && break; sleep 0.02; done"


def test_two_syncs_at_once(mna: Node, mnb: Node) -> None:
    define(mna, "two-at-once")
    started = [mna.popen(("/opt/xcat-ha/bin/xcat-ha", "sync", "database", "--yes")) for _ in range(2)]
    for process in started:
        process.communicate(timeout=300)
    codes = sorted(process.returncode for process in started)
    assert codes in ([DONE, DONE], [DONE, REFUSED]), codes
    sync(mna)
    assert has(mnb, "two-at-once")
    assert databases(mnb) == ["xcatdb"]


def problems(node: Node, words: str) -> None:
    """Status says so in one line, and exits with a code that is not 0."""
    done = xcat_ha(node, "status", check=False)
    lines = [line for line in done.stdout.splitlines() if words in line]
    assert lines, done.stdout
    assert done.returncode == FAILED, done.stdout


def test_a_wrong_password_is_named(mna: Node) -> None:
    psql(mna, "ALTER ROLE xcatadm PASSWORD 'pw0Another'")
    try:
        problems(mna, "the password in cfgloc is not that of role xcatadm")
    finally:
        psql(mna, f"ALTER ROLE xcatadm PASSWORD '{postgres.PASSWORD}'")
    sync(mna)
    assert "the password in cfgloc" not in status_of(mna)


def test_a_wrong_pg_hba_is_named(mna: Node) -> None:
    path = f"{postgres.CONFIG_DIR}/pg_hba.conf"
    mna.run(("sh", "-c", f"cp -a {path} /mnt/hba && sed -i '1i host all all 0.0.0.0/0 reject' {path} && systemctl reload {UNIT}"))
    try:
        wait_until(lambda: "pg_hba.conf rejects xcatadm from there" in status_of(mna), timeout_s=30, what="status to name pg_hba.conf")
        problems(mna, "pg_hba.conf rejects xcatadm from there")
    finally:
        mna.run(("sh", "-c", f"cp -a /mnt/hba {path} && systemctl reload {UNIT}"))
    wait_until(lambda: "pg_hba.conf rejects" not in status_of(mna), timeout_s=30, what="status to see that it was put right")


def test_a_primary_whose_server_is_down_is_named(mna: Node) -> None:
    mna.run(("systemctl", "stop", UNIT), timeout_s=60)
    try:
        problems(mna, "does not answer")
        assert "does not answer" in sync(mna, expect=FAILED)
    finally:
        mna.run(("systemctl", "start", UNIT), timeout_s=60)
    assert "does not answer" not in status_of(mna)
    sync(mna)


def test_a_standby_whose_server_is_down_takes_over_only_when_the_loss_is_allowed(site: Lab, mna: Node, mnb: Node) -> None:
    define(mna, "the-last-copied")
    sync(mna)
    mnb.run(("systemctl", "stop", UNIT), timeout_s=60)
    problems(mna, "does not answer")
    mna.kill()
    done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--yes", check=False)
    assert done.returncode == REFUSED, done.stderr
    assert "--allow-data-loss" in done.stderr
    assert not holds_address(mnb)
    done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--allow-data-loss", "--yes", check=False)
    if done.returncode != DONE:  # nothing can be asked of a database whose server is down
        assert "systemctl start" in done.stderr
        mnb.run(("systemctl", "start", UNIT), timeout_s=60)
        done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert has(mnb, "the-last-copied")
    mna.boot()
    await_guard(mna, "passive", "above ours")
    # Nobody writes to what will be replaced, from the guard's first look on.
    closed = "SELECT datconnlimit FROM pg_database WHERE datname = 'xcatdb'"
    wait_until(lambda: rows(mna, closed) == ["0"], timeout_s=60, what="the old primary's database to be closed")
    assert xcat_ha(mnb, "rejoin", "--yes", check=False).returncode == DONE
    assert xcat_ha(mnb, "failback", "--yes", check=False).returncode == DONE
    del site


@pytest.mark.soak
def test_power_loss_of_the_primary(lab_nodes: Nodes, made_of: Sequence[Layer]) -> None:
    lose_power_again_and_again(make_pair(lab_nodes.fresh("single", made_of), DATABASE.start_site), DATABASE)
