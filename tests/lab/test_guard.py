"""What happens at boot, and when a primary learns that it is none any more: never two roles, and status says what to do.

One pair for the module; the tests build on each other's end: each leaves a pair whose primary is mna.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.lab import Lab, Node
from tests.lab.losses import DONE, REFUSED, await_guard, holds_address, seconds_until, status_of
from tests.lab.observers import ServiceWatcher
from tests.lab.product import xcat_ha

pytestmark = pytest.mark.lab

STEPS_DOWN_WITHIN_S = 45.0
"""docs/safety: guard_interval_s, and what ssh needs to notice that the network is back (30 s), and a margin for a slow machine."""


@pytest.fixture
def one_holder(site: Lab) -> Iterator[None]:
    """The address never has two holders while the test runs."""
    with ServiceWatcher(site, holds_address, interval_s=0.02) as address:
        yield
    assert address.overlaps() == []


def healthy(node: Node) -> bool:
    return xcat_ha(node, "status", check=False).returncode == DONE


def come_back(mna: Node, mnb: Node) -> None:
    """From mnb being primary in a higher term: mna rejoins and gets the role back."""
    done = xcat_ha(mnb, "rejoin", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert xcat_ha(mnb, "failback", "--yes").returncode == DONE
    await_guard(mna, "active", "has the role")
    assert healthy(mna), status_of(mna)


@pytest.mark.usefixtures("one_holder")
def test_rebooted_in_peace_the_primary_becomes_primary_again_by_itself(mna: Node, mnb: Node) -> None:
    mna.reboot()
    took_s = seconds_until(lambda: holds_address(mna), timeout_s=60, what="mna to take the role up")
    await_guard(mna, "active")
    print(f"role taken up {took_s:.1f} s after the boot")
    assert healthy(mnb), status_of(mnb)
    assert "activate" in xcat_ha(mnb, "history").stdout


@pytest.mark.usefixtures("one_holder")
def test_rebooted_alone_it_stays_passive_until_activated(mna: Node, mnb: Node) -> None:
    mnb.kill()
    mna.reboot()
    await_guard(mna, "passive", "does not answer")
    time.sleep(10)  # it must go on being passive
    assert not holds_address(mna)
    assert "xcat-ha activate --confirm-down mnb" in status_of(mna)
    assert xcat_ha(mna, "activate", "--yes", check=False).returncode == REFUSED
    done = xcat_ha(mna, "activate", "--confirm-down", "mnb", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert holds_address(mna)
    mnb.boot()
    await_guard(mnb, "standby")
    assert healthy(mna), status_of(mna)


@pytest.mark.usefixtures("one_holder")
def test_both_boot_at_once_after_an_outage_of_the_site(site: Lab, mna: Node, mnb: Node) -> None:
    mna.kill()
    mnb.kill()
    site.boot()
    took_s = seconds_until(lambda: holds_address(mna), timeout_s=90, what="mna to take the role up")
    print(f"role taken up {took_s:.1f} s after both had booted")
    await_guard(mna, "active")
    await_guard(mnb, "standby")
    assert healthy(mna), status_of(mna)


@pytest.mark.usefixtures("one_holder")
def test_no_word_overrides_an_answer(mna: Node, mnb: Node) -> None:
    for verb in (("failover", "--confirm-down", "mna", "--allow-data-loss"), ("failover", "--fence", "mna")):
        done = xcat_ha(mnb, *verb, "--yes", check=False)
        assert done.returncode == REFUSED, done.stderr
    # Without sshd the machine still refuses connections and answers ARP: it is not down.
    mna.run(("systemctl", "stop", "ssh.socket", "ssh"), check=False)
    try:
        done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--allow-data-loss", "--yes", check=False)
        assert done.returncode == REFUSED, done.stderr
        assert "answers" in done.stderr
    finally:
        mna.run(("systemctl", "start", "ssh"))
    assert xcat_ha(mna, "failover", "--confirm-down", "mnb", "--yes", check=False).returncode == REFUSED


@pytest.mark.usefixtures("one_holder")
def test_a_copy_too_old_stops_an_unplanned_failover_unless_the_loss_is_allowed(mna: Node, mnb: Node) -> None:
    mna.run(("systemctl", "stop", "xcat-ha-sync-database.timer"))
    config = "/etc/xcat-ha/pair.toml"
    mnb.run(("sed", "-i", "s/^preferred = .*/&\\nmax_loss_s = 1/", config))
    mna.kill()
    done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--yes", check=False)
    assert done.returncode == REFUSED, done.stderr
    assert "IS LOST" in done.stderr
    assert "--allow-data-loss" in done.stderr
    done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--allow-data-loss", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    mnb.run(("sed", "-i", "/^max_loss_s/d", config))
    assert "confirmed down: mna" in xcat_ha(mnb, "history").stdout


@pytest.mark.usefixtures("one_holder")
def test_the_old_primary_boots_with_the_network_cut_then_beside_the_new_one(site: Lab, mna: Node, mnb: Node) -> None:
    site.cut("mna")
    mna.boot()
    await_guard(mna, "passive", "does not answer")
    assert "activate --confirm-down mnb" in status_of(mna)
    site.heal("mna")
    await_guard(mna, "passive", "above ours")
    assert "xcat-ha rejoin" in status_of(mnb)
    assert not holds_address(mna)


@pytest.mark.usefixtures("one_holder")
def test_the_old_primary_boots_with_the_new_one_dead(mna: Node, mnb: Node) -> None:
    mnb.kill()
    mna.reboot()
    await_guard(mna, "passive", "does not answer")
    assert not holds_address(mna)
    mnb.boot()
    # The higher term is right, and the other node answers and holds nothing.
    seconds_until(lambda: holds_address(mnb), timeout_s=60, what="mnb to take the role up")
    await_guard(mnb, "active")
    await_guard(mna, "passive", "above ours")
    come_back(mna, mnb)


def test_a_lie_while_the_network_is_cut_and_then_the_heal(site: Lab, mna: Node, mnb: Node) -> None:
    assert xcat_ha(mna, "sync", "--yes").returncode == DONE
    site.cut("mna")
    done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    mna.run(("/opt/xcat/bin/mkdef", "-t", "node", "-f", "-o", "only-here", "groups=lie"), timeout_s=60)
    assert holds_address(mna)
    assert holds_address(mnb)
    site.heal("mna")
    took_s = seconds_until(lambda: not holds_address(mna), timeout_s=STEPS_DOWN_WITHIN_S, what="mna to step down")
    print(f"the lower term gave its address up {took_s:.1f} s after the heal")
    left = ("sh", "-c", "pgrep -l 'xcatd|dhcpd|named|conserver|in.tftpd' || :")
    seconds_until(lambda: mna.run(left).stdout == "", timeout_s=60, what="the services of mna to be stopped")
    await_guard(mna, "passive", "above ours")
    assert holds_address(mnb)
    shown = status_of(mnb)
    assert "xcat-ha rejoin" in shown, shown
    assert xcat_ha(mnb, "sync", "--yes", check=False).returncode == REFUSED
    done = xcat_ha(mnb, "rejoin", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert "only-here" in done.stderr
    saved = done.stdout.partition("saved in ")[2].split()[0]
    query = "SELECT count(*) FROM nodelist WHERE node = 'only-here'"
    assert mna.run(("sqlite3", "-readonly", f"{saved}/nodelist.sqlite", query)).stdout.strip() == "1"
    assert xcat_ha(mnb, "failback", "--yes").returncode == DONE


def test_a_console_server_that_stopped_is_missed(mna: Node, mnb: Node) -> None:
    """It ran when mna took the role; nobody else would notice that consoles are not logged any more."""
    assert healthy(mna), status_of(mna)
    mna.run(("systemctl", "stop", "conserver-server"))
    assert "PROBLEM: console is stopped on mna, the primary" in status_of(mnb)
    mna.run(("systemctl", "start", "conserver-server"))
    assert healthy(mnb), status_of(mnb)
