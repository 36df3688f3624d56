"""The driver ``linux-images`` against the xCAT stand-in with the sample site's real tables: what images need, who waits, who hangs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.simulators.xcat.install import install, provision
from tests.simulators.xcat.standin import engine, sqlite_engine
from tests.simulators.xcat.standin.paths import ROOT_VARIABLE
from xcat_ha.interfaces import ImageStates
from xcat_ha.models import Node, Pair
from xcat_ha.steps import Completed
from xcat_ha.testing import SimulatedPair
from xcat_ha_drivers.linux_images import LinuxImages, nfs, node_side
from xcat_ha_drivers.linux_images.tables import read_tables

pytestmark = pytest.mark.slow

ROCKY = "rocky9.5-x86_64-netboot-compute"
INSTALLED = "rocky8.10-x86_64-install-compute"
ROOTIMG = "install/netboot/rocky9.5/x86_64/compute"
NODE = Node("mna", "mna", "10.77.0.21", "en1")


class Host:
    """A tree with the stand-in, the sample site and its files, whose xcatd does not run (as on a standby)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def program(self, *words: str) -> str:
        """Run the driver's program here; what it prints."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            node_side.main(words)
        return said.getvalue().strip()

    def look(self) -> ImageStates:
        """The driver's observation."""
        answer = Completed(("look",), 0, self.program("look"))
        state = LinuxImages(mock.Mock(spec=Pair), {}).interpret(NODE, [answer])
        assert state.known, state.detail
        return state

    def change(self, table: str, key: str, name: str, **values: str) -> None:
        """Write a row as xCAT would."""
        own = sqlite_engine.SqliteEngine(self.root / "etc/xcat")
        own.write(table, [engine.Change(engine.SET, {key: name}, dict(values))])
        own.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mn")
    install(root)
    provision(root, primary=True)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n10.77.0.11 mn1.lab.example mn1\n")
    return root


@pytest.fixture
def host(template: Path, tmp_path: Path) -> Iterator[Host]:
    root = tmp_path / "root"
    subprocess.run(("cp", "-a", str(template), str(root)), check=True)
    for name in ("kernel", "initrd-stateless.gz", "rootimg.cpio.gz"):
        assert (root / ROOTIMG / name).is_file()
    # There is no xcatd in this tree: its commands work past it, without the time that real ones take.
    here = {ROOT_VARIABLE: str(root), "XCAT_HA_ROOT": str(root), "XCATBYPASS": "1", "XCAT_STANDIN_TIME_SCALE": "0"}
    with mock.patch.dict(os.environ, here):
        yield Host(root)


def test_every_image_of_the_site_is_found_and_complete(host: Host) -> None:
    state = host.look()
    assert len(state.images) == 6
    assert state.missing == {image.image.name: () for image in state.images}
    rocky = {file.role: file for file in next(one for one in state.images if one.image.name == ROCKY).files}
    assert rocky["rootimg"].path == f"/{ROOTIMG}/rootimg.cpio.gz"
    assert rocky["rootimg"].size == (host.root / ROOTIMG / "rootimg.cpio.gz").stat().st_size
    assert rocky["synclist"].path == "/install/custom/rocky9.5/synclist"


@pytest.mark.parametrize(
    ("image", "path"),
    [
        (ROCKY, f"{ROOTIMG}/kernel"),
        (ROCKY, f"{ROOTIMG}/initrd-stateless.gz"),
        (ROCKY, f"{ROOTIMG}/rootimg.cpio.gz"),
        (ROCKY, "install/custom/rocky9.5/compute.pkglist"),
        (INSTALLED, "opt/xcat/share/xcat/install/rocky/compute.tmpl"),
        (INSTALLED, "install/rocky8.10/x86_64/images/pxeboot/vmlinuz"),
        ("ubuntu22.04.4-x86_64-install-compute", "install/ubuntu22.04.4/x86_64/casper/initrd"),
        ("sle15.5-x86_64-install-compute", "install/sle15.5/x86_64/boot/x86_64/loader/linux"),
    ],
)
def test_what_is_missing_is_named(host: Host, image: str, path: str) -> None:
    (host.root / path).unlink()
    assert f"/{path}" in host.look().missing[image]


def test_an_empty_kernel_counts_as_missing(host: Host) -> None:
    (host.root / ROOTIMG / "kernel").write_text("")
    assert host.look().missing[ROCKY] == (f"/{ROOTIMG}/kernel",)


@pytest.mark.parametrize(("word", "counts"), [("1", False), ("yes", False), ("YES", False), ("true", False), ("0", True), ("No", True)])
def test_an_image_that_is_disabled_is_none(word: str, counts: bool, host: Host) -> None:
    host.change("osimage", "imagename", ROCKY, disable=word)
    assert (ROCKY in host.look().missing) is counts


def test_an_image_of_another_system_is_not_called_complete(host: Host) -> None:
    host.change("osimage", "imagename", "61cosi", imagetype="NIM", osname="AIX", provmethod="diskless")
    state = next(one for one in host.look().images if one.image.name == "61cosi")
    assert "NIM" in state.unknown


def test_nodes_wait_only_if_the_database_says_install(host: Host) -> None:
    """45 nodes of the sample boot over the network again and again, one boots its disk: none of them waits."""
    waiting = host.look().waiting
    assert [node.name for node in waiting] == [f"cn{number}" for number in range(1600, 1621)]
    assert {(node.image, node.trouble) for node in waiting} == {(INSTALLED, "")}
    image = next(one.image for one in host.look().images if one.image.name == INSTALLED)
    assert image.nodes == tuple(node.name for node in waiting)


@pytest.mark.parametrize(
    ("table", "values", "why"),
    [
        ("nodelist", {"status": "booted"}, "it runs"),
        ("nodetype", {"provmethod": ROCKY}, "would make that 'netboot rocky9.5-x86_64-compute'"),
        ("nodetype", {"provmethod": "nosuch"}, "is not defined"),
        ("mac", {"mac": ""}, "no MAC address"),
    ],
)
def test_nothing_is_run_for_a_node_that_runs_or_cannot_be_told(host: Host, table: str, values: dict[str, str], why: str) -> None:
    host.change(table, "node", "cn1600", **values)
    node = next(node for node in host.look().waiting if node.name == "cn1600")
    assert why in node.trouble


def test_nothing_is_run_for_nodes_whose_image_is_not_complete(host: Host) -> None:
    (host.root / "install/rocky8.10/x86_64/images/pxeboot/vmlinuz").unlink()
    state = host.look()
    assert {node.trouble for node in state.waiting} == {
        f"its image {INSTALLED} lacks /install/rocky8.10/x86_64/images/pxeboot/vmlinuz",
    }
    assert not any(one.image.nodes for one in state.images)


def test_nodes_of_a_service_node_are_its_business(host: Host) -> None:
    host.change("noderes", "node", "cn1600", servicenode="sn1")
    assert "cn1600" not in {node.name for node in host.look().waiting}


def test_nodes_without_their_boot_file_are_named(host: Host) -> None:
    (host.root / "tftpboot/boot/grub2/cn0006").write_text("#netboot rocky9.5-x86_64-compute\nset timeout=5\n")
    unready = host.look().unready
    assert "cn0006" not in unready
    assert "cn0005" not in unready, "it boots its disk"
    assert len(unready) == 44 + 21


def test_diskless_nodes_are_found_by_their_image(host: Host) -> None:
    host.change("osimage", "imagename", ROCKY, provmethod="statelite")
    state = host.look()
    assert len(state.diskless) == 1500
    assert set(state.diskless.values()) == {"statelite, root over NFS"}
    assert any(path.endswith("initrd-statelite.gz") for path in state.missing[ROCKY])
    host.change("osimage", "imagename", ROCKY, rootfstype="ramdisk")
    assert not host.look().diskless


def test_a_database_without_its_site_table_is_not_believed(host: Host) -> None:
    host.change("site", "key", "master", value="")
    answer = Completed(("look",), 0, host.program("look"))
    state = LinuxImages(mock.Mock(spec=Pair), {}).interpret(NODE, [answer])
    assert not state.known
    assert "master" in state.detail


# nodeset


@pytest.fixture
def resolvable(host: Host) -> Host:
    with (host.root / "etc/hosts").open("a") as hosts:
        hosts.writelines(f"10.77.6.{number} cn16{number:02}\n" for number in range(21))
    return host


def test_only_waiting_nodes_are_told(resolvable: Host) -> None:
    host = resolvable
    grub = host.root / "tftpboot/boot/grub2"
    before = {file.name: file.read_bytes() for file in grub.iterdir() if file.is_file()}
    host.change("chain", "node", "cn1601", currstate="boot", currchain="")  # its installation has just ended
    names = "cn1600,cn1601,cn0006"
    assert host.program("replayed", INSTALLED, names).startswith("FAILS: cn1600: nodeset was not run")
    assert host.program("replay", INSTALLED, names) == ""
    assert host.program("replayed", INSTALLED, names) == "HOLDS"
    assert (grub / "cn1600").read_text().startswith("#install rocky8.10-x86_64-compute\n")
    assert not (grub / "cn1601").exists()
    assert not (grub / "cn0006").exists()
    assert all((grub / name).read_bytes() == content for name, content in before.items())


def test_a_node_that_nodeset_fails_for_is_named(resolvable: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host = resolvable
    (host.root / "etc/hosts").write_text((host.root / "etc/hosts").read_text().replace(" cn1600\n", " other\n"))
    host.change("hosts", "node", "cn1600", ip="")
    assert node_side.main(("replay", INSTALLED, "cn1600,cn1602")) == 1
    said = capsys.readouterr().err
    assert "cn1600" in said
    assert "cn1602" not in said.split(":")[2]
    assert host.program("replayed", INSTALLED, "cn1600,cn1602").startswith("FAILS: cn1600")


def test_an_old_boot_file_does_not_count_after_a_reboot(resolvable: Host) -> None:
    host = resolvable
    host.program("replay", INSTALLED, "cn1600")
    for stamp in (host.root / "run/xcat-ha/images").iterdir():
        stamp.unlink()
    assert host.program("replayed", INSTALLED, "cn1600").startswith("FAILS")


def test_the_discovery_image_is_made_if_it_can_be(host: Host) -> None:
    assert host.program("genesis", "ppc64").startswith("HOLDS: no package")
    assert host.program("genesis", "x86_64").startswith("FAILS")
    (host.root / "tftpboot/xcat/genesis.fs.x86_64.lzma").write_text("genesis")
    assert host.program("genesis", "x86_64") == "HOLDS"


# The note


def test_the_note_is_renewed_when_an_image_changes(host: Host) -> None:
    assert host.program("noted", "/install").startswith("FAILS")
    host.program("note", "/install")
    assert host.program("noted", "/install") == "HOLDS"
    assert {one.image.name for one in host.look().noted} == set(read_tables().osimage)
    assert (host.root / "install/.xcat-ha-images.json").stat().st_mode & 0o777 == 0o600
    (host.root / ROOTIMG / "rootimg.cpio.gz").write_text("built anew")
    assert host.program("noted", "/install").startswith("FAILS")


def test_a_database_that_does_not_answer_takes_the_old_note_away(host: Host) -> None:
    host.program("note", "/install")
    host.change("site", "key", "master", value="")
    assert host.program("noted", "/install").startswith("FAILS")
    host.program("note", "/install")
    assert host.program("noted", "/install").startswith("HOLDS: there is no note")
    assert not (host.root / "install/.xcat-ha-images.json").exists()


def test_a_note_that_cannot_be_read_is_none(host: Host) -> None:
    for text in ("", "[]", "{", json.dumps({"images": None, "noted_at": 1.0})):
        (host.root / "install/.xcat-ha-images.json").write_text(text)
        assert host.look().noted_at is None


# NFS


def _write(root: Path, name: str, text: str) -> None:
    place = root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_exports_in_effect_are_told_from_configured_ones(host: Host) -> None:
    assert host.look().configured_exports == ("/install", "/tftpboot")
    assert host.look().exports is None, "no NFS server is installed"
    assert host.program("exported").startswith("HOLDS: no NFS server")
    _write(host.root, "usr/sbin/exportfs", "")
    _write(host.root, "etc/exports.d/own.exports", '"/srv/with blank" *(ro)\n# /srv/not *(ro)\n/srv/absent *(ro)\n')
    (host.root / "srv/with blank").mkdir(parents=True)
    assert host.program("exported") == "FAILS: not exported: /install, /srv/with blank, /tftpboot"
    _write(host.root, "var/lib/nfs/etab", "/install\t*(rw,sync)\n/tftpboot\t*(rw)\n/srv/with\\040blank\t*(ro)\n")
    assert host.program("exported") == "HOLDS"
    assert host.look().exports == ("/install", "/srv/with blank", "/tftpboot")
    assert host.program("withdrawn").startswith("FAILS: still exported: /install")
    _write(host.root, "var/lib/nfs/etab", "")
    assert host.program("withdrawn") == "HOLDS"


def test_a_table_of_exports_that_cannot_be_read_is_no_empty_one(host: Host) -> None:
    _write(host.root, "usr/sbin/exportfs", "")
    (host.root / "var/lib/nfs/etab").mkdir(parents=True)  # root may read any file, but no directory as one
    for question in ("withdrawn", "exported"):
        assert host.program(question).startswith("UNKNOWN"), question
    state = LinuxImages(mock.Mock(spec=Pair), {}).interpret(NODE, [Completed(("look",), 0, host.program("look"))])
    assert not state.known
    assert "etab" in state.detail


def test_who_has_something_mounted(host: Host) -> None:
    _write(
        host.root, "var/lib/nfs/rmtab", "10.77.1.5:/install:0x00000001\ncn0007:/tftpboot:0x00000000\nfd77::9:/install:0x00000002\nnoise\n"
    )
    info = 'clientid: 0x1\naddress: "{}"\nstatus: confirmed\nname: "Linux NFSv4.2 {}"\nminor version: 2\n'
    _write(host.root, "proc/fs/nfsd/clients/1/info", info.format("10.77.1.6:893", "cn0006"))
    _write(host.root, "proc/fs/nfsd/clients/2/info", info.format("[fd77::7]:701", "cn0008"))
    _write(host.root, "proc/fs/nfsd/clients/3/info", "clientid: 0x1\n")
    assert nfs.mounts() == [
        nfs.Mounted("10.77.1.5", "/install"),
        nfs.Mounted("10.77.1.6 (cn0006)", ""),
        nfs.Mounted("fd77::7 (cn0008)", ""),
        nfs.Mounted("fd77::9", "/install"),
    ]


def test_steps_name_nodes_and_commands() -> None:
    pair = SimulatedPair()
    try:
        driver = LinuxImages(pair.config, {})
        node = pair.config.nodes[0]
        shown: list[Any] = [(step.name, step.commands[0].argv) for step in (*driver.steps_to_withdraw(node), *driver.steps_to_export(node))]
        assert shown == [("withdraw-exports", ("exportfs", "-ua")), ("export-directories", ("exportfs", "-ra"))]
    finally:
        pair.close()
