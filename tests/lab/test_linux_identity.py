"""The driver ``linux`` on real kernels: who has the address, in which order, who notices, and what a reboot leaves of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface
from itertools import pairwise

import pytest
from attrs import evolve

from tests.lab import Lab, stop_group
from tests.lab.in_nodes import MNA, MNB, LabRunner, install_programs, pair_of
from xcat_ha.errors import StepFailedError
from xcat_ha.execution import execute_steps, judge
from xcat_ha.interfaces import Holding
from xcat_ha.models import Node, ServiceIdentity
from xcat_ha.runners.recording import RecordingRunner
from xcat_ha.steps import Verdict
from xcat_ha_drivers.linux import LinuxIdentity
from xcat_ha_drivers.linux.addresses import Held, every, parse_links

FOUR = ServiceIdentity("mn1", (ip_interface("10.77.0.11/16"),))
BOTH = ServiceIdentity("mn1", (ip_interface("10.77.0.11/16"), ip_interface("fd77::11/64")))


class Stage:
    """A lab, a runner that remembers, and the driver for an identity."""

    def __init__(self, lab: Lab, identity: ServiceIdentity) -> None:
        self.lab = lab
        self.identity = identity
        self.runner = RecordingRunner(LabRunner(lab))
        self.driver = LinuxIdentity(pair_of(identity), {})

    def acquire(self, node: Node) -> None:
        execute_steps(self.driver.steps_to_acquire(node, self.identity), self.runner)

    def release(self, node: Node) -> None:
        execute_steps(self.driver.steps_to_release(node, self.identity), self.runner)

    def make_own(self, node: Node) -> None:
        execute_steps(self.driver.steps_to_make_own(node, self.identity), self.runner)

    def observe(self, node: Node) -> Holding:
        return self.driver.observe(node, self.runner)

    def sh(self, node: Node, script: str, *, check: bool = True) -> str:
        return self.lab.node(node.id).run(["sh", "-c", script], check=check).stdout

    def held(self, node: Node) -> list[Held]:
        return list(every(parse_links(self.sh(node, "ip -j address show"))))

    def inet(self, node: Node) -> list[str]:
        """IPv4 addresses of ``en1`` in the order of ``ip addr``."""
        return [str(entry.address) for entry in self.held(node) if entry.device == "en1" and entry.address.version == 4]

    def own_is_primary(self, node: Node) -> bool:
        return any(str(entry.address.ip) == node.address and "secondary" not in entry.flags for entry in self.held(node))


@pytest.fixture
def stage(fresh_pair: Lab) -> Stage:
    install_programs(fresh_pair)
    return Stage(fresh_pair, FOUR)


@pytest.fixture
def dual(fresh_pair: Lab) -> Stage:
    install_programs(fresh_pair)
    return Stage(fresh_pair, BOTH)


@contextmanager
def pinging(lab: Lab, address: str) -> Iterator[list[float]]:
    """Ping twenty times a second from outside; afterwards the list holds the lengths of silences above 0.15 s, in seconds."""
    silences: list[float] = []
    argv = lab.observer_chroot().argv(["ping", "-D", "-n", "-i", "0.05", "-W", "1", address])
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
    time.sleep(0.5)
    try:
        yield silences
        time.sleep(0.7)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        text = process.communicate(timeout=10)[0].decode()
        stop_group(process)
    times = [float(line.split("]")[0][1:]) for line in text.splitlines() if line.startswith("[") and " bytes from " in line]
    silences += [after - before for before, after in pairwise(times) if after - before > 0.15]


def test_service_address_is_the_first_inet_line_and_own_address_stays_what_it_was(
    stage: Stage,
) -> None:
    before = stage.sh(MNA, "ip route show; ip route get 10.77.0.22; ip route get 8.8.8.8", check=False)
    stage.acquire(MNA)
    assert stage.inet(MNA) == ["10.77.0.11/15", "10.77.0.21/16"]
    assert stage.own_is_primary(MNA)
    assert stage.sh(MNA, "ip route show; ip route get 10.77.0.22; ip route get 8.8.8.8", check=False) == before
    assert "src 10.77.0.11" in stage.sh(MNA, "ip route get 10.77.0.11")
    assert stage.sh(MNA, "hostname").strip() == "mn1"
    assert stage.sh(MNA, "cat /etc/hostname").strip() == "mna"
    state = stage.observe(MNA)
    assert (state.holds_all(FOUR), state.own_address, state.hostname, state.stored_hostname) == (
        True,
        True,
        "mn1",
        "mna",
    )
    assert state.persistent == ()


def test_done_again_changes_nothing(stage: Stage) -> None:
    for change in (stage.acquire, stage.release):
        change(MNA)
        count = len(stage.runner.changes)
        change(MNA)
        assert len(stage.runner.changes) == count


def test_release_leaves_what_was_there_before(dual: Stage) -> None:
    look = "ip address show en1 | grep -v valid_lft; ip route show table all; ip -6 route show table all | grep -v cache; hostname"
    before = dual.sh(MNA, look)
    dual.acquire(MNA)
    assert dual.observe(MNA).holds_all(BOTH)
    dual.release(MNA)
    assert dual.sh(MNA, look) == before
    assert dual.observe(MNA).holds_none()


def test_a_machine_that_has_an_address_is_noticed_and_nothing_is_taken(dual: Stage) -> None:
    dual.acquire(MNA)
    for identity in (FOUR, ServiceIdentity("mn1", BOTH.addresses[1:]), BOTH):
        check = dual.driver.address_is_free(MNB, identity)
        (judgement,) = judge(dual.runner, [check])
        assert judgement.verdict is Verdict.FAILS
        with pytest.raises(StepFailedError) as caught:
            execute_steps(dual.driver.steps_to_acquire(MNB, identity), dual.runner)
        assert "answered for by" in str(caught.value)
        assert dual.observe(MNB).holds_none()
    assert judge(dual.runner, [dual.driver.address_is_free(MNA, BOTH)])[0].verdict is Verdict.HOLDS


def test_ipv6_address_is_no_source_and_not_tentative(dual: Stage) -> None:
    dual.acquire(MNA)
    (six,) = [entry for entry in dual.held(MNA) if str(entry.address.ip) == "fd77::11"]
    assert six.address.network.prefixlen == 128
    assert "deprecated" in six.flags
    assert "tentative" not in six.flags
    assert "src fd77::21" in dual.sh(MNA, "ip -6 route get fd77::22")
    assert dual.lab.observer_chroot_run(["ping", "-c1", "-W2", "fd77::11"]).returncode == 0


def test_silence_of_a_dead_cable_proves_nothing(stage: Stage) -> None:
    stage.lab.cut("mnb")
    (judgement,) = judge(stage.runner, [stage.driver.address_is_free(MNB, FOUR)])
    assert judgement.verdict is Verdict.UNKNOWN
    with pytest.raises(StepFailedError, match="carrier"):
        stage.acquire(MNB)


@pytest.mark.parametrize("address", ["10.77.0.11", "fd77::11"])
def test_clients_follow_the_address_at_once(dual: Stage, address: str) -> None:
    dual.acquire(MNA)
    with pinging(dual.lab, address) as silences:
        dual.release(MNA)
        start = time.monotonic()
        dual.acquire(MNB)
        took_s = time.monotonic() - start
    assert len(silences) == 1
    assert silences[0] < took_s + 1.0  # 23 s and more without the announcement
    neighbours = dual.lab.observer_run(["ip", "neighbour", "show", address]).stdout
    assert "02:77:00:00:00:22" in neighbours


def test_connections_over_the_own_address_survive(stage: Stage) -> None:
    """A stream of numbered lines from mnb to mna's own address, through acquire and release on both."""
    listener = stage.lab.node("mna").popen(
        [
            "python3",
            "-c",
            "import socket;s=socket.create_server(('10.77.0.21',7000));c,_=s.accept();print(len(c.makefile().read().split()))",
        ]
    )
    time.sleep(0.5)
    talk = (
        "import socket,time\nc=socket.create_connection(('10.77.0.21',7000))\n"
        "for n in range(120):\n c.sendall(b'%d\\n'%n); time.sleep(.05)\nc.close()\nprint(c)"
    )
    talker = stage.lab.node("mnb").popen(["python3", "-c", talk])
    time.sleep(0.3)
    stage.acquire(MNA)
    stage.release(MNA)
    stage.acquire(MNB)
    stage.release(MNB)
    assert talker.wait(timeout=20) == 0
    assert listener.communicate(timeout=20)[0].decode().strip() == "120"


def test_a_wide_mask_brings_no_foreign_broadcast_address(stage: Stage) -> None:
    stage.sh(MNA, "ip address add 192.168.0.21/24 broadcast + dev en1")
    narrow = ServiceIdentity("mn1", (ip_interface("192.168.0.11/24"),))
    before = stage.sh(MNA, "ip route show table local type broadcast dev en1 | sort")
    execute_steps(stage.driver.steps_to_acquire(MNA, narrow), stage.runner)
    assert "192.168.0.11/23" in stage.inet(MNA)
    assert "192.168.1.255" not in stage.sh(MNA, "ip route show table local")
    execute_steps(stage.driver.steps_to_release(MNA, narrow), stage.runner)
    assert stage.sh(MNA, "ip route show table local type broadcast dev en1 | sort") == before


def test_a_mask_that_is_in_use_is_avoided(stage: Stage) -> None:
    stage.sh(MNA, "ip address add 10.77.9.9/15 dev en1")
    before = [address for address in stage.inet(MNA) if address != "10.77.0.11/14"]
    stage.acquire(MNA)
    assert stage.inet(MNA) == ["10.77.0.11/14", *before]
    stage.release(MNA)
    assert stage.inet(MNA) == before


def test_an_address_put_there_by_hand_is_converted(stage: Stage) -> None:
    stage.sh(
        MNA,
        "ip address flush dev en1; ip address add 10.77.0.11/16 dev en1; ip address add 10.77.0.21/16 dev en1",
    )
    assert not stage.own_is_primary(MNA)
    stage.acquire(MNA)
    assert stage.inet(MNA) == ["10.77.0.11/15", "10.77.0.21/16"]
    assert stage.own_is_primary(MNA)
    stage.sh(
        MNA,
        "ip address flush dev en1; ip address add 10.77.0.11/16 dev en1; ip address add 10.77.0.21/16 dev en1",
    )
    stage.release(MNA)
    assert stage.inet(MNA) == ["10.77.0.21/16"]
    assert stage.own_is_primary(MNA)


def test_own_address_on_another_network(stage: Stage) -> None:
    stage.sh(
        MNA,
        "ip link add adm0 type veth peer name adm1 && ip link set adm0 up && ip link set adm1 up && "
        "ip address add 192.168.9.21/24 dev adm0",
    )
    stage.sh(MNA, "ip -4 address flush dev en1")
    elsewhere = evolve(MNA, address="192.168.9.21")
    stage.acquire(elsewhere)
    assert stage.inet(MNA) == ["10.77.0.11/16"]
    assert "dev en1" in stage.sh(MNA, "ip route get 10.77.0.22")
    stage.release(elsewhere)
    assert stage.inet(MNA) == []


def test_an_address_that_two_machines_have_is_noticed_even_by_one_of_them(stage: Stage) -> None:
    stage.acquire(MNA)
    stage.sh(MNB, "ip address add 10.77.0.11/16 dev en1")
    with pytest.raises(StepFailedError, match="answered for by 02:77:00:00:00:21"):
        stage.acquire(MNB)


def test_without_an_own_address_nothing_is_taken(stage: Stage) -> None:
    stage.sh(MNA, "ip -4 address flush dev en1; ip address add 10.77.5.5/16 dev en1")
    with pytest.raises(StepFailedError, match=r"own address 10\.77\.0\.21 is not on it"):
        stage.acquire(MNA)
    assert stage.inet(MNA) == ["10.77.5.5/16"]


def test_reboot_leaves_nothing_of_the_role(dual: Stage) -> None:
    dual.acquire(MNA)
    dual.lab.node("mna").reboot()
    state = dual.observe(MNA)
    assert (state.holds_none(), state.own_address, state.hostname, state.persistent) == (
        True,
        True,
        "mna",
        (),
    )


def test_killed_between_taking_and_announcing_it_announces_when_run_again(stage: Stage) -> None:
    stage.acquire(MNA)
    stage.sh(MNA, "rm /run/xcat-ha/linux-announced.json")
    listening = stage.lab.observer_popen(["timeout", "3", "tcpdump", "-lni", "br0", "-c", "1", "arp and arp[14:4] = 0x0a4d000b"])
    time.sleep(1)
    stage.acquire(MNA)
    assert b"10.77.0.11" in listening.communicate(timeout=10)[0]


def test_migration_of_a_site_whose_management_node_is_the_service_identity(single: Lab) -> None:
    install_programs(single)
    stage = Stage(single, FOUR)
    path = "/etc/network/interfaces"
    text = stage.sh(MNA, f"cat {path}")
    stage.sh(
        MNA,
        "ip route add default via 10.77.0.1; ip route add 10.99.0.0/16 via 10.77.0.1; "
        "echo 0 > /proc/sys/net/ipv4/conf/en1/promote_secondaries",
    )
    assert stage.observe(MNA).persistent == (FOUR.primary_address,)
    with pinging(single, "10.77.0.11") as silences:
        stage.make_own(MNA)
        stage.acquire(MNA)
    assert silences == []
    assert stage.inet(MNA) == ["10.77.0.11/15", "10.77.0.21/16"]
    assert stage.own_is_primary(MNA)
    assert stage.sh(MNA, "cat /proc/sys/net/ipv4/conf/en1/promote_secondaries").strip() == "0"
    assert stage.sh(MNA, "ip route").splitlines() == [
        "default via 10.77.0.1 dev en1 ",
        "10.77.0.0/16 dev en1 proto kernel scope link src 10.77.0.21 ",
        "10.99.0.0/16 via 10.77.0.1 dev en1 ",
    ]  # fmt: skip
    assert stage.sh(MNA, f"cat {path}") == text.replace("10.77.0.11/", "10.77.0.21/")
    assert stage.sh(MNA, "cat /etc/network/.interfaces.before-xcat-ha") == text
    assert stage.sh(MNA, "getent hosts mna").split()[0] in {"10.77.0.21", "fd77::21"}
    assert stage.observe(MNA).persistent == ()
    count = len(stage.runner.changes)
    stage.make_own(MNA)
    assert len(stage.runner.changes) == count
    single.node("mna").reboot()
    state = stage.observe(MNA)
    assert (state.holds_none(), state.own_address, state.hostname, stage.inet(MNA)) == (
        True,
        True,
        "mna",
        ["10.77.0.21/16"],
    )


def test_migration_refuses_an_own_address_that_somebody_has(single: Lab) -> None:
    install_programs(single)
    stage = Stage(single, FOUR)
    thief = evolve(MNA, address="10.77.0.22")
    with pytest.raises(StepFailedError, match="choose another one"):
        stage.make_own(thief)
    assert stage.inet(MNA) == ["10.77.0.11/16"]


def test_migration_refuses_what_it_cannot_rewrite(single: Lab) -> None:
    install_programs(single)
    stage = Stage(single, FOUR)
    stage.sh(MNA, "echo 'up ip addr add 10.77.0.11/16 dev en1' > /etc/network/interfaces.d/more")
    with pytest.raises(StepFailedError, match="more than one place"):
        stage.make_own(MNA)
    assert stage.inet(MNA) == ["10.77.0.11/16"]
    stage.sh(MNA, "rm /etc/network/interfaces.d/more; sed -i /10.77.0.11/d /etc/network/interfaces")
    with pytest.raises(StepFailedError, match="no file known"):
        stage.make_own(MNA)
    assert stage.inet(MNA) == ["10.77.0.11/16"]


def test_migration_of_a_second_family_is_left_to_the_administrator(single: Lab) -> None:
    install_programs(single)
    stage = Stage(single, BOTH)
    stage.sh(
        MNA,
        "sed -i s/fd77::21/fd77::11/ /etc/network/interfaces && "
        "ip -6 address add fd77::11/64 dev en1 nodad && ip -6 address del fd77::21/64 dev en1",
    )
    with pytest.raises(StepFailedError, match=r"fd77::11 in .*interfaces:\d+ has to be replaced"):
        stage.make_own(MNA)
    assert stage.inet(MNA) == ["10.77.0.11/16"]
    stage.sh(MNA, "sed -i s/fd77::11/fd77::21/ /etc/network/interfaces; ip -6 address add fd77::21/64 dev en1 nodad")
    with pinging(single, "fd77::11") as silences:
        stage.make_own(MNA)
        stage.acquire(MNA)
    assert silences == []
    assert stage.observe(MNA).holds_all(BOTH)


def test_a_standby_needs_no_migration(stage: Stage) -> None:
    stage.make_own(MNB)
    assert stage.runner.changes == ()


def test_import_of_the_program_is_cheap() -> None:
    # An editable installation imports modules of its own at start: only what comes on top counts.
    code = "import sys; before = set(sys.modules); import xcat_ha_drivers.linux.node_side; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "attr" not in loaded
