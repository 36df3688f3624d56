"""The driver ``postgres-streaming`` on two real machines, judged by observers outside the product."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.lab import Lab, Node
from tests.lab.conftest import Nodes
from tests.lab.databases import DATABASES
from tests.lab.demo import tell
from tests.lab.losses import DONE, FAILED, REFUSED, announced, await_guard, holds_address, status_of
from tests.lab.observers import ServiceWatcher, process_probe
from tests.lab.postgres import UNIT, layers, nodes_in_dump, psql, rows, start_site
from tests.lab.process import wait_until
from tests.lab.product import host_key_fingerprint, make_client, xcat_ha
from tests.lab.witnesses import Writer

pytestmark = pytest.mark.lab

TRIALS = int(os.environ.get("XCAT_HA_TRIALS", "2"))
_SYNCHRONOUS = 'mode = "synchronous"\nwhen_standby_gone = "wait"\n'


def make_pair(lab: Lab, options: str) -> Lab:
    start_site(lab, "postgres-streaming", options=options)
    make_client(lab)
    done = xcat_ha(lab.node("mna"), "setup", "--yes", "--trust-host-key", host_key_fingerprint(lab.node("mnb")), check=False)
    assert done.returncode == DONE, done.stderr
    return lab


def can_write(node: Node) -> bool:
    """Whether anybody on the node could write to its database."""
    tried = psql(node, "BEGIN; CREATE TABLE trial (x int); ROLLBACK;", check=False)
    return bool(tried.returncode == 0)


def sync(node: Node) -> None:
    """Bring the copy up to now; the scheduled sync may be at it at the same moment, and is waited for."""

    def free() -> bool:
        done = xcat_ha(node, "sync", "database", "--yes", check=False)
        if "another operation runs" in done.stderr:
            return False
        assert done.returncode == DONE, done.stderr
        return True

    wait_until(free, timeout_s=180, what="the scheduled sync to end", interval_s=1.0)


def role_of(node: Node) -> str:
    """What the server itself says; empty if it does not answer."""
    said = psql(node, "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END", check=False)
    return said.stdout.strip() if said.returncode == 0 else ""


@pytest.mark.soak
def test_the_whole_story(lab_nodes: Nodes) -> None:
    database = DATABASES["postgres-streaming"]
    lines = tell(lab_nodes.fresh("single", database.layers(None)), database)
    assert [f"{line.what}: {line.figure}" for line in lines if not line.holds] == []
    assert len(lines) > 40


@pytest.mark.soak  # a scheduled sync may mend what a test has just broken
class TestStandby:
    """One pair, asynchronous; each test leaves it whole, with mna as primary."""

    @pytest.fixture(scope="class")
    def site(self, lab_nodes: Nodes) -> Lab:
        return make_pair(lab_nodes.fresh("single", layers()), "max_slot_wal_mib = 32\n")

    @pytest.fixture
    def nodes(self, site: Lab) -> Iterator[tuple[Node, Node]]:
        mna, mnb = site.node("mna"), site.node("mnb")
        yield mna, mnb
        assert (role_of(mna), role_of(mnb)) == ("primary", "standby")
        assert xcat_ha(mna, "status", check=False).returncode == DONE, status_of(mna)

    def test_it_streams_encrypted_as_a_user_of_its_own(self, nodes: tuple[Node, Node]) -> None:
        mna, _mnb = nodes
        query = "SELECT usename, application_name, ssl, state FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)"
        assert rows(mna, query) == ["xcat_ha|xcat_ha_mnb|t|streaming"]

    @pytest.mark.parametrize(
        ("trouble", "words"),
        [
            ("password", "refuses the password"),
            ("hba", "pg_hba.conf of mna"),
            ("slot-lost", "SLOT LOST"),
            ("log-gone", "LOG GONE"),
            ("down", "does not run"),
        ],
    )
    def test_what_broke_is_named_in_one_line_and_a_sync_mends_it(self, nodes: tuple[Node, Node], trouble: str, words: str) -> None:
        mna, mnb = nodes
        {"password": self.spoil_password, "hba": self.spoil_hba, "slot-lost": self.lose_slot, "log-gone": self.lose_log, "down": self.stop}[
            trouble
        ](mna, mnb)
        wait_until(lambda: words in status_of(mna), timeout_s=60, what=f"status to say {words}")
        shown = xcat_ha(mna, "status", check=False)
        assert shown.returncode == FAILED, shown.stdout
        assert len([line for line in shown.stdout.splitlines() if line.startswith("PROBLEM") and words in line]) == 1, shown.stdout
        if trouble == "down":
            mnb.run(("systemctl", "start", UNIT), timeout_s=120)
        sync(mna)
        assert rows(mna, "SELECT count(*) FROM nodelist") == rows(mnb, "SELECT count(*) FROM nodelist")

    @staticmethod
    def spoil_password(mna: Node, mnb: Node) -> None:
        del mnb
        psql(mna, "ALTER ROLE xcat_ha PASSWORD 'other'; SELECT pg_terminate_backend(pid) FROM pg_stat_replication;")

    @staticmethod
    def spoil_hba(mna: Node, mnb: Node) -> None:
        del mnb
        mna.run(("sed", "-i", "/xcat_ha/d", "/etc/postgresql/15/main/pg_hba.conf"))
        psql(mna, "SELECT pg_reload_conf(); SELECT pg_terminate_backend(pid) FROM pg_stat_replication;")

    def lose_slot(self, mna: Node, mnb: Node) -> None:
        mnb.run(("systemctl", "stop", UNIT), timeout_s=120)
        self.write_log(mna)
        mnb.run(("systemctl", "start", UNIT), timeout_s=120)

    def lose_log(self, mna: Node, mnb: Node) -> None:
        mnb.run(("systemctl", "stop", UNIT), timeout_s=120)
        psql(mna, "SELECT pg_drop_replication_slot('xcat_ha_mnb')")
        self.write_log(mna)
        psql(mna, "SELECT pg_create_physical_replication_slot('xcat_ha_mnb', true)")
        mnb.run(("systemctl", "start", UNIT), timeout_s=120)

    @staticmethod
    def stop(mna: Node, mnb: Node) -> None:
        del mna
        mnb.run(("systemctl", "stop", UNIT), timeout_s=120)

    @staticmethod
    def write_log(mna: Node) -> None:
        psql(mna, "CREATE TABLE ballast (x text);")
        for _ in range(5):
            psql(mna, "INSERT INTO ballast SELECT repeat(md5(random()::text), 40) FROM generate_series(1, 12000); SELECT pg_switch_wal();")
        psql(mna, "DROP TABLE ballast; CHECKPOINT;")
        psql(mna, "CHECKPOINT")

    def test_a_standby_of_another_cluster_is_named_and_left_alone(self, nodes: tuple[Node, Node]) -> None:
        """Its data directory was exchanged for one of the same PostgreSQL, made elsewhere."""
        mna, mnb = nodes
        data = "/var/lib/postgresql/15/main"
        mnb.run(("systemctl", "stop", UNIT), timeout_s=120)
        mnb.run(("mv", data, f"{data}.aside"))
        mnb.run(("runuser", "-u", "postgres", "--", "/usr/lib/postgresql/15/bin/initdb", "-D", data), timeout_s=120)
        mnb.run(("runuser", "-u", "postgres", "--", "touch", f"{data}/standby.signal"))
        mnb.run(("systemctl", "start", UNIT), timeout_s=120)
        wait_until(lambda: "ANOTHER CLUSTER" in status_of(mna), timeout_s=60, what="status to name the other cluster")
        assert xcat_ha(mna, "status", check=False).returncode == FAILED
        refused = xcat_ha(mna, "sync", "database", "--yes", check=False)
        assert refused.returncode != DONE
        assert "another database cluster" in refused.stderr
        mnb.run(("systemctl", "stop", UNIT), timeout_s=120)
        mnb.run(("rm", "-r", data))
        mnb.run(("mv", f"{data}.aside", data))
        mnb.run(("systemctl", "start", UNIT), timeout_s=120)
        sync(mna)

    def test_broken_for_two_days(self, nodes: tuple[Node, Node]) -> None:
        """The proof and the last transaction are of two days ago; failover refuses unless the loss is allowed."""
        mna, mnb = nodes
        note = "/var/lib/xcat-ha/postgres-streaming/proof.json"
        kept = mnb.run(("cat", note)).stdout
        try:
            mna.kill()
            mnb.run(("systemctl", "restart", UNIT), timeout_s=120)  # it forgets when it last replayed a transaction
            mnb.run(("sed", "-i", "-E", f's/"time": [0-9.]+/"time": {time.time() - 172_900}/', note))
            done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--yes", check=False)
            assert done.returncode == REFUSED, done.stderr
            assert "--allow-data-loss" in done.stderr
            assert "2.0 days ago" in status_of(mnb)
        finally:
            mnb.run(("sh", "-c", f"cat > {note}"), input=kept)
            mna.boot()
            await_guard(mna, "active", timeout_s=180)
            sync(mna)


@pytest.mark.soak
@pytest.mark.parametrize("options", ["", _SYNCHRONOUS], ids=["asynchronous", "synchronous-wait"])
def test_power_loss_of_the_primary(lab_nodes: Nodes, options: str) -> None:
    site = make_pair(lab_nodes.fresh("single", layers()), options)
    chance = random.Random(4711)
    order = ["mna", "mnb"]
    xcatd = ServiceWatcher(site, process_probe("xcatd: SSL listener"), interval_s=0.1)
    with ServiceWatcher(site, holds_address, interval_s=0.02) as address, xcatd:
        for trial in range(TRIALS):
            figures = _trial(site, order, f"p{trial:02d}", chance, may_lose=not options)
            print(f"trial {trial}: {figures}", flush=True)
            order.reverse()
    assert address.overlaps() == []
    assert xcatd.overlaps() == []


def _trial(site: Lab, order: list[str], prefix: str, chance: random.Random, *, may_lose: bool) -> str:
    primary, standby = (site.node(node_id) for node_id in order)
    with Writer(site, prefix) as writer:
        time.sleep(chance.uniform(2.0, 8.0))  # the moments are what is tested
        if may_lose:
            # What streams in milliseconds is hardly ever lost: let the standby lag, as behind a slow line.
            site.delay(standby.id, 1500.0)
        time.sleep(chance.uniform(0.5, 2.0))
        killed = time.time()
        primary.kill()
        if may_lose:
            site.delay(standby.id, 0.0)
        done = xcat_ha(standby, "failover", "--confirm-down", primary.id, "--yes", check=False)
        took_s = time.time() - killed
    assert done.returncode == DONE, done.stderr
    good = announced(done)
    missing = writer.missing()
    assert len(writer.acknowledged) > len(missing)
    early = sorted(name for name in missing if writer.acknowledged[name] <= good)
    assert early == [], f"lost, although acknowledged before {good}"
    if not may_lose:
        assert missing == set(), "a synchronous pair lost what it had acknowledged"
    unseen = _come_back(primary, standby, missing)
    left = ",".join(sorted(set(writer.acknowledged) - missing))
    standby.run(("/opt/xcat/bin/rmdef", "-t", "node", "-o", left), timeout_s=300, check=False)
    return (
        f"{len(writer.acknowledged)} acknowledged, {len(missing)} lost, announced {killed - good:.3f} s before the power loss; "
        f"failover done {took_s:.1f} s after it; {unseen}"
    )


def _come_back(old: Node, new: Node, missing: set[str]) -> str:
    """The old primary boots, is not writable, names and saves what only it has, and follows; how, in the product's words."""
    old.boot()
    await_guard(old, "passive", "above ours", timeout_s=180)
    assert not can_write(old), "the old primary's database takes writes"
    rejoined = xcat_ha(new, "rejoin", "--yes", check=False)
    assert rejoined.returncode == DONE, rejoined.stderr
    for name in missing:
        assert name in rejoined.stderr or "more)" in rejoined.stderr
    saved = rejoined.stdout.partition("saved in ")[2].split()[0]
    assert missing <= nodes_in_dump(old, f"{saved}/database.dump"), "the saved copy lacks what was lost"
    assert (role_of(old), role_of(new)) == ("standby", "primary")
    journals = "ls -t /var/lib/xcat-ha/journal/*-rejoin-* | head -n 1 | xargs grep -ho 'follows [a-z]*: [^\"]*' | tail -n 1"
    return new.run(("sh", "-c", journals)).stdout.strip()
