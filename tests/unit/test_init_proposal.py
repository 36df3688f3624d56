"""``init``: from what a management node answers to a configuration; hostile and missing answers; nothing is ever guessed or overwritten."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from xcat_ha.clock import Clock, SystemClock
from xcat_ha.config import parse_pair
from xcat_ha.discovery.cluster import AIX_DISKLESS, STATELITE_NFS
from xcat_ha.discovery.given import open_questions
from xcat_ha.discovery.questions import first_questions
from xcat_ha.errors import ConfigError, RefusedError
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.models import Pair
from xcat_ha.steps import Command, Completed, Effect, Trouble
from xcat_ha.verbs.init import Draft, Written, begin, save, write_up

PASSWORD = "s3cretword"


def links(*entries: tuple[str, str, dict[str, object]]) -> str:
    """``ip -j address show`` of (interface, address, more) triples, with a loopback interface."""
    found: dict[str, list[dict[str, object]]] = {"lo": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]}
    for name, address, more in entries:
        local, _, prefix = address.partition("/")
        found.setdefault(name, []).append({"local": local, "prefixlen": int(prefix), "scope": "global"} | more)
    return json.dumps([{"ifname": name, "addr_info": infos} for name, infos in found.items()])


ONE_MN = links(("en1", "10.77.0.11/16", {}), ("en1", "fd77::21/64", {}))
SITE = "clustersite: master=10.77.0.11\nclustersite: domain=lab.example\nclustersite: installdir=/install\nclustersite: tftpdir=/tftpboot\n"
XCATD = "Version 2.19.0 (git commit 0123, built today)\nThis is a Management Node\ndbengine=SQLite\n"
UNITS = """\
Id=xcatd.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=named.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
"""
ANSWERS = {
    "uname -s": "Linux\n",
    "cat /etc/os-release": 'ID=rocky\nPRETTY_NAME="Rocky Linux 9.5"\n',
    "uname -n": "mn1\n",
    "cat /etc/hostname": "mn1\n",
    "ip": ONE_MN,
    "sshd": "port 22\n",
    "systemctl": UNITS,
    "lsdef": SITE,
    "lsxcatd": XCATD,
    "package": "2.19.0-snap1\n",
    "cfgloc": "absent\n",
    "tabdump servicenode": "#node,nameserver,comments,disable\n",
    "tabdump noderes": '#node,servicenode,comments,disable\n"compute",,,\n',
    "tabdump osimage": '#imagename,imagetype,provmethod,rootfstype,disable\n"r9","linux","netboot",,\n',
    "tabdump nimimage": "#imagename,nimtype,disable\n",
    "tabdump nodetype": '#node,provmethod,disable\n"compute","r9",\n',
    "tabdump nodelist": '#node,groups,disable\n"cn1","all",\n"cn2","all",\n',
    "getent hosts 10.77.0.11": "10.77.0.11      mn1.lab.example mn1\n",
    "getent ahosts mn1": "10.77.0.11      STREAM mn1.lab.example\n10.77.0.11      DGRAM\nfd77::11        STREAM\n",
    "getent hosts 10.77.0.21": "10.77.0.21      mna.lab.example mna\n",
    "getent ahosts mnb": "10.77.0.22      STREAM mnb.lab.example\n",
    "findmnt /install": "ext4 /dev/sda1 /\n",
    "findmnt /tftpboot": "ext4 /dev/sda1 /\n",
}


class Machine(Runner):
    """Answers as the table says; what is not in it fails, None does not answer."""

    def __init__(self, changed: Mapping[str, str | None] | None = None) -> None:
        self.answers: dict[str, str | None] = {**ANSWERS, **(changed or {})}

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        raise AssertionError(f"init changed something: {command}")

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        return tuple(self._answer(command) for command in commands)

    def _answer(self, command: Command) -> Completed:
        assert command.effect is Effect.READS
        argv = tuple(str(word) for word in command.argv)
        said = self.answers.get(self._key(argv), "")
        if said is None:
            return Completed(argv, None, trouble=Trouble.TIMED_OUT)
        return Completed(argv, 0 if said else 1, said)

    @staticmethod
    def _key(argv: tuple[str, ...]) -> str:
        program = argv[0].rpartition("/")[2]
        if program == "sh":
            return "cfgloc" if argv[-1].endswith("cfgloc") else "sshd" if "sshd" in argv[2] else "package"
        if program == "findmnt":
            return f"findmnt {argv[-1]}"
        return " ".join((program, *argv[1:])) if program in {"uname", "cat", "tabdump", "getent"} else program


def said(machine: Machine, **answers: str) -> Draft:
    draft = begin(machine)
    for name, value in answers.items():
        draft = draft.say(machine, name, value, f"--{name}")
    return draft


def asked(draft: Draft) -> list[str]:
    return [question.name for question in open_questions(draft.discovery, draft.standing, draft.given)]


def written(machine: Machine, *, program_dir: str = "/opt/xcat-ha/bin", **answers: str) -> Written:
    return write_up(said(machine, **answers), clock=SystemClock(), path=Path("/etc/xcat-ha/pair.toml"), program_dir=program_dir)


def pair_of(machine: Machine, **answers: str) -> Pair:
    return parse_pair(written(machine, **answers).text)


BOTH = {"own_address": "10.77.0.21", "peer_name": "mnb"}


# An ordinary site


def test_only_the_spare_address_and_the_peer_are_asked_for() -> None:
    machine = Machine()
    assert asked(said(machine)) == ["own_address", "peer_name"]
    assert asked(said(machine, own_address="10.77.0.21")) == ["peer_name"]
    assert asked(said(machine, **BOTH)) == []


def test_the_address_of_a_peer_no_name_service_knows_is_asked_for() -> None:
    machine = Machine({"getent ahosts mnb": ""})
    assert asked(said(machine, **BOTH)) == ["peer_address"]
    assert asked(said(machine, **BOTH, peer_address="10.77.0.22")) == []


def test_a_single_management_node_becomes_a_pair() -> None:
    pair = pair_of(Machine(), **BOTH)
    first, second = pair.nodes
    assert (pair.name, pair.preferred, pair.identity.hostname) == ("mn1", "mna", "mn1")
    assert [str(address) for address in pair.identity.addresses] == ["10.77.0.11/16", "fd77::11/64"]
    assert (first.id, first.name, first.address, first.interface) == ("mna", "mna", "10.77.0.21", "en1")
    assert (second.id, second.name, second.address, second.interface) == ("mnb", "mnb", "10.77.0.22", "en1")
    assert [pair.database.name, pair.network.name, pair.services.name] == ["sqlite-copy", "linux", "systemd"]


def test_every_value_has_its_origin_on_the_line_before() -> None:
    lines = written(Machine(), **BOTH).text.splitlines()
    keys = [number for number, line in enumerate(lines) if line and not line.startswith(("#", "["))]
    assert len(keys) == 16
    for number in keys:
        above = number - 1
        while lines[above].startswith("#   "):
            above -= 1
        assert lines[above].startswith("# from: "), lines[number]


def test_what_was_found_is_told() -> None:
    text = " ".join(written(Machine(), **BOTH).text.replace("\n#", " ").split())
    for words in (
        "xCAT: Version 2.19.0",
        "package 2.19.0-snap1",
        "Rocky Linux 9.5",
        "there is no /etc/xcat/cfgloc, which means SQLite",
        "installdir: /install (site table), on /dev/sda1",
        "services: xcatd (runs, enabled)",
        "nodes: 2",
        "service nodes: none",
        "cluster type: Linux; images: stateless: r9",
    ):
        assert words in text, words


def test_on_a_pair_that_is_one_already_only_the_peer_is_asked_for() -> None:
    """The service address has the wider mask and the link scope that the driver gives it; the own one is beside it."""
    wide = links(
        ("en1", "10.77.0.11/15", {"scope": "link"}), ("en1", "10.77.0.21/16", {}), ("en1", "fd77::11/128", {}), ("en1", "fd77::21/64", {})
    )
    machine = Machine({"ip": wide, "cat /etc/hostname": "mna\n"})
    assert asked(said(machine)) == ["peer_name"]
    pair = pair_of(machine, peer_name="mnb")
    assert [str(address) for address in pair.identity.addresses] == ["10.77.0.11/16", "fd77::11/64"]
    assert (pair.nodes[0].name, pair.nodes[0].address) == ("mna", "10.77.0.21")


def test_a_name_nobody_knows_is_made_up_and_said_to_be() -> None:
    machine = Machine({"getent hosts 10.77.0.21": ""})
    draft = written(machine, **BOTH)
    assert parse_pair(draft.text).nodes[0].name == "mn1-own"
    assert "# from: made up: mn1 is what moves" in draft.text


def test_a_place_of_its_own_and_another_ssh_port_are_written() -> None:
    machine = Machine({"sshd": "port 2222\n"})
    pair = parse_pair(written(machine, program_dir="/srv/venv/bin", **BOTH).text)
    assert [node.bin_dir for node in pair.nodes] == ["/srv/venv/bin"] * 2
    assert [node.ssh_port for node in pair.nodes] == [2222, 22]


def test_master_may_be_a_name() -> None:
    site = SITE.replace("10.77.0.11", "mn1.lab.example")
    machine = Machine({"lsdef": site, "getent hosts mn1.lab.example": ANSWERS["getent hosts 10.77.0.11"]})
    machine.answers["getent ahosts mn1.lab.example"] = ANSWERS["getent ahosts mn1"]
    pair = pair_of(machine, **BOTH)
    assert str(pair.identity.addresses[0]) == "10.77.0.11/16"
    assert pair.identity.hostname == "mn1"


# Databases


@pytest.mark.parametrize(
    ("cfgloc", "running", "driver", "words"),
    [
        ("absent\n", "SQLite", "sqlite-copy", "there is no /etc/xcat/cfgloc"),
        ("end\n", "SQLite", "sqlite-copy", "first line of /etc/xcat/cfgloc: SQLite"),
        ("engine=Pg\nhost=10.77.0.11\nend\n", "Pg", "postgres-dump", "cfgloc: Pg"),
        ("engine=mysql\nhost=10.77.0.11\nend\n", "mysql", "mysql", "cfgloc: mysql"),
        ("engine=DB2\nend\n", "DB2", "db2-hadr", "cfgloc: DB2"),
    ],
)
def test_cfgloc_decides_about_the_driver(cfgloc: str, running: str, driver: str, words: str) -> None:
    machine = Machine({"cfgloc": cfgloc, "lsxcatd": XCATD.replace("SQLite", running)})
    found = written(machine, **BOTH)
    assert parse_pair(found.text).database.name == driver
    assert words in found.text.replace("\n# ", " ")


def test_a_driver_that_is_not_installed_is_named_and_said_to_be() -> None:
    machine = Machine({"cfgloc": "engine=DB2\nend\n", "lsxcatd": XCATD.replace("SQLite", "DB2")})
    found = written(machine, **BOTH)
    if "database" not in found.unusable:  # then it is there by now, and nothing may be said against it
        assert "CANNOT BE USED" not in found.text
        return
    assert "IT CANNOT BE USED YET" in found.text
    assert any("db2-hadr" in warning for warning in found.proposal.warnings)


@pytest.mark.parametrize(
    "changed",
    [
        {"cfgloc": None},
        {"cfgloc": ""},
        {"cfgloc": "engine=Pg\n"},  # cut off
        {"cfgloc": "colonless\nend\n"},
        {"cfgloc": "engine=pg\nend\n"},  # case matters
        {"cfgloc": "engine=Oracle\nend\n"},
        {"cfgloc": "engine=Pg\nend\n"},  # but the running xcatd says SQLite
    ],
)
def test_a_database_that_is_not_known_for_sure_is_not_proposed(changed: dict[str, str | None]) -> None:
    found = written(Machine(changed), **BOTH)
    assert found.proposal.missing == ("database.driver",)
    assert "driver" not in tomllib.loads(found.text)["database"]


def test_the_password_never_leaves_cfgloc(tmp_path: Path) -> None:
    """The real script, on files as administrators and scripts write them."""
    from xcat_ha.runners import LocalRunner  # noqa: PLC0415 - a real one, here only

    argv = first_questions()["cfgloc"].argv
    lines = {
        f"Pg:dbname=xcatdb;host=10.1.0.1|xcatadm|{PASSWORD}\n": "engine=Pg\nhost=10.1.0.1\nend\n",
        f"mysql:dbname=xcatdb;host=db.example|xcatadmin|{PASSWORD}": "engine=mysql\nhost=db.example\nend\n",
        f"DB2:xcatdb|xcatdb|{PASSWORD}\n": "engine=DB2\nend\n",
        f"Pg:dbname=xcatdb|xcatadm|;host={PASSWORD}\n": "engine=Pg\nend\n",
        f"Pg:dbname=xcatdb;password={PASSWORD};host=h|xcatadm|x\n": "engine=Pg\nhost=h\nend\n",
        "SQLite:/var/xcat\n": "engine=SQLite\ndirectory=/var/xcat\nend\n",
        f"{PASSWORD}\n": "colonless\nend\n",
        f"no colon|here:{PASSWORD}\n": "colonless\nend\n",
        f"\nPg:{PASSWORD}\n": "end\n",
        "": "end\n",
    }
    for text, expected in lines.items():
        path = tmp_path / "cfgloc"
        path.write_text(text)
        (answer,) = LocalRunner().read_many("", (Command((*argv[:-1], str(path))),))
        assert (answer.stdout, answer.returncode) == (expected, 0), text


# Clusters


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tabdump servicenode": '#node,disable\n"sn1",\n"mn1",\n"gone","1"\n'}, "service nodes (sn1) cannot work with SQLite"),
        ({"tabdump noderes": '#node,servicenode,disable\n"compute","sn1,sn2",\n'}, "service nodes (sn1, sn2) cannot work with SQLite"),
        ({"tabdump osimage": '#imagename,provmethod,rootfstype\n"r9","statelite","nfs"\n'}, f"compute ({STATELITE_NFS}) hang"),
        ({"tabdump nimimage": '#imagename,nimtype\n"r9","diskless"\n'}, f"compute ({AIX_DISKLESS}) hang"),
        ({"findmnt /install": "nfs4 srv:/install /install\n"}, "installdir /install is on a network file system (srv:/install)"),
        ({"package": "2.18.1-1\n"}, "xcatd 2.19.0 is running, but 2.18.1 is installed"),
        ({"systemctl": UNITS.replace("ActiveState=active", "ActiveState=failed")}, "xcatd is installed here, but does not run"),
        ({"lsxcatd": XCATD.replace("Management", "Service")}, "This is a Service Node"),
        ({"ip": links(("en1", "10.77.0.11/16", {"dynamic": True}))}, "a DHCP server gave this machine the service address"),
        ({"ip": links(("en1", "10.77.0.11/16", {}))}, "fd77::11 is an address of the service hostname too"),
    ],
)
def test_what_has_to_be_looked_at_first_is_said(changed: dict[str, str], words: str) -> None:
    found = written(Machine(changed), **BOTH)
    assert any(words in warning for warning in found.proposal.warnings), found.proposal.warnings
    assert parse_pair(found.text)


def test_an_ordinary_site_has_nothing_to_be_looked_at() -> None:
    assert written(Machine(), **BOTH).proposal.warnings == ()


@pytest.mark.parametrize("changed", [{"tabdump osimage": '#imagename,provmethod,rootfstype\n"r9","statelite","ramdisk"\n'}])
def test_a_statelite_image_in_memory_hangs_nobody(changed: dict[str, str]) -> None:
    assert written(Machine(changed), **BOTH).proposal.warnings == ()


# What is not known


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"lsdef": None}, {"nodes.mnb.interface", "service.hostname", "service.addresses"}),
        ({"lsdef": "Error: Permission denied for request\n"}, {"service.hostname", "service.addresses"}),
        ({"ip": "no such program"}, {"service.addresses"}),
        ({"ip": '[{"ifname": 7}'}, {"service.addresses"}),
        ({"uname -s": "SunOS\n"}, {"network.driver", "services.driver", "schedule.driver"}),
        ({"systemctl": None}, {"services.driver", "schedule.driver"}),
        ({"getent hosts 10.77.0.11": ""}, {"service.hostname"}),
        ({"cat /etc/hostname": "", "uname -n": "bad host name\n", "getent hosts 10.77.0.21": ""}, {"nodes.this.name"}),
    ],
)
def test_what_cannot_be_found_out_is_a_comment_to_fill_in(changed: dict[str, str | None], missing: set[str]) -> None:
    found = written(Machine(changed), peer_name="mnb", peer_address="10.77.0.22", own_address="10.77.0.21")
    assert missing <= set(found.proposal.missing)
    for key in missing:
        assert f"# {key.rpartition('.')[2]} = " in found.text
    tomllib.loads(found.text)


def test_on_aix_its_drivers_are_named_and_that_the_rest_is_not_there_yet() -> None:
    text = written(Machine({"uname -s": "AIX\n"}), **BOTH).text
    lines = text.splitlines()
    assert {'driver = "aix"', 'driver = "aix-src"', 'driver = "cron"'} <= set(lines)
    said_so = " ".join(line.lstrip("# ") for line in lines)
    assert said_so.count("IT CANNOT BE USED YET: xcat-ha itself does not run on AIX yet") == 3


def test_nobody_to_ask_leaves_comments_too() -> None:
    assert written(Machine()).proposal.missing == ("nodes.mn1-own.address", "nodes.other.name", "nodes.other.address")


def test_tables_that_do_not_answer_are_not_taken_for_empty() -> None:
    text = written(Machine({name: None for name in ANSWERS if name.startswith("tabdump")}), **BOTH).text
    assert "service nodes: NOT KNOWN" in text
    assert "cluster type: NOT KNOWN" in text
    assert "nodes: NOT KNOWN" in text


def test_another_machine_than_the_one_that_serves_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"10\.77\.0\.11, which is no address of this machine \(it has 10\.77\.0\.22/16\)"):
        begin(Machine({"ip": links(("en1", "10.77.0.22/16", {}))}))


# Answers that cannot be right


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("own_address", "10.77.0.11", "two machines need three addresses"),
        ("own_address", "fd77::11", "two machines need three addresses"),
        ("own_address", "10.77.0.300", "not an IP address"),
        ("own_address", "10.77.0.21/16", "not an IP address"),
        ("own_address", "", "not an IP address"),
        ("own_address", "10.78.0.1", "not in 10.77.0.0/16"),
        ("own_address", "10.77.255.255", "stands for all of 10.77.0.0/16"),
        ("own_address", "10.77.0.22", "the other machine's"),
        ("own_address", "10.77.9.9", "is on en2"),
        ("peer_address", "10.77.9.9", "is on this machine (en2)"),
        ("peer_name", "mn1", "the name that moves"),
        ("peer_name", "MN1.lab.example", "the name that moves"),
        ("peer_name", "mna", "this machine's"),
        ("peer_name", "two words", "not a hostname"),
        ("peer_name", "10.77.0.22", "not a hostname"),
        ("peer_name", 'mnb"\ninjected = "', "not a hostname"),
        ("peer_name", "", "not a hostname"),
        ("service_name", "mnb", "the other machine's"),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused_with_the_reason(name: str, value: str, words: str) -> None:
    machine = Machine({"ip": links(("en1", "10.77.0.11/16", {}), ("en1", "fd77::21/64", {}), ("en2", "10.77.9.9/32", {}))})
    draft = said(machine, peer_address="10.77.0.22", own_name="mna")
    if name == "service_name":
        draft = draft.say(machine, "peer_name", "mnb", "--peer")
    with pytest.raises(ConfigError) as refused:
        draft.say(machine, name, value, "your answer")
    assert words in refused.value.what


# Hostile answers


_HOSTILE = st.text(max_size=60) | st.sampled_from(
    ['"]\n[pair]\nname = "x"', "\x00\x1b[2J", "x\ud800y", "#key\n", "[[[[", "{}", "null", "master=\n", "a\u2028b = 1", "\x7f", "9" * 400]
)


@settings(deadline=None)
@for_any(st.dictionaries(st.sampled_from(sorted(ANSWERS)), _HOSTILE, max_size=6), st.booleans())
def test_whatever_the_machine_answers_nothing_but_the_proposal_is_configuration(changed: dict[str, str], framed: bool) -> None:
    """Each line is a comment, a table, or a key whose value the loader takes or refuses with its reason."""
    if framed:
        changed = {name: f"{ANSWERS[name].rstrip()}{text}" for name, text in changed.items()}
    try:
        found = written(Machine(changed), **BOTH)
    except (RefusedError, ConfigError):
        return
    assert all(warning.isprintable() for warning in found.proposal.warnings)
    data = tomllib.loads(found.text)
    assert set(data) == {"pair", "nodes", "service", "database", "files", "network", "services", "schedule", "fencing"}
    assert set(data["pair"]) == {"name", "preferred"}
    assert len(data["nodes"]) == 2
    for node in data["nodes"].values():
        assert set(node) <= {"name", "address", "interface", "ssh_port"}
    assert set(data["service"]) <= {"hostname", "addresses"}
    if not found.proposal.missing:
        parse_pair(found.text)


# The file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "etc/pair.toml"


def saved(place: Path, *, force: bool = False, clock: Clock | None = None, complete: bool = True) -> tuple[Path, Path | None]:
    answers = BOTH if complete else {}
    return save(written(Machine(), **answers), place, force=force, clock=clock or SystemClock())


def test_the_file_is_roots_alone_and_whole(place: Path) -> None:
    where, kept = saved(place)
    assert (where, kept) == (place, None)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert parse_pair(place.read_text()).preferred == "mna"
    assert [path.name for path in place.parent.iterdir()] == ["pair.toml"]


def test_a_file_that_is_there_is_never_replaced_unless_told_to(place: Path) -> None:
    saved(place)
    place.write_text("mine\n")
    with pytest.raises(RefusedError, match="is there already"):
        saved(place)
    assert place.read_text() == "mine\n"
    assert len(list(place.parent.iterdir())) == 1
    _, kept = saved(place, force=True)
    assert kept is not None
    assert kept.read_text() == "mine\n"
    assert parse_pair(place.read_text())


def test_old_ones_of_the_same_second_are_all_kept(place: Path) -> None:
    class Stopped(SystemClock):
        def now(self) -> float:
            return 1_700_000_000.0

    kept = set()
    saved(place)
    for number in range(3):
        place.write_text(f"number {number}\n")
        _, old = saved(place, force=True, clock=Stopped())
        assert old is not None
        kept.add(old)
    assert sorted(path.read_text() for path in kept) == ["number 0\n", "number 1\n", "number 2\n"]


def test_a_link_to_nowhere_is_something_too(place: Path) -> None:
    place.parent.mkdir()
    place.symlink_to("nosuch")
    with pytest.raises(RefusedError, match="is there already"):
        saved(place)


def test_what_is_not_complete_never_gets_the_configurations_name(place: Path) -> None:
    where, _ = saved(place, complete=False)
    assert where == place.with_name("pair.toml.draft")
    assert not place.exists()
    where.write_text("half filled in\n")
    with pytest.raises(RefusedError, match="is there already"):
        saved(place, complete=False)
    assert where.read_text() == "half filled in\n"


def test_a_place_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written"):
        saved(tmp_path / "etc/pair.toml")
