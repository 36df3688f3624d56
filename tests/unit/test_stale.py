"""What counts as a stale pointer and what belongs in its place: facts in, pointers out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any

import pytest

from xcat_ha.interfaces import Mend, StalePointer
from xcat_ha.models import DriverChoice, Node, Pair, ServiceIdentity
from xcat_ha.planning.stale import from_words, words_of
from xcat_ha.steps import Completed, Trouble
from xcat_ha.xcat.stale import StaleReport, cfgloc_of, mended, names_of, report_of
from xcat_ha.xcat.words import found_word, word_pattern

MNA = Node(id="mna", name="mna", address="10.77.0.21", interface="en1")
MNB = Node(id="mnb", name="mnb.lab.example", address="10.77.0.22", interface="en1")
IDENTITY = ServiceIdentity("mn1", (ip_interface("fd77::11/64"), ip_interface("10.77.0.11/16")))
ANY = DriverChoice("any")
PAIR = Pair("lab", (MNA, MNB), "mna", IDENTITY, ANY, ANY, ANY, ANY, ANY)
NAMES = names_of(PAIR, "lab.example")
RULE = {"priority": "1.2", "name": "mn1", "host": "", "commands": "", "noderange": "", "parameters": "", "time": "", "rule": "trusted"}
NOTHING: dict[str, Any] = {
    "domain": "lab.example", "rows": [], "policy": [RULE], "management_nodes": [], "generated": [],
    "table_troubles": {}, "file_troubles": {}, "cfgloc": {"path": "/etc/xcat/cfgloc", "host": ""},
    "certificate": {"path": "/etc/xcat/cert/server-cert.pem", "cn": "mn1", "alternatives": ["mn1.lab.example", "mn1"]},
}  # fmt: skip


def report(**changed: Any) -> StaleReport:
    return report_of(PAIR, MNA, Completed(("x",), 0, json.dumps({**NOTHING, **changed})))


def row(table: str, key: Mapping[str, str], column: str, value: str) -> dict[str, Any]:
    found = word_pattern(NAMES.words).search(value)
    assert found, "the program on the node would not have shown this row"
    return {"table": table, "key": dict(key), "column": column, "value": value, "word": found_word(found.group())}


def site(key: str, value: str) -> dict[str, Any]:
    return row("site", {"key": key}, "value", value)


NET = {"net": "10.77.0.0", "mask": "255.255.0.0"}


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (site("master", "10.77.0.21"), "10.77.0.11"),
        (site("master", "mna"), "mn1"),
        (site("master", "MNA.lab.example"), "mn1.lab.example"),
        (site("nameservers", "10.77.0.22"), "10.77.0.11"),
        (site("nameservers", "10.77.0.11,10.77.0.21"), "10.77.0.11"),
        (site("nameservers", "10.77.0.21, 10.99.0.1"), "10.77.0.11,10.99.0.1"),
        (site("ntpservers", "10.77.0.21"), "10.77.0.11"),
        (row("networks", NET, "gateway", "10.77.0.21"), "10.77.0.11"),
        (row("networks", NET, "dhcpserver", "mnb"), "mn1"),
        (row("networks", NET, "nameservers", "<xcatmaster>,10.77.0.21"), "<xcatmaster>,10.77.0.11"),
        (row("noderes", {"node": "compute"}, "xcatmaster", "mna"), "mn1"),
        (row("noderes", {"node": "cn1"}, "servicenode", "sn1,mna"), "sn1,mn1"),
        (row("noderes", {"node": "cn1"}, "nfsserver", "10.77.0.22"), "10.77.0.11"),
        (row("noderes", {"node": "cn1"}, "tftpserver", "mnb.lab.example"), "mn1.lab.example"),
        (row("nodehm", {"node": "cn1"}, "conserver", "mna"), "mn1"),
        (row("routes", {"routename": "r1"}, "gateway", "10.77.0.21"), "10.77.0.11"),
    ],
)
def test_a_host_or_a_list_of_hosts_is_mended(found: dict[str, Any], wanted: str) -> None:
    (pointer,) = report(rows=[found]).pointers
    assert (pointer.mend, pointer.wanted) == (Mend.TABLE, wanted)
    assert found["value"] in pointer.where
    assert f"table {found['table']}" in pointer.where


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        (row("noderes", {"node": "gpu"}, "xcatmaster", r"|gpu(\d+)|10.77.0.21|"), "write 10.77.0.11 in place of 10.77.0.21"),
        (row("noderes", {"node": "a=b"}, "xcatmaster", "mna"), "write mn1 in place of mna"),
        (row("networks", {"net": "10.77.0.0", "mask": ""}, "gateway", "mna"), "write mn1"),
        (row("litetree", {"priority": "9"}, "directory", "10.77.0.21:/statelite"), "write 10.77.0.11"),
        (row("osimage", {"imagename": "i"}, "environvar", "SERVER=mna"), "write mn1"),
        (site("installloc", "mna:/install"), "write mn1"),
        (site("dhcpinterfaces", "mna|en1;service|bond0"), "name mn1 in place of mna, or both nodes"),
        (row("servicenode", {"node": "mna"}, "node", "mna"), "define them for mn1"),
    ],
)
def test_what_only_the_administrator_can_mend_comes_with_advice(found: dict[str, Any], advice: str) -> None:
    (pointer,) = report(rows=[found]).pointers
    assert pointer.mend is Mend.BY_HAND
    assert advice in pointer.advice


@pytest.mark.parametrize(
    "found",
    [
        site("ntpservers", "10.77.0.21,mnb"),
        site("extntpservers", "mna,mnb"),
        site("dhcpinterfaces", "mna|en1;mnb|en2"),
        row("networks", NET, "logservers", "10.77.0.21,10.77.0.22"),
    ],
)
def test_both_nodes_named_on_purpose_are_left_alone(found: dict[str, Any]) -> None:
    assert report(rows=[found]).pointers == ()


def test_a_name_server_on_both_nodes_is_not_on_purpose() -> None:
    """Only the primary runs one."""
    (pointer,) = report(rows=[site("nameservers", "10.77.0.21,10.77.0.22")]).pointers
    assert pointer.wanted == "10.77.0.11"


def rule(**changed: str) -> dict[str, str]:
    return {**RULE, **changed}


@pytest.mark.parametrize(
    ("rules", "added"),
    [
        ([rule(name="mna")], [{"priority": "1.21", "name": "mn1", "rule": "trusted"}]),
        ([rule(name="mna"), rule(priority="1.21", name="root")], [{"priority": "1.22", "name": "mn1", "rule": "trusted"}]),
        ([rule(priority="7", name="MNA.lab.example")], [{"priority": "7.1", "name": "mn1.lab.example", "rule": "trusted"}]),
        ([rule(name="mna", rule="allow", commands="lsdef"), rule(priority="9")],
         [{"priority": "1.21", "name": "mn1", "rule": "allow", "commands": "lsdef"}]),
        ([rule(), rule(priority="1.3", name="mna"), rule(priority="1.4", name="mnb")], []),
        ([rule(name="backup", host="10.77.0.21")], []),
        ([rule(name="mna-data")], []),
    ],
)  # fmt: skip
def test_a_rule_for_a_node_gets_one_like_it_for_the_service_hostname(rules: list[dict[str, str]], added: list[dict[str, str]]) -> None:
    found = report(policy=rules).pointers
    assert [dict(one.row) for one in found] == added
    assert all(one.mend is Mend.POLICY for one in found)


def test_two_rules_that_lack_theirs_get_different_priorities() -> None:
    found = report(policy=[rule(priority="1.2", name="mna"), rule(priority="1.20", name="mna", rule="allow")]).pointers
    assert [one.row["priority"] for one in found] == ["1.21", "1.201"]


def test_the_definition_of_the_management_node() -> None:
    (pointer,) = report(management_nodes=["mna"]).pointers
    assert pointer.where == "table nodelist, node=mna: groups = __mgmtnode"
    assert "chdef -t node -o mna -n mn1" in pointer.advice
    assert report(management_nodes=["mna", "mn1"]).pointers == ()
    assert report(management_nodes=["other"]).pointers == ()


def made(**changed: Any) -> dict[str, Any]:
    common = {"path": "/tftpboot/boot/grub2/cn1", "kind": "nodeset", "line": 7, "text": "set root=tftp,10.77.0.21", "word": "10.77.0.21"}
    return {**common, "names": ["cn1"], "node": "cn1", "trouble": "", **changed}


def test_generated_files_are_made_anew_where_that_is_safe() -> None:
    found = report(
        generated=[
            made(),
            made(path="/etc/dhcp/dhcpd.conf", kind="dhcp", node=""),
            made(path="/tftpboot/xcat/xnba/nets/10.77.0.0_16", kind="mknb", node=""),
            made(path="/install/autoinst/cn2", node="cn2", trouble="it runs"),
            made(path="/tftpboot/pxelinux.cfg/old", node="", trouble="no node has this name"),
            {key: value for key, value in made(path="table bootparams", column="kcmdline").items() if key != "line"},
            made(path="/tftpboot/boot/grub2/mnb", node="mnb"),
        ]
    )
    assert found.files
    assert [(one.place, one.mend) for one in found.files] == [
        ("/tftpboot/boot/grub2/cn1", Mend.NODESET),
        ("/etc/dhcp/dhcpd.conf", Mend.DHCP),
        ("/tftpboot/xcat/xnba/nets/10.77.0.0_16", Mend.MKNB),
        ("/install/autoinst/cn2", Mend.BY_HAND),
        ("/tftpboot/pxelinux.cfg/old", Mend.BY_HAND),
    ]
    assert "nodeset is not run for cn2: it runs" in found.files[3].advice
    assert "no node has this name" in found.files[4].advice
    assert found.tables
    assert found.tables[0].where == "table bootparams, node=cn1: kcmdline = set root=tftp,10.77.0.21"


@pytest.mark.parametrize(
    ("cn", "alternatives", "items"),
    [
        ("mn1", ["mn1.lab.example", "mn1"], []),
        ("mna", ["mna.lab.example", "mna"], ["CN", "subjectAltName"]),
        ("mn1", ["mna.lab.example", "mna"], ["subjectAltName"]),
        ("mn1", ["mna", "mn1"], []),
        ("MNB.lab.example", [], ["CN"]),
        ("elsewhere", ["elsewhere"], []),
    ],
)
def test_the_certificate(cn: str, alternatives: list[str], items: list[str]) -> None:
    found = report(certificate={"path": "/etc/xcat/cert/server-cert.pem", "cn": cn, "alternatives": alternatives}).certificate
    assert found is not None
    assert [one.item for one in found] == items
    assert all(one.mend is Mend.BY_HAND and "xcatconfig -c" in one.advice for one in found)


@pytest.mark.parametrize(("host", "stale"), [("10.77.0.21", True), ("mnb", True), ("10.77.0.11", False), ("localhost", False), ("", False)])
def test_the_database_host(host: str, stale: bool) -> None:
    document = {"path": "/etc/xcat/cfgloc", "host": host}
    for found in (report(cfgloc=document).cfgloc, cfgloc_of(PAIR, MNB, "", Completed(("x",), 0, json.dumps(document)))):
        assert found is not None
        assert bool(found) is stale
        assert all("restart xcatd" in one.advice for one in found)


@pytest.mark.parametrize(
    "answer",
    [
        Completed(("x",), None, trouble=Trouble.UNREACHABLE),
        Completed(("x",), 1, "", "No module named xcat_ha"),
        Completed(("x",), 0, ""),
        Completed(("x",), 0, "[]"),
        Completed(("x",), 0, '{"domain": "x"}'),
        Completed(("x",), 0, json.dumps({**NOTHING, "rows": [1]})),
    ],
)
def test_silence_and_nonsense_are_unknown(answer: Completed) -> None:
    found = report_of(PAIR, MNA, answer)
    assert (found.tables, found.files, found.certificate, found.cfgloc) == (None, None, None, None)
    assert found.troubles["mna"]
    assert cfgloc_of(PAIR, MNA, "", answer) is None


def test_what_could_not_be_read_is_named() -> None:
    found = report(
        table_troubles={"noderes": "exit 1"},
        file_troubles={"/install/autoinst": "Permission denied"},
        certificate={"path": "/etc/xcat/cert/server-cert.pem", "trouble": "No such file"},
    )
    assert found.troubles == {
        "table noderes": "exit 1", "/install/autoinst": "Permission denied", "/etc/xcat/cert/server-cert.pem": "No such file",
    }  # fmt: skip
    assert found.certificate is None


def test_other_machines_in_a_list_stay_as_they_are() -> None:
    assert mended("10.77.0.210,mna-data,10.77.0.21,10.77.0.22,x.mna", NAMES) == "10.77.0.210,mna-data,10.77.0.11,x.mna"
    assert mended("10.77.0.21", NAMES) == "10.77.0.11"


def test_a_journal_keeps_what_was_to_be_mended() -> None:
    found = report(rows=[site("master", "mna")], policy=[rule(name="mna")], generated=[made()]).pointers
    assert from_words(words_of(found)) == found
    assert from_words(words_of(())) == from_words("") == ()
    assert all(isinstance(one, StalePointer) for one in from_words(words_of(found)))
