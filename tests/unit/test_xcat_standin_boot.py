"""The xCAT stand-in's nodeset, mknb and rpower."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulators.xcat import site_trees
from tests.simulators.xcat.trial import Answer, Trial

NETBOOT = "rocky9.5-x86_64-netboot-compute"
FAILED = "Error: [mn1]: Failed to generate grub2 configurations for some node(s) on mn1. Check xCAT log file for more details.\n"


@pytest.fixture
def site(tmp_path: Path) -> Trial:
    trial = Trial(tmp_path)
    site_trees.write_packaged(tmp_path)
    site_trees.write_site(tmp_path)
    trial.run("makedhcp", "-n")
    return trial


def test_nodeset_netboot(site: Trial) -> None:
    done = site.run("nodeset", "cn0005", f"osimage={NETBOOT}")
    assert done == Answer(0, "cn0005: netboot rocky9.5-x86_64-compute\n", "")
    grub2 = site.root / "tftpboot/boot/grub2"
    text = (grub2 / "cn0005").read_text()
    assert text.startswith("#netboot rocky9.5-x86_64-compute\nset timeout=5\n")
    assert "    set root=tftp,10.77.0.11\n" in text
    for alias in ("grub.cfg-0A4D0105", "grub.cfg-01-0c-42-a1-00-00-05"):
        assert (grub2 / alias).samefile(grub2 / "cn0005")
    assert site.run("lsdef", "cn0005", "-i", "currstate", "-c").out == "cn0005: currstate=netboot rocky9.5-x86_64-compute\n"
    assert site.run("makedhcp", "-q", "cn0005").out


def test_nodeset_install_bakes_the_masters_address_in(site: Trial) -> None:
    site.addresses("10.77.0.21/16", "10.77.0.11/16")
    site.run("nodeset", "cn1600", "osimage")
    assert "MASTER_IP=10.77.0.21\n" in site.read("install/autoinst/cn1600")
    site.run("chdef", "-t", "group", "compute", "xcatmaster=10.77.0.11")
    site.run("nodeset", "cn1600", "osimage")
    assert "MASTER_IP=10.77.0.11\n" in site.read("install/autoinst/cn1600")


def test_states(site: Trial) -> None:
    assert site.run("nodeset", "cn0010", "stat").out == "cn0010: offline\n"
    assert site.run("nodeset", "cn0010,cn0011", "boot").out == "cn0010: boot\ncn0011: boot\n"
    assert site.run("nodeset", "cn0010", "stat").out == "cn0010: boot\n"
    assert site.run("nodeset", "cn0010", "offline").out == "cn0010: offline\n"
    assert not (site.root / "tftpboot/boot/grub2/cn0010").exists()
    assert site.run("makedhcp", "-q", "cn0010").out == ""


def test_no_mac_fails_one_node_and_the_others_proceed(site: Trial) -> None:
    site.run("chdef", "cn0006", "mac=")
    done = site.run("nodeset", "cn0005,cn0006", f"osimage={NETBOOT}")
    assert done.out == "cn0005: netboot rocky9.5-x86_64-compute\n"
    assert done.err == "cn0006: [mn1]: Error: No MAC address available for this node\n" + FAILED
    assert done.code == 1


@pytest.mark.parametrize(
    ("gone", "node", "words"),
    [
        ("install/netboot/rocky9.5/x86_64/compute/kernel", "cn0005", 'Did you run "genimage" before running "packimage"? kernel cannot be'),
        ("install/rocky8.10/x86_64/images/pxeboot/vmlinuz", "cn1600", "Install image not found in /install/rocky8.10/x86_64"),
    ],
)
def test_a_failed_nodeset_has_changed_the_database(site: Trial, gone: str, node: str, words: str) -> None:
    (site.root / gone).unlink()
    image = site.run("nodels", node, "nodetype.provmethod").out.split()[1]
    site.run("nodech", node, "nodetype.provmethod=other", "chain.currstate=boot")
    done = site.run("nodeset", node, f"osimage={image}")
    assert done.code == 1
    assert done.err.startswith(f"{node}: [mn1]: Error: {words}")
    assert done.err.endswith(FAILED)
    assert site.run("nodels", node, "nodetype.provmethod").out == f"{node}: {image}\n"
    assert "boot\n" not in site.run("nodels", node, "chain.currstate").out


def test_unknown_image(site: Trial) -> None:
    done = site.run("nodeset", "cn0005", "osimage=nosuch")
    assert (done.err, done.code) == ("Error: [mn1]: Cannot find the OS image nosuch in the osimage table.\n", 1)


def test_nodeset_needs_a_running_dhcpd(site: Trial) -> None:
    site.add("run/standin-units/dhcp", "inactive")
    done = site.run("nodeset", "cn0005", "osimage")
    assert (done.err, done.code) == ("Error: [mn1]: dhcp server is not running.  please start the dhcp server.\n", 1)


def test_mknb(site: Trial) -> None:
    assert site.run("mknb", "x86_64") == Answer(0, "Creating genesis.fs.x86_64.lzma in /tftpboot/xcat\n", "")
    assert "xcatd=10.77.0.11:3001" in site.read("tftpboot/xcat/xnba/nets/10.77.0.0_16")
    assert site.run("mknb", "ppc64").code == 1
    without = site.run("mknb")
    assert (without.code, without.out, bool(without.err)) == (0, "", True)


def test_rpower(site: Trial) -> None:
    assert site.run("rpower", "cn0005", "stat") == Answer(1, "", "cn0005: [mn1]: Error: ERROR: timeout\n")
    site.add("var/lib/xcat-standin/bmc/10.78.1.5", "on\n")
    said = [site.run("rpower", "cn0005", action).out for action in ("stat", "off", "off", "stat", "reset", "boot", "boot")]
    assert said == [f"cn0005: {s}\n" for s in ("on", "off", "off", "off", "off", "on", "reset")]
    bad = site.run("rpower", "cn0005", "bogus")
    assert bad == Answer(1, "cn0005: Error: Unsupported command: rpower bogus when using mgt=ipmi.\n", "")
    assert site.run("rpower", "cn0005", "stat", bypass=True).out == "cn0005: on\n"
