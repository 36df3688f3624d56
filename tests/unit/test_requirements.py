"""The questions of ``check``, asked for real of this machine with a few programs replaced: what HOLDS, what FAILS, what is not known."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from tests.unit.test_core_toys import IDENTITY, MNA, MNB, Relocated, World, fact, hosts_in, toy_drivers, toy_pair
from xcat_ha.errors import ExitCode, RefusedError, UnknownStateError
from xcat_ha.execution import judge
from xcat_ha.models import Engine, Node, Pair, ServiceIdentity
from xcat_ha.operations import require
from xcat_ha.planning.requirements import (
    checks_before_handover,
    checks_before_setup,
    checks_of_pair,
    engine_fits,
    no_service_nodes,
)
from xcat_ha.runners import LocalRunner
from xcat_ha.steps import Check, Completed, Effect, Judgement, Trouble, Verdict
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha.xcat.site import Site, interpret_site, site_question

H, F, U = Verdict.HOLDS, Verdict.FAILS, Verdict.UNKNOWN
Put = Callable[[str, str], None]
PAIR = toy_pair()
DRIVERS = toy_drivers(PAIR)


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """``put(name, script)`` puts a program first on PATH; the rest of the machine stays."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/sbin:/usr/bin:/sbin:/bin")

    def write(name: str, script: str) -> None:
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)

    return write


def ask(check: Check, moved: dict[str, Path] | None = None) -> Judgement:
    assert check.hint
    for probe in check.probes:
        assert probe.command.effect is Effect.READS
    return judge(Relocated(LocalRunner(), moved or {}), (check,))[0]


def named(question: str, pair: Pair = PAIR, primary: Node | None = None) -> Check:
    (found,) = [check for _, check in checks_of_pair(pair, DRIVERS, primary) if question in check.question]
    return found


# The database


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (None, H),
        ("", H),
        ("no colon here\n", H),  # xCAT takes that for SQLite too
        ("SQLite:/etc/xcat\n", H),
        ("Pg:dbname=xcatdb;host=192.0.2.11|xcatadm|s3cret\n", F),
        ("mysql:dbname=xcatdb;host=192.0.2.11|xcatadmin|s3cret\n", F),
        ("DB2:xcatdb|xcatdb|s3cret\n", F),
        ("sqlite:/etc/xcat\n", F),  # case matters to xCAT
    ],
)
def test_the_database_is_one_the_driver_serves(text: str | None, verdict: Verdict, tmp_path: Path) -> None:
    pair = evolve(PAIR, xcat_dir=str(tmp_path))
    if text is not None:
        (tmp_path / "cfgloc").write_text(text)
    found = ask(engine_fits(pair, DRIVERS, MNA))
    assert found.verdict is verdict
    assert "s3cret" not in found.detail


@pytest.mark.parametrize(
    ("engines", "first", "verdict"),
    [({Engine.POSTGRESQL}, "Pg:x", H), ({Engine.POSTGRESQL, Engine.MYSQL}, "mysql:x", H), ({Engine.DB2}, "Pg:x", F)],
)
def test_a_driver_may_serve_several_databases(engines: set[Engine], first: str, verdict: Verdict, tmp_path: Path) -> None:
    (tmp_path / "cfgloc").write_text(f"{first}\nsecond line: x\n")

    class Backend(type(DRIVERS.replication)):  # type: ignore[misc]
        pass

    Backend.engines = frozenset(engines)
    drivers = evolve(DRIVERS, replication=Backend(PAIR, {}))
    assert ask(engine_fits(evolve(PAIR, xcat_dir=str(tmp_path)), drivers, MNA)).verdict is verdict


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ("", H),
        ('"mn",,,,,,,,,,,,,,,', H),
        ('"mna.example.org",,,', H),
        ('"mnb.example.org",,,', H),
        ('"sn01","1",,', F),
        ('"mn"x,,\n"sn01","1",,', F),
        ('"mn2",,,', F),
    ],
)
def test_sqlite_with_service_nodes_is_refused(rows: str, verdict: Verdict, tmp_path: Path) -> None:
    program = tmp_path / "mna/tabdump"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<'END'\n#node,nameserver,dhcpserver\n{rows}\nEND\n")
    program.chmod(0o755)
    assert ask(no_service_nodes(PAIR, MNA), {"/opt/xcat/sbin": tmp_path}).verdict is verdict


def test_without_xcatd_service_nodes_are_not_known(tmp_path: Path) -> None:
    assert ask(no_service_nodes(PAIR, MNA), {"/opt/xcat/sbin": tmp_path}).verdict is U


def test_service_nodes_are_asked_only_where_they_matter_and_can_be() -> None:
    def asked(primary: Node | None) -> bool:
        return any("service nodes" in check.question for _, check in checks_of_pair(PAIR, DRIVERS, primary))

    assert asked(MNA)
    assert not asked(None)


# Names, network, disk, versions


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ('echo "192.0.2.11      STREAM mn"; echo "192.0.2.11      DGRAM"', H),
        ('echo "192.0.2.11 STREAM"; echo "192.0.2.21 STREAM"', H),
        ('echo "192.0.2.110 STREAM mn"', F),
        ('echo "127.0.1.1 STREAM mn"', F),
        ("exit 2", F),
        ("kill -9 $$", F),
    ],
)
def test_a_name_means_its_address(script: str, verdict: Verdict, put: Put) -> None:
    put("getent", script)
    found = named("on mna the name mn means 192.0.2.11")
    assert ask(found).verdict is verdict
    assert "192.0.2.11 mn" in found.hint


IP = "2: en1    inet {address} brd 192.0.2.255 scope global en1\\       valid_lft forever preferred_lft forever"


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        (IP.format(address="192.0.2.21/24"), H),
        (IP.format(address="192.0.2.11/24") + "\n" + IP.format(address="192.0.2.21/24"), H),
        (IP.format(address="192.0.2.21/16"), F),
        (IP.format(address="192.0.2.210/24"), F),
        (IP.format(address="198.51.100.1/24"), F),
        ("", F),
    ],
)
def test_a_node_is_on_the_subnet_of_the_service_address(shown: str, verdict: Verdict, put: Put) -> None:
    put("ip", f"cat <<'END'\n{shown}\nEND")
    assert ask(named("mna is on the subnet of 192.0.2.11")).verdict is verdict


def test_a_node_whose_interface_is_not_there_is_not_known_to_be(put: Put) -> None:
    put("ip", 'echo "Device \\"en1\\" does not exist." >&2; exit 1')
    found = ask(named("mna is on the subnet of 192.0.2.11"))
    assert found.verdict is U
    assert "does not exist" in found.detail


def test_a_node_in_another_subnet_fails_whatever_its_interface_has(put: Put) -> None:
    put("ip", f"echo '{IP.format(address='192.0.2.21/24')}'")
    pair = evolve(PAIR, identity=ServiceIdentity("mn", (ipaddress.ip_interface("198.51.100.11/24"),)))
    assert ask(named("mna is on the subnet of 198.51.100.11", pair)).verdict is F


@pytest.mark.parametrize(("wanted", "verdict"), [(0, H), (1, H), (10**9, F)])
def test_there_is_room(wanted: int, verdict: Verdict) -> None:
    assert ask(named(f"mna has {wanted} MiB free", evolve(PAIR, min_free_mib=wanted))).verdict is verdict


def test_room_that_cannot_be_measured_is_not_known(put: Put) -> None:
    put("df", "exit 1")
    assert ask(named("mna has 512 MiB free")).verdict is U


VERSIONS = {
    "equal": ("2.19.0-snap1", "2.19.0-snap1", H),
    "another": ("2.19.0-snap1", "2.18.0-snap1", F),
    "not installed on one": ("2.19.0-snap1", None, U),
    "not installed at all": (None, None, U),
}


@pytest.mark.parametrize("case", VERSIONS)
def test_both_have_the_same_xcat(case: str, put: Put, tmp_path: Path) -> None:
    first, second, verdict = VERSIONS[case]
    put("rpm", "exit 1")
    put("dpkg-query", "exit 1")
    for node_id, version in (("mna", first), ("mnb", second)):
        if version is not None:
            program = tmp_path / node_id / "xcatconfig"
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\necho 'Version {version.partition('-')[0]} (git commit 0123456789abcdef, built Mon)'\n")
            program.chmod(0o755)
    assert ask(named("xCAT has the same version"), {"/opt/xcat/sbin": tmp_path}).verdict is verdict


@pytest.mark.parametrize(
    ("program", "script", "said"),
    [
        ("rpm", "case $2 in --qf) echo 2.19.0-snap202601;; esac", "2.19.0-snap202601"),
        ("dpkg-query", "echo 2.19.0-snap202601", "2.19.0-snap202601"),
    ],
)
def test_the_package_manager_knows_xcat_s_version(program: str, script: str, said: str, put: Put) -> None:
    put("rpm", "exit 1")
    put("dpkg-query", "exit 1")
    put(program, script)
    found = ask(named("xCAT has the same version"))
    assert (found.verdict, found.detail) == (H, said)


def test_xcat_ha_itself_is_compared_and_its_absence_is_not_known(tmp_path: Path) -> None:
    check = named("xcat-ha has the same version")
    for node_id, version in (("mna", "0.1.0"), ("mnb", "0.1.0")):
        (tmp_path / node_id).mkdir(exist_ok=True)
        (tmp_path / node_id / "python3").write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / node_id / "python3").chmod(0o755)
    assert ask(check, {"/opt/xcat-ha/bin": tmp_path}).verdict is H
    (tmp_path / "mnb/python3").write_text("#!/bin/sh\necho 0.2.0\n")
    assert ask(check, {"/opt/xcat-ha/bin": tmp_path}).verdict is F
    (tmp_path / "mnb/python3").unlink()
    assert ask(check, {"/opt/xcat-ha/bin": tmp_path}).verdict is U


@pytest.mark.parametrize(("script", "verdict"), [("exit 0", H), ("exit 255", F), ("exit 3", U)])
def test_each_reaches_the_other_by_ssh(script: str, verdict: Verdict, put: Put) -> None:
    put("ssh", f'echo "$*" | grep -q "HostKeyAlias=mnb.* root@192.0.2.22 true" || exit 9\n{script}')
    assert ask(named("mna reaches mnb by ssh")).verdict is verdict


# xcatd is stopped: only the cases that are decided before the machine's own processes are looked at


@pytest.mark.parametrize(
    ("systemctl", "ss", "verdict", "said"),
    [
        ("echo active", "true", F, "unit xcatd is active"),
        ("echo deactivating", "true", F, "unit xcatd is deactivating"),
        ("exit 1", "true", U, "systemctl does not answer"),
        ("echo inactive", "echo 'LISTEN 0 128 *:3001 *:*'", F, "listens on TCP port 3001"),
        ("echo failed", "exit 1", U, "ss does not answer"),
    ],
)
def test_xcatd_is_stopped_only_if_unit_and_listener_are_gone(systemctl: str, ss: str, verdict: Verdict, said: str, put: Put) -> None:
    put("systemctl", systemctl)
    put("ss", ss)
    found = ask(xcatd_is_stopped(MNA))
    assert found.verdict is verdict
    assert said in found.detail


# What verbs require


def test_a_requirement_that_fails_refuses_and_one_that_is_not_known_refuses_too() -> None:
    world = World()
    world.facts["mna"] = {"ready": "yes", "room": "no"}
    require(world, (fact("ready"),))
    with pytest.raises(RefusedError) as caught:
        require(world, (fact("ready"), fact("room", hint="make room")))
    assert caught.value.what == "it does not hold that room is yes on mna: printed 'no'"
    assert caught.value.hint == "make room"
    assert caught.value.state == "nothing was changed"
    assert caught.value.exit_code is ExitCode.REFUSED
    world.silent.add("mna")
    with pytest.raises(UnknownStateError) as unknown:
        require(world, (fact("ready"),))
    assert unknown.value.state == "nothing was changed"
    assert unknown.value.exit_code is ExitCode.UNKNOWN
    assert world.transcript == []


@pytest.mark.parametrize(
    ("checks", "questions"),
    [
        (
            checks_before_handover(PAIR, DRIVERS, MNA, MNB),
            (
                "mna reaches mnb",
                "mnb reaches mna",
                "xCAT has the same version",
                "xcat-ha has the same version",
                "database of mna",
                "database of mnb",
                "xcatd is stopped on mnb",
                "mnb has 512 MiB free",
            ),
        ),
        (
            checks_before_setup(PAIR, DRIVERS, MNA, MNB),
            (
                "xCAT has the same version",
                "xcat-ha has the same version",
                "database of mna",
                "database of mnb",
                "mnb has 512 MiB free",
                "no service nodes",
            ),
        ),
    ],
    ids=["hand-over", "setup"],
)
def test_what_is_asked_before_a_verb_acts(checks: tuple[Check, ...], questions: tuple[str, ...]) -> None:
    asked = [check.question for check in checks]
    for question in questions:
        assert any(question in found for found in asked), question


def test_a_silent_node_answers_nothing(tmp_path: Path) -> None:
    runner = Relocated(LocalRunner(), {}, silent={"mna", "mnb"})
    checks = [check for _, check in checks_of_pair(PAIR, toy_drivers(toy_pair(hosts_in(tmp_path))), MNA)]
    assert {judgement.verdict for judgement in judge(runner, checks)} == {U}


# The site table

SITE_OUT = "clustersite: domain=cluster.example\nclustersite: master=192.0.2.11\nclustersite: xcatdport=3001\nclustersite: externaldns=1\n"


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (Completed((), 0, SITE_OUT), True),
        (Completed((), 0, ""), False),
        (Completed((), 0, "clustersite: domain=x\n"), False),
        (Completed((), 1, SITE_OUT, "Error: Permission denied for request"), False),
        (Completed((), 111, "Unable to open socket connection to xcatd daemon on localhost:3001."), False),
        (Completed((), None, "", "no route to host", trouble=Trouble.UNREACHABLE), False),
        (Completed((), 0, "garbage: = \n=\n: \n"), False),
    ],
)
def test_the_site_table_is_known_only_with_its_master(answer: Completed, known: object) -> None:
    site = interpret_site(answer)
    assert site.known is known
    if known:
        assert site == Site(known=True, master="192.0.2.11", domain="cluster.example", external_dns=True)
    else:
        assert site.detail


@pytest.mark.parametrize(("port", "read"), [("3001", 3001), ("4001", 4001), ("", 3001), ("x", 3001), ("²", 3001)])
def test_a_port_that_is_none_is_xcat_s_own(port: str, read: int) -> None:
    assert interpret_site(Completed((), 0, f"clustersite: master=a\nclustersite: xcatdport={port}\n")).xcatdport == read


def test_asking_for_the_site_table_only_reads() -> None:
    assert site_question().effect is Effect.READS
    assert str(site_question().argv[0]).startswith("/")
    assert str(IDENTITY.primary_address) == "192.0.2.11"
