"""The xCAT stand-in's generated files: as a real one wrote them, traps included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulators.xcat.install import DATA
from tests.simulators.xcat.standin import net
from tests.simulators.xcat.trial import Answer, Trial

REAL = DATA / "mn-config/etc"
OMAPI_KEY = "Z3JPN0Z0cmVNQjRJNFVObk1weTF0MmRqMVd2dVVGbXM="


@pytest.fixture
def site(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def says(text: str, pattern: str) -> list[str]:
    return re.findall(pattern, text)


# ---- DHCP


def new_dhcp(site: Trial) -> str:
    done = site.run("makedhcp", "-n")
    assert done.code == 0
    return site.read("etc/dhcp/dhcpd.conf")


def test_dhcpd_conf_is_the_real_one(site: Trial) -> None:
    real = (REAL / "dhcp/dhcpd.conf").read_text()
    assert new_dhcp(site) == real.partition("#definition")[0]


def test_makedhcp_says_what_it_renamed(site: Trial) -> None:
    assert site.run("makedhcp", "-n").out == ""
    again = site.run("makedhcp", "-n")
    assert again.out == "Renamed existing dhcp configuration file to  /etc/dhcp/dhcpd.conf.xcatbak\n\n"
    assert site.read("etc/dhcp/dhcpd.conf") == site.read("etc/dhcp/dhcpd.conf.xcatbak")
    assert site.read("run/standin-units/dhcp.enabled") == "enabled"
    assert 'INTERFACES="en1"' in site.read("etc/default/isc-dhcp-server")


def test_no_dynamic_range_is_a_warning(site: Trial) -> None:
    site.run("chdef", "-t", "network", "10_77_0_0-255_255_0_0", "dynamicrange=")
    assert site.run("makedhcp", "-n").err == (
        "Warning: [mn1]: No dynamic range specified for 10.77.0.0. If hardware discovery is being used, a dynamic range is required.\n"
    )


def test_only_the_networks_dhcpserver_gives_out_its_range(site: Trial) -> None:
    site.addresses("10.77.0.12/16")
    assert "range dynamic" not in new_dhcp(site)


@pytest.mark.parametrize(
    ("interfaces", "subnets"),
    [("en1", 1), ("", 1), ("mn1|en1;other|en9", 1), ("10.77.0.11|en1", 1), ("eth9", 0), ("en1:0", 0), ("mn2|en1", 0)],
)
def test_a_nic_that_the_host_lacks_serves_nothing_silently(site: Trial, interfaces: str, subnets: int) -> None:
    site.run("chdef", "-t", "site", f"dhcpinterfaces={interfaces}")
    done = site.run("makedhcp", "-n")
    assert (done.out, done.err, done.code) == ("", "", 0)
    assert site.read("etc/dhcp/dhcpd.conf").count("shared-network") == subnets


@pytest.mark.parametrize(
    ("own", "server"),
    [
        (("10.77.0.11/16",), "10.77.0.11"),
        (("10.77.0.21/16", "10.77.0.11/16"), "10.77.0.21"),
        (("10.77.0.21/16", "10.77.0.11/32"), "10.77.0.21"),
        (("10.77.0.11/16", "10.77.0.21/16"), "10.77.0.11"),
        (("10.77.0.11/32", "10.77.0.21/16"), "10.77.0.21"),
    ],
)
def test_xcatmaster_is_the_first_address_facing_the_network(site: Trial, own: tuple[str, ...], server: str) -> None:
    site.addresses(*own)
    text = new_dhcp(site)
    assert says(text, r"next-server +(\S+);") == [server]
    assert says(text, r"option log-servers (\S+);") == [server]
    # A boot server given by name or address is not resolved again.
    site.run("chdef", "-t", "network", "10_77_0_0-255_255_0_0", "tftpserver=10.77.0.11")
    assert says(new_dhcp(site), r"next-server +(\S+);") == ["10.77.0.11"]


@pytest.mark.parametrize(
    ("peer", "text", "own"),
    [
        ("10.77.3.4", "inet 127.0.0.1/8\n inet 10.77.0.21/16\n inet 10.77.0.11/16", "10.77.0.21"),
        ("10.77.3.4", "inet 192.168.5.1/24\n    inet 10.0.0.5/8", "10.0.0.5"),
        ("10.77.3.4", "inet 192.168.5.1/24", None),
    ],
)
def test_facing(peer: str, text: str, own: str | None) -> None:
    assert net.facing(peer, net.parse_addresses(text)) == own


def test_reservations_need_a_running_dhcpd(site: Trial) -> None:
    done = site.run("makedhcp", "-a")
    assert (done.err, done.code) == ("Error: [mn1]: dhcp server is not running.  please start the dhcp server.\n", 1)
    site.run("makedhcp", "-n")
    done = site.run("makedhcp", "-a")
    assert (done.out, done.err, done.code) == ("", "", 0)
    assert len(says(site.read("var/lib/dhcp/dhcpd.leases"), r"(?m)^host (\S+) \{")) == 2000


def test_reservations_come_go_and_are_asked_for(site: Trial) -> None:
    site.run("makedhcp", "-n")
    site.run("chdef", "cn0006", "ip=192.168.7.7")
    site.run("makedhcp", "cn0005,cn0006")
    asked = site.run("makedhcp", "-q", "cn0005,cn0006")
    assert asked.out == "cn0005: ip-address = 10.77.1.5, hardware-address = 0c:42:a1:00:00:05\n"
    site.run("makedhcp", "-d", "cn0005")
    assert site.run("makedhcp", "-q", "cn0005") == Answer(0, "", "")


def test_makedhcp_without_words(site: Trial) -> None:
    done = site.run("makedhcp")
    assert (done.out.startswith("Usage: makedhcp"), done.code) == (True, 1)


# ---- DNS


def test_makedns_writes_the_real_named_conf(site: Trial) -> None:
    done = site.run("makedns", "-n")
    assert done.code == 0
    assert done.out.splitlines() == [
        "Handling mn1 in /etc/hosts.",
        "Getting reverse zones, this may take several minutes for a large cluster.",
        "Completed getting reverse zones.",
        "Updating zones.",
        "Completed updating zones.",
        "Restarting bind9",
        "Restarting named complete",
        "Updating DNS records, this may take several minutes for a large cluster.",
        "Completed updating DNS records.",
        "DNS setup is completed",
    ]
    real = (REAL / "bind/named.conf").read_text()
    # The real one has its zones in the order of a Perl hash.
    assert sorted(site.read("etc/bind/named.conf").splitlines()) == sorted(real.splitlines())
    assert OMAPI_KEY in site.read("etc/xcat/ddns.key")


def test_records_of_nodes(site: Trial) -> None:
    site.run("makehosts")
    site.run("makedns", "-n")
    forward = site.read("var/lib/bind/db.lab.example")
    assert "\ncn0005 IN A 10.77.1.5\ncn0005-mgt IN A 10.77.1.5\ncn0005-ib0 IN A 10.79.1.5\n" in forward
    assert "\n5.1 IN PTR cn0005.lab.example.\n" in site.read("var/lib/bind/db.10.77")


def test_plain_makedns_adds_without_a_restart(site: Trial) -> None:
    site.run("makedns", "-n")
    site.run("makehosts", "cn0005")
    done = site.run("makedns", "cn0005")
    assert "Restarting" not in done.out
    assert "\nmn1 IN A 10.77.0.11\n" in site.read("var/lib/bind/db.lab.example")
    assert "\ncn0005 IN A 10.77.1.5\n" in site.read("var/lib/bind/db.lab.example")


def test_without_its_own_name_makedns_leaves_named_stopped_and_no_configuration(site: Trial) -> None:
    site.run("makedns", "-n")
    assert site.read("run/standin-units/named") == "active"
    site.run("makehosts", "-n", "cn0005")
    done = site.run("makedns", "-n")
    assert done.out.splitlines()[-1] == "Updating zones."
    assert done.err == "Error: [mn1]: Unable to find an IP for mn1 in hosts table or via system lookup (i.e. /etc/hosts\n"
    assert done.code == 1
    assert site.read("run/standin-units/named") == "inactive"
    assert not (site.root / "etc/bind/named.conf").exists()


def test_no_domain(site: Trial) -> None:
    site.run("chdef", "-t", "site", "domain=")
    assert site.run("makedns", "-n").err == "Error: [mn1]: domain not defined in site table\n"


def test_external_dns_is_left_alone(site: Trial) -> None:
    site.run("chdef", "-t", "site", "externaldns=1")
    site.run("makedns", "-n")
    assert not (site.root / "etc/bind/named.conf").exists()


def test_makehosts(site: Trial) -> None:
    done = site.run("makehosts")
    assert (done.out, done.err, done.code) == ("", "", 0)
    text = site.read("etc/hosts")
    assert "\n10.77.1.5 cn0005 cn0005.lab.example cn0005-mgt\n10.79.1.5 cn0005-ib0 cn0005-ib0.lab.example \n" in text
    assert text.startswith(site.read("etc/hosts.xcatbak"))
    site.run("makehosts")
    assert site.read("etc/hosts") == text
    site.run("chdef", "cn0006", "ip=10.77.1.5")
    site.run("makehosts", "-n", "cn0005,cn0006")
    assert says(site.read("etc/hosts"), r"(?m)^\S+ (cn000\d|mn1|localhost)\b") == ["localhost", "cn0006", "cn0005", "cn0006"]


# ---- console


def test_conserver_cf_is_the_real_one(site: Trial) -> None:
    done = site.run("makeconservercf")
    assert (done.out, done.err, done.code) == ("", "", 0)
    real = (REAL / "conserver.cf").read_bytes()
    assert (site.root / "etc/conserver.cf").read_bytes()[: len(real)] == real


def test_consoles_on_demand_are_not_opened_at_the_start(site: Trial) -> None:
    site.run("chdef", "-t", "site", "consoleondemand=yes")
    site.run("makeconservercf", "cn0005")
    assert "console cn0005 {\n  type exec;\n  options ondemand;\n  exec " in site.read("etc/conserver.cf")


def test_trusted_hosts_can_be_added(site: Trial) -> None:
    site.run("makeconservercf", "-t", "10.77.0.12,10.77.0.13", "cn0005")
    assert "  trusted localhost,mn1,10.77.0.12,10.77.0.13;\n" in site.read("etc/conserver.cf")


def test_a_host_without_the_masters_address_asks_the_master(site: Trial) -> None:
    site.run("chdef", "-t", "site", "master=127.0.0.2", "xcatdport=1")
    done = site.run("makeconservercf")
    assert done.code == 1
    assert done.err == (
        "Error: [mn1]: Unable to dispatch hierarchical sub-command to 127.0.0.2:1.  Error: Connection failure:"
        " IO::Socket::INET: connect: Connection refused at /opt/xcat/lib/perl/xCAT/Client.pm line 248.\n"
    )
    assert not (site.root / "etc/conserver.cf").exists()
    assert site.run("makegocons").err.startswith("Error: [mn1]: Unable to dispatch")
