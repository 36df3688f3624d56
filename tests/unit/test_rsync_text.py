"""Text files of which some lines stay each node's own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rsync_nodes import TwoNodes, tree, write
from xcat_ha.xcat.file_sets import standard_file_sets
from xcat_ha_drivers.rsync.merge import OwnName, merge_hosts
from xcat_ha_drivers.rsync.spec import SyncSpec

HOSTS = standard_file_sets(installdir="/install", tftpdir="/tftpboot", cfgloc_stays_valid=True)[3]
OWN = OwnName("mnb.example.org", "10.77.0.22")
LINES = st.lists(
    st.sampled_from(
        [
            "", "# comment", "127.0.0.1 localhost", "127.0.1.1 mna", "127.0.1.1 mnb", "::1 localhost ip6-localhost", "10.77.0.21 mna",
            "10.77.0.22 mnb", "10.77.0.22 mnb.example.org mnb # own", "10.1.0.1 node1", "10.9.9.9 mnb", " 127.0.0.53 odd",
            "10.1.0.9 # mnb", "10.77.0.11 mn1",
        ]
    )
)  # fmt: skip


@pytest.fixture
def nodes(tmp_path: Path) -> TwoNodes:
    return TwoNodes(tmp_path)


def hosts(nodes: TwoNodes) -> SyncSpec:
    return nodes.spec(*HOSTS.paths, keep_lines=HOSTS.keep_lines)


def names(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split("#")[0].split()[1:]}


@pytest.mark.parametrize(
    ("source", "target", "merged"),
    [
        pytest.param(
            ["127.0.0.1 localhost", "127.0.1.1 mna", "10.77.0.21 mna", "10.77.0.22 mnb", "10.1.0.1 node1"],
            ["127.0.0.1 localhost", "127.0.1.1 mnb", "10.1.0.9 gone"],
            ["127.0.0.1 localhost", "127.0.1.1 mnb", "10.77.0.21 mna", "10.77.0.22 mnb", "10.1.0.1 node1"],
            id="own loopback lines stay, all others come",
        ),
        pytest.param(
            ["127.0.0.1 localhost", "10.77.0.21 mna"],
            ["127.0.0.1 localhost", "10.77.0.22 mnb.example.org mnb", "10.1.0.9 gone"],
            ["127.0.0.1 localhost", "10.77.0.21 mna", "10.77.0.22 mnb.example.org mnb"],
            id="the node's own line stays if the source does not name it",
        ),
        pytest.param(
            ["127.0.0.1 localhost mna", "10.77.0.21 mna"],
            [],
            ["127.0.0.1 localhost", "10.77.0.21 mna", "10.77.0.22 mnb.example.org mnb"],
            id="an empty target still knows itself and localhost, and not the other as itself",
        ),
        pytest.param(
            ["# cluster", "10.77.0.22 mnb"],
            ["127.0.0.1 localhost"],
            ["127.0.0.1 localhost", "# cluster", "10.77.0.22 mnb"],
            id="own lines come first if the source has none",
        ),
    ],
)
def test_hosts_files(source: list[str], target: list[str], merged: list[str]) -> None:
    assert merge_hosts(source, target, HOSTS.keep_lines, OWN) == merged


@given(LINES, LINES)
def test_a_merged_hosts_file_names_its_node_and_stays_as_it_is(source: list[str], target: list[str]) -> None:
    once = merge_hosts(source, target, HOSTS.keep_lines, OWN)
    assert merge_hosts(source, once, HOSTS.keep_lines, OWN) == once
    assert {"localhost"} <= names(once)
    assert names(once) & set(OWN.forms)
    assert names(target) & set(OWN.forms) <= names(once), "a name of its own was lost"
    assert not [line for line in once if line == "127.0.1.1 mna" and line not in target], "it got the other node's own line"
    assert {line for line in source if line.startswith("10.")} <= set(once)


def test_the_set_of_an_xcat_pair(nodes: TwoNodes) -> None:
    write(nodes.source / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 mna\n10.1.0.1 node1\n")
    write(nodes.source / "etc/resolv.conf", "nameserver 10.77.0.11\n")
    mine = write(nodes.target / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 mnb\n", 0o640)
    os.setxattr(mine, "user.label", b"net_conf")
    assert nodes.check(hosts(nodes)) == "FAILS: /etc/hosts, /etc/resolv.conf not as on mna"
    nodes.push(hosts(nodes))
    assert nodes.check(hosts(nodes)) == "HOLDS: equal"
    assert (nodes.target / "etc/hosts").read_text() == "127.0.0.1 localhost\n127.0.1.1 mnb\n10.1.0.1 node1\n"
    assert (nodes.target / "etc/resolv.conf").read_text() == "nameserver 10.77.0.11\n"
    assert mine.stat().st_mode & 0o777 == 0o640
    assert os.getxattr(mine, "user.label") == b"net_conf"
    assert sorted(tree(nodes.target / "etc")) == ["hosts", "resolv.conf"]


@pytest.mark.parametrize("where", ["mna", "mnb"])
def test_a_linked_resolv_conf_is_left_alone_and_said(nodes: TwoNodes, where: str) -> None:
    for root in (nodes.source, nodes.target):
        write(root / "etc/hosts", "127.0.0.1 localhost mnb\n")
        write(root / "run/stub", f"of {root.name}\n")
        write(root / "etc/resolv.conf", f"nameserver 10.0.0.1 # {root.name}\n")
    linked = nodes.base / where / "etc/resolv.conf"
    linked.unlink()
    linked.symlink_to("../run/stub")
    note = f"/etc/resolv.conf is a symbolic link on {where} and was left alone"
    before = tree(nodes.target)
    assert note in nodes.push(hosts(nodes))
    assert nodes.check(hosts(nodes)) == f"HOLDS: equal; {note}"
    assert {name: text for name, text in tree(nodes.target).items() if not name.startswith("var")} == before
    assert json.loads((nodes.target / "var/lib/xcat-ha/files/things.json").read_text())["notes"] == [note]


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n\n"])
def test_a_file_is_never_emptied(nodes: TwoNodes, text: str) -> None:
    write(nodes.source / "etc/hosts", text)
    write(nodes.target / "etc/hosts", "127.0.0.1 localhost\n10.77.0.22 mnb\n")
    assert "/etc/hosts says nothing on mna, and would be emptied on mnb" in nodes.refusal(hosts(nodes))
    assert (nodes.target / "etc/hosts").read_text() == "127.0.0.1 localhost\n10.77.0.22 mnb\n"


def test_a_missing_file_takes_nothing_away(nodes: TwoNodes) -> None:
    write(nodes.source / "etc/resolv.conf", "nameserver 10.77.0.11\n")
    write(nodes.target / "etc/hosts", "127.0.0.1 localhost mnb\n")
    assert "not present on mna: /etc/hosts" in nodes.push(hosts(nodes))
    assert (nodes.target / "etc/hosts").read_text() == "127.0.0.1 localhost mnb\n"


def test_directories_have_no_lines(nodes: TwoNodes) -> None:
    write(nodes.source / "etc/conf/file")
    assert "is a directory, but set things keeps lines" in nodes.refusal(nodes.spec("/etc/conf", keep_lines=("x",)))


def test_a_link_above_is_not_followed(nodes: TwoNodes) -> None:
    write(nodes.source / "srv/names", "one\n")
    write(nodes.target / "elsewhere/names", "precious\n")
    (nodes.target / "srv").symlink_to("elsewhere")
    assert "/srv is a symbolic link on mnb" in nodes.refusal(nodes.spec("/srv/names", keep_lines=("x",)))
    assert (nodes.target / "elsewhere/names").read_text() == "precious\n"


def test_a_full_disk_leaves_the_old_file(nodes: TwoNodes) -> None:
    """The new one is written beside; nothing of it stays."""
    write(nodes.source / "etc/hosts", "127.0.0.1 localhost\n10.1.0.1 node1\n")
    write(nodes.target / "etc/hosts", "127.0.0.1 localhost mnb\n")
    (nodes.target / "etc/hosts.xcat-ha-new").mkdir()
    assert "could not merge" in nodes.refusal(hosts(nodes))
    assert (nodes.target / "etc/hosts").read_text() == "127.0.0.1 localhost mnb\n"


def test_a_broken_link_is_unknown(nodes: TwoNodes) -> None:
    write(nodes.source / "etc/hosts", "127.0.0.1 localhost\n")
    nodes.cut()
    assert nodes.check(hosts(nodes)).startswith("UNKNOWN: ")
    assert "hint: " in nodes.refusal(hosts(nodes))
