"""The driver ``rsync`` between two machines: everything a root image holds, faults, and what it costs."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from attrs import evolve

from tests.lab import Lab, stop_group
from tests.lab.files import compare_trees
from tests.lab.in_nodes import MNA, MNB, LabRunner, install_programs, let_in, pair_of
from xcat_ha.errors import StepFailedError, UnknownStateError
from xcat_ha.execution import execute_steps
from xcat_ha.models import FileSet, Node, ServiceIdentity
from xcat_ha.runners.recording import RecordingRunner
from xcat_ha.xcat.file_sets import standard_file_sets
from xcat_ha_drivers.rsync import Rsync

INSTALL = FileSet("install", ("/install",), numeric_ids=True)

# A small root image: owners nobody here knows, devices, links, ACLs, attributes, set-id bits, a sparse file.
ROOT_IMAGE = r"""
set -e
cd /install && mkdir -p netboot/rootimg/dev netboot/rootimg/bin postscripts 'with blank' && cd netboot/rootimg
mknod -m 666 dev/null c 1 3; mknod -m 660 dev/sda b 8 0; mkfifo -m 600 dev/fifo; chown 0:998 dev/sda
echo su > bin/su; chown 0:4321 bin/su; chmod 4750 bin/su; ln bin/su bin/su-twin; ln -s su bin/su-link; chown -h 4321:4321 bin/su-link
echo acl > bin/acl; setfacl -m u:4321:rw,g:998:r bin/acl; setfacl -d -m u:4321:rx ../../postscripts
echo attr > bin/attr; setfattr -n user.note -v hello bin/attr; setfattr -n trusted.note -v there bin/attr
cp /bin/true bin/ping; setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 bin/ping
chmod 1777 ../../postscripts; ln bin/su ../../postscripts/su-elsewhere
printf odd > "$(printf 'new\nline')"; printf odd > -rf; printf odd > "$(printf '\377')"; truncate -s 1M hole
"""
CREDENTIALS = r"""
set -e
useradd -r -u 901 -d /home/conserver conserver
mkdir -p /home/conserver/.xcat /etc/xcat/ca/private /root/.xcat
echo k > /home/conserver/.xcat/client-key.pem; chmod 600 /home/conserver/.xcat/client-key.pem; chown -R conserver /home/conserver
echo 1 > /etc/xcat/ca/serial; chmod 700 /etc/xcat/ca/private; touch /etc/xcat/site.sqlite
echo key > /root/.ssh/id_rsa; chmod 600 /root/.ssh/id_rsa
"""


class Stage:
    """A lab, a runner that remembers, and the driver."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.runner = RecordingRunner(LabRunner(lab))
        self.driver = Rsync(pair_of(ServiceIdentity("mn1", ())), {"io_timeout_s": 10})

    def sync(self, *sets: FileSet, source: Node = MNA, target: Node = MNB) -> None:
        execute_steps(self.driver.steps_to_sync(source, target, sets), self.runner)

    def sh(self, node: Node, script: str, *words: str, timeout_s: float = 300.0) -> str:
        return self.lab.node(node.id).run(["sh", "-c", script, "sh", *words], timeout_s=timeout_s).stdout

    def path(self, node: Node, name: str) -> Path:
        return self.lab.node(node.id).root / name.lstrip("/")

    def python(self, node: Node, program: str, *words: str) -> None:
        self.lab.node(node.id).run(["python3", "-c", program, *words], timeout_s=300)

    def start_push(self, file_set: FileSet) -> subprocess.Popen[bytes]:
        """The step's own command, started and not waited for."""
        (step,) = self.driver.steps_to_sync(MNA, MNB, (file_set,))
        return self.lab.node("mna").popen([str(word) for word in step.commands[0].argv], stdout=subprocess.DEVNULL)

    def wait_for(self, node: Node, script: str) -> None:
        deadline = time.monotonic() + 30
        while self.lab.node(node.id).run(["sh", "-c", script], check=False).returncode != 0:
            assert time.monotonic() < deadline, script
            time.sleep(0.05)


@pytest.fixture
def stage(fresh_pair: Lab) -> Stage:
    install_programs(fresh_pair)
    let_in(fresh_pair)
    for node in (MNA, MNB):
        fresh_pair.node(node.id).run(["mkdir", "/install"])
    return Stage(fresh_pair)


def test_everything_a_root_image_holds(stage: Stage) -> None:
    stage.sh(MNA, ROOT_IMAGE)
    stage.sync(INSTALL)
    assert compare_trees(stage.path(MNA, "/install"), stage.path(MNB, "/install")) == []
    listing = (
        "cd /install/netboot/rootimg && getfacl -Rn --absolute-names . ../../postscripts && getfattr -Rhd -m - . &&"
        " stat -c '%n %t %T %u %g %f %Y' dev/* bin/*"
    )
    assert stage.sh(MNB, listing) == stage.sh(MNA, listing)
    assert "user:4321:rw-" in stage.sh(MNB, listing)
    assert 'trusted.note="there"' in stage.sh(MNB, listing)
    count = len(stage.runner.changes)
    stage.sync(INSTALL)
    assert len(stage.runner.changes) == count, "a second run changed something"
    stage.sh(MNB, "cd /install/netboot/rootimg; setfacl -b bin/acl; setfattr -x user.note bin/attr; chown 1:1 dev/sda")
    stage.sync(INSTALL)
    assert stage.sh(MNB, listing) == stage.sh(MNA, listing)


def test_owners_by_name_where_numbers_differ(stage: Stage) -> None:
    stage.sh(MNA, CREDENTIALS)
    stage.sh(MNB, "useradd -r -u 902 -d /home/conserver conserver")
    keys = stage.sh(MNB, "cat /root/.ssh/authorized_keys")
    credentials = standard_file_sets(installdir="/install", tftpdir="/tftpboot", cfgloc_stays_valid=True)[0]
    stage.sync(credentials)
    owners = "cd /home/conserver; stat -c '%n %U %a' . .xcat .xcat/client-key.pem /etc/xcat/ca/private /root/.ssh/id_rsa"
    assert stage.sh(MNB, owners) == stage.sh(MNA, owners)
    assert stage.sh(MNB, "stat -c %u /home/conserver/.xcat/client-key.pem").strip() == "902"
    assert not stage.path(MNB, "/etc/xcat/site.sqlite").exists()
    assert stage.sh(MNB, "cat /root/.ssh/authorized_keys") == keys


def test_the_source_loses_power_in_the_middle(stage: Stage) -> None:
    stage.sh(MNA, "echo old > /install/big; echo small > /install/small")
    stage.sync(INSTALL)
    stage.sh(MNA, "head -c 300M /dev/urandom > /install/big; rm /install/small")
    stage.lab.delay("mnb", 40)
    started = stage.start_push(evolve(INSTALL, max_delete_pct=100))
    stage.wait_for(MNB, "find /install -size +1M | grep -q .")
    stage.lab.node("mna").kill()
    stop_group(started)
    assert stage.sh(MNB, "cat /install/big /install/small") == "old\nsmall\n"
    orphans = stage.sh(MNB, "pgrep -x rsync")
    state = stage.driver.observe(MNB, stage.runner).sets["install"]
    assert "has begun and not ended" in state.detail
    stage.lab.node("mna").boot()
    stage.lab.delay("mnb", 0)
    stage.sync(evolve(INSTALL, max_delete_pct=100))
    assert stage.sh(MNB, "pgrep -x rsync || :") == "", f"{orphans} outlived their source"
    assert compare_trees(stage.path(MNA, "/install"), stage.path(MNB, "/install")) == []


def test_the_network_is_cut_in_the_middle(stage: Stage) -> None:
    stage.sh(MNA, "echo old > /install/big")
    stage.sync(INSTALL)
    stage.sh(MNA, "head -c 300M /dev/urandom > /install/big")
    stage.lab.delay("mnb", 40)
    started = stage.start_push(INSTALL)
    stage.wait_for(MNB, "find /install -size +1M | grep -q .")
    stage.lab.cut("mnb")
    _, said = started.communicate(timeout=60)
    assert started.returncode == 1
    assert b"hint: " in said
    assert stage.sh(MNB, "cat /install/big") == "old\n"
    with pytest.raises(UnknownStateError):
        stage.sync(INSTALL)


def test_the_standbys_disk_is_full(stage: Stage) -> None:
    stage.lab.node("mnb").tmpfs("/install", 8 << 20)
    stage.sh(MNA, "mkdir /install/a; echo old > /install/a/file; echo gone > /install/gone")
    stage.sync(INSTALL)
    stage.sh(MNA, "head -c 12M /dev/urandom > /install/a/file; rm /install/gone")
    with pytest.raises(StepFailedError) as failure:
        stage.sync(evolve(INSTALL, max_delete_pct=100))
    assert "on mnb is full" in str(failure.value)
    assert "/install" in str(failure.value)
    assert stage.sh(MNB, "cat /install/a/file /install/gone") == "old\ngone\n"
    stage.sh(MNB, "mount -o remount,size=40M /install")
    stage.sync(evolve(INSTALL, max_delete_pct=100))
    assert compare_trees(stage.path(MNA, "/install"), stage.path(MNB, "/install")) == []


def test_installdir_is_not_mounted_on_the_source(stage: Stage) -> None:
    stage.lab.node("mna").tmpfs("/install", 8 << 20)
    stage.sh(MNA, "for i in 1 2 3; do echo $i > /install/$i; done")
    mounted = evolve(INSTALL, must_be_mounted=True)
    stage.sync(mounted)
    stage.lab.node("mna").remove_tmpfs("/install")
    anything = evolve(INSTALL, max_delete_pct=100)
    for file_set, told in ((mounted, "/install is not mounted on mna"), (anything, "/install is empty on mna")):
        with pytest.raises(StepFailedError, match=told):
            stage.sync(file_set)
        assert stage.sh(MNB, "cat /install/*") == "1\n2\n3\n"


def test_nothing_comes_while_the_targets_xcatd_runs(stage: Stage) -> None:
    stage.sh(MNA, "echo 1 > /install/1")
    quiet = subprocess.DEVNULL
    listening = stage.lab.node("mnb").popen(["python3", "-m", "http.server", "3001"], stdout=quiet, stderr=quiet)
    try:
        stage.wait_for(MNB, "ss -Hltn 'sport = :3001' | grep -q .")
        with pytest.raises(StepFailedError, match="xcatd is stopped on mnb"):
            stage.sync(INSTALL)
    finally:
        stop_group(listening)
    assert stage.sh(MNB, "ls /install") == ""


def test_hosts_file_of_real_machines(stage: Stage) -> None:
    hosts = standard_file_sets(installdir="/install", tftpdir="/tftpboot", cfgloc_stays_valid=True)[3]
    cluster = "10.77.0.21 mna\n10.77.0.22 mnb\n10.1.0.1 node1\n"
    stage.path(MNA, "/etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 mna\n{cluster}")
    stage.path(MNB, "/etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 mnb\n")
    stage.sh(MNA, "rm -f /etc/resolv.conf; echo 'nameserver 10.77.0.11' > /etc/resolv.conf")
    stage.sh(MNB, "rm -f /etc/resolv.conf; ln -s /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf")
    stage.sync(hosts)
    assert stage.sh(MNB, "cat /etc/hosts") == f"127.0.0.1 localhost\n127.0.1.1 mnb\n{cluster}"
    assert stage.path(MNB, "/etc/resolv.conf").is_symlink()
    assert "/etc/resolv.conf is a symbolic link on mnb and was left alone" in stage.driver.observe(MNB, stage.runner).sets["hosts"].detail
    count = len(stage.runner.changes)
    stage.sync(hosts)
    assert len(stage.runner.changes) == count
