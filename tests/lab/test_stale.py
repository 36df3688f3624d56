"""Stale pointers on a real pair: planted by hand in tables, files and the certificate, all found, mended by setup, looked at again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab import Lab, Node
from tests.lab.losses import DONE, FAILED
from tests.lab.product import xcat_ha

pytestmark = pytest.mark.lab

OWN, OTHER, SERVICE = "10.77.0.21", "10.77.0.22", "10.77.0.11"
NET, IB_NET = "net=10.77.0.0,mask=255.255.0.0", "net=10.79.0.0,mask=255.255.0.0"
CHTAB = "/opt/xcat/sbin/chtab"

PLANTED_IN_TABLES = {
    ("key=nameservers", f"site.value={OWN}"): f"table site: nameservers = {OWN}",
    ("key=ntpservers", f"site.value={OWN},10.99.0.1"): f"table site: ntpservers = {OWN},10.99.0.1",
    (NET, f"networks.tftpserver={OWN}"): f"table networks, {NET}: tftpserver = {OWN}",
    (IB_NET, f"networks.gateway={OTHER}"): f"table networks, {IB_NET}: gateway = {OTHER}",
    ("node=compute", "noderes.xcatmaster=mna"): "table noderes, node=compute: xcatmaster = mna",
    ("node=cn0007", f"noderes.nfsserver={OWN}"): f"table noderes, node=cn0007: nfsserver = {OWN}",
    ("node=gpu", rf"noderes.servicenode=|gpu(\d+)|{OWN}|"): rf"table noderes, node=gpu: servicenode = |gpu(\d+)|{OWN}|",
    ("node=login", "nodehm.conserver=mna.lab.example"): "table nodehm, node=login: conserver = mna.lab.example",
    ("priority=1.2", "policy.name=mna"): "table policy, priority=1.2: name = mna",
    ("priority=9", f"litetree.directory={OWN}:/statelite"): f"table litetree, priority=9: directory = {OWN}:/statelite",
    ("key=master", f"site.value={OWN}"): f"table site: master = {OWN}",
}
LEGITIMATE = (
    ("key=extntpservers", f"site.value={OWN},{OTHER}"),
    ("node=cn0008", "noderes.nfsserver=10.77.0.210"),
    ("node=cn0009", "noderes.xcatmaster=mna-storage"),
    ("priority=8.1", "policy.name=backup", f"policy.host={OWN}", "policy.rule=allow"),
)
BOOT, KICKSTART, OLD_BOOT, NETS, DHCP, CERTIFICATE = (
    "/tftpboot/boot/grub2/cn0006",
    "/install/autoinst/cn1600",
    "/tftpboot/boot/grub2/cn0005",
    "/tftpboot/xcat/xnba/nets/10.77.0.0_16",
    "/etc/dhcp/dhcpd.conf",
    "/etc/xcat/cert/server-cert.pem",
)
BY_HAND = {
    PLANTED_IN_TABLES["node=gpu", rf"noderes.servicenode=|gpu(\d+)|{OWN}|"],
    PLANTED_IN_TABLES["priority=9", f"litetree.directory={OWN}:/statelite"],
    f"{OLD_BOOT}, line 2: set root=tftp,{OWN}",
    f"{CERTIFICATE}: CN = mna",
}


def stale_findings(node: Node, *, expect: int) -> list[dict[str, Any]]:
    done = xcat_ha(node, "check", "--json", check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return [finding for finding in json.loads(done.stdout)["findings"] if finding["topic"] == "stale"]


def failing(findings: list[dict[str, Any]]) -> dict[str, str]:
    """What fails: place, key and value -> what to do."""
    assert not [finding for finding in findings if finding["judgement"]["verdict"] == "unknown"], findings
    return {finding["judgement"]["detail"]: finding["hint"] for finding in findings if finding["judgement"]["verdict"] == "fails"}


@pytest.fixture(scope="module")
def mna(site: Lab) -> Node:
    """Its primary, with boot files of three nodes."""
    node = site.node("mna")
    for words in (("cn0006", "osimage"), ("cn1600", "osimage")):
        node.run(("/opt/xcat/sbin/nodeset", *words), timeout_s=120)
    node.run(("/opt/xcat/sbin/mknb", "x86_64"), timeout_s=120)
    assert xcat_ha(node, "sync", "--yes", check=False).returncode == DONE  # what they made is part of the images
    return node


def plant(node: Node) -> set[str]:
    """Point sixteen places at one node; returns them as check has to name them."""
    for words in (*PLANTED_IN_TABLES, *LEGITIMATE):
        node.run((CHTAB, *words))
    # makedhcp writes what the tables say now.
    node.run(("/opt/xcat/sbin/makedhcp", "-n"), timeout_s=120)
    for path in (BOOT, KICKSTART, NETS):
        node.run(("sed", "-i", f"s/{SERVICE}/{OWN}/g", path))
    node.run(("sh", "-c", 'printf "#boot\\nset root=tftp,%s\\n" "$1" > "$2"', "sh", OWN, OLD_BOOT))
    node.run(("sed", "-i", "s/Subject: CN *= *mn1/Subject: CN = mna/", CERTIFICATE))
    return {*PLANTED_IN_TABLES.values(), *BY_HAND}


def lines_with(node: Node, path: str, word: str) -> list[str]:
    return [line for line in node.run(("cat", path)).stdout.splitlines() if word in line]


def test_what_was_planted_is_found_mended_and_looked_at_again(mna: Node) -> None:
    assert failing(stale_findings(mna, expect=DONE)) == {}
    planted = plant(mna)

    found = failing(stale_findings(mna, expect=FAILED))
    files = {where for where in found if where.startswith((f"{BOOT},", f"{KICKSTART},", f"{NETS},", f"{NETS}.", f"{DHCP},"))}
    assert set(found) - files == planted
    for path in (BOOT, KICKSTART, NETS, DHCP):
        assert [where for where in files if where.startswith(f"{path}, line ") and OWN in where], path
    assert all(hint.startswith("by hand: ") for where, hint in found.items() if where in BY_HAND)
    assert all("setup --mend-stale" in hint for where, hint in found.items() if where not in BY_HAND)

    left = xcat_ha(mna, "setup", "--yes", "--no-mend-stale", check=False)
    assert left.returncode == 3, left.stderr
    assert "--mend-stale" in left.stderr
    assert failing(stale_findings(mna, expect=FAILED)) == found

    done = xcat_ha(mna, "setup", "--yes", "--mend-stale", check=False)
    assert done.returncode == DONE, done.stderr
    assert all(where in done.stderr for where in found)

    again = failing(stale_findings(mna, expect=FAILED))
    assert set(again) == BY_HAND
    assert all(hint.startswith("by hand: ") for hint in again.values())
    _assert_mended(mna)


def _assert_mended(mna: Node) -> None:
    def cell(key: str, column: str) -> str:
        return mna.run(("/opt/xcat/bin/gettab", key, column)).stdout.strip()

    assert cell("key=master", "site.value") == cell("key=nameservers", "site.value") == SERVICE
    assert cell("key=ntpservers", "site.value") == f"{SERVICE},10.99.0.1"
    assert cell("node=compute", "noderes.xcatmaster") == "mn1"
    assert cell("node=login", "nodehm.conserver") == "mn1.lab.example"
    assert (cell("priority=1.2", "policy.name"), cell("priority=1.21", "policy.name")) == ("mna", "mn1")
    assert cell("priority=1.21", "policy.rule") == "trusted"
    for words in LEGITIMATE:
        for word in words[1:]:
            column, _, value = word.partition("=")
            assert cell(words[0], column) == value
    for path in (BOOT, KICKSTART, NETS):
        assert lines_with(mna, path, SERVICE), path
        assert not lines_with(mna, path, OWN), path
    assert {line.split()[1] for line in lines_with(mna, DHCP, "next-server")} == {f"{SERVICE};"}
    assert mna.run(("/opt/xcat/sbin/makedhcp", "-q", "cn0005")).stdout.startswith("cn0005: ip-address = 10.77.1.5")
    assert lines_with(mna, OLD_BOOT, OWN), "nodeset was run for a node that nothing is to be installed on"
    assert mna.run(("systemctl", "is-enabled", "isc-dhcp-server"), check=False).stdout.strip() == "disabled"


def test_the_standby_gets_what_was_mended(mna: Node, site: Lab) -> None:
    xcat_ha(mna, "sync", "--yes")
    rows = site.node("mnb").run(("sqlite3", "-readonly", "/etc/xcat/site.sqlite", "SELECT value FROM site WHERE key='master'")).stdout
    assert rows.strip() == SERVICE
    assert not lines_with(site.node("mnb"), KICKSTART, OWN)


def test_a_table_that_cannot_be_read_is_not_fine(mna: Node) -> None:
    mna.run(("sh", "-c", "mv /opt/xcat/sbin/tabdump /opt/xcat/sbin/tabdump.away"))
    try:
        done = xcat_ha(mna, "check", "--json", check=False)
    finally:
        mna.run(("sh", "-c", "mv /opt/xcat/sbin/tabdump.away /opt/xcat/sbin/tabdump"))
    findings = [finding for finding in json.loads(done.stdout)["findings"] if finding["topic"] == "stale"]
    unknown = [finding["question"] for finding in findings if finding["judgement"]["verdict"] == "unknown"]
    assert "table noderes can be read" in unknown
    assert "generated files can be read" in unknown
    assert not [finding for finding in findings if "tables name the service identity" in finding["question"]]
