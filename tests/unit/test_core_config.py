"""The configuration file: what is accepted, and that everything else is refused by naming file, key, what is wrong and what to write."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_core_toys import ToyIdentity, ToyReplication, toy_pair
from xcat_ha.config import load_pair, parse_pair
from xcat_ha.errors import ConfigError, ExitCode
from xcat_ha.models import FileSet, IdentityMode

SMALLEST = """\
[pair]
name = "lab"
preferred = "mna"

[nodes.mna]
name = "mna"
address = "10.77.0.21"
interface = "en1"

[nodes.mnb]
name = "mnb"
address = "10.77.0.22"
interface = "en1"

[service]
hostname = "mn1"
addresses = ["10.77.0.11/16"]
"""


def replaced(old: str, new: str) -> str:
    assert SMALLEST.count(old) == 1, old
    return SMALLEST.replace(old, new)


def added(text: str) -> str:
    return f"{SMALLEST}\n{text}\n"


def in_pair(line: str) -> str:
    return replaced('name = "lab"', f'name = "lab"\n{line}')


def own_set(*lines: str) -> str:
    return added("\n".join(("[files.own.scripts]", *lines)))


def test_a_file_of_three_tables_is_enough() -> None:
    pair = parse_pair(SMALLEST, "/etc/xcat-ha/pair.toml")
    assert [node.id for node in pair.nodes] == ["mna", "mnb"]
    assert pair.preferred == "mna"
    assert str(pair.identity.primary_address) == "10.77.0.11"
    assert pair.identity.mode is IdentityMode.SERVICE_ADDRESS
    drivers = (pair.database, pair.files, pair.network, pair.services, pair.schedule)
    assert [choice.name for choice in drivers] == ["sqlite-copy", "rsync", "linux", "systemd", "systemd-timer"]
    assert all(not choice.options for choice in drivers)
    assert pair.source == "/etc/xcat-ha/pair.toml"


def test_everything_that_can_be_written_is_read() -> None:
    text = in_pair(
        'xcat_dir = "/etc/xcat/"\nmin_free_mib = 100\nmax_clock_skew_s = 1\nsync_database_every_s = 60\nsync_files_every_s = 600'
    )
    text += '[database]\ndriver = "db"\nkeep = 7\n[files.own.scripts]\npaths = ["/srv/a*"]\nexcludes = ["*.log"]\ndelete = false\n'
    text += 'max_delete_pct = 5\nmust_be_mounted = true\nkeep_lines = ["^#"]\nnumeric_ids = true\n'
    pair = parse_pair(text)
    assert (pair.xcat_dir, pair.min_free_mib, pair.max_clock_skew_s) == ("/etc/xcat", 100, 1.0)
    assert (pair.sync_database_every_s, pair.sync_files_every_s) == (60, 600)
    assert (pair.database.name, dict(pair.database.options)) == ("db", {"keep": 7})
    assert dict(pair.files.options) == {}
    assert pair.file_sets == (
        FileSet(
            "scripts",
            ("/srv/a*",),
            ("*.log",),
            delete=False,
            max_delete_pct=5.0,
            must_be_mounted=True,
            keep_lines=("^#",),
            numeric_ids=True,
        ),
    )


WRONG = {
    # what is wrong: (text, key that must be named, words that must be said, words of the hint)
    "not TOML": ("[pair\n", "", "not TOML", "mend"),
    "a line of nonsense": (added("???"), "", "line 19", "mend"),
    "the same table twice": (added("[pair]"), "", "not TOML", ""),
    "a number too long to be one": (added(f"[database]\nkeep = {'9' * 5000}"), "", "not TOML", ""),
    "brackets without end": (added(f"[database]\nkeep = {'[' * 20000}"), "", "not TOML", ""),
    "an empty file": ("", "[nodes]|[pair]", "", ""),
    "an unknown table": (added("[databse]"), "[databse]", "unknown table", "database"),
    "an unknown top-level key": ("verbose = true\n" + SMALLEST, "verbose", "unknown", "pair"),
    "no [pair]": (SMALLEST.partition("[nodes.mna]")[2].join(("[nodes.mna]", "")), "[pair]", "missing", "[pair]"),
    "[pair] is a value": ("pair = 1\n" + SMALLEST.partition("\n\n")[2], "pair", "table", "[pair]"),
    "an unknown key in [pair]": (in_pair("prefered = 1"), "[pair]", "unknown key prefered", "preferred"),
    "no preferred": (replaced('preferred = "mna"\n', ""), "pair.preferred", "missing", "[pair]"),
    "preferred is nobody": (replaced('preferred = "mna"', 'preferred = "mnc"'), "pair.preferred", "'mnc'", "mna, mnb"),
    "preferred of the wrong type": (replaced('preferred = "mna"', "preferred = 1"), "pair.preferred", "string", ""),
    "a number as text": (in_pair('min_free_mib = "512"'), "pair.min_free_mib", "whole number", ""),
    "true as a number": (in_pair("min_free_mib = true"), "pair.min_free_mib", "whole number", ""),
    "a fraction of a MiB": (in_pair("min_free_mib = 0.5"), "pair.min_free_mib", "whole number", ""),
    "less than nothing": (in_pair("min_free_mib = -1"), "min_free_mib", "above zero", ""),
    "a clock that may not be off at all": (in_pair("max_clock_skew_s = 0"), "max_clock_skew_s", "above zero", ""),
    "a clock off by not a number": (in_pair("max_clock_skew_s = nan"), "max_clock_skew_s", "", ""),
    "a clock off without bound": (in_pair("max_clock_skew_s = inf"), "max_clock_skew_s", "", ""),
    "a sync every second": (in_pair("sync_database_every_s = 1"), "sync_database_every_s", "10 or more", ""),
    "a relative directory": (in_pair('xcat_dir = "etc/xcat"'), "pair.xcat_dir", "absolute", "/etc/xcat"),
    "the root as directory": (in_pair('xcat_dir = "/"'), "pair.xcat_dir", "", "/etc/xcat"),
    "a directory with a NUL": (in_pair('xcat_dir = "/etc/\\u0000"'), "pair.xcat_dir", "control character", ""),
    "a name with a line end": (replaced('name = "lab"', 'name = "l\\nab"'), "pair.name", "control character", ""),
    "a witness that is nowhere": (added("[witness]"), "[witness]", "needs either host or file", "term.json"),
    "a witness in two places": (added('[witness]\nhost = "10.77.0.1"\nfile = "/s/t"'), "[witness]", "needs either host or file", ""),
    "a witness by name": (added('[witness]\nhost = "observer"'), "witness.host", "not an IP address", "own address"),
    "a witness that is one of the two": (added('[witness]\nhost = "10.77.0.22"'), "witness.host", "is mnb", "third machine"),
    "a witness that is whoever serves": (added('[witness]\nhost = "10.77.0.11"'), "witness.host", "whoever has the role", "third machine"),
    "a witness on each node": (added('[witness]\nhost = "127.0.0.1"'), "witness.host", "each node itself", "third machine"),
    "a witness's strange user": (added('[witness]\nhost = "10.77.0.1"\nuser = "-oProxy"'), "witness.user", "not a user name", "root"),
    "a witness's strange port": (added('[witness]\nhost = "10.77.0.1"\nssh_port = 0'), "witness.ssh_port", "not a port", "22"),
    "a witness's relative file": (added('[witness]\nfile = "term.json"'), "witness.file", "not a usable path", "both nodes see"),
    "a node called witness": (SMALLEST.replace("nodes.mnb", "nodes.witness"), "[nodes.witness]", "what the witness is called", ""),
    "one node": (
        SMALLEST.replace('[nodes.mnb]\nname = "mnb"\naddress = "10.77.0.22"\ninterface = "en1"\n', ""),
        "[nodes]",
        "two nodes",
        "nodes.ID",
    ),
    "three nodes": (added('[nodes.mnc]\nname = "c"\naddress = "10.77.0.23"\ninterface = "en1"'), "[nodes]", "two nodes", ""),
    "nodes is a list": ("nodes = [1, 2]\n" + SMALLEST.replace("nodes.", "service.x"), "[nodes]|[service]", "", ""),
    "a node is a value": (
        SMALLEST.partition("[nodes.mna]")[0] + '[nodes]\nmna = "10.77.0.21"\nmnb = 2\n',
        "nodes.mna",
        "table",
        "[nodes.mna]",
    ),
    "a node id with capitals": (replaced("[nodes.mna]", "[nodes.MNA]"), "[nodes.MNA]", "a-z", ""),
    "a node without address": (replaced('address = "10.77.0.21"\n', ""), "nodes.mna.address", "missing", "[nodes.mna]"),
    "an unknown key of a node": (replaced('name = "mnb"', 'name = "mnb"\nadress = "x"'), "[nodes.mnb]", "unknown key adress", "address"),
    "an address that is none": (replaced("10.77.0.21", "10.77.0.321"), "nodes.mna.address", "'10.77.0.321'", "own address"),
    "a node's address with prefix": (replaced("10.77.0.21", "10.77.0.21/16"), "nodes.mna.address", "not an IP address", "without prefix"),
    "a node's address that leads back to itself": (replaced("10.77.0.21", "127.0.0.1"), "nodes.mna.address", "127.0.0.1", ""),
    "no address at all": (replaced("10.77.0.21", "0.0.0.0"), "nodes.mna.address", "0.0.0.0", ""),
    "a group's address": (replaced("10.77.0.21", "224.0.0.5"), "nodes.mna.address", "224.0.0.5", ""),
    "an address as a number": (replaced('"10.77.0.21"', "10"), "nodes.mna.address", "string", ""),
    "both nodes at one address": (replaced("10.77.0.22", "10.77.0.21"), "nodes.mnb.address", "same as that of mna", "own"),
    "both nodes of one name": (replaced('name = "mnb"', 'name = "mna"'), "nodes.mnb.name", "same as that of mna", "own"),
    "both nodes of one name in other letters": (replaced('name = "mnb"', 'name = "MNA"'), "nodes.mnb.name", "same as that of mna", "own"),
    "an underscore in a hostname": (replaced('name = "mna"', 'name = "mn_a"'), "nodes.mna.name", "'mn_a'", "/etc/hostname"),
    "an address as a hostname": (replaced('name = "mna"', 'name = "10.77.0.21"'), "nodes.mna.name", "'10.77.0.21'", "/etc/hostname"),
    "a shell word as a hostname": (replaced('name = "mna"', 'name = "$(reboot)"'), "nodes.mna.name", "'$(reboot)'", ""),
    "an alias as an interface": (SMALLEST.replace('"en1"', '"en1:1"', 1), "nodes.mna.interface", "'en1:1'", "alias"),
    "an interface that looks like an option": (SMALLEST.replace('"en1"', '"-force"', 1), "nodes.mna.interface", "'-force'", ""),
    "an interface name too long for the kernel": (SMALLEST.replace('"en1"', f'"{"e" * 16}"', 1), "nodes.mna.interface", "", ""),
    "a port beyond the last": (replaced('name = "mna"', 'name = "mna"\nssh_port = 65536'), "nodes.mna.ssh_port", "65536", "22"),
    "a relative bin_dir": (replaced('name = "mna"', 'name = "mna"\nbin_dir = "bin"'), "nodes.mna.bin_dir", "absolute", ""),
    "no [service]": (SMALLEST.partition("[service]")[0], "[service]", "missing", "hostname, addresses"),
    "no addresses": (replaced('["10.77.0.11/16"]', "[]"), "service.addresses", "empty", "10.77.0.11/16"),
    "addresses is a string": (replaced('["10.77.0.11/16"]', '"10.77.0.11/16"'), "service.addresses", "list", '["'),
    "addresses is a table": (replaced('["10.77.0.11/16"]', "{a = 1}"), "service.addresses", "list", ""),
    "addresses of numbers": (replaced('["10.77.0.11/16"]', "[1]"), "service.addresses", "list of strings", '["'),
    "a service address without prefix": (replaced("10.77.0.11/16", "10.77.0.11"), "service.addresses", "prefix length", "10.77.0.11/16"),
    "a service address that is none": (replaced("10.77.0.11/16", "mn1/16"), "service.addresses", "'mn1/16'", "10.77.0.11/16"),
    "the address of the network itself": (replaced("10.77.0.11/16", "10.77.0.0/16"), "service.addresses", "10.77.0.0", ""),
    "the broadcast address": (replaced("10.77.0.11/16", "10.77.255.255/16"), "service.addresses", "10.77.255.255", ""),
    "two IPv4 service addresses": (
        replaced('["10.77.0.11/16"]', '["10.77.0.11/16", "10.77.0.12/16"]'),
        "service.addresses",
        "more than one IPv4",
        "one",
    ),
    "the same service address twice": (replaced('["10.77.0.11/16"]', '["fd00::1/64", "fd00:0::1/64"]'), "service.addresses", "twice", ""),
    "the service address is a node's own": (
        replaced("10.77.0.11/16", "10.77.0.22/16"),
        "service.addresses",
        "own address of mnb",
        "three addresses",
    ),
    "the service hostname is a node's own": (replaced('hostname = "mn1"', 'hostname = "mnb"'), "service.hostname", "mnb", ""),
    "a service hostname with a blank": (replaced('hostname = "mn1"', 'hostname = "mn 1"'), "service.hostname", "'mn 1'", "cluster"),
    "a mode that is none": (
        replaced('hostname = "mn1"', 'hostname = "mn1"\nmode = "float"'),
        "service.mode",
        "'float'",
        "service-address, replace",
    ),
    "a driver section that is a value": ('database = "sqlite-copy"\n' + SMALLEST, "database", "table", "[database]"),
    "a driver that is a number": (added("[database]\ndriver = 1"), "database.driver", "name of a driver", "xcat-ha drivers"),
    "files is a list": ("files = []\n" + SMALLEST, "files", "table", "[files]"),
    "own sets as a value": (added("[files]\nown = 1"), "files.own", "table", "[files.own.NAME]"),
    "a set without paths": (own_set("delete = true"), "files.own.scripts.paths", "missing", "[files.own.scripts]"),
    "a set of no paths": (own_set("paths = []"), "files.own.scripts.paths", "empty", ""),
    "paths is a string": (own_set('paths = "/srv/scripts"'), "files.own.scripts.paths", "list", '["'),
    "excludes is a string": (own_set('paths = ["/srv"]', 'excludes = "*.log"'), "files.own.scripts.excludes", "list", '["'),
    "keep_lines is a string": (own_set('paths = ["/srv"]', 'keep_lines = "^a"'), "files.own.scripts.keep_lines", "list", '["'),
    "a relative path": (own_set('paths = ["srv"]'), "files.own.scripts.paths", "'srv'", "absolute"),
    "the whole machine": (own_set('paths = ["/"]'), "files.own.scripts.paths", "'/'", ""),
    "the whole machine, spelt otherwise": (own_set('paths = ["//"]'), "files.own.scripts.paths", "'//'", ""),
    "the whole machine, spelt with a dot": (own_set('paths = ["/."]'), "files.own.scripts.paths", "'/.'", ""),
    "a path that climbs": (own_set('paths = ["/srv/../etc"]'), "files.own.scripts.paths", "'/srv/../etc'", ""),
    "a built-in set's name": (added('[files.own.hosts]\npaths = ["/srv"]'), "[files.own.hosts]", "name of a set", "built-in"),
    "the database's name for a set": (added('[files.own.database]\npaths = ["/srv"]'), "[files.own.database]", "name of a set", "built-in"),
    "the name of all sets for a set": (added('[files.own.files]\npaths = ["/srv"]'), "[files.own.files]", "name of a set", "built-in"),
    "an unknown key of a set": (own_set('paths = ["/srv"]', "deleet = true"), "[files.own.scripts]", "unknown key deleet", "delete"),
    "a percentage beyond 100": (own_set('paths = ["/srv"]', "max_delete_pct = 101"), "files.own.scripts.max_delete_pct", "percentage", ""),
    "a percentage that is not a number": (
        own_set('paths = ["/srv"]', "max_delete_pct = nan"),
        "files.own.scripts.max_delete_pct",
        "percentage",
        "",
    ),
    "text as true or false": (own_set('paths = ["/srv"]', 'delete = "no"'), "files.own.scripts.delete", "true or false", ""),
    "no regular expression": (own_set('paths = ["/srv"]', 'keep_lines = ["("]'), "files.own.scripts.keep_lines", "'('", "mend"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused_by_file_key_reason_and_advice(case: str) -> None:
    text, keys, said, advice = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        parse_pair(text, "/somewhere/pair.toml")
    error = caught.value
    assert error.where == "/somewhere/pair.toml"
    assert any(key in error.what for key in keys.split("|")), error.what
    assert said in error.what
    assert error.hint
    assert advice in error.hint
    assert int(error.exit_code) == 3
    assert len(str(error)) < 2000
    assert str(error).startswith("/somewhere/pair.toml: ")


@pytest.mark.parametrize("case", ["missing", "directory", "not UTF-8", "a file as its directory"])
def test_a_file_that_cannot_be_read_is_named(case: str, tmp_path: Path) -> None:
    path = tmp_path / "pair.toml"
    if case == "directory":
        path.mkdir()
    elif case == "not UTF-8":
        path.write_bytes(SMALLEST.encode() + b"# caf\xe9\n")
    elif case == "a file as its directory":
        (tmp_path / "file").touch()
        path = tmp_path / "file/pair.toml"
    with pytest.raises(ConfigError) as caught:
        load_pair(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.REFUSED


def test_an_option_a_driver_does_not_know_is_named_with_those_it_knows() -> None:
    pair = toy_pair()
    with pytest.raises(ConfigError) as caught:
        ToyIdentity(pair, {"direktory": "/srv/x"})
    assert caught.value.where == pair.source
    assert "'direktory'" in caught.value.what
    assert "directory" in caught.value.hint


@pytest.mark.parametrize("value", [0, -1, "7", True, 1.5])
def test_an_option_of_the_wrong_kind_is_named_with_an_example(value: object) -> None:
    with pytest.raises(ConfigError, match="'directory' must be a whole number above zero") as caught:
        ToyReplication(toy_pair(), {"directory": value}).option("directory", 7)
    assert "directory = 7" in caught.value.hint


def test_ipv6_may_stand_beside_one_ipv4_address() -> None:
    pair = parse_pair(replaced('["10.77.0.11/16"]', '["10.77.0.11/16", "fd00::11/64"]'))
    assert [str(address) for address in pair.identity.addresses] == ["10.77.0.11/16", "fd00::11/64"]


def test_the_same_address_spelt_differently_is_the_same() -> None:
    text = SMALLEST.replace("10.77.0.21", "fd00::21").replace("10.77.0.22", "fd00:0:0::0021")
    with pytest.raises(ConfigError, match="same as that of mna"):
        parse_pair(text)


# Whatever is in the file, the answer is a pair or a ConfigError that names the file

_NAMES = st.sampled_from(
    [
        "pair",
        "nodes",
        "service",
        "database",
        "files",
        "own",
        "name",
        "preferred",
        "address",
        "addresses",
        "interface",
        "hostname",
        "paths",
        "driver",
        "x",
    ]
)
_SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["mna", "10.77.0.21", "10.77.0.11/16", "::1", "", "/", "a b", "\x00", "\udcff", "é", "-", "x" * 300]),
)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=8)


def toml(value: object) -> str:
    """A value in TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f'"{key}" = {toml(item)}' for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case str():
            return '"' + "".join(f"\\U{ord(char):08X}" if ord(char) < 0xD800 else "?" for char in value) + '"'
    return repr(value)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(_NAMES, _VALUES, max_size=5))
def test_any_toml_gives_a_pair_or_a_config_error(data: dict[str, object]) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in data.items())
    with pytest.raises(ConfigError) as caught:
        parse_pair(text, "/f.toml")
    assert caught.value.where == "/f.toml"
    assert caught.value.hint


_LINES = SMALLEST.splitlines()


@settings(max_examples=120, deadline=None)
@given(st.integers(0, len(_LINES) - 1), _VALUES)
def test_any_value_of_any_key_gives_a_pair_or_a_config_error(number: int, value: object) -> None:
    lines = list(_LINES)
    key, equals, _ = lines[number].partition(" = ")
    lines[number] = f"{key} = {toml(value)}" if equals else lines[number]
    try:
        parse_pair("\n".join(lines), "/f.toml")
    except ConfigError as error:
        refused = error
    else:
        return
    assert refused.where == "/f.toml"
    assert refused.hint
    assert key in str(refused) or "preferred" in str(refused)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=80), st.integers(0, len(SMALLEST)))
def test_a_file_with_garbage_in_it_is_a_config_error_or_still_a_pair(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, at: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.toml"
    raw = SMALLEST.encode()
    path.write_bytes(raw[:at] + garbage + raw[at:])
    try:
        load_pair(path)
    except ConfigError as error:
        where = error.where
    else:
        return
    assert where == str(path)


_WORD = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(
    ids=st.lists(_WORD, min_size=2, max_size=2, unique=True),
    hosts=st.lists(st.integers(1, 250), min_size=3, max_size=3, unique=True),
    prefix=st.integers(8, 24),
    interface=_WORD.map(lambda word: f"e{word}"),
    every_s=st.integers(10, 10**6),
    keep=st.integers() | st.booleans() | st.lists(st.integers(), max_size=2),
)
def test_what_is_written_is_what_is_read(ids: list[str], hosts: list[int], prefix: int, interface: str, every_s: int, keep: object) -> None:
    first, second = ids
    own, other, service = (f"10.0.0.{host}" for host in hosts)
    text = (
        f'[pair]\nname = "p"\npreferred = "{second}"\nsync_database_every_s = {every_s}\n'
        f'[nodes.{first}]\nname = "{first}.a"\naddress = "{own}"\ninterface = "{interface}"\n'
        f'[nodes.{second}]\nname = "{second}.b"\naddress = "{other}"\ninterface = "{interface}"\n'
        f'[service]\nhostname = "the-mn"\naddresses = ["{service}/{prefix}"]\n[network]\nkeep = {toml(keep)}\n'
    )
    pair = parse_pair(text)
    assert [(node.id, node.name, node.address, node.interface) for node in pair.nodes] == [
        (first, f"{first}.a", own, interface),
        (second, f"{second}.b", other, interface),
    ]
    assert (pair.preferred, pair.sync_database_every_s) == (second, every_s)
    assert [str(address) for address in pair.identity.addresses] == [f"{service}/{prefix}"]
    assert dict(pair.network.options) == {"keep": keep}
    assert pair.other(first) is pair.node(second)
