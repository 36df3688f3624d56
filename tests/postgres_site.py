"""A simulated pair whose nodes have a real PostgreSQL each: a private one, in a temporary directory, as an unprivileged user."""

from __future__ import annotations

import ipaddress
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import evolve

from xcat_ha.models import Pair, ServiceIdentity
from xcat_ha.testing import SimulatedHost, SimulatedSite, Site, example_pair
from xcat_ha.testing.machine import Unit

psycopg2: Any = import_module("psycopg2")
DATABASE, USER = "xcatdb", "xcatadm"
PASSWORDS = {"mna": "Pg-S3cret-Of-The-Cluster", "mnb": "Pg-S3cret-Of-A-New-Machine"}
CONFIG = "/etc/postgresql/15/main"
UNIT = "postgresql@15-main.service"
_HBA = "local all postgres peer\nlocal all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n"
_FIXED = "-c fsync=off -c full_page_writes=off -c autovacuum=off -c listen_addresses=* -c logging_collector=off"
TABLES = """\
CREATE TABLE nodelist (node varchar(128) NOT NULL PRIMARY KEY, groups text, status text, comments text, disable text);
CREATE TABLE site (key varchar(128) NOT NULL PRIMARY KEY, value text, comments text, disable text);
CREATE TABLE auditlog (recid serial PRIMARY KEY, audittime text, command text, comments text, disable text);
"""


def programs() -> str:
    """Where this machine's PostgreSQL server is.

    Raises:
        FileNotFoundError: there is none; these tests prove nothing without one.
    """
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (directory / "postgres").exists():
            return str(directory)
    raise FileNotFoundError("no PostgreSQL server in /usr/lib/postgresql/*/bin: install the package postgresql")


def owner() -> pwd.struct_passwd:
    """Who the servers run as: PostgreSQL refuses to run as root."""
    return pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam("postgres")


class PrivateServer:
    """A server of a simulated host in a directory of its own, as a user who is not root."""

    def __init__(self, directory: Path, host: SimulatedHost, port: int) -> None:
        self.directory, self.host, self.port = directory, host, port
        me = owner()
        self.as_owner: dict[str, Any] = {"user": me.pw_uid, "group": me.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        self.directory.mkdir()
        os.chown(self.directory, me.pw_uid, me.pw_gid)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def initdb(self, *words: str) -> None:
        self.run("initdb", "-D", str(self.data), "-U", owner().pw_name, "-A", "trust", "-E", "UTF8", "--no-locale", "-N", *words)

    def run(self, name: str, *words: str, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(
            [f"{programs()}/{name}", *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "PGHOST": str(self.directory), "PGPORT": str(self.port), "PGUSER": owner().pw_name},
            **self.as_owner,
        )
        assert not check or done.returncode == 0, f"{name}: {done.stderr}"
        return str(done.stdout)

    def lay_out(self, hba: str, unit: Unit) -> None:
        """The files and programs of Debian's packages in the host's tree, and the unit."""
        if (self.data / "PG_VERSION").read_text().strip() != "15":
            raise AssertionError("these tests name PostgreSQL 15 in paths")  # said here, not somewhere in a driver
        host = self.host
        host.write(f"{CONFIG}/pg_hba.conf", hba)
        host.write(
            f"{CONFIG}/postgresql.conf",
            f"data_directory = '{self.data}'\nhba_file = '{host.path(CONFIG)}/pg_hba.conf'\nport = {self.port}\n"
            f"unix_socket_directories = '{self.directory}'\n#listen_addresses = 'localhost'\n",
        )
        host.write(f"{CONFIG}/start.conf", "auto\n")
        bin_directory = host.path("/usr/lib/postgresql/15/bin")
        bin_directory.parent.mkdir(parents=True, exist_ok=True)
        bin_directory.symlink_to(programs())
        host.machine.units[UNIT] = unit

    def sql(self, text: str, database: str = "postgres") -> list[str]:
        """As the owner, behind everybody's back."""
        words = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database)
        return self.run("psql", *words, stdin=text).splitlines()

    def dump(self, database: str) -> list[str]:
        """Lines of a dump in SQL. Each begins and ends with a random word against injected commands, which is left out."""
        return [line for line in self.run("pg_dump", "-d", database).splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def loopback_pair() -> Pair:
    """The example pair at addresses of the loopback, which every process here reaches."""
    example = example_pair()
    first, second = example.nodes
    nodes = (evolve(first, address="127.0.0.21"), evolve(second, address="127.0.0.22"))
    return evolve(example, nodes=nodes, identity=ServiceIdentity("mn", (ipaddress.ip_interface("127.0.0.11/8"),)))


class Cluster(PrivateServer):
    """One server."""

    def __init__(self, directory: Path, host: SimulatedHost) -> None:
        super().__init__(directory, host, _free_port())
        self.initdb()
        self.configure()
        self.start()

    def start(self) -> None:
        config = f"-c config_file={self.host.path(CONFIG)}/postgresql.conf"
        self.run("pg_ctl", "-D", str(self.data), "-w", "-s", "-l", str(self.directory / "log"), "-o", f"{_FIXED} {config}", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-w", "-s", "-m", "immediate", "stop")

    def configure(self) -> None:
        """As the package makes it."""
        self.lay_out(_HBA.replace("postgres", owner().pw_name), Unit(UNIT, enabled="enabled", running=True, ports=(self.port,)))

    def databases(self) -> list[str]:
        return self.sql("SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1') ORDER BY 1")

    def clear(self, *, but: str = "") -> None:
        """No database and no role is left, but those whose names begin with ``but``."""
        doomed = [name for name in self.databases() if not but or not name.startswith(but)]
        statements = [f'DROP DATABASE "{name}" WITH (FORCE);' for name in doomed]
        self.sql("\n".join(statements))

    def digest(self) -> str:
        """All that a test cares about."""
        facts = self.sql(
            "SELECT datname, datconnlimit, shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname !~ '^(ck|template)' ORDER BY 1;"
            " SELECT rolname, rolpassword FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1;"
        )
        names = [name for name in self.databases() if not name.startswith("ck")]
        return repr((facts, [self.dump(name) for name in names]))


def role_statement(name: str, password: str) -> str:
    """A role that may log in, whether it is there already or not."""
    create = f"DO $x$ BEGIN CREATE ROLE {name}; EXCEPTION WHEN duplicate_object THEN NULL; END $x$;"
    return f"{create} ALTER ROLE {name} LOGIN PASSWORD '{password}';\n"


def _free_port() -> int:
    with closing(socket.socket()) as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


class PostgresSite(SimulatedSite):
    """Two simulated hosts, their servers at addresses of the loopback."""

    secrets = (*SimulatedSite.secrets, *PASSWORDS.values())

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="pg-"))
        self._directory.chmod(0o755)
        self.clusters: Mapping[str, Cluster] = {}
        self._made = 0
        super().__init__(loopback_pair(), self._directory)
        for host in self.simulated.hosts.values():
            for above in (host.root, host.root.parent):
                above.chmod(0o755)  # the server reads its configuration there
        self.clusters = {name: Cluster(self._directory / name, host) for name, host in self.simulated.hosts.items()}

    def fresh(self) -> None:
        super().fresh()
        for name, cluster in self.clusters.items():
            self.host(name).root.chmod(0o755)
            cluster.configure()
            cluster.clear(but="ck")
            # Roles stay where remembered databases need them; nobody can log in as one.
            present = cluster.sql(f"SELECT rolname FROM pg_authid WHERE rolname IN ('{USER}', 'root')")
            cluster.sql("".join(f"ALTER ROLE {role} NOLOGIN PASSWORD NULL; " for role in present) + "SELECT pg_reload_conf();")

    def checkpoint(self) -> Callable[[], None]:
        """Databases are kept as templates."""
        files = super().checkpoint()
        self._made += 1
        saved = {name: _Kept(cluster, f"ck{self._made}_") for name, cluster in self.clusters.items()}

        def restore() -> None:
            files()
            for name, kept in saved.items():
                self.host(name).root.chmod(0o755)
                kept.restore()

        return restore

    def digest(self, node_id: str) -> str:
        return f"{super().digest(node_id)} {self.clusters[node_id].digest()}"

    def close(self) -> None:
        for cluster in self.clusters.values():
            cluster.stop()
        super().close()
        shutil.rmtree(self._directory, ignore_errors=True)


class _Kept:
    """The databases of a server as they were."""

    def __init__(self, cluster: Cluster, prefix: str) -> None:
        self._cluster, self._prefix = cluster, prefix
        self._roles = cluster.sql(
            f"SELECT rolname, rolpassword FROM pg_authid WHERE rolname IN ('{USER}', 'root') AND rolpassword IS NOT NULL"
        )
        self._facts: dict[str, tuple[str, str, str]] = {}
        for name in cluster.databases():
            if name.startswith("ck"):
                continue
            query = "SELECT {} FROM pg_database WHERE datname = '" + name + "'"
            limit, owner_name = (cluster.sql(query.format(what))[0] for what in ("datconnlimit", "pg_get_userbyid(datdba)"))
            comment = "\n".join(cluster.sql(query.format("coalesce(shobj_description(oid, 'pg_database'), '')")))
            self._facts[name] = (limit, owner_name, comment)
            cluster.sql(f'CREATE DATABASE "{prefix}{name}" TEMPLATE "{name}"')

    def restore(self) -> None:
        cluster = self._cluster
        cluster.clear(but="ck")
        for line in self._roles:
            name, _, password = line.partition("|")
            cluster.sql(role_statement(name, password))
        for name, (limit, owner_name, comment) in self._facts.items():
            text = comment.replace("'", "''")
            cluster.sql(f'CREATE DATABASE "{name}" TEMPLATE "{self._prefix}{name}" OWNER "{owner_name}" CONNECTION LIMIT {limit}')
            if comment:
                cluster.sql(f"COMMENT ON DATABASE \"{name}\" IS '{text}'")
        cluster.sql("SELECT pg_reload_conf()")


class PostgresTables:
    """How xcatd of a node works on its database: logged in with cfgloc's name and password."""

    def install(self, site: Site, node_id: str) -> None:
        cluster = _cluster(site, node_id)
        password = PASSWORDS[node_id]
        cluster.sql(role_statement(USER, password) + role_statement("root", password))
        cluster.sql(f"CREATE DATABASE {DATABASE};")
        cluster.sql(f"GRANT ALL ON SCHEMA public TO {USER};", DATABASE)
        address = site.pair.node(node_id).address
        cfgloc = site.path(node_id, "/etc/xcat/cfgloc")
        cfgloc.parent.mkdir(parents=True, exist_ok=True)
        cfgloc.touch(mode=0o600)
        cfgloc.write_text(f"Pg:dbname={DATABASE};host={address};port={cluster.port}|{USER}|{password}\n")
        # As pgsqlsetup does; its own editing is none of the driver's.
        hba = site.path(node_id, f"{CONFIG}/pg_hba.conf")
        hba.write_text(hba.read_text() + f"host all all {address}/32 md5\n")
        cluster.sql("SELECT pg_reload_conf()")
        self._change(site, node_id, TABLES)
        self._change(site, node_id, "INSERT INTO site (key, value) VALUES ('master', %s)", str(site.pair.identity.primary_address))

    def write(self, site: Site, node_id: str, name: str) -> None:
        self._change(site, node_id, "INSERT INTO nodelist (node, groups) VALUES (%s, 'all')", name)

    def names(self, site: Site, node_id: str) -> frozenset[str]:
        cluster = _cluster(site, node_id)
        if DATABASE not in cluster.databases():
            return frozenset()
        return frozenset(cluster.sql("SELECT node FROM nodelist", DATABASE))

    def _change(self, site: Site, node_id: str, statement: str, *values: str) -> None:
        line = site.path(node_id, "/etc/xcat/cfgloc").read_text().rstrip("\n")
        _, user, password = line.split("|")
        port = _cluster(site, node_id).port
        login = {"host": "127.0.0.1", "port": port, "dbname": DATABASE, "user": user, "password": password}
        with closing(psycopg2.connect(**login)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)


def _cluster(site: Site, node_id: str) -> Cluster:
    assert isinstance(site, PostgresSite)
    return site.clusters[node_id]
