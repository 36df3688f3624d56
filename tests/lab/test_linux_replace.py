"""Identity mode ``replace`` on real kernels: xCAT sees one address, the node's own one still works, and nothing of it outlives a reboot."""

from __future__ import annotations

import re
import time

import pytest
from attrs import evolve

from tests.lab import Lab
from tests.lab.in_nodes import MNA, MNB, install_programs
from tests.lab.test_linux_identity import BOTH, FOUR, Stage, pinging
from xcat_ha.errors import StepFailedError
from xcat_ha.execution import judge
from xcat_ha.models import IdentityMode, ServiceIdentity
from xcat_ha.steps import Verdict


def replacing(identity: ServiceIdentity) -> ServiceIdentity:
    return evolve(identity, mode=IdentityMode.REPLACE)


EXCHANGED = ["10.77.0.11/16", "10.77.0.21/32"]


@pytest.fixture
def stage(fresh_pair: Lab) -> Stage:
    install_programs(fresh_pair)
    return Stage(fresh_pair, replacing(FOUR))


def source_of(stage: Stage, peer: str) -> str:
    return stage.sh(MNA, f"ip route get {peer}").partition(" src ")[2].split()[0]


def test_the_service_address_is_the_only_one_whose_mask_contains_a_peer(stage: Stage) -> None:
    stage.acquire(MNA)
    assert stage.inet(MNA) == EXCHANGED
    assert stage.sh(MNA, "ip route show 10.77.0.0/16").strip() == "10.77.0.0/16 dev en1 proto kernel scope link src 10.77.0.11"
    # xCAT makes a subnet of each line that it finds here.
    assert len(re.findall(r"^en1\t", stage.sh(MNA, "cat /proc/net/route"), re.MULTILINE)) == 1
    assert stage.sh(MNA, "hostname").strip() == "mn1"
    assert stage.sh(MNA, "cat /etc/hostname").strip() == "mna"
    state = stage.observe(MNA)
    assert (state.holds_all(FOUR), state.own_address, state.persistent) == (True, True, ())


def test_the_cluster_sees_the_service_address_and_the_other_node_the_own_one(stage: Stage) -> None:
    stage.acquire(MNA)
    assert source_of(stage, "10.77.0.99") == "10.77.0.11"
    assert source_of(stage, "10.77.0.22") == "10.77.0.21"
    stage.sh(MNB, "ping -c 1 -W 2 10.77.0.21 && ping -c 1 -W 2 10.77.0.11")


def test_release_leaves_what_was_there_before(fresh_pair: Lab) -> None:
    install_programs(fresh_pair)
    dual = Stage(fresh_pair, replacing(BOTH))
    look = "ip address show en1 | grep -v valid_lft; ip route show table all; ip -6 route show table all | grep -v cache; hostname"
    before = dual.sh(MNA, look)
    dual.acquire(MNA)
    assert dual.observe(MNA).holds_all(BOTH)
    assert dual.inet(MNA) == EXCHANGED
    dual.release(MNA)
    assert dual.sh(MNA, look) == before
    assert dual.sh(MNA, "ls /run/xcat-ha").strip() == ""


def test_done_again_changes_nothing(stage: Stage) -> None:
    for change in (stage.acquire, stage.release):
        change(MNA)
        count = len(stage.runner.changes)
        change(MNA)
        assert len(stage.runner.changes) == count


def test_stopped_after_any_move_the_node_is_reached_at_its_own_address_and_goes_on(stage: Stage) -> None:
    for verb in ("replace", "restore"):
        for moves in range(1, 5):
            stage.release(MNA)
            if verb == "restore":
                stage.acquire(MNA)
            program = (
                "from ipaddress import ip_interface; from xcat_ha_drivers.linux import exchange; "
                f"exchange.MOST_MOVES = {moves}; exchange.{verb}('en1', '10.77.0.21', [ip_interface('10.77.0.11/16')], ['10.77.0.22'])"
            )
            stage.sh(MNA, f'/opt/xcat-ha/bin/python3 -c "{program}"', check=False)
            stage.sh(MNB, "ping -c 1 -W 2 10.77.0.21")
            stage.acquire(MNA)
            assert stage.inet(MNA) == EXCHANGED
            stage.release(MNA)
            assert stage.inet(MNA) == ["10.77.0.21/16"]


def test_connections_over_the_own_address_survive(stage: Stage) -> None:
    """A stream of numbered lines from mna's own address to mnb, through acquire and release, and one that mnb began."""
    ends = []
    for here, there, other in (("mna", "mnb", "10.77.0.22"), ("mnb", "mna", "10.77.0.21")):
        listen = f"import socket;s=socket.create_server(('{other}',7000));c,_=s.accept();print(len(c.makefile().read().split()))"
        ends.append(stage.lab.node(there).popen(["python3", "-c", listen]))
        time.sleep(0.5)
        talk = (
            f"import socket,time\nc=socket.create_connection(('{other}',7000))\n"
            "for n in range(120):\n c.sendall(b'%d\\n'%n); time.sleep(.05)\nc.close()\n"
        )
        ends.append(stage.lab.node(here).popen(["python3", "-c", talk]))
    time.sleep(0.3)
    stage.acquire(MNA)
    stage.release(MNA)
    stage.acquire(MNA)
    listener, talker, second_listener, second_talker = ends
    for process in (talker, second_talker):
        assert process.wait(timeout=30) == 0
    for process in (listener, second_listener):
        assert process.communicate(timeout=30)[0].decode().strip() == "120"


def test_clients_follow_the_address_at_once(stage: Stage) -> None:
    stage.acquire(MNA)
    with pinging(stage.lab, "10.77.0.11") as silences:
        start = time.monotonic()
        stage.release(MNA)
        stage.acquire(MNB)
        took_s = time.monotonic() - start
    assert len(silences) == 1
    assert silences[0] < took_s + 5.0  # 23 s and more without the announcement


def test_an_address_that_xcat_could_take_instead_is_named_and_nothing_is_taken(stage: Stage) -> None:
    stage.sh(MNA, "ip address add 10.77.9.9/16 dev en1")
    with pytest.raises(StepFailedError, match=r"10\.77\.9\.9/16 on en1 would be taken by xCAT"):
        stage.acquire(MNA)
    assert stage.inet(MNA) == ["10.77.0.21/16", "10.77.9.9/16"]


def test_a_second_machine_with_the_address_is_noticed_and_the_own_one_stays(stage: Stage) -> None:
    stage.sh(MNB, "ip address add 10.77.0.11/16 dev en1")
    with pytest.raises(StepFailedError, match="answered for by"):
        stage.acquire(MNA)
    assert stage.inet(MNA) == ["10.77.0.21/16"]


def test_the_mode_can_be_changed_while_the_node_has_the_role(stage: Stage) -> None:
    other = Stage(stage.lab, FOUR)
    stage.acquire(MNA)
    other.acquire(MNA)
    assert stage.inet(MNA) == ["10.77.0.11/15", "10.77.0.21/16"]
    assert source_of(stage, "10.77.0.99") == "10.77.0.21"
    assert stage.sh(MNA, "ip route show 10.77.0.22 table local") == ""
    stage.acquire(MNA)
    assert stage.inet(MNA) == EXCHANGED


def test_check_notices_when_somebody_took_the_route_away(stage: Stage) -> None:
    (check,) = stage.driver.checks(MNA, stage.identity)
    for change, verdict in (
        ("true", Verdict.HOLDS),
        ("ip route del 10.77.0.22 table local", Verdict.FAILS),
        ("ip address add 10.77.9.9/16 dev en1", Verdict.FAILS),
    ):
        stage.acquire(MNA)
        stage.sh(MNA, change)
        assert judge(stage.runner, [check])[0].verdict is verdict, change


def test_reboot_leaves_nothing_of_the_role(stage: Stage) -> None:
    stage.acquire(MNA)
    stage.lab.node("mna").reboot()
    state = stage.observe(MNA)
    assert (state.holds_none(), state.own_address, state.hostname, state.persistent) == (True, True, "mna", ())
    assert stage.inet(MNA) == ["10.77.0.21/16"]


def test_migration_of_a_site_whose_management_node_is_the_service_identity(single: Lab) -> None:
    install_programs(single)
    stage = Stage(single, replacing(FOUR))
    stage.sh(MNA, "ip route add default via 10.77.0.1")
    with pinging(single, "10.77.0.11") as silences:
        stage.make_own(MNA)
        stage.acquire(MNA)
    assert silences == []
    assert stage.inet(MNA) == EXCHANGED
    assert "default via 10.77.0.1 dev en1" in stage.sh(MNA, "ip route")
    assert stage.observe(MNA).persistent == ()
    count = len(stage.runner.changes)
    stage.make_own(MNA)
    assert len(stage.runner.changes) == count
    single.node("mna").reboot()
    assert stage.inet(MNA) == ["10.77.0.21/16"]
