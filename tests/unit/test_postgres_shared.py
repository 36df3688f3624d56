"""What the drivers for PostgreSQL share: cfgloc, layouts of distributions, marked blocks, digests. No server runs here."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from xcat_ha_drivers.postgres import access, layout, location
from xcat_ha_drivers.postgres.access import Rule, block_of, rules_for, with_block
from xcat_ha_drivers.postgres.contents import Contents, Digest
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.settings import quoted, read_settings

LINE = "Pg:dbname=xcatdb;host=10.77.0.11|xcatadm|S3cret"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    return tmp_path


def put(root: Path, name: str, text: str = "") -> Path:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def programs(root: Path, directory: str) -> None:
    for name in ("psql", "pg_dump"):
        put(root, f"{directory}/{name}")


# -- cfgloc


def test_a_line_of_cfgloc_as_pgsqlsetup_writes_it() -> None:
    found = location.parse(LINE)
    assert found.location == location.Location("Pg", "xcatdb", "10.77.0.11", 5432, "xcatadm")
    assert found.password == "S3cret"


def test_the_password_is_in_no_text_made_of_it() -> None:
    found = location.parse(LINE)
    assert "S3cret" not in f"{found!r} {found} {found.location}"


@pytest.mark.parametrize(
    ("line", "engine"),
    [("", "SQLite"), ("/etc/xcat", "SQLite"), ("SQLite:/etc/xcat", "SQLite"), ("mysql:dbname=xcatdb;host=h|u|p", "mysql"), ("pg:x", "pg")],
)
def test_another_engine_is_named_and_nothing_else_is_read(line: str, engine: str) -> None:
    assert location.parse(line).location == location.Location(engine)


@pytest.mark.parametrize("line", ["Pg:host=h|u|p", "Pg:dbname=xcatdb;host=h", "Pg:dbname=x;host=h;port=five|u|p"])
def test_a_line_that_lacks_a_part_is_refused(line: str) -> None:
    with pytest.raises(PostgresError, match="hint"):
        location.parse(line)


def test_another_host_and_nothing_else_is_put_into_the_line() -> None:
    found = location.parse("Pg:dbname=xcatdb;host=10.0.0.1;port=5433;sslmode=require|xcatadm|S3cret")
    assert found.line(host="10.77.0.11", port=5432) == "Pg:dbname=xcatdb;sslmode=require;host=10.77.0.11|xcatadm|S3cret"
    assert found.line(host="h", port=5433).endswith(";host=h;port=5433|xcatadm|S3cret")


def test_cfgloc_is_written_for_root_alone_and_ends_in_a_newline(root: Path) -> None:
    location.write_line("/etc/xcat", LINE)
    path = root / "etc/xcat/cfgloc"
    assert path.read_text() == LINE + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_table_files_of_sqlite_beside_cfgloc_change_nothing(root: Path) -> None:
    put(root, "/etc/xcat/cfgloc", LINE + "\n")
    for name in ("site", "nodelist"):
        put(root, f"/etc/xcat/{name}.sqlite", "SQLite format 3\0")
    assert location.require_postgres("/etc/xcat").location.database == "xcatdb"


def test_a_daemon_that_does_not_read_cfgloc_is_noticed(root: Path) -> None:
    put(root, "/etc/xcat/cfgloc", LINE + "\n")
    put(root, "/etc/sysconfig/xcat", "XCATCFG=SQLite:/etc/xcat\n")
    with pytest.raises(PostgresError, match="XCATCFG"):
        location.require_postgres("/etc/xcat")


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("10.77.0.11", True),
        ("localhost", True),
        ("mn1", True),
        ("mn1.lab.example", True),
        ("", True),
        ("10.77.0.21", False),
        ("db1", False),
    ],
)
def test_a_host_is_right_if_it_leads_to_whoever_has_the_role(host: str, right: bool) -> None:
    assert location.is_right_host(host, service_addresses=("10.77.0.11", "fd77::11"), service_name="mn1") is right


# -- layouts


def test_debian(root: Path) -> None:
    data = root / "var/lib/postgresql/15/main"
    data.mkdir(parents=True)
    conf = "data_directory = '/var/lib/postgresql/15/main'\nhba_file = '/etc/postgresql/15/main/pg_hba.conf'\nport = 5432\n"
    put(root, "/etc/postgresql/15/main/postgresql.conf", conf + "unix_socket_directories = '/var/run/postgresql'\n")
    put(root, "/etc/postgresql/15/main/pg_hba.conf")
    programs(root, "/usr/lib/postgresql/15/bin")
    found = layout.find()
    assert (found.version, found.data_directory, found.unit) == ("15", str(data), "postgresql@15-main.service")
    assert found.hba_file == str(root / "etc/postgresql/15/main/pg_hba.conf")
    assert found.program("pg_dump") == str(root / "usr/lib/postgresql/15/bin/pg_dump")


def rhel(root: Path, data: str, version: str) -> Path:
    place = root / data.lstrip("/")
    put(root, f"{data}/PG_VERSION", f"{version}\n")
    put(root, f"{data}/postgresql.conf", "listen_addresses = 'localhost,10.1.0.1'\n")
    return place


def test_rhel(root: Path) -> None:
    data = rhel(root, "/var/lib/pgsql/data", "13")
    programs(root, "/usr/bin")
    found = layout.find()
    assert (found.version, found.data_directory, found.unit) == ("13", str(data), "postgresql.service")
    assert (found.hba_file, found.bin_directory) == (str(data / "pg_hba.conf"), str(root / "usr/bin"))


def test_pgdg_on_rhel_beside_the_distributions_client(root: Path) -> None:
    data = rhel(root, "/var/lib/pgsql/15/data", "15")
    programs(root, "/usr/bin")
    programs(root, "/usr/pgsql-15/bin")
    found = layout.find()
    assert (found.data_directory, found.unit, found.bin_directory) == (str(data), "postgresql-15.service", str(root / "usr/pgsql-15/bin"))


def test_sles(root: Path) -> None:
    data = rhel(root, "/var/lib/pgsql/data", "16")
    programs(root, "/usr/lib/postgresql16/bin")
    put(root, "/etc/sysconfig/postgresql", 'POSTGRES_DATADIR="~postgres/data"\n')
    found = layout.find()
    assert (found.data_directory, found.unit, found.bin_directory) == (
        str(data),
        "postgresql.service",
        str(root / "usr/lib/postgresql16/bin"),
    )


def test_a_data_directory_that_a_drop_in_of_the_unit_names(root: Path) -> None:
    data = rhel(root, "/data/pg", "13")
    programs(root, "/usr/bin")
    put(root, "/etc/systemd/system/postgresql.service.d/place.conf", "[Service]\nEnvironment=PGDATA=/data/pg\n")
    found = layout.find()
    assert (found.data_directory, found.unit) == (str(data), "postgresql.service")


def test_of_several_servers_the_one_at_cfglocs_port_or_the_one_that_was_named(root: Path) -> None:
    rhel(root, "/var/lib/pgsql/15/data", "15")
    other = rhel(root, "/var/lib/pgsql/16/data", "16")
    put(root, "/var/lib/pgsql/16/data/postgresql.auto.conf", "port = 5433\n")
    for version in ("15", "16"):
        programs(root, f"/usr/pgsql-{version}/bin")
    assert layout.find(port=5432).version == "15"
    assert layout.find(port=5433).version == "16"
    assert layout.find(data_directory="/var/lib/pgsql/16/data").data_directory == str(other)
    with pytest.raises(PostgresError, match="several"):
        layout.find(port=6000)


def test_no_server_is_said_with_a_hint(root: Path) -> None:
    del root
    with pytest.raises(PostgresError, match=r"no PostgreSQL server is installed here.*hint"):
        layout.find()


def test_no_programs_of_that_version_is_said(root: Path) -> None:
    rhel(root, "/var/lib/pgsql/data", "13")
    with pytest.raises(PostgresError, match="programs of PostgreSQL 13"):
        layout.find()


# -- settings and blocks


def test_the_last_setting_counts_and_included_files_are_read(tmp_path: Path) -> None:
    put(tmp_path, "conf.d/a.conf", "port = 5433 # ours\n")
    put(tmp_path, "postgresql.conf", "#port = 1\nport=5432\ninclude_dir 'conf.d'\nlisten_addresses 'it''s'\nSHARED_buffers = 128MB\n")
    found = read_settings(tmp_path / "postgresql.conf")
    assert found == {"port": "5433", "listen_addresses": "it's", "shared_buffers": "128MB"}


def test_a_value_survives_being_quoted(tmp_path: Path) -> None:
    for value in ("plain", "it's", r"back\slash", "a#b"):
        put(tmp_path, "c.conf", f"name = {quoted(value)}\n")
        assert read_settings(tmp_path / "c.conf") == {"name": value}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("text", ["", "a\nb\n", "no newline at the end"])
def test_a_block_is_put_in_once_replaced_and_taken_out(text: str, first: bool) -> None:
    once = with_block(text, "x", ["one"], first=first)
    assert with_block(once, "x", ["one"], first=first) == once
    other = with_block(once, "x", ["two", "three"], first=first)
    assert block_of(other, "x") == ("two", "three")
    assert "one" not in other
    assert with_block(other, "x", [], first=first).rstrip("\n") == text.rstrip("\n")


def test_a_block_whose_last_line_is_gone_takes_nothing_else_with_it() -> None:
    whole = with_block("host all all all md5\n", "x", ["ours"], first=True)
    torn = "".join(line for line in whole.splitlines(keepends=True) if not line.startswith("# end of"))
    mended = with_block(torn, "x", ["ours"], first=True)
    assert mended.endswith("host all all all md5\n"), "a line of the administrator's was lost"
    assert block_of(mended, "x") == ("ours",)
    assert with_block(mended, "x", ["ours"], first=True) == mended


def test_blocks_of_two_drivers_leave_each_other_alone() -> None:
    both = with_block(with_block("host all all all md5\n", "a", ["1"], first=True), "b", ["2"], first=True)
    again = with_block(both, "a", ["3"], first=True)
    assert (block_of(again, "a"), block_of(again, "b")) == (("3",), ("2",))
    assert again.endswith("host all all all md5\n")


def test_rules_are_narrow_and_names_are_never_taken_for_keywords() -> None:
    rules = rules_for("xcatdb", "all", ("10.77.0.21", "fd77::11", "10.77.0.21"))
    assert [rule.line for rule in rules] == [
        'host "xcatdb" "all" 10.77.0.21/32 scram-sha-256',
        'host "xcatdb" "all" fd77::11/128 scram-sha-256',
    ]
    assert Rule("replication", "r", "10.0.0.1", kind="hostssl").line == 'hostssl replication "r" 10.0.0.1/32 scram-sha-256'


def plain(root: Path, conf: str) -> layout.Layout:
    data = rhel(root, "/var/lib/pgsql/data", "13")
    put(root, "/var/lib/pgsql/data/postgresql.conf", conf)
    put(root, "/var/lib/pgsql/data/pg_hba.conf", "local all all peer\n").chmod(0o640)
    programs(root, "/usr/bin")
    assert data.is_dir()
    return layout.find()


def test_the_server_listens_where_it_did_and_where_it_has_to(root: Path) -> None:
    here = plain(root, "listen_addresses = 'localhost,10.1.0.1'\n")
    wanted = ("localhost", "10.77.0.21", "10.77.0.11")
    value = access.listen_addresses(here, "x", wanted)
    assert value == "localhost,10.1.0.1,10.77.0.21,10.77.0.11"
    assert access.put_settings(here, "x", {"listen_addresses": value}) is True
    assert read_settings(Path(here.config_file))["listen_addresses"] == value
    assert access.listen_addresses(here, "x", wanted) == value
    assert access.put_settings(here, "x", {"listen_addresses": value}) is False
    # What we wrote for an address we do not want any more does not stay for ever.
    assert access.listen_addresses(here, "x", ("10.77.0.22",)) == "localhost,10.1.0.1,10.77.0.22"


def test_addresses_that_an_included_file_names_stay(root: Path) -> None:
    put(root, "/var/lib/pgsql/data/conf.d/site.conf", "listen_addresses = 'localhost,10.1.0.1'\n")
    here = plain(root, "include_dir 'conf.d'\n")
    for _ in range(2):
        value = access.listen_addresses(here, "x", ("10.77.0.21",))
        access.put_settings(here, "x", {"listen_addresses": value})
        assert value == "localhost,10.1.0.1,10.77.0.21"


def test_a_server_that_listens_everywhere_goes_on_doing_so(root: Path) -> None:
    assert access.listen_addresses(plain(root, "listen_addresses = '*'\n"), "x", ("10.77.0.11",)) == "*"


def test_rules_come_first_and_mode_and_owner_of_the_file_stay(root: Path) -> None:
    here = plain(root, "")
    rules = rules_for("xcatdb", "xcatadm", ("10.77.0.11",))
    assert access.has_rules(here, "x", rules) is False
    assert access.put_rules(here, "x", rules) is True
    assert access.has_rules(here, "x", rules) is True
    path = Path(here.hba_file)
    assert path.read_text().splitlines()[1] == rules[0].line
    assert path.read_text().endswith("local all all peer\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


# -- contents


def test_databases_are_compared_table_by_table() -> None:
    left = Contents({"public.nodelist": Digest(2, "12"), "public.site": Digest(1, "5")}, "s")
    assert left.difference(left) == ""
    assert left.difference(Contents({"public.nodelist": Digest(2, "12")}, "s")) == "public.site is only in one of them"
    assert "has 1 rows instead of 2" in left.difference(Contents({**left.tables, "public.nodelist": Digest(1, "12")}, "s"))
    assert "the rows of public.nodelist differ" in left.difference(Contents({**left.tables, "public.nodelist": Digest(2, "13")}, "s"))
    assert "owners or grants" in left.difference(Contents(left.tables, "t"))
    assert len({left.id, Contents(left.tables, "t").id, Contents({}, "s").id}) == 3
