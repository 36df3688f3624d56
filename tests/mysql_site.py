"""A simulated pair with a real MariaDB on each node, which a simulated systemd starts and stops, and a network between them to cut."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.relayed_site import PLACES, RelayedSite, keep_cfgloc
from xcat_ha.testing import Answer, Call, SimulatedHost, Site
from xcat_ha.testing._systemctl import systemctl
from xcat_ha.testing.machine import Unit

DATABASE, USER, UNIT = "xcatdb", "xcatadmin", "mariadb.service"
PASSWORDS = {"mna": "My0S3cretOfTheCluster", "mnb": "My0S3cretOfANewMachine"}
CONFIG = "/etc/mysql/mariadb.conf.d"
_SMALL = (
    "--innodb-buffer-pool-size=8M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-method=nosync",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--slave-net-timeout=10",
)
TABLES = """\
CREATE TABLE nodelist (node VARCHAR(128) NOT NULL, `groups` TEXT, status TEXT, comments TEXT, disable TEXT, PRIMARY KEY (node));
CREATE TABLE site (`key` VARCHAR(128) NOT NULL, value TEXT, comments TEXT, disable TEXT, PRIMARY KEY (`key`));
CREATE TABLE auditlog (recid INT NOT NULL AUTO_INCREMENT, audittime TEXT, command TEXT, disable TEXT, PRIMARY KEY (recid));
"""


def daemon() -> str:
    """This machine's MariaDB server.

    Raises:
        FileNotFoundError: there is none; these tests prove nothing without one.
    """
    found = shutil.which("mariadbd", path="/usr/sbin:/usr/libexec:/usr/bin")
    if found is None:
        raise FileNotFoundError("no mariadbd: install the package mariadb-server")
    return found


def owner() -> pwd.struct_passwd:
    """Who the servers run as."""
    return pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam("mysql")


class Server:
    """A server of a simulated host in a directory of its own."""

    def __init__(self, directory: Path, host: SimulatedHost, address: str, port: int) -> None:
        self.directory, self.host, self.address, self.port = directory, host, address, port
        self.data, self.socket, self._pid = directory / "data", directory / "sock", directory / "pid"
        directory.mkdir()
        directory.chmod(0o755)
        os.chown(directory, owner().pw_uid, owner().pw_gid)
        me = pwd.getpwuid(os.geteuid()).pw_name
        words = ("--no-defaults", f"--datadir={self.data}", f"--user={owner().pw_name}", "--auth-root-authentication-method=socket")
        argv = ["mariadb-install-db", *words, f"--auth-root-socket-user={me}", "--skip-test-db", "--innodb-log-file-size=4M"]
        subprocess.run(argv, check=True, capture_output=True, timeout=300)
        self.kept = directory / "kept-0"
        subprocess.run(["cp", "-a", str(self.data), str(self.kept)], check=True)

    def configure(self) -> None:
        """As Debian's package makes it."""
        host = self.host
        host.write(f"{CONFIG}/50-server.cnf", "[mysqld]\nbind-address = 127.0.0.1\n")
        included = f"!includedir {host.path(CONFIG)}/\n"
        host.write("/etc/mysql/my.cnf", f"[client]\nsocket = {self.socket}\n[mysqld]\nsocket = {self.socket}\n{included}")
        host.write(f"/usr/lib/systemd/system/{UNIT}", "[Service]\n")
        host.path("/usr/bin").mkdir(parents=True, exist_ok=True)
        for name in ("mariadb", "mariadb-dump"):
            place = host.path(f"/usr/bin/{name}")
            if not place.is_symlink():
                place.symlink_to(f"/usr/bin/{name}")
        host.machine.units[UNIT] = Unit(UNIT, enabled="enabled", running=True)

    def start(self) -> None:
        if self.runs():
            return
        self.socket.unlink(missing_ok=True)
        argv = [daemon(), f"--defaults-file={self.host.path('/etc/mysql/my.cnf')}", f"--datadir={self.data}", f"--pid-file={self._pid}"]
        argv += [f"--port={self.port}", f"--bind-address={self.address}", f"--user={owner().pw_name}", *_SMALL]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 120
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.directory / "log").read_text(errors="replace")[-3000:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        return self.socket.exists() and subprocess.run(self._client(), input=b"SELECT 1", capture_output=True, check=False).returncode == 0

    def runs(self) -> bool:
        return getattr(self, "_process", None) is not None and self._process.poll() is None

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.runs():
            self._process.send_signal(number)
            self._process.wait(timeout=120)

    def _client(self, *words: str) -> list[str]:
        return ["mariadb", "--no-defaults", f"--socket={self.socket}", "-N", "-B", *words]

    def sql(self, text: str, database: str = "", *, user: str = "", password: str = "") -> list[str]:
        """As root, behind everybody's back; or as somebody else."""
        words = [f"--user={user}"] if user else []
        argv = self._client(*words, *([database] if database else []))
        env = {**os.environ, **({"MYSQL_PWD": password} if password else {})}
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=120, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def replica(self) -> dict[str, str]:
        """What SHOW SLAVE STATUS says, by name."""
        argv = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--batch", "--execute=SHOW SLAVE STATUS"]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
        return dict(zip(*(line.split("\t") for line in lines), strict=True)) if lines else {}

    def has_database(self) -> bool:
        return bool(self.sql(f"SHOW TABLES FROM {DATABASE}")) if DATABASE in self.sql("SHOW DATABASES") else False

    def dump(self) -> list[str]:
        argv = ["mariadb-dump", "--no-defaults", f"--socket={self.socket}", "--skip-dump-date", "--order-by-primary", DATABASE]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()

    def digest(self) -> str:
        """All that a test cares about."""
        if not self.runs():
            return "stopped"
        facts = [self.sql("SHOW DATABASES"), self.sql("SELECT @@read_only, @@gtid_current_pos, @@server_id")]
        facts += [self.sql("SELECT User, Host, authentication_string FROM mysql.user ORDER BY 1, 2")]
        facts += [[line.split("\t")[1] for line in self.sql("SHOW SLAVE STATUS")]]
        return repr(facts + ([self.dump()] if self.has_database() else []))


class MysqlSite(RelayedSite):
    """Two nodes with MariaDB."""

    secrets = (*RelayedSite.secrets, *PASSWORDS.values())

    def __init__(self) -> None:
        self.servers: Mapping[str, Server] = {}
        super().__init__()
        hosts = self.simulated.hosts
        self.servers = {name: Server(self._directory / name, host, PLACES[name], self.port) for name, host in hosts.items()}
        self._connect()
        for host in hosts.values():
            host.handle("systemctl", self._systemctl)
        self.fresh()

    def _systemctl(self, host: SimulatedHost, call: Call) -> Answer:
        server = self.servers[host.node.id]
        words = [word for word in call.words if not word.startswith("-")]
        if len(words) < 2 or words[1] != UNIT or words[0] not in {"start", "stop", "restart"}:
            return systemctl(host, call)
        if words[0] in {"stop", "restart"}:
            server.stop()
        if words[0] in {"start", "restart"}:
            server.start()
        return Answer(0)

    def fresh(self) -> None:
        super().fresh()
        for name, server in self.servers.items():
            self._open_tree(name)
            self._put_back(server, server.kept)
            server.configure()
            write_cfgloc(self, name)
            server.start()
        self._join()

    def _put_back(self, server: Server, kept: Path) -> None:
        server.stop(signal.SIGKILL)
        shutil.rmtree(server.data, ignore_errors=True)
        subprocess.run(["cp", "-a", str(kept), str(server.data)], check=True)

    def power_off(self, node_id: str) -> None:
        self.servers[node_id].stop(signal.SIGKILL)
        super().power_off(node_id)

    def power_on(self, node_id: str) -> None:
        super().power_on(node_id)
        self.servers[node_id].start()

    def checkpoint(self) -> Callable[[], None]:
        files = super().checkpoint()
        self._made += 1
        writable = {name: server.sql("SELECT @@read_only") == ["0"] for name, server in self.servers.items() if server.runs()}
        saved = {name: server.directory / f"kept-{self._made}" for name, server in self.servers.items()}
        for name, server in self.servers.items():
            server.stop()
            subprocess.run(["cp", "-a", str(server.data), str(saved[name])], check=True)
        self._start(writable)

        def restore() -> None:
            files()
            for name, server in self.servers.items():
                self._open_tree(name)
                self._put_back(server, saved[name])
            self._join()
            self._start(writable)

        return restore

    def _start(self, writable: Mapping[str, bool]) -> None:
        for name, was in writable.items():
            self.servers[name].start()
            self.servers[name].sql(f"SET GLOBAL read_only = {'OFF' if was else 'ON'}")
        for server in self.servers.values():
            await_replay(self, server)

    def digest(self, node_id: str) -> str:
        return f"{super().digest(node_id)} {self.servers[node_id].digest()}"

    def close(self) -> None:
        for relay in self._relays:
            relay.down()
        for server in self.servers.values():
            server.stop(signal.SIGKILL)
        super().close()
        shutil.rmtree(self._directory, ignore_errors=True)


def await_replay(site: MysqlSite, primary: Server, timeout_s: float = 60.0) -> None:
    """Wait until a connected standby has applied what the primary has; not, if there is none."""
    other = next(server for server in site.servers.values() if server is not primary)
    if not primary.runs() or not other.runs() or not other.sql("SHOW SLAVE STATUS") or not site.simulated.linked:
        return
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        status = other.replica()
        if status.get("Slave_IO_Running") == status.get("Slave_SQL_Running") == "Yes" and primary.sql(
            "SELECT @@gtid_current_pos"
        ) == other.sql("SELECT @@gtid_current_pos"):
            return
        if status.get("Last_SQL_Errno", "0") != "0":
            return
        time.sleep(0.05)


class MysqlTables:
    """xCAT's database in the node's server, as mysqlsetup makes it: latin1 by default, grants for one address and localhost."""

    def install(self, site: Site, node_id: str) -> None:
        server, password = server_of(site, node_id), PASSWORDS[node_id]
        address = site.pair.node(node_id).address
        server.sql(
            f"CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET latin1;"
            + "".join(
                f"CREATE USER {USER}@'{host}' IDENTIFIED BY '{password}'; GRANT ALL ON {DATABASE}.* TO {USER}@'{host}';"
                for host in ("localhost", address)
            )
        )
        server.sql(TABLES, DATABASE)
        server.sql(f"INSERT INTO site (`key`, value) VALUES ('master', '{site.pair.identity.primary_address}')", DATABASE)
        write_cfgloc(site, node_id)

    def write(self, site: Site, node_id: str, name: str) -> None:
        server = server_of(site, node_id)
        password = site.path(node_id, "/etc/xcat/cfgloc").read_text().rstrip("\n").split("|")[2]
        server.sql(f"INSERT INTO nodelist (node, `groups`) VALUES ('{name}', 'all')", DATABASE, user=USER, password=password)
        assert isinstance(site, MysqlSite)
        await_replay(site, server)

    def names(self, site: Site, node_id: str) -> frozenset[str]:
        server = server_of(site, node_id)
        return frozenset(server.sql("SELECT node FROM nodelist", DATABASE)) if server.has_database() else frozenset()


def write_cfgloc(site: Site, node_id: str) -> None:
    port = server_of(site, node_id).port
    keep_cfgloc(site, node_id, f"mysql:dbname={DATABASE};host={site.pair.node(node_id).address};port={port}|{USER}|{PASSWORDS[node_id]}\n")


def server_of(site: Site, node_id: str) -> Server:
    assert isinstance(site, MysqlSite)
    return site.servers[node_id]
