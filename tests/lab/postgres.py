"""A site whose xCAT keeps its database in PostgreSQL: the layer with Debian's server, and what ``pgsqlsetup -i`` and years left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from tests.lab import Chroot, Completed, Lab, Layer, Node, Settings, build_layer
from tests.lab.product import (
    PAIR_TOML,
    REPOSITORY,
    SERVICE_ADDRESS,
    copied_in,
    let_in,
    needs_layer,
    product_layer,
    run_make_commands,
    wheels,
    write_config,
    xcat_layer,
)
from tests.simulators.xcat.install import FRESH_SITE, fresh_policy, provision

VERSION: Final = "15"
PACKAGES: Final = (f"postgresql-{VERSION}", "python3-psycopg2")
DATA = REPOSITORY / "tests/data/postgres"
DATABASE: Final = "xcatdb"
USER: Final = "xcatadm"
PASSWORD: Final = "pw0XcatdbOfTheLab"
"""Letters and digits only: pgsqlsetup accepts no others. The sample data's own word occurs in too many texts to be looked for."""
OTHER_PASSWORD: Final = "pw0OfTheNewMachine"
CONFIG_DIR: Final = f"/etc/postgresql/{VERSION}/main"
UNIT: Final = f"postgresql@{VERSION}-main"
_QUIET: Final = {"DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NONINTERACTIVE_SEEN": "true"}


def postgres_layer(settings: Settings | None = None) -> Layer:
    """Debian's PostgreSQL without a cluster: each node makes its own, for copies of one would be the same to replication."""

    def build(chroot: Chroot) -> None:
        policy = chroot.path / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        common = chroot.path / "etc/postgresql-common"
        common.mkdir(parents=True)
        (common / "createcluster.conf").write_text("create_main_cluster = false\nssl = on\n")
        chroot.run(("apt-get", "-q", "update"), timeout_s=600, env=_QUIET)
        chroot.run(
            ("apt-get", "-q", "-y", "-o", "Dpkg::Options::=--force-confold", "install", *PACKAGES, "ssl-cert"), timeout_s=1800, env=_QUIET
        )
        chroot.run(("apt-get", "clean"))
        chroot.run(("sh", "-c", "rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d"))

    return build_layer("postgres", "2 " + " ".join(PACKAGES), build, settings=settings)


def psycopg2_layer(settings: Settings | None = None) -> Layer:
    """The extra ``xcat-ha[postgres]`` in /opt/xcat-ha."""
    below = needs_layer(settings)

    def build(chroot: Chroot) -> None:
        copied_in(chroot, lambda where: wheels(where, "psycopg2-binary"), "psycopg2-binary")

    return build_layer("psycopg2", "1", build, below=(below,), settings=settings)


def layers(settings: Settings | None = None) -> Sequence[Layer]:
    """All that a management node with PostgreSQL has installed."""
    return (product_layer(settings), psycopg2_layer(settings), xcat_layer(settings), postgres_layer(settings))


def config(driver: str, options: str = "") -> str:
    """The pair's configuration with another database driver and its options (lines of TOML)."""
    return PAIR_TOML.replace('driver = "sqlite-copy"\n', f'driver = "{driver}"\n{options}')


def start_site(lab: Lab, driver: str, *, options: str = "", serve: bool = True) -> None:
    """As :func:`tests.lab.product.start_site`, on PostgreSQL. The table files of SQLite that both once had still lie around."""
    old, fresh = lab.node("mna"), lab.node("mnb")
    single = lab.state.shape == "single"
    address = SERVICE_ADDRESS if single else "10.77.0.21"
    provision(old.root, primary=True, name="mn1" if single else "mna", address=address)
    provision(fresh.root, primary=False, name="mnb", address="10.77.0.22")
    pgsqlsetup(old, address, PASSWORD)
    load_site(old)
    pgsqlsetup(fresh, "10.77.0.22", OTHER_PASSWORD)
    fill_fresh(fresh, "mnb", "10.77.0.22")
    for node in (old, fresh):
        node.run(("systemctl", "daemon-reload"))
        node.run(("systemctl", "enable", "--now", "xcatd"), timeout_s=120)
    let_in(old, fresh)
    if serve:
        run_make_commands(old)
    write_config(old, config(driver, options))


def pgsqlsetup(node: Node, address: str, password: str) -> None:
    """A cluster, the roles, the empty database, cfgloc, lines in pg_hba.conf and postgresql.conf, as ``pgsqlsetup -i`` makes them."""
    node.run(("pg_createcluster", VERSION, "main", "--start"), timeout_s=120)
    psql(
        node,
        f"""\
CREATE ROLE {USER} LOGIN PASSWORD '{password}'; CREATE ROLE root LOGIN PASSWORD '{password}';
CREATE DATABASE {DATABASE};
\\c {DATABASE}
GRANT ALL ON SCHEMA public TO {USER};
""",
        database="postgres",
    )
    hba = node.root / f"{CONFIG_DIR}/pg_hba.conf".lstrip("/")
    lines = hba.read_text().splitlines()
    place = lines.index("# IPv4 local connections:") + 1
    added = f"host    all          all        {address}/32      md5"
    hba.write_text("\n".join([*lines[:place], added, *lines[place:]]) + "\n")
    with (node.root / f"{CONFIG_DIR}/postgresql.conf".lstrip("/")).open("a") as file:
        file.write(f"#setup by xCAT\nlisten_addresses = 'localhost,{address}'\n")
    node.run(("systemctl", "restart", UNIT), timeout_s=120)
    cfgloc = node.root / "etc/xcat/cfgloc"
    cfgloc.touch(mode=0o600)
    cfgloc.write_text(f"Pg:dbname={DATABASE};host={address}|{USER}|{password}\n")


def load_site(node: Node) -> None:
    """The sample site's database."""
    psql(node, (DATA / "xcatdb.sql").read_text())


def fill_fresh(node: Node, name: str, address: str) -> None:
    """What ``xcatconfig -i`` leaves: site and policy."""
    site = [("site", {"key": key}, {"value": value}) for key, value in {**FRESH_SITE, "master": address, "nameservers": address}.items()]
    policy = [("policy", change.keys, change.values) for change in fresh_policy(name)]
    node.run(("/usr/bin/python3", "-I", "-c", _FILL), input=json.dumps([*site, *policy]), timeout_s=120)


_FILL = """\
import json, sys
sys.path.insert(0, "/opt/xcat/lib")
from standin import cfgloc, engine
own = engine.open_engine(cfgloc.resolve())
own.update_schema()
for table, keys, values in json.load(sys.stdin):
    own.write(table, [engine.Change(engine.SET, keys, values)])
"""


def psql(node: Node, sql: str, *, database: str = DATABASE, check: bool = True) -> Completed:
    """SQL as the server's owner, behind everybody's back; rows unaligned, without headings."""
    argv = ("runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database)
    return node.run(argv, input=sql, timeout_s=300, check=check)


def rows(node: Node, query: str, *, database: str = DATABASE) -> list[str]:
    """The lines of a query's answer."""
    return str(psql(node, query, database=database).stdout).splitlines()


def nodes_in_dump(node: Node, file: str) -> set[str]:
    """The xCAT nodes in a dump of pg_dump's own format, read as an administrator would: pg_restore to text."""
    words = f"/usr/lib/postgresql/{VERSION}/bin/pg_restore --data-only --table=nodelist --file=- < '{file}'"
    text = str(node.run(("sh", "-c", words), timeout_s=120).stdout)
    body = text.partition("\nCOPY public.nodelist")[2].partition("\n\\.\n")[0].splitlines()[1:]
    return {line.split("\t")[0] for line in body}


def secrets() -> Mapping[str, str]:
    """Passwords of this site beside those of the sample data."""
    return {"password of xcatadm": PASSWORD, "password of the new machine's xcatadm": OTHER_PASSWORD}
