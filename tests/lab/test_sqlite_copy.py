"""The driver ``sqlite-copy`` between two real machines: over ssh, beside xCAT's daemon, through power losses, and how long it takes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab import Lab, Layer, Settings, stop_group
from tests.lab.in_nodes import MNA, MNB, NODES, LabRunner, install_programs, let_in, pair_of
from tests.lab.product import xcat_layer
from tests.simulators.xcat.install import provision
from xcat_ha.errors import XcatHaError
from xcat_ha.execution import execute_steps
from xcat_ha.interfaces import ReplicaRole, ReplicaState
from xcat_ha.models import Node, ServiceIdentity
from xcat_ha.runners.recording import RecordingRunner
from xcat_ha.steps import Command, Steps
from xcat_ha_drivers.sqlite_copy import SqliteCopy

BASE = "/var/lib/xcat-ha/sqlite-copy"


class Stage:
    """A pair of management nodes, the driver and a runner that remembers."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.runner = RecordingRunner(LabRunner(lab))
        self.driver = SqliteCopy(pair_of(ServiceIdentity("mn1", ())), {})

    def execute(self, steps: Steps) -> None:
        execute_steps(steps, self.runner)

    def sync(self, source: Node = MNA, target: Node = MNB) -> None:
        self.execute(self.driver.steps_to_sync(source, target))

    def observe(self, node: Node) -> ReplicaState:
        return self.driver.observe(node, self.runner)

    def sh(self, node: Node, script: str, *, check: bool = True, timeout_s: float = 120) -> str:
        return self.lab.node(node.id).run(["sh", "-c", script], check=check, timeout_s=timeout_s).stdout

    def has(self, node: Node, name: str) -> str:
        return self.runner.run(node.id, self.driver.question_for_record(node, name)).stdout.strip()

    def sums(self, node: Node) -> str:
        """Checksum, mode and owner of every table file."""
        return self.sh(node, "cd /etc/xcat && sha256sum *.sqlite && stat -c '%n %a %u %g' *.sqlite")

    def define(self, name: str) -> None:
        """Write through xCAT's own client and daemon."""
        self.sh(MNA, f"/opt/xcat/bin/mkdef -t node {name} groups=all")

    def command(self, steps: Steps, name: str) -> Command:
        (command,) = next(step for step in steps if step.name == name).commands
        return command


def install(lab: Lab) -> None:
    """The driver's programs where ``Node.python`` finds them, keys as ``setup`` leaves them, xCAT with 2,000 nodes on mna."""
    install_programs(lab)
    let_in(lab)
    provision(lab.node("mna").root, primary=True, name="mna", address=MNA.address)
    provision(lab.node("mnb").root, primary=False, name="mnb", address=MNB.address)
    lab.node("mna").run(("systemctl", "daemon-reload"))
    lab.node("mna").run(("systemctl", "start", "xcatd"), timeout_s=120)


@pytest.fixture(scope="session")
def lab_layers(lab_settings: Settings, lab_base: Path) -> Sequence[Layer]:
    del lab_base
    return (xcat_layer(lab_settings),)


@pytest.fixture
def stage(fresh_pair: Lab) -> Stage:
    install(fresh_pair)
    stage = Stage(fresh_pair)
    stage.execute(stage.driver.steps_to_seed(MNA, MNB))
    return stage


def test_what_is_written_through_xcatd_is_on_the_standby_after_a_sync(stage: Stage) -> None:
    assert stage.sums(MNB) == stage.sums(MNA)
    assert [stage.observe(node).role for node in NODES] == [ReplicaRole.SOURCE, ReplicaRole.COPY]
    stage.define("late1")
    assert [stage.has(node, "late1") for node in NODES] == ["present", "absent"]
    stage.sync()
    assert stage.has(MNB, "late1") == "present"
    assert stage.sums(MNB) == stage.sums(MNA)
    stage.define("late2")  # the daemon goes on writing to the same files
    stage.sync()
    assert stage.sums(MNB) == stage.sums(MNA)


def test_the_standby_serves_the_copy_after_a_hand_over(stage: Stage) -> None:
    stage.define("last1")
    stage.sh(MNA, "systemctl stop xcatd")
    stage.execute(stage.driver.steps_to_hand_over(MNA, MNB))
    stage.sh(MNB, "systemctl daemon-reload; systemctl start xcatd")
    shown = stage.sh(MNB, "XCATBYPASS=1 /opt/xcat/sbin/tabdump nodelist")
    assert '"last1"' in shown
    assert shown.count("\n") == 2002  # header, the 2,000 nodes, one more
    assert [stage.observe(node).role for node in NODES] == [ReplicaRole.COPY, ReplicaRole.SOURCE]
    with pytest.raises(XcatHaError):
        stage.sync()
    stage.sync(MNB, MNA)
    assert stage.sums(MNA) == stage.sums(MNB)


def test_the_standby_loses_power_while_it_receives(stage: Stage) -> None:
    machine = stage.lab.node("mnb")
    for number, moment_s in enumerate((0.05, 0.15, 0.25, 0.35, 0.5, 0.7)):
        old = stage.sums(MNB)
        stage.define(f"late{number}")
        steps = stage.driver.steps_to_sync(MNA, MNB)
        assert stage.runner.run("mna", stage.command(steps, "snapshot-database")).ok
        with machine.popen([str(word) for word in stage.command(steps, "receive-database").argv]) as receiving:
            time.sleep(moment_s)  # the moment of the power loss is the test's input
            machine.kill()
            receiving.wait(timeout=60)
        machine.boot()
        state = stage.observe(MNB)
        assert state.role is ReplicaRole.COPY
        assert state.last_good is not None
        if state.healthy:
            assert stage.sums(MNB) in (old, stage.sums(MNA))
        stage.sync()
        assert stage.sums(MNB) == stage.sums(MNA)
        assert stage.sh(MNB, f"ls -A {BASE} /etc/xcat | grep -E 'incoming|[.]tmp|doomed' || :") == ""


def test_the_primary_loses_power_in_the_middle_of_a_write(stage: Stage) -> None:
    """A writer dies within a transaction that has reached the file; later the old primary comes back and follows the new one."""
    stage.sync()
    stage.sh(MNA, "systemctl stop xcatd")
    program = (
        "import sqlite3, os, sys\n"
        "table = sqlite3.connect('/etc/xcat/nodelist.sqlite', isolation_level=None)\n"
        "table.execute(\"INSERT INTO nodelist (node) VALUES ('lost1')\")\n"
        "table.execute('PRAGMA cache_size=2'); table.execute('BEGIN')\n"
        "for number in range(3000): table.execute('INSERT INTO nodelist (node) VALUES (?)', (f'torn{number}',))\n"
        "print('torn', flush=True); sys.stdin.read()\n"
    )
    machine = stage.lab.node("mna")
    with machine.popen(("/usr/bin/python3", "-c", program), stdin=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"torn\n"
        machine.kill()
        writer.wait(timeout=60)
    stage.execute(stage.driver.steps_to_promote(MNB, forced=True))
    stage.sh(MNB, "systemctl daemon-reload; systemctl start xcatd; /opt/xcat/bin/mkdef -t node won1 groups=all")
    machine.boot()
    assert stage.sh(MNA, "ls /etc/xcat/*-journal").strip() == "/etc/xcat/nodelist.sqlite-journal"
    assert [stage.has(MNA, name) for name in ("lost1", "torn1", "cn0005")] == ["present", "absent", "present"]
    assert stage.observe(MNA).role is ReplicaRole.SOURCE
    stage.execute(stage.driver.steps_to_save_divergence(MNA))
    query = "SELECT node FROM nodelist WHERE node LIKE 'lost%' OR node LIKE 'torn%'"
    saved = stage.sh(MNA, f'cd /var/lib/xcat-ha/diverged/* && sqlite3 nodelist.sqlite "{query}"')
    assert saved.split() == ["lost1"]
    stage.execute(stage.driver.steps_to_seed(MNB, MNA))
    assert [stage.has(MNA, name) for name in ("won1", "lost1")] == ["present", "absent"]
    assert stage.sums(MNA) == stage.sums(MNB)


def test_a_full_disk_on_the_standby_leaves_the_last_good_copy(stage: Stage) -> None:
    machine = stage.lab.node("mnb")
    machine.tmpfs("/var/lib/xcat-ha", 12 << 20)
    stage.execute(stage.driver.steps_to_seed(MNA, MNB))
    stage.sync()
    old, before = stage.sums(MNB), stage.observe(MNB)
    stage.sh(MNB, f"dd if=/dev/zero of=/var/lib/xcat-ha/filler bs=4k 2>/dev/null; rm -rf {BASE}/incoming")
    stage.define("late1")
    with pytest.raises(XcatHaError, match=r"mnb: cannot write below /var/lib/xcat-ha/sqlite-copy.*bytes free.*hint: make room in"):
        stage.sync()
    assert stage.sums(MNB) == old
    after = stage.observe(MNB)
    assert (after.role, after.healthy, after.last_good, after.generation) == (ReplicaRole.COPY, True, before.last_good, before.generation)
    assert stage.has(MNB, "cn0005") == "present"
    stage.sh(MNB, "rm /var/lib/xcat-ha/filler")
    stage.sync()
    assert stage.sums(MNB) == stage.sums(MNA)


def test_a_line_that_is_cut_in_the_middle(stage: Stage) -> None:
    old = stage.sums(MNB)
    stage.define("late1")
    steps = stage.driver.steps_to_sync(MNA, MNB)
    assert stage.runner.run("mna", stage.command(steps, "snapshot-database")).ok
    with stage.lab.node("mnb").popen([str(word) for word in stage.command(steps, "receive-database").argv]) as receiving:
        stage.lab.cut("mna")
        began = time.monotonic()
        _, said = receiving.communicate(timeout=120)
    assert receiving.returncode == 1, said
    assert b"rsync from mna ended with" in said
    assert time.monotonic() - began < 90
    assert stage.sums(MNB) == old
    stage.lab.heal("mna")
    stage.sync()
    assert stage.sums(MNB) == stage.sums(MNA)


def test_a_receiver_whose_caller_died_is_waited_for(stage: Stage) -> None:
    """The receiving program is killed, its rsync lives on with the lock; the next run waits for it and both nodes end equal."""
    stage.define("late1")
    steps = stage.driver.steps_to_sync(MNA, MNB)
    assert stage.runner.run("mna", stage.command(steps, "snapshot-database")).ok
    with stage.lab.node("mnb").popen([str(word) for word in stage.command(steps, "receive-database").argv]) as receiving:
        deadline = time.monotonic() + 20
        while not stage.sh(MNB, "pgrep -x rsync || :") and time.monotonic() < deadline:
            time.sleep(0.01)
        stage.sh(MNB, "pkill -KILL -f '[n]ode_side receive' || :")
        stop_group(receiving)
    stage.sync()
    assert stage.sums(MNB) == stage.sums(MNA)
