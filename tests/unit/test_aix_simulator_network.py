"""The simulated AIX's identity: what its commands say, what they refuse, what is stored and what only runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulators.aix.trial import Trial

OWN, SERVICE, MASK, GATEWAY = "9.114.47.103", "9.114.47.120", "255.255.255.192", "9.114.47.126"
AS_THE_DOCUMENT_SAYS = ("/usr/sbin/mktcpip", "-haixmn2", "-a9.114.47.104", f"-m{MASK}", "-ien1", f"-g{GATEWAY}", "-Ano", "-tN/A", "-s")
DEFAULT = "net,-hopcount,0,,0,"
HOSTILE = ("two words", "it's", 'a"b', "a;reboot", "a\nb", "$(reboot)", "`reboot`", "a" * 300, "", "-x")


@pytest.fixture
def aix(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def stored(aix: Trial, device: str, attribute: str) -> list[str]:
    return aix.ok("lsattr", "-E", "-l", device, "-a", attribute, "-F", "value").splitlines()


def running(aix: Trial) -> list[str]:
    return [line.split()[1] for line in aix.ok("ifconfig", "en1").splitlines() if line.startswith("\tinet ")]


def gateways(aix: Trial) -> list[str]:
    return [line.split()[1] for line in aix.ok("netstat", "-rn").splitlines() if line.startswith("default")]


def test_a_machine_boots_with_what_is_stored_and_nothing_else(aix: Trial) -> None:
    aix.ok("ifconfig", "en1", "firstalias", SERVICE, "netmask", MASK, "up")
    aix.ok("hostname", "mn1")
    aix.ok("chdev", "-l", "en1", "-T", "-a", "alias4=9.114.47.121,255.255.255.192")
    assert running(aix) == [SERVICE, OWN, "9.114.47.121"]
    aix.reboot()
    assert running(aix) == [OWN]
    assert aix.ok("hostname") == "aixmn1\n"
    assert gateways(aix) == [GATEWAY]


# --- mktcpip


def test_mktcpip_changes_everything_stored_and_running(aix: Trial) -> None:
    done = aix.run(*AS_THE_DOCUMENT_SAYS)
    assert (done.code, done.out, done.err) == (0, "en1\naixmn2\ninet0 changed\nen1 changed\n", "")
    assert running(aix) == ["9.114.47.104"]
    assert stored(aix, "en1", "netaddr") == ["9.114.47.104"]
    assert stored(aix, "en1", "netmask") == [MASK]
    assert stored(aix, "inet0", "hostname") == ["aixmn2"]
    assert aix.ok("hostname") == "aixmn2\n"
    aix.reboot()
    assert running(aix) == ["9.114.47.104"]


def test_mktcpip_takes_the_empty_word_that_smit_writes_after_s(aix: Trial) -> None:
    aix.ok(*AS_THE_DOCUMENT_SAYS, "")
    assert running(aix) == ["9.114.47.104"]


def test_mktcpip_adds_a_second_default_route_and_keeps_the_first(aix: Trial) -> None:
    aix.ok("mktcpip", "-haixmn1", f"-a{OWN}", f"-m{MASK}", "-ien1", "-g9.114.47.125")
    assert gateways(aix) == [GATEWAY, "9.114.47.125"]
    assert stored(aix, "inet0", "route") == [DEFAULT + GATEWAY, DEFAULT + "9.114.47.125"]
    aix.ok("chdev", "-l", "inet0", "-a", f"delroute={DEFAULT}{GATEWAY}")
    assert gateways(aix) == ["9.114.47.125"]
    assert stored(aix, "inet0", "route") == [DEFAULT + "9.114.47.125"]


def test_mktcpip_with_the_gateway_there_is_adds_none(aix: Trial) -> None:
    aix.ok(*AS_THE_DOCUMENT_SAYS)
    assert gateways(aix) == [GATEWAY]
    assert stored(aix, "inet0", "route") == [DEFAULT + GATEWAY]


def test_mktcpip_rewrites_the_hosts_lines_of_that_address_and_that_name(aix: Trial) -> None:
    aix.add(
        "etc/hosts",
        f"127.0.0.1 localhost\n{SERVICE} mn1.cluster.example mn1 # the service\n{OWN} aixmn1.cluster.example aixmn1\n9.9.9.9 other\n",
    )
    aix.ok("mktcpip", "-hmn1", "-a9.114.47.111", f"-m{MASK}", "-ien1")
    assert aix.read("etc/hosts") == f"127.0.0.1 localhost\n{OWN} aixmn1.cluster.example aixmn1\n9.9.9.9 other\n9.114.47.111\tmn1\n"


def test_mktcpip_leaves_what_ifconfig_added(aix: Trial) -> None:
    aix.ok("ifconfig", "en1", "alias", SERVICE, "netmask", MASK, "up")
    aix.ok(*AS_THE_DOCUMENT_SAYS)
    assert running(aix) == ["9.114.47.104", SERVICE]


def test_mktcpip_writes_the_name_server(aix: Trial) -> None:
    aix.ok("mktcpip", "-haixmn1", f"-a{OWN}", f"-m{MASK}", "-ien1", "-n9.114.47.1", "-dcluster.example")
    assert aix.read("etc/resolv.conf") == "nameserver\t9.114.47.1\ndomain\tcluster.example\n"


def test_mktcpip_says_which_of_its_commands_had_a_problem(aix: Trial) -> None:
    before = aix.read("etc/hosts")
    done = aix.run("mktcpip", "-haixmn2", "-ax.x.x.x", f"-m{MASK}", "-ien1")
    assert done.code != 0
    assert done.out == ""
    assert done.err == "en1\nx.x.x.x is an invalid address.\n/usr/sbin/mktcpip: Problem with command: hostent, return code = 1\n"
    assert (running(aix), aix.read("etc/hosts")) == ([OWN], before)


def test_mktcpip_stops_half_way_when_the_interface_is_not_there(aix: Trial) -> None:
    done = aix.run("mktcpip", "-haixmn2", "-a9.114.47.104", f"-m{MASK}", "-ien7")
    assert done.code != 0
    assert "/usr/sbin/mktcpip: Problem with command: chdev, return code = 1\n" in done.err
    assert aix.ok("hostname") == "aixmn2\n"
    assert running(aix) == [OWN]


@pytest.mark.parametrize(
    "words",
    [(), ("-haixmn2",), ("-haixmn2", "-a9.114.47.104"), ("-a9.114.47.104", "-ien1"), ("-h", "a", "-a", OWN, "-i", "en1", "-d", "x")],
)
def test_mktcpip_without_what_it_needs_shows_its_usage(aix: Trial, words: tuple[str, ...]) -> None:
    done = aix.run("mktcpip", *words)
    assert done.code != 0
    assert done.err.startswith("Usage: mktcpip ")
    assert aix.ok("hostname") == "aixmn1\n"


def test_mktcpip_shows_what_is_stored(aix: Trial) -> None:
    lines = aix.ok("mktcpip", "-S", "en1").splitlines()
    assert lines[0].startswith("#host:addr:mask:_rawname:nameserv:domain:gateway:")
    assert lines[1].split(":")[:7] == ["aixmn1", OWN, MASK, "en1", "", "", GATEWAY]
    assert aix.ok("mktcpip", "-S", "en0").splitlines()[1].split(":")[1:3] == ["", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_host_name_is_taken(aix: Trial, name: str) -> None:
    before = aix.read("etc/hosts")
    for words in (("mktcpip", "-h", name, "-a", OWN, "-i", "en1"), ("chdev", "-l", "inet0", "-a", f"hostname={name}")):
        assert aix.run(*words).code != 0
    assert aix.run("hostname", name or "two words").code != 0
    assert aix.ok("hostname") == "aixmn1\n"
    assert stored(aix, "inet0", "hostname") == ["aixmn1"]
    assert aix.read("etc/hosts") == before


# --- chdev, mkdev, rmdev


@pytest.mark.parametrize(
    ("flag", "is_stored", "runs"),
    [((), "9.114.47.110", "9.114.47.110"), (("-P",), "9.114.47.110", OWN), (("-T",), OWN, "9.114.47.110")],
)
def test_chdev_stores_and_applies_as_its_flag_says(aix: Trial, flag: tuple[str, ...], is_stored: str, runs: str) -> None:
    words = ("-a", "netaddr=9.114.47.110", "-a", f"netmask={MASK}", "-a", "state=up")
    assert aix.ok("chdev", "-l", "en1", *flag, *words) == "en1 changed\n"
    assert stored(aix, "en1", "netaddr") == [is_stored]
    assert running(aix) == [runs]


def test_chdev_of_the_host_name(aix: Trial) -> None:
    assert aix.ok("chdev", "-l", "inet0", "-a", "hostname=mn1") == "inet0 changed\n"
    assert (aix.ok("hostname"), aix.ok("uname", "-n"), stored(aix, "inet0", "hostname")) == ("mn1\n", "mn1\n", ["mn1"])
    aix.ok("hostname", "other")
    assert stored(aix, "inet0", "hostname") == ["mn1"]
    assert aix.ok("mkdev", "-l", "inet0") == "inet0 Available\n"
    assert aix.ok("hostname") == "mn1\n"


def test_chdev_clears_an_address(aix: Trial) -> None:
    aix.ok("chdev", "-l", "en1", "-a", "netaddr=", "-a", "netmask=", "-a", "state=down")
    assert running(aix) == []
    assert stored(aix, "en1", "netaddr") == [""]
    assert "en1*" in aix.ok("netstat", "-in")


def test_chdev_detaches(aix: Trial) -> None:
    aix.ok("chdev", "-l", "en1", "-a", "state=detach")
    assert "en1" not in aix.ok("ifconfig", "-a")
    assert stored(aix, "en1", "netaddr") == [OWN]


def test_an_alias_of_chdev_outlives_the_boot_until_it_is_deleted(aix: Trial) -> None:
    aix.ok("chdev", "-l", "en1", "-a", f"alias4={SERVICE},{MASK}")
    aix.reboot()
    assert running(aix) == [OWN, SERVICE]
    aix.ok("chdev", "-l", "en1", "-a", f"delalias4={SERVICE},{MASK}")
    aix.reboot()
    assert running(aix) == [OWN]
    assert stored(aix, "en1", "alias4") == [""]


def test_a_route_there_is_already_fails_and_changes_nothing(aix: Trial) -> None:
    done = aix.run("chdev", "-l", "inet0", "-a", f"route={DEFAULT}{GATEWAY}")
    assert done.code == 1
    assert "Method error (/usr/lib/methods/chginet):" in done.err
    assert (gateways(aix), stored(aix, "inet0", "route")) == ([GATEWAY], [DEFAULT + GATEWAY])


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("chdev", "-l", "en9", "-a", "state=up"), "0514-519"),
        (("mkdev", "-l", "en9"), "0514-519"),
        (("lsattr", "-E", "-l", "en9"), "0514-519"),
        (("lsattr", "-E", "-l", "en1", "-a", "nothing"), "0514-528"),
        (("chdev", "-l", "en1", "-a", "nothing=1"), "0514-017"),
        (("chdev", "-l", "en1", "-a", "netaddr=9.114.47"), "0514-018"),
        (("chdev", "-l", "en1", "-a", "netmask=255.0.255.0"), "0514-018"),
        (("chdev", "-l", "en1", "-a", "state=sideways"), "0514-018"),
        (("chdev", "-l", "en1", "-a", "alias4=9.114.47.110"), "0514-018"),
        (("chdev", "-l", "inet0", "-a", "route=9.114.47.1"), "0514-018"),
        (("chdev", "-l", "inet0", "-a", f"route={DEFAULT}10.0.0.1"), "0514-068"),
    ],
)
def test_what_devices_refuse(aix: Trial, words: tuple[str, ...], number: str) -> None:
    devices = aix.read("etc/objrepos/devices.json")
    done = aix.run(*words)
    assert (done.code, done.out) == (1, "")
    assert number in done.err
    assert aix.read("etc/objrepos/devices.json") == devices
    assert running(aix) == [OWN]


def test_rmdev_forgets_more_or_less(aix: Trial) -> None:
    assert aix.ok("rmdev", "-l", "en1") == "en1 Defined\n"
    assert "en1" not in aix.ok("ifconfig", "-a")
    assert aix.ok("mkdev", "-l", "en1") == "en1 Available\n"
    assert running(aix) == [OWN]
    assert aix.ok("rmdev", "-dl", "en1") == "en1 deleted\n"
    assert "en1" not in aix.ok("lsdev", "-Cc", "if")


# --- lsattr, odmget


def test_an_unset_attribute_leaves_no_word(aix: Trial) -> None:
    assert aix.ok("lsattr", "-El", "en0", "-a", "netaddr").split()[1] == "Internet"
    assert aix.ok("lsattr", "-E", "-l", "en0", "-a", "netaddr", "-F", "value") == "\n"
    assert aix.ok("lsattr", "-El", "inet0", "-a", "hostname").split()[1] == "aixmn1"


def test_lsattr_of_an_interface_nobody_configured_is_laid_out_as_sampled(aix: Trial) -> None:
    lines = aix.ok("lsattr", "-El", "en0").splitlines()
    assert len(lines) == 21
    assert lines[0] == "alias4             IPv4 Alias including Subnet Mask              True"
    assert lines[2] == "arp           on   Address Resolution Protocol (ARP)             True"
    assert lines[7] == "mtu_bypass    off  Enable/Disable largesend for virtual Ethernet True"
    assert lines[-1] == "thread        off  Enable/Disable thread attribute               True"


def test_lsattr_shows_the_odm_whatever_runs(aix: Trial) -> None:
    aix.ok("ifconfig", "en1", "detach")
    assert stored(aix, "en1", "netaddr") == [OWN]
    assert stored(aix, "en1", "state") == ["up"]


def test_odmget_shows_a_stanza(aix: Trial) -> None:
    lines = [line.strip() for line in aix.ok("odmget", "-q", "name=inet0 and attribute=hostname", "CuAt").splitlines()]
    assert lines[:5] == ["", "CuAt:", 'name = "inet0"', 'attribute = "hostname"', 'value = "aixmn1"']
    aix.ok("chdev", "-l", "inet0", "-a", f"route={DEFAULT}9.114.47.125")
    assert aix.ok("odmget", "-q", "name=inet0 and attribute=route", "CuAt").count("CuAt:") == 2


# --- ifconfig, netstat, arp


def test_ifconfig_is_laid_out_as_sampled(aix: Trial) -> None:
    lines = aix.ok("ifconfig", "en1").splitlines()
    assert lines[0].startswith("en1: flags=1e084863,104c0<UP,BROADCAST,")
    assert lines[1] == f"\tinet {OWN} netmask 0xffffffc0 broadcast 9.114.47.127"


@pytest.mark.parametrize(
    ("words", "after"),
    [
        (("alias", SERVICE, "netmask", MASK, "up"), [OWN, SERVICE]),
        ((SERVICE, "netmask", MASK, "alias"), [OWN, SERVICE]),
        (("firstalias", SERVICE, "netmask", MASK, "up"), [SERVICE, OWN]),
        (("inet", SERVICE, "netmask", "0xffffffc0", "firstalias"), [SERVICE, OWN]),
        ((SERVICE, "netmask", MASK, "up"), [SERVICE]),
        (("delete", OWN), []),
        ((OWN, "delete"), []),
        ((OWN, "-alias"), []),
        (("delete",), []),
        (("down",), [OWN]),
    ],
)
def test_ifconfig_changes_what_runs_and_stores_nothing(aix: Trial, words: tuple[str, ...], after: list[str]) -> None:
    aix.ok("ifconfig", "en1", *words)
    assert running(aix) == after
    assert stored(aix, "en1", "netaddr") == [OWN]
    assert stored(aix, "en1", "alias4") == [""]


def test_firstalias_puts_an_alias_that_is_there_before_the_others(aix: Trial) -> None:
    for address in ("9.114.47.121", SERVICE):
        aix.ok("ifconfig", "en1", "alias", address, "netmask", MASK, "up")
    aix.ok("ifconfig", "en1", "firstalias", SERVICE, "netmask", MASK, "up")
    assert running(aix) == [SERVICE, OWN, "9.114.47.121"]
    aix.ok("ifconfig", "en1", "delete", SERVICE)
    assert running(aix) == [OWN, "9.114.47.121"]


def test_an_address_without_a_netmask_gets_its_classes(aix: Trial) -> None:
    aix.ok("ifconfig", "en1", "alias", SERVICE)
    assert f"\tinet {SERVICE} netmask 0xff000000 broadcast 9.255.255.255\n" in aix.ok("ifconfig", "en1")


@pytest.mark.parametrize(
    "words",
    [("en9",), ("en1", "delete", SERVICE), ("en1", "alias", "aixmn1;reboot"), ("en1", "alias", SERVICE, "netmask", "255.0.255.0"), ()],
)
def test_what_ifconfig_refuses(aix: Trial, words: tuple[str, ...]) -> None:
    done = aix.run("ifconfig", *words)
    assert done.code == 1
    assert done.err
    assert running(aix) == [OWN]


def test_netstat_has_a_line_per_address_and_short_macs(aix: Trial) -> None:
    aix.ok("ifconfig", "en1", "alias", SERVICE, "netmask", MASK)
    lines = [line.split() for line in aix.ok("netstat", "-in").splitlines() if line.startswith("en1")]
    assert [line[3] for line in lines] == ["1a.d8.5f.87.26.1", OWN, SERVICE]
    assert lines[0][2].startswith("link#")


def test_netstat_shows_the_default_route(aix: Trial) -> None:
    fields = next(line.split() for line in aix.ok("netstat", "-rn").splitlines() if line.startswith("default"))
    assert (fields[1], fields[5]) == (GATEWAY, "en1")


def test_arp_knows_whom_the_machine_has_talked_to_until_told_to_forget(aix: Trial) -> None:
    aix.neighbour("9.114.47.104")
    assert aix.run("ping", "-c", "1", "9.114.47.104").code == 0
    assert aix.run("ping", "-c", "1", "9.114.47.105").code == 1
    text = aix.ok("arp", "-an")
    assert "  ? (9.114.47.104) at 6e:87:70:0:40:3 [ethernet] stored in bucket " in text
    assert text.endswith("There are 1 entries in the arp table.\n")
    aix.ok("arp", "-d", "9.114.47.104")
    assert "9.114.47.104" not in aix.ok("arp", "-an")
    assert aix.run("arp", "-d", "9.114.47.104").code == 1


def test_an_address_somebody_has_is_taken_all_the_same_and_only_the_error_log_says_so(aix: Trial) -> None:
    aix.neighbour(SERVICE)
    assert aix.ok("errpt") == ""
    aix.ok("ifconfig", "en1", "alias", SERVICE, "netmask", MASK, "up")
    assert running(aix) == [OWN, SERVICE]
    assert "DUPLICATE IP ADDRESS" in aix.ok("errpt")
    assert SERVICE in aix.ok("errpt", "-a")


# --- names and levels


def test_hostent_and_host(aix: Trial) -> None:
    aix.ok("hostent", "-a", SERVICE, "-h", "mn1.cluster.example mn1")
    assert aix.ok("host", "mn1") == f"mn1.cluster.example is {SERVICE},  Aliases:   mn1\n"
    assert f"{SERVICE}\tmn1.cluster.example mn1\n" in aix.ok("hostent", "-S")
    assert aix.run("hostent", "-a", "x.x.x.x", "-h", "mn2").err == "x.x.x.x is an invalid address.\n"
    aix.ok("hostent", "-d", SERVICE)
    assert aix.run("host", "mn1").code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("oslevel", "-s"), "7100-04-02-1614\n"),
        (("oslevel", "-r"), "7100-04\n"),
        (("oslevel",), "7.1.0.0\n"),
        (("uname", "-s"), "AIX\n"),
        (("uname",), "AIX\n"),
    ],
)
def test_levels(aix: Trial, words: tuple[str, ...], said: str) -> None:
    assert aix.ok(*words) == said


def test_filesets(aix: Trial) -> None:
    fields = aix.ok("lslpp", "-Lcq", "bos.sysmgt.nim.master").split(":")
    assert fields[:3] == ["bos.sysmgt.nim", "bos.sysmgt.nim.master", "7.1.4.2"]
    table = aix.ok("lslpp", "-l", "bos.sysmgt.nim.master").splitlines()
    assert table[2] == "Path: /usr/lib/objrepos"
    assert table[3].split()[:3] == ["bos.sysmgt.nim.master", "7.1.4.2", "COMMITTED"]
    done = aix.run("lslpp", "-l", "no.such.fileset")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("lslpp: 0504-132  Fileset no.such.fileset not installed.")
