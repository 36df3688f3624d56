"""What may get in the way of an operation: the other side's command dies, ssh hangs, a machine reboots, the same verb runs twice.

A stated outcome each, and never two holders of the role. One pair for the module; each test begins with a healthy pair, whoever is primary
by then, and leaves one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.lab import Completed, Lab, Node
from tests.lab.deaths import Underway, frozen_sshd, kill_receiving_rsync, kill_remote_command
from tests.lab.losses import DONE, FAILED, REFUSED, UNKNOWN, await_guard, holds_address, pause_syncs, schedule_syncs, status_of
from tests.lab.observers import ServiceWatcher, process_probe
from tests.lab.process import wait_until
from tests.lab.product import xcat_ha

pytestmark = pytest.mark.lab

HANGS_AT_MOST_S = 120.0
"""A verb whose other node has fallen silent ends within this: ssh gives a connection up after 15 s, a new one after 10 s; then the
operation tells the other node of its end and gives its lock back, which is given up likewise. And a margin for a slow machine."""

soak = pytest.mark.soak


@pytest.fixture
def old(site: Lab) -> Node:
    """The primary as the test begins: the old one, where the role moves."""
    nodes = site.nodes.values()
    wait_until(lambda: any(holds_address(node) for node in nodes), timeout_s=60, what="a primary, whatever the test before has left")
    (found,) = (node for node in nodes if holds_address(node))
    return found


@pytest.fixture
def new(site: Lab, old: Node) -> Node:
    """The standby as the test begins."""
    (found,) = (node for node in site.nodes.values() if node.id != old.id)
    return found


@pytest.fixture(autouse=True)
def one_holder(site: Lab) -> Iterator[None]:
    """Neither the address nor xcatd is ever seen on two nodes."""
    xcatd = ServiceWatcher(site, process_probe("xcatd: SSL listener"), interval_s=0.1)
    with ServiceWatcher(site, holds_address, interval_s=0.02) as address, xcatd:
        yield
    for watched in (address, xcatd):
        assert watched.held(), "the watch saw nothing"
        assert watched.overlaps() == []


def told(done: Completed, *codes: int, words: tuple[str, ...] = ("hint:",)) -> None:
    """It ended with one of these codes and said why; nobody is shown a traceback."""
    assert done.returncode in codes, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def fill(node: Node, mib: int) -> None:
    """Something that takes a while to be copied, different each time; no scheduled sync copies it before the test does."""
    pause_syncs(node)
    node.run(("sh", "-c", f"head -c {mib}M /dev/urandom > /install/filling"), timeout_s=120)


def begin_sync(primary: Node, *sets: str) -> Underway:
    """A sync that no scheduled one is in the way of; the timers stand still until :func:`synced`."""
    pause_syncs(primary)
    return Underway(primary, "sync", *sets, "--yes")


def synced(primary: Node) -> None:
    """A complete sync; syncs are scheduled again."""
    told(begin_sync(primary).end(), DONE, words=())
    schedule_syncs(primary)


def resumed_to(operator: Node, new: Node, old: Node) -> None:
    """``status`` shows the operation as unfinished and what to do, ``resume`` does it, and the role is where it was meant to be."""
    shown = status_of(operator)
    assert "is unfinished" in shown, shown
    assert "xcat-ha resume" in shown
    told(xcat_ha(operator, "sync", "--yes", check=False), REFUSED, UNKNOWN)
    told(xcat_ha(operator, "resume", "--yes", check=False), DONE, words=())
    assert holds_address(new)
    assert not holds_address(old)


def well(primary: Node, standby: Node) -> None:
    """A healthy pair."""
    await_guard(primary, "active")
    await_guard(standby, "standby")
    assert holds_address(primary)
    assert xcat_ha(primary, "status", check=False).returncode == DONE, status_of(primary)


# The command on the other node dies


def test_the_other_sides_command_dies_in_a_sync(old: Node, new: Node) -> None:
    fill(old, 64)
    syncing = begin_sync(old)
    print(kill_receiving_rsync(new))
    told(syncing.end(), FAILED, UNKNOWN, words=("hint:", "install"))
    assert "is unfinished" not in status_of(old)  # a sync is in nobody's way
    old.run(("/opt/xcat/bin/mkdef", "-t", "node", "-f", "-o", "in-doubt", "groups=interference"), timeout_s=60)
    syncing = begin_sync(old, "database")
    syncing.await_step("copy", new.id)
    print(kill_remote_command(new))
    told(syncing.end(), FAILED, UNKNOWN)
    synced(old)
    query = "SELECT count(*) FROM nodelist WHERE node = 'in-doubt'"
    assert new.run(("sqlite3", "-readonly", "/etc/xcat/nodelist.sqlite", query)).stdout.strip() == "1"
    well(old, new)


@pytest.mark.parametrize(
    ("on_old", "phase", "what"),
    [
        (True, "acquire", "command"),
        *(
            pytest.param(on_old, phase, what, marks=soak)
            for on_old, phase, what in [
                (True, "last-copy", "command"),
                (True, "start-xcatd", "command"),
                (True, "serve", "command"),
                (False, "stop-xcatd", "command"),
                (False, "release", "session"),
            ]
        ),
    ],
)
def test_the_other_sides_command_dies_in_a_hand_over(on_old: bool, phase: str, what: str, old: Node, new: Node) -> None:
    """``on_old``: the old primary runs the verb, the new one is the other side. ``session``: the connection dies, the command goes on."""
    operator, other = (old, new) if on_old else (new, old)
    handing_over = Underway(operator, "failover", "--yes")
    handing_over.await_phase(phase)
    print(kill_remote_command(other, what=what))
    told(handing_over.end(), FAILED, UNKNOWN, words=("hint:", other.id))
    resumed_to(other, new, old)
    well(new, old)


def take_over(old: Node, new: Node) -> None:
    """The primary loses power, the standby takes the role, the old primary is back and passive."""
    synced(old)
    old.kill()
    told(xcat_ha(new, "failover", "--confirm-down", old.id, "--yes", check=False), DONE, words=())
    old.boot()
    await_guard(old, "passive", "above ours")


@soak
@pytest.mark.parametrize("what", ["command", "session"])
def test_the_other_sides_command_dies_in_a_rejoin(what: str, old: Node, new: Node) -> None:
    take_over(old, new)
    rejoining = Underway(new, "rejoin", "--yes")
    rejoining.await_phase("save")
    print(kill_remote_command(old, what=what))
    told(rejoining.end(), FAILED, UNKNOWN)
    assert "is unfinished" in status_of(old)
    rejoining = Underway(new, "resume", "--yes", journal_of="rejoin")
    rejoining.await_step("seed", old.id)
    print(kill_remote_command(old, what=what))
    told(rejoining.end(), FAILED, UNKNOWN)
    assert "is unfinished" in status_of(old)
    told(xcat_ha(old, "resume", "--yes", check=False), DONE, words=())
    well(new, old)


# ssh hangs instead of failing


def in_bounded_time(node: Node, *verb: str) -> Completed:
    began = time.monotonic()
    done = xcat_ha(node, *verb, check=False, timeout_s=HANGS_AT_MOST_S)
    print(f"{' '.join(verb)} on {node.id}: exit {done.returncode} after {time.monotonic() - began:.1f} s")
    return done


def ends_in_bounded_time(underway: Underway) -> Completed:
    began = time.monotonic()
    done = underway.end(timeout_s=HANGS_AT_MOST_S)
    print(f"{underway.verb[0]} on {underway.node.id}: exit {done.returncode} {time.monotonic() - began:.1f} s after the silence began")
    return done


def test_an_sshd_that_takes_connections_and_never_answers(old: Node, new: Node) -> None:
    with frozen_sshd(new):
        shown = in_bounded_time(old, "status")
        assert shown.returncode == UNKNOWN, shown.stdout
        assert f"{new.id} does not answer" in shown.stdout
        assert "silence does not prove" in shown.stdout
        told(in_bounded_time(old, "failover", "--yes"), UNKNOWN, words=("hint:", new.id))
        assert holds_address(old)
    synced(old)
    # Whoever takes a connection is not down, whatever he does not say on it.
    with frozen_sshd(old):
        told(in_bounded_time(new, "failover", "--confirm-down", old.id, "--allow-data-loss", "--yes"), REFUSED, words=("hint:", "answers"))
    well(old, new)


def test_ssh_hangs_in_a_sync(old: Node, new: Node) -> None:
    fill(old, 64)
    syncing = begin_sync(old)
    syncing.await_step("copy", old.id)
    with frozen_sshd(new):
        told(ends_in_bounded_time(syncing), FAILED, UNKNOWN, words=("hint:", new.id))
    synced(old)
    well(old, new)


@pytest.mark.parametrize(
    ("on_old", "phase"),
    [
        (True, "acquire"),
        pytest.param(True, "last-copy", marks=soak),
        pytest.param(True, "serve", marks=soak),
        pytest.param(False, "stop-xcatd", marks=soak),
    ],
)
def test_ssh_hangs_in_a_hand_over(on_old: bool, phase: str, old: Node, new: Node) -> None:
    operator, other = (old, new) if on_old else (new, old)
    handing_over = Underway(operator, "failover", "--yes")
    handing_over.await_step(phase, other.id)
    with frozen_sshd(other):
        told(ends_in_bounded_time(handing_over), UNKNOWN, words=("hint:", other.id))
        shown = in_bounded_time(operator, "status")
        assert shown.returncode in {FAILED, UNKNOWN}, shown.stdout
        assert f"{other.id} does not answer" in shown.stdout
        told(in_bounded_time(operator, "resume", "--yes"), UNKNOWN)
    resumed_to(other, new, old)
    well(new, old)


@soak
@pytest.mark.parametrize(("on_old", "phase"), [(True, "last-copy"), (True, "acquire"), (False, "release")])
def test_the_network_goes_away_in_a_hand_over(on_old: bool, phase: str, site: Lab, old: Node, new: Node) -> None:
    operator, other = (old, new) if on_old else (new, old)
    handing_over = Underway(operator, "failover", "--yes")
    handing_over.await_step(phase, other.id)
    site.cut(new.id)
    told(ends_in_bounded_time(handing_over), UNKNOWN, words=("hint:", other.id))
    shown = status_of(operator)
    assert "is unfinished" in shown
    assert f"{other.id} does not answer" in shown
    site.heal(new.id)
    await_ssh(operator, other)
    resumed_to(operator, new, old)
    well(new, old)


def await_ssh(operator: Node, other: Node, *, timeout_s: float = 60.0) -> None:
    """A cable that is plugged in again needs a moment, and so has a machine that was switched on."""
    deadline = time.monotonic() + timeout_s
    while f"{other.id} does not answer" in status_of(operator):
        assert time.monotonic() < deadline, f"{other.id} stays silent"


# A machine reboots


def resets(node: Node) -> None:
    """Off without a word, and on again."""
    node.kill()
    node.boot()


def run_again_or_resumed(operator: Node, *verb: str) -> None:
    """What ``status`` advises: ``resume`` if the operation is shown as unfinished, else the verb again."""
    unfinished = "is unfinished" in status_of(operator)
    told(xcat_ha(operator, *(("resume", "--yes") if unfinished else verb), check=False), DONE, words=())


@pytest.mark.parametrize(
    ("on_old", "phase", "rebooted"),
    [
        (True, "acquire", "new"),
        *(
            pytest.param(on_old, phase, rebooted, marks=soak)
            for on_old, phase, rebooted in [
                (True, "catch-up", "old"),
                (True, "catch-up", "new"),
                (False, "stop-xcatd", "old"),
                (True, "last-copy", "old"),
                (False, "last-copy", "new"),
                (True, "release", "old"),
                (True, "serve", "new"),
                (False, "settle", "old"),
            ]
        ),
    ],
)
def test_a_reboot_in_a_hand_over(on_old: bool, phase: str, rebooted: str, old: Node, new: Node) -> None:
    operator, gone = old if on_old else new, old if rebooted == "old" else new
    handing_over = Underway(operator, "failover", "--yes")
    handing_over.await_phase(phase)
    resets(gone)
    if gone is not operator:
        told(handing_over.end(timeout_s=HANGS_AT_MOST_S), FAILED, UNKNOWN, REFUSED, words=("hint:",))
    await_ssh(old, new)
    for node in (old, new):
        shown = status_of(node)
        assert "is unfinished" in shown or phase == "catch-up", (node.id, shown)
        assert "running now" not in shown or phase == "catch-up", (node.id, shown)
    if "is unfinished" not in shown:
        await_guard(old, "active")  # nothing had been changed: it is primary again, and the verb is run again
    run_again_or_resumed(gone, "failover", "--yes")
    well(new, old)


@soak
@pytest.mark.parametrize("rebooted", ["old", "new"])
def test_an_orderly_reboot_in_a_hand_over(rebooted: str, old: Node, new: Node) -> None:
    handing_over = Underway(new, "failover", "--yes")
    handing_over.await_phase("last-copy")
    (old if rebooted == "old" else new).reboot()
    if rebooted == "old":
        told(handing_over.end(timeout_s=HANGS_AT_MOST_S), FAILED, UNKNOWN)
    await_ssh(old, new)
    assert "is unfinished" in status_of(old)
    told(xcat_ha(old, "resume", "--yes", check=False), DONE, words=())
    well(new, old)


@soak
@pytest.mark.parametrize("rebooted", ["old", "new"])
def test_a_reboot_in_a_failback(rebooted: str, site: Lab, old: Node, new: Node) -> None:
    preferred, other = site.node("mna"), site.node("mnb")
    if holds_address(preferred):
        told(xcat_ha(old, "failover", "--yes", check=False), DONE, words=())
    going_back = Underway(other, "failback", "--yes")
    going_back.await_phase("last-copy" if rebooted == "old" else "acquire")
    resets(other if rebooted == "old" else preferred)
    if rebooted == "new":
        told(going_back.end(timeout_s=HANGS_AT_MOST_S), FAILED, UNKNOWN)
    await_ssh(preferred, other)
    assert "is unfinished" in status_of(preferred)
    told(xcat_ha(preferred, "resume", "--yes", check=False), DONE, words=())
    well(preferred, other)


@soak
@pytest.mark.parametrize("rebooted", ["old", "new"])
def test_a_reboot_in_a_sync(rebooted: str, old: Node, new: Node) -> None:
    fill(old, 64)
    syncing = begin_sync(old)
    syncing.await_step("copy", old.id)
    resets(old if rebooted == "old" else new)
    if rebooted == "new":
        told(syncing.end(timeout_s=HANGS_AT_MOST_S), FAILED, UNKNOWN, words=("hint:", new.id))
    await_guard(old, "active")
    await_ssh(old, new)
    assert "is unfinished" not in status_of(new)
    synced(old)
    well(old, new)


@soak
@pytest.mark.parametrize(("phase", "rebooted"), [("stop", "returned"), ("seed", "returned"), ("save", "primary"), ("seed", "primary")])
def test_a_reboot_in_a_rejoin(phase: str, rebooted: str, old: Node, new: Node) -> None:
    take_over(old, new)
    rejoining = Underway(new, "rejoin", "--yes")
    rejoining.await_phase(phase)
    resets(old if rebooted == "returned" else new)
    if rebooted == "returned":
        ended = rejoining.end(timeout_s=HANGS_AT_MOST_S)
        if phase == "seed" and ended.returncode == DONE:  # it was back before it was asked
            well(new, old)
            return
        told(ended, FAILED, UNKNOWN)
    await_ssh(old, new)
    if rebooted == "primary" and "is unfinished" not in status_of(new):
        await_guard(new, "active")
    run_again_or_resumed(new, "rejoin", "--yes")
    well(new, old)  # a primary that was rebooted takes its role up again once nothing is unfinished any more


@soak
@pytest.mark.parametrize("phase", ["raise-term", "promote", "acquire", "serve", "settle"])
def test_the_survivor_reboots_in_an_unplanned_failover(phase: str, old: Node, new: Node) -> None:
    synced(old)
    old.kill()
    taking_over = Underway(new, "failover", "--confirm-down", old.id, "--yes")
    taking_over.await_phase(phase)
    resets(new)
    assert not holds_address(new)
    run_again_or_resumed(new, "failover", "--confirm-down", old.id, "--yes")
    assert holds_address(new)
    old.boot()
    await_guard(old, "passive", "above ours")
    told(xcat_ha(new, "rejoin", "--yes", check=False), DONE, words=())
    well(new, old)


# The same operation on both nodes at once


def code_of(done: Completed) -> int:
    return done.returncode


def both_at_once(old: Node, new: Node, *verb: str, running: str = "") -> None:
    """Exactly one of two runs; the other one says who does. ``running``: the operation, if the verb goes on with one."""
    ran, refused = sorted((underway.end() for underway in [Underway(node, *verb) for node in (old, new)]), key=code_of)
    assert (code_of(ran), code_of(refused)) == (DONE, REFUSED), (ran.stderr, refused.stderr)
    told(refused, REFUSED, words=("another operation runs on this pair", f"{running or verb[0]} by root on ", "process", "since", "hint:"))


def test_sync_on_both_nodes_at_once(old: Node, new: Node) -> None:
    fill(old, 96)
    both_at_once(old, new, "sync", "--yes")
    synced(old)
    well(old, new)


def test_failover_on_both_nodes_at_once(old: Node, new: Node) -> None:
    both_at_once(old, new, "failover", "--yes")
    well(new, old)


@soak
def test_rejoin_on_both_nodes_at_once(old: Node, new: Node) -> None:
    take_over(old, new)
    both_at_once(old, new, "rejoin", "--yes")
    well(new, old)


def kill_in_release(old: Node) -> None:
    """A hand-over whose program is killed while the old primary gives the role up."""
    handing_over = Underway(old, "failover", "--yes")
    handing_over.await_step("release", old.id)
    handing_over.kill()


@soak
def test_resume_on_both_nodes_at_once(old: Node, new: Node) -> None:
    kill_in_release(old)
    both_at_once(old, new, "resume", "--yes", running="failover")
    well(new, old)


_LATE = """
import subprocess, xcat_ha
with xcat_ha.load() as pair:
    prepared = pair.prepare_resume()
    subprocess.run(("/opt/xcat-ha/bin/xcat-ha", "resume", "--yes"), check=True)
    try:
        prepared.run()
    except xcat_ha.XcatHaError as error:
        print("refused:", error)
"""


@soak
def test_a_resume_that_was_approved_too_late(old: Node, new: Node) -> None:
    """Its plan was shown, somebody else resumed meanwhile, then came the yes."""
    kill_in_release(old)
    done = new.run(("/opt/xcat-ha/bin/python3", "-c", _LATE), timeout_s=300)
    assert "refused:" in done.stdout, (done.stdout, done.stderr)
    assert "not unfinished any more" in done.stdout
    well(new, old)
