"""A simulated pair with a real PostgreSQL on each node, which a simulated systemd starts and stops, and a network between them to cut."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.postgres_site import CONFIG, DATABASE, TABLES, UNIT, USER, PrivateServer, owner
from tests.relayed_site import PLACES, RelayedSite, keep_cfgloc
from xcat_ha.testing import Answer, Call, SimulatedHost, Site
from xcat_ha.testing._systemctl import systemctl
from xcat_ha.testing.machine import Unit

PASSWORDS = {"mna": "Pg0S3cretOfTheCluster", "mnb": "Pg0S3cretOfANewMachine"}
_FIXED = "-c fsync=off -c autovacuum=off -c logging_collector=off -c log_checkpoints=off"
_DROP_IN = f"/etc/systemd/system/{UNIT}.d/xcat-ha.conf"


class Cluster(PrivateServer):
    """One server with its data directory."""

    def __init__(self, directory: Path, host: SimulatedHost, address: str, port: int) -> None:
        super().__init__(directory, host, port)
        self.address = address
        self.make()
        self.kept = self.directory / "kept-0"
        shutil.copytree(self.data, self.kept, symlinks=True)

    def make(self) -> None:
        """A cluster like no other, instead of the one that is there."""
        self.stop("immediate")
        shutil.rmtree(self.data, ignore_errors=True)
        self.initdb("--wal-segsize=1")

    def configure(self) -> None:
        """As the package makes it."""
        self.lay_out("local all all peer\n", Unit(UNIT, enabled="enabled"))

    def start(self) -> None:
        if self.runs():
            return
        options = f"{_FIXED} -c listen_addresses={self.address} -c config_file={self.host.path(CONFIG)}/postgresql.conf"
        log = str(self.directory / "log")
        self.run("pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-s", "-l", log, "-o", options, "start", check=False)

    def stop(self, mode: str) -> None:
        if self.runs():
            self.run("pg_ctl", "-D", str(self.data), "-w", "-s", "-m", mode, "stop")

    def runs(self) -> bool:
        return "server is running" in self.run("pg_ctl", "-D", str(self.data), "status", check=False)

    def restore(self, kept: Path) -> None:
        """The data directory as it was; what a driver put beside it goes."""
        self.stop("immediate")
        for path in self.directory.iterdir():
            if path.is_dir() and not path.name.startswith("kept-"):
                shutil.rmtree(path)
        subprocess.run(["cp", "-a", str(kept), str(self.data)], check=True)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{owner().pw_uid}:{owner().pw_gid}", str(self.data)], check=True)

    def digest(self) -> str:
        """All that a test cares about."""
        beside = sorted(path.name for path in self.directory.iterdir() if path.is_dir() and not path.name.startswith("kept-"))
        facts: list[object] = [beside, (self.data / "standby.signal").exists(), self.runs()]
        if self.runs():
            facts += self.sql(
                "SELECT pg_is_in_recovery(); SELECT datname FROM pg_database ORDER BY 1;"
                " SELECT rolname, rolpassword FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1;"
                " SELECT slot_name FROM pg_replication_slots;"
            )
            if DATABASE in self.sql("SELECT datname FROM pg_database"):
                facts.append(self.dump(DATABASE))
        return repr(facts)


class StreamingSite(RelayedSite):
    """Two nodes with PostgreSQL."""

    secrets = (*RelayedSite.secrets, *PASSWORDS.values())

    def __init__(self) -> None:
        self.clusters: Mapping[str, Cluster] = {}
        super().__init__()
        hosts = self.simulated.hosts
        self.clusters = {name: Cluster(self._directory / name, host, PLACES[name], self.port) for name, host in hosts.items()}
        self._connect()
        for host in hosts.values():
            host.handle("systemctl", self._systemctl)
        self.fresh()

    def _systemctl(self, host: SimulatedHost, call: Call) -> Answer:
        """As systemd does with the server's unit, conditions included."""
        cluster = self.clusters[host.node.id]
        words = [word for word in call.words if not word.startswith("-")]
        if len(words) < 2 or words[1] not in {UNIT, UNIT.removesuffix(".service")} or words[0] not in {"start", "stop", "restart"}:
            return Answer(0) if words[:1] == ["daemon-reload"] else systemctl(host, call)
        if words[0] in {"stop", "restart"}:
            cluster.stop("fast")
        if words[0] in {"start", "restart"} and conditions_hold(host):
            cluster.start()
        return Answer(0)

    def fresh(self) -> None:
        super().fresh()
        for name, cluster in self.clusters.items():
            self._open_tree(name)
            cluster.restore(cluster.kept)
            cluster.configure()
            write_cfgloc(self, name)
            cluster.start()
            assert cluster.runs(), (cluster.directory / "log").read_text()[-2000:]
        self._join()

    def power_off(self, node_id: str) -> None:
        self.clusters[node_id].stop("immediate")
        super().power_off(node_id)

    def power_on(self, node_id: str) -> None:
        super().power_on(node_id)
        if conditions_hold(self.host(node_id)):
            self.clusters[node_id].start()

    def checkpoint(self) -> Callable[[], None]:
        files = super().checkpoint()
        self._made += 1
        running = {name: cluster.runs() for name, cluster in self.clusters.items()}
        for name in ("mna", "mnb"):
            self.clusters[name].stop("fast")
        saved = {name: cluster.directory / f"kept-{self._made}" for name, cluster in self.clusters.items()}
        for name, cluster in self.clusters.items():
            subprocess.run(["cp", "-a", str(cluster.data), str(saved[name])], check=True)
        self._start(running)

        def restore() -> None:
            files()
            for name, cluster in self.clusters.items():
                self._open_tree(name)
                cluster.restore(saved[name])
            self._start(running)
            self._join()

        return restore

    def _start(self, running: Mapping[str, bool]) -> None:
        for name, runs in running.items():
            if runs:
                self.clusters[name].start()
        for cluster in self.clusters.values():
            await_replay(self, cluster)

    def digest(self, node_id: str) -> str:
        return f"{super().digest(node_id)} {self.clusters[node_id].digest()}"

    def close(self) -> None:
        for relay in self._relays:
            relay.down()
        for cluster in self.clusters.values():
            cluster.stop("immediate")
        super().close()
        shutil.rmtree(self._directory, ignore_errors=True)


def conditions_hold(host: SimulatedHost) -> bool:
    """Whether systemd would start the server's unit: one of the triggering conditions in the drop-in, if there are any."""
    drop_in = host.path(_DROP_IN)
    paths = re.findall(r"^ConditionPathExists=\|(.+)$", drop_in.read_text(), re.MULTILINE) if drop_in.exists() else []
    return not paths or any(Path(path).exists() for path in paths)


def await_replay(site: StreamingSite, primary: Cluster, timeout_s: float = 20.0) -> None:
    """Wait until a connected standby has replayed what the primary has; not, if there is none."""
    other = next(cluster for cluster in site.clusters.values() if cluster is not primary)
    if not primary.runs() or not other.runs() or primary.sql("SELECT pg_is_in_recovery()") == ["t"]:
        return
    if other.sql("SELECT pg_is_in_recovery()") == ["f"] or not site.simulated.linked:
        return
    deadline = time.monotonic() + timeout_s
    query = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= pg_current_wal_flush_lsn()"
    while primary.sql(query) != ["1"] and time.monotonic() < deadline:
        time.sleep(0.05)


class StreamingTables:
    """xCAT's database in the node's server."""

    def install(self, site: Site, node_id: str) -> None:
        cluster = cluster_of(site, node_id)
        cluster.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORDS[node_id]}'; CREATE DATABASE {DATABASE};")
        cluster.sql(f"GRANT ALL ON SCHEMA public TO {USER}; SET ROLE {USER}; {TABLES}", DATABASE)
        cluster.sql(f"INSERT INTO site (key, value) VALUES ('master', '{site.pair.identity.primary_address}')", DATABASE)
        write_cfgloc(site, node_id)

    def write(self, site: Site, node_id: str, name: str) -> None:
        cluster = cluster_of(site, node_id)
        cluster.sql(f"INSERT INTO nodelist (node, groups) VALUES ('{name}', 'all')", DATABASE)
        assert isinstance(site, StreamingSite)
        await_replay(site, cluster)

    def names(self, site: Site, node_id: str) -> frozenset[str]:
        cluster = cluster_of(site, node_id)
        if DATABASE not in cluster.sql("SELECT datname FROM pg_database"):
            return frozenset()
        return frozenset(cluster.sql("SELECT node FROM nodelist", DATABASE))


def write_cfgloc(site: Site, node_id: str) -> None:
    port = cluster_of(site, node_id).port
    keep_cfgloc(site, node_id, f"Pg:dbname={DATABASE};host={site.pair.node(node_id).address};port={port}|{USER}|{PASSWORDS[node_id]}\n")


def cluster_of(site: Site, node_id: str) -> Cluster:
    assert isinstance(site, StreamingSite)
    return site.clusters[node_id]
