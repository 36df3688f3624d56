"""Which lines of a machine's configuration give it an address at boot."""

from __future__ import annotations

import json
import stat
from ipaddress import ip_address
from pathlib import Path

import pytest

from xcat_ha_drivers.linux import node_side
from xcat_ha_drivers.linux.boot_files import find_settings, read_listing, with_address

SERVICE = ip_address("10.77.0.11")
SIX = ip_address("fd77::11")
OWN = ip_address("10.77.0.21")

TABLE = [
    ("etc/network/interfaces", "    address 10.77.0.11/16", True),
    ("etc/network/interfaces", "\taddress 10.77.0.11", True),
    ("etc/network/interfaces", "    address fd77:0::11/64", True),
    ("etc/network/interfaces", "    post-up ip addr add 10.77.0.11/16 dev en1", True),
    ("etc/network/interfaces", "    up ifconfig en1:0 add 10.77.0.11", True),
    ("etc/network/interfaces", "    address 10.77.0.110/16", False),
    ("etc/network/interfaces", "    address 110.77.0.11/16", False),
    ("etc/network/interfaces", "    # address 10.77.0.11/16", False),
    ("etc/network/interfaces", "    gateway 10.77.0.11", False),
    ("etc/network/interfaces", "    dns-nameservers 10.77.0.11", False),
    ("etc/network/interfaces", "    address fd77::11:5/64", False),
    ("etc/network/interfaces.d/en1.bak", "    address 10.77.0.11/16", False),
    ("etc/sysconfig/network-scripts/ifcfg-en1", 'IPADDR="10.77.0.11"', True),
    ("etc/sysconfig/network-scripts/ifcfg-en1", "IPADDR0=10.77.0.11", True),
    ("etc/sysconfig/network-scripts/ifcfg-en1", "IPV6ADDR_SECONDARIES='fd77::12/64 fd77::11/64'", True),
    ("etc/sysconfig/network-scripts/ifcfg-en1", "DNS1=10.77.0.11", False),
    ("etc/sysconfig/network-scripts/ifcfg-en1", "GATEWAY=10.77.0.11", False),
    ("etc/sysconfig/network/ifcfg-en1", "IPADDR='10.77.0.11/16'", True),
    ("etc/NetworkManager/system-connections/en1.nmconnection", "address1=10.77.0.11/16,10.77.0.1", True),
    ("etc/NetworkManager/system-connections/en1.nmconnection", "address1=10.77.0.22/16,10.77.0.11", False),
    ("etc/NetworkManager/system-connections/en1.nmconnection", "dns=10.77.0.11;", False),
    ("etc/netplan/01.yaml", "      addresses: [10.77.0.11/16]", True),
    ("etc/netplan/01.yaml", "        - 10.77.0.11/16", True),
    ("etc/netplan/01.yaml", '        - "fd77::11/64"', True),
    ("etc/netplan/01.yaml", "        addresses: [10.77.0.11]", False),
    ("etc/netplan/01.yaml", "        - to: 10.77.0.11/32", False),
    ("etc/systemd/network/en1.network", "Address=10.77.0.11/16", True),
    ("etc/systemd/network/en1.network", "DNS=10.77.0.11", False),
    ("etc/systemd/network/en1.network.d/a.conf", "Address = 10.77.0.11/16", True),
    ("etc/wicked/ifconfig/en1.xml", "      <local>10.77.0.11/16</local>", True),
    ("etc/hosts", "10.77.0.11 mn1", False),
]


@pytest.mark.parametrize(("path", "line", "counts"), TABLE)
def test_what_sets_an_address(tmp_path: Path, path: str, line: str, counts: bool) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"# heading\n{line}\n")
    assert bool(find_settings(tmp_path, [SERVICE, SIX])) is counts
    assert bool(read_listing(f"{path}\t{line}", [SERVICE, SIX])) is counts


def test_only_the_address_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "etc/network/interfaces"
    file.parent.mkdir(parents=True)
    raw = b"# caf\xe9 10.77.0.11\r\niface en1 inet static\r\n  address 10.77.0.11/16 \r\n  gateway 10.77.0.11"
    file.write_bytes(raw)
    (setting,) = find_settings(tmp_path, [SERVICE])
    text = with_address(raw.decode(errors="surrogateescape"), setting, OWN)
    assert text.encode(errors="surrogateescape") == raw.replace(b"address 10.77.0.11/", b"address 10.77.0.21/")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's files, with an ``ip`` that shows what ``addresses.json`` says."""
    files = {
        "etc/network/interfaces": "auto en1\niface en1 inet static\n    address 10.77.0.11/16\n",
        "etc/hostname": "mn1\n",
        "etc/hosts": "127.0.0.1 localhost\n10.77.0.11 mn1.lab.example mn1",
        "proc/sys/kernel/hostname": "mn1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    program = tmp_path / "bin/ip"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/addresses.json\n")
    program.chmod(0o755)
    show(tmp_path, "10.77.0.11/16", "10.77.0.21/16")
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path


def show(tree: Path, *addresses: str) -> None:
    info = [{"local": a.split("/")[0], "prefixlen": int(a.split("/")[1]), "scope": "global"} for a in addresses]
    links = [{"ifname": "en1", "flags": ["UP", "LOWER_UP"], "link_type": "ether", "address": "02:77:00:00:00:21", "addr_info": info}]
    (tree / "addresses.json").write_text(json.dumps(links))


WORDS = ["--interface", "en1", "--own", "10.77.0.21", "--address", "10.77.0.11/16"]
NAMES = ["--name", "mna", "--service-name", "mn1", "--own", "10.77.0.21"]


def ask(capsys: pytest.CaptureFixture[str], verb: str, words: list[str]) -> str:
    node_side.main([verb, *words])
    return capsys.readouterr().out.strip()


def test_the_stored_address_is_replaced_with_a_backup_and_mode_kept(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tree / "etc/network/interfaces"
    file.chmod(0o640)
    assert ask(capsys, "rewritable", WORDS) == "HOLDS"
    assert "sets 10.77.0.11" in ask(capsys, "boot-files-clean", WORDS)
    node_side.main(["store-own", *WORDS])
    assert file.read_text() == "auto en1\niface en1 inet static\n    address 10.77.0.21/16\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert "10.77.0.11/16" in (file.parent / ".interfaces.before-xcat-ha").read_text()
    assert ask(capsys, "boot-files-clean", WORDS) == "HOLDS"
    assert sorted(path.name for path in file.parent.iterdir()) == [".interfaces.before-xcat-ha", "interfaces"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"etc/network/interfaces.d/x": "  address 10.77.0.11/16\n"}, "more than one place"),
        ({"etc/network/interfaces.d/x": "  address 10.77.0.21/16\n"}, "already in"),
        ({"etc/network/interfaces": "  address fd77::11/64\n"}, "not of that network"),
        ({"etc/network/interfaces": "iface en1 inet manual\n"}, "no file known"),
    ],
)
def test_what_cannot_be_rewritten_is_refused(tree: Path, capsys: pytest.CaptureFixture[str], more: dict[str, str], reason: str) -> None:
    for name, text in more.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text)
    words = [*WORDS, "--address", "fd77::11/64"]
    assert reason in ask(capsys, "rewritable", words)
    with pytest.raises(SystemExit, match=reason):
        node_side.main(["store-own", *words])


def test_where_nothing_is_to_be_done_it_holds(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(tree, "10.77.0.21/16")
    (tree / "etc/network/interfaces").write_text("  address 10.77.0.21/16\n")
    for verb in ("rewritable", "own-present", "boot-files-clean", "converted", "released"):
        assert ask(capsys, verb, WORDS) == "HOLDS"


def test_hostname_and_hosts(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds mn1" in ask(capsys, "hostname-stored-clean", NAMES)
    node_side.main(["store-hostname", *NAMES])
    assert (tree / "etc/hostname").read_text() == "mna\n"
    assert ask(capsys, "hostname-stored-clean", NAMES) == "HOLDS"
    assert "no line for mna" in ask(capsys, "named", NAMES)
    node_side.main(["name-own", *NAMES])
    assert (tree / "etc/hosts").read_text().endswith("10.77.0.11 mn1.lab.example mn1\n10.77.0.21 mna.lab.example mna\n")
    assert ask(capsys, "named", NAMES) == "HOLDS"
    assert "not mna" in ask(capsys, "hostname-restored", NAMES)
    node_side.main(["restore-hostname", *NAMES])
    assert (tree / "proc/sys/kernel/hostname").read_text() == "mna\n"
    assert ask(capsys, "hostname-restored", NAMES) == "HOLDS"


def test_the_own_name_is_the_stored_one_unless_that_is_the_service_name(tree: Path) -> None:
    (tree / "etc/hostname").write_text("# ours\nmna.site.example\n")
    node_side.main(["restore-hostname", *NAMES])
    assert (tree / "proc/sys/kernel/hostname").read_text() == "mna.site.example\n"
    (tree / "etc/hostname").write_text("mn1.site.example\n")
    node_side.main(["restore-hostname", *NAMES])
    assert (tree / "proc/sys/kernel/hostname").read_text() == "mna\n"
