"""Images and clients on a real pair: what is not complete is named before the role moves; only nodes that wait are told to install.

One pair for the module; each test leaves a pair whose primary is mna, with complete images on both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab import Lab, Node
from tests.lab.conftest import Nodes
from tests.lab.losses import DONE, REFUSED, await_guard, make_pair, pause_syncs, schedule_syncs, status_of
from tests.lab.product import SERVICE_ADDRESS, layers, xcat_ha

pytestmark = pytest.mark.lab

FAILED = 1
COMPUTE = "rocky9.5-x86_64-netboot-compute"
INSTALLED = "rocky8.10-x86_64-install-compute"
KERNEL = "/install/netboot/rocky9.5/x86_64/compute/kernel"
ROOTIMG = "/install/netboot/rhels9.4.0/x86_64/gpu/rootimg.cpio.gz"
TEMPLATE = "/opt/xcat/share/xcat/install/rocky/compute.tmpl"
CALLS = "/var/log/calls"

# exportfs(8): -ra makes /var/lib/nfs/etab what /etc/exports says, -ua empties it. The lab has no NFS server in its kernel.
EXPORTFS = f"""\
#!/bin/sh
has=without; ip -4 -o address | grep -qF " {SERVICE_ADDRESS}/" && has=with
echo "exportfs $* $has the service address" >> {CALLS}
mkdir -p /var/lib/nfs
case "$1" in
  -ua) : > /var/lib/nfs/etab;;
  -ra) grep '^/' /etc/exports > /var/lib/nfs/etab;;
esac
"""
NODESET = f"""\
#!/bin/sh
[ "$2" = stat ] || echo "nodeset $*" >> {CALLS}
exec /opt/xcat/bin/nodeset "$@"
"""


@pytest.fixture(scope="module")
def site(lab_nodes: Nodes) -> Lab:
    """A pair; both nodes have an NFS server and write down what is told to it and to nodeset."""
    lab = make_pair(lab_nodes.fresh("single", layers()))
    for node in lab.nodes.values():
        node.run(("sh", "-c", "ln -s xcatclient /opt/xcat/bin/nodeset; rm /opt/xcat/sbin/nodeset"))
        for path, text in (("/usr/sbin/exportfs", EXPORTFS), ("/opt/xcat/sbin/nodeset", NODESET)):
            node.run(("sh", "-c", 'cat > "$1" && chmod 755 "$1"', "sh", path), input=text)
    lab.node("mna").run(("exportfs", "-ra"))
    return lab


@pytest.fixture
def mna(site: Lab) -> Node:
    return site.node("mna")


@pytest.fixture
def mnb(site: Lab) -> Node:
    return site.node("mnb")


@pytest.fixture
def broken(mna: Node, mnb: Node) -> Iterator[None]:
    """A kernel is missing on mnb, a root image is cut short, a template is absent; no scheduled sync repairs it."""
    pause_syncs(mna)
    mnb.run(("sh", "-c", 'mkdir -p /root/kept && mv "$1" /root/kept/kernel && mv "$2" /root/kept/template', "sh", KERNEL, TEMPLATE))
    mnb.run(("truncate", "-s", "12", ROOTIMG))
    yield
    mnb.run(("sh", "-c", '[ -e "$1" ] || cp -p /root/kept/kernel "$1"; cp -p /root/kept/template "$2"', "sh", KERNEL, TEMPLATE))
    schedule_syncs(mna)


def assert_all_three_named(text: str) -> None:
    for path, problem in ((KERNEL, "is missing"), (ROOTIMG, "has 12 bytes, the primary"), (TEMPLATE, "is missing")):
        assert any(path in line and problem in line for line in text.splitlines()), f"{path} {problem}: not in\n{text}"


def told(node: Node) -> list[str]:
    """What exportfs and nodeset were told on a node, and forget it."""
    said = node.run(("sh", "-c", f"cat {CALLS} 2>/dev/null; rm -f {CALLS}")).stdout
    return str(said).splitlines()


def test_images_are_complete_after_setup(mna: Node, mnb: Node) -> None:
    for node in (mna, mnb):
        done = xcat_ha(node, "images", "--json", check=False)
        assert done.returncode == DONE, done.stdout + done.stderr
        (found,) = json.loads(done.stdout)["nodes"]
        assert found["node"] == "mnb"
        assert len(found["images"]) == 6


def test_exports_that_the_standby_would_not_have_are_named(mna: Node, mnb: Node) -> None:
    done = xcat_ha(mna, "failover", check=False)
    assert done.returncode == REFUSED
    assert "mnb will NOT export /install, /tftpboot" in done.stderr
    assert "FAILS  images  mnb is configured to export over NFS what mna exports" in xcat_ha(mna, "check", check=False).stdout
    mnb.run(("sh", "-c", "cat > /etc/exports"), input=mna.run(("cat", "/etc/exports")).stdout)
    assert "will NOT export" not in xcat_ha(mna, "failover", check=False).stderr


@pytest.mark.usefixtures("broken")
def test_what_is_not_complete_is_named_before_a_planned_failover(mna: Node) -> None:
    done = xcat_ha(mna, "images", check=False)
    assert done.returncode == FAILED
    assert_all_three_named(done.stdout)
    assert "not complete: " in xcat_ha(mna, "check", check=False).stdout
    done = xcat_ha(mna, "failover", check=False)
    assert done.returncode == REFUSED
    assert_all_three_named(done.stderr)
    assert f"{KERNEL} (kernel) is missing" in done.stderr
    assert "will be copied first, with install" in done.stderr
    assert "NOTHING COPIES IT" in done.stderr
    assert xcat_ha(mna, "sync", "install", "--yes").returncode == DONE
    shown = xcat_ha(mna, "images", check=False).stdout
    assert TEMPLATE in shown
    assert KERNEL not in shown
    assert ROOTIMG not in shown


@pytest.mark.usefixtures("broken")
def test_what_is_not_complete_is_named_before_an_unplanned_failover(mna: Node, mnb: Node) -> None:
    mna.kill()
    done = xcat_ha(mnb, "failover", "--confirm-down", "mna", check=False)
    assert done.returncode == REFUSED
    assert "UNPLANNED" in done.stderr
    assert_all_three_named(done.stderr)
    mna.boot()
    await_guard(mna, "active")
    assert xcat_ha(mna, "sync", "install", "--yes").returncode == DONE


def test_a_hand_over_tells_only_waiting_nodes_and_moves_the_exports(mna: Node, mnb: Node) -> None:
    for name, values in (("cn1601", "status=booted"), ("cn1602", "currstate=boot")):
        mna.run(("/opt/xcat/bin/chdef", "-t", "node", "-o", name, values), timeout_s=60)
    mna.run(("sh", "-c", "echo '10.77.1.5:/install:0x00000001' > /var/lib/nfs/rmtab"))
    told(mna)
    told(mnb)
    done = xcat_ha(mna, "failover", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert "CLIENTS: 1 have directories of mna mounted" in done.stderr
    assert "for 19 nodes that wait to be installed" in done.stderr
    assert told(mna) == ["exportfs -ua with the service address"]
    exports, *nodesets = told(mnb)
    assert exports == "exportfs -ra with the service address"
    waiting = [f"cn{number}" for number in range(1600, 1621) if number not in {1601, 1602}]
    assert nodesets == [f"nodeset {','.join(waiting)} osimage={INSTALLED}"]
    booted = mnb.run(("sh", "-c", "head -qn 1 /tftpboot/boot/grub2/cn1600 /tftpboot/boot/grub2/cn1620")).stdout.split("\n")
    assert booted == ["#install rocky8.10-x86_64-compute"] * 2 + [""]
    assert mnb.run(("sh", "-c", "ls /tftpboot/boot/grub2/cn1601 2>&1 || :")).stdout.endswith("No such file or directory\n")
    assert "cn1601 waits (install rocky8.10-x86_64-compute) and nothing was run for it: its status is booted: it runs" in done.stdout
    assert "1 clients had NFS mounts" in done.stdout
    assert "need nodeset before their next reboot" in done.stdout
    assert mna.run(("cat", "/var/lib/nfs/etab")).stdout == ""


def test_the_way_back_is_the_same(mna: Node, mnb: Node) -> None:
    done = xcat_ha(mnb, "failback", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert told(mnb) == ["exportfs -ua with the service address"]
    assert told(mna)[0] == "exportfs -ra with the service address"
    assert "/install" in mna.run(("cat", "/var/lib/nfs/etab")).stdout
    assert "primary is mna" in status_of(mna)
