"""The xCAT stand-in's objects: what lsdef shows is what the tables hold and mkdef has written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulators.xcat.install import DATA
from tests.simulators.xcat.standin import inheritance, stanza
from tests.simulators.xcat.standin.attributes import NIC_ATTRIBUTES
from tests.simulators.xcat.trial import Trial

# The sample database has other comments than the stanzas it was made from, and a state for nodes that were set since.
CHANGED_SINCE = {"usercomment", "currstate", "currchain"}


@pytest.fixture
def site(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """For tests that only look."""
    return Trial(tmp_path_factory.mktemp("site"))


def objects(text: str) -> dict[str, tuple[str, dict[str, str]]]:
    """The objects of a stanza file, NIC attributes in the table's form."""
    found = {}
    for kind, name, values in stanza.parse(text):
        folded: dict[str, str] = {}
        for attribute, value in values.items():
            base, dot, nic = attribute.partition(".")
            if base not in CHANGED_SINCE:
                folded[base] = f"{nic}!{value}" if dot and base in NIC_ATTRIBUTES else value
        found[name] = (kind, folded)
    return found


def expected(name: str) -> dict[str, tuple[str, dict[str, str]]]:
    return objects((DATA / "stanza" / name).read_text())


def test_all_nodes_are_shown_as_they_were_made(untouched: Trial) -> None:
    shown = objects(untouched.run("lsdef", "-t", "node", "-z").out)
    assert len(shown) == 2000
    assert shown == expected("nodes.stanza")


def test_images_and_networks_are_shown_as_they_were_made(untouched: Trial) -> None:
    assert objects(untouched.run("lsdef", "-t", "osimage", "-z", "-l").out) == expected("osimages.stanza")
    shown = objects(untouched.run("lsdef", "-t", "network", "-z").out)
    assert {n: shown[n] for n in ("bmc_net", "ib_net", "pub_net")} == expected("networks.stanza")


def test_nodes_made_from_their_own_stanza_are_the_same(site: Trial, tmp_path: Path) -> None:
    text = site.run("lsdef", "-t", "node", "-z").out
    (tmp_path / "empty").mkdir()
    empty = Trial(tmp_path / "empty", nodes=False)
    done = empty.run("mkdef", "-z", stdin=text)
    assert done.out == "2000 object definitions have been created or modified.\n"
    assert empty.run("lsdef", "-t", "node", "-z").out == text


def test_stanza_head_and_default_scripts(untouched: Trial) -> None:
    lines = untouched.run("lsdef", "-z", "cn0005").out.splitlines()
    assert lines[:4] == ["# <xCAT data object stanza file>", "", "cn0005:", "    objtype=node"]
    assert "    postscripts=setupntp" in lines
    assert "    postscripts=syslog,remoteshell,syncfiles,setupntp\n" in untouched.run("lsdef", "cn0005").out


@pytest.mark.parametrize(
    ("words", "out", "err", "code"),
    [
        ("lsdef -t site -i master,nameservers", "Object name: clustersite\n    master=10.77.0.11\n    nameservers=10.77.0.11\n", "", 0),
        ("lsdef -t site -i master -c", "clustersite: master=10.77.0.11\n", "", 0),
        ("lsdef -t site", "clustersite  (site)\n", "", 0),
        ("lsdef -t site -i nosuch", "Object name: clustersite\n", "", 0),
        ("lsdef cn0005 -i status", "Object name: cn0005\n    status=\n", "", 0),
        ("lsdef cn0005 -i nicips.ib0 -c", "cn0005: nicips.ib0=10.79.1.5\n", "", 0),
        ("lsdef -s cn0005-cn0006", "cn0005\ncn0006\n", "", 0),
        ("lsdef -w serial==S0100005X", "cn0005  (node)\n", "", 0),
        ("lsdef -w usercomment=~quoted -w rack=~R0[12] -s", "cn0040\n", "", 0),
        ("lsdef -w status==x", "No object definitions have been found\n", "", 0),
        (
            "lsdef nosuch",
            "No object definitions have been found\n",
            "Error: [mn1]: Could not find an object named 'nosuch' of type 'node'.\n",
            1,
        ),
        ("lsdef -t bogus", "", "Error: [mn1]: \nType 'bogus' is not a valid xCAT object type.\n", 1),
        (
            "lsdef cn0005 -i nosuch",
            "Object name: cn0005\n",
            "Error: [mn1]: 'nosuch' is not a valid attribute name for an object type of 'node'.\n",
            1,
        ),
    ],
)
def test_lsdef(untouched: Trial, words: str, out: str, err: str, code: int) -> None:
    done = untouched.run(*words.split())
    assert (done.out, done.err, done.code) == (out, err, code)


def test_lsdef_of_an_empty_database(tmp_path: Path) -> None:
    empty = Trial(tmp_path, nodes=False)
    done = empty.run("lsdef")
    assert (done.out, done.code) == ("Could not find any object definitions to display.\n", 0)
    assert empty.run("lsdef", "-t", "site").err == "Error: [mn1]: Could not get xCAT object definitions.\n"


EXISTS = (
    "Warning: [mn1]: A definition for 'cn0005' already exists. No changes will be made.  Run again with '-f' option to force replace.\n"
)
FAILED = "Error: [mn1]: One or more errors occured when attempting to create or modify xCAT object definitions.\n"


@pytest.mark.parametrize(
    ("words", "out", "err", "code"),
    [
        ("mkdef cn9 groups=all mgt=ipmi bmc=10.78.9.9", "1 object definitions have been created or modified.\n", "", 0),
        (
            "mkdef cn0005 groups=all",
            "",
            EXISTS + "Error: [mn1]: 0 object definitions have been created or modified.\n",
            1,
        ),
        ("chdef cn0005 os=x", "1 object definitions have been created or modified.\n", "", 0),
        ("chdef cn0005", "No object definitions have been created or modified.\n", "", 0),
        (
            "chdef -t policy 1.3 name=mn2 rule=trusted",
            "1 object definitions have been created or modified.\nNew object definitions '1.3' have been created.\n",
            "",
            0,
        ),
        (
            "chdef nosuch1 os=x",
            "",
            "Error: [mn1]: Attribute 'groups' is not specified for node 'nosuch1', skipping to the next node.\n" + FAILED,
            1,
        ),
        (
            "chdef cn0005 badattr=1",
            "",
            "Error: [mn1]: 'badattr' is not a valid attribute name for an object type of 'node'.\n" + FAILED,
            1,
        ),
        ("rmdef cn0005", "1 object definitions have been removed.\n", "", 0),
        (
            "rmdef nosuch",
            "No objects have been removed from the xCAT database.\n",
            "Error: [mn1]: Could not find an object named 'nosuch' of type 'node'.\n",
            1,
        ),
    ],
)
def test_definitions_are_changed(site: Trial, words: str, out: str, err: str, code: int) -> None:
    done = site.run(*words.split())
    assert (done.out, done.err, done.code) == (out, err, code)


def test_messages_under_bypass_have_no_tag(untouched: Trial) -> None:
    assert untouched.run("chdef", "cn0005", "bad=1", bypass=True).err.startswith("Error: 'bad' is not")
    done = untouched.run("nodels", "nosuch", bypass=True)
    assert (done.out, done.code) == ("Invalid nodes in noderange:nosuch\n", 0)


def test_site_keys_come_and_go(site: Trial) -> None:
    site.run("chdef", "-t", "site", "probe=1")
    assert site.run("gettab", "key=probe", "site.value").out == "1\n"
    site.run("chdef", "-t", "site", "probe=")
    assert "probe" not in site.run("tabdump", "site").out


def test_plus_minus_and_rename(site: Trial) -> None:
    site.run("chdef", "-p", "cn0005", "groups=extra")
    site.run("chdef", "-m", "cn0005", "groups=ipmi")
    assert site.run("nodels", "cn0005", "groups").out == "cn0005: all,rack01,compute,extra\n"
    assert site.run("chdef", "cn0005", "-n", "cn9").out == "Changed the object name from cn0005 to cn9.\n"
    assert site.run("lsdef", "cn9", "-i", "ip", "-c").out == "cn9: ip=10.77.1.5\n"


def test_a_group_gives_its_nodes_what_they_lack(site: Trial) -> None:
    site.run("chdef", "-t", "group", "compute", "xcatmaster=10.77.0.10", "os=ignored")
    assert site.run("nodels", "cn0005", "noderes.xcatmaster").out == "cn0005: 10.77.0.10\n"
    assert site.run("nodels", "login01", "noderes.xcatmaster").out == "login01: \n"
    assert site.run("lsdef", "cn0005", "-i", "os,xcatmaster", "-c").out == "cn0005: os=rocky9.5\ncn0005: xcatmaster=10.77.0.10\n"
    shown = site.run("lsdef", "-t", "group", "login").out
    assert shown == "Object name: login\n    members=login01,login02,login03,login04\n"


@pytest.mark.parametrize(
    ("value", "node", "result"),
    [
        (r"|node(\d+)|10.0.0.($1+0)|", "node007", "10.0.0.7"),
        (r"|\D+(\d+)|rack($1/40+1)|", "cn0085", "rack3"),
        ("|10.0.0.($1+100)|", "cn12", "10.0.0.112"),
        (r"|login(\d+)|x|", "cn1", None),
        ("plain", "cn1", "plain"),
    ],
)
def test_values_that_are_regular_expressions(value: str, node: str, result: str | None) -> None:
    assert inheritance.expand(value, node) == result


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cn[0005-0007]", "cn0005 cn0006 cn0007"),
        ("cn0005:cn0006,login01", "cn0005 cn0006 login01"),
        ("login,-login01-login03", "login04"),
        ("test@compute,-/cn[01]", ""),
        ("gpu@test", "gpu2000"),
        ("/^login0[12]$", "login01 login02"),
    ],
)
def test_node_ranges(untouched: Trial, text: str, names: str) -> None:
    assert untouched.run("nodels", text).out.split() == names.split()


def test_nodels(untouched: Trial) -> None:
    assert len(untouched.run("nodels").out.splitlines()) == 2000
    assert untouched.run("nodels", "nosuch").err == "Error: Invalid nodes and/or groups in noderange: nosuch\n"
    two = untouched.run("nodels", "cn0005", "nodehm.mgt", "noderes.netboot").out
    assert two == "cn0005: nodehm.mgt: ipmi\ncn0005: noderes.netboot: grub2\n"
    assert untouched.run("nodels", "all", "nodepos.rack==R02").out.split()[:2] == ["cn0041", "cn0042"]


def test_nodels_beside_another_request_loses_its_tail_silently(untouched: Trial) -> None:
    done = untouched.run("nodels", busy=True)
    assert (len(done.out.splitlines()), done.err, done.code) == (1800, "", 0)
    assert len(untouched.run("lsdef", busy=True).out.splitlines()) == 2000
