"""The primary loses power at random moments under a steady writer: failover, rejoin, and now and then failback.

Judged from outside: every record that is lost was acknowledged after the announced last-good time, and the address never had two
holders. ``XCAT_HA_TRIALS=20`` for the full figure; two without it.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.lab import Lab
from tests.lab.databases import DATABASES, DEFAULT, Database
from tests.lab.losses import DONE, announced, await_guard, holds_address, status_of
from tests.lab.observers import ServiceWatcher, process_probe
from tests.lab.product import xcat_ha
from tests.lab.witnesses import Writer

pytestmark = [pytest.mark.lab, pytest.mark.soak]

TRIALS = int(os.environ.get("XCAT_HA_TRIALS", "2"))
_FAILBACK_EVERY = 4


def test_power_loss_of_the_primary(site: Lab) -> None:
    lose_power_again_and_again(site, DATABASES[DEFAULT])


def lose_power_again_and_again(site: Lab, database: Database) -> None:
    """The judgement, for a pair on any database."""
    chance = random.Random(4711)
    figures: list[str] = []
    order = ["mna", "mnb"]
    xcatd = ServiceWatcher(site, process_probe("xcatd: SSL listener"), interval_s=0.1)
    with ServiceWatcher(site, holds_address, interval_s=0.02) as address, xcatd:
        for trial in range(TRIALS):
            figures.append(_trial(site, database, order, f"p{trial:02d}", chance))
            print(f"trial {trial}: {figures[-1]}", flush=True)
            order.reverse()
            if trial % _FAILBACK_EVERY == _FAILBACK_EVERY - 1 and order[0] != "mna":
                done = xcat_ha(site.node("mna"), "failback", "--yes", check=False)
                assert done.returncode == DONE, done.stderr
                order.reverse()
    for watched in (address, xcatd):
        assert {node for held in watched.held() for node in held.nodes} == {"mna", "mnb"}, "the watch saw nothing"
        assert watched.overlaps() == []
    print("\n".join(figures))


class SlowWriter(Writer):
    """Some two records a second: xCAT's makedhcp asks the name server for each node that has no address, and waits for its answer."""

    def act(self) -> None:
        super().act()
        time.sleep(0.4)


def _trial(site: Lab, database: Database, order: list[str], prefix: str, chance: random.Random) -> str:
    primary, standby = (site.node(node_id) for node_id in order)
    writer = SlowWriter(site, prefix)
    with writer:
        time.sleep(chance.uniform(0.5, 2.0))  # the moments are what is tested
        synced = primary.popen(("/opt/xcat-ha/bin/xcat-ha", "sync", "database", "--yes"))
        if chance.random() < 0.5:
            synced.communicate(timeout=120)
        time.sleep(chance.uniform(0.0, 4.0))
        killed = time.time()
        primary.kill()
        done = xcat_ha(standby, "failover", "--confirm-down", primary.id, "--yes", check=False)
        took_s = time.time() - killed
    synced.kill()
    synced.communicate()
    assert done.returncode == DONE, done.stderr
    good = announced(done)
    missing = writer.missing()
    early = sorted(name for name in missing if writer.acknowledged[name] <= good)
    assert early == [], f"lost, although acknowledged before {good}"
    assert len(writer.acknowledged) > len(missing)
    primary.boot()
    await_guard(primary, "passive", "above ours")
    assert "xcat-ha rejoin" in status_of(standby)
    rejoined = xcat_ha(standby, "rejoin", "--yes", check=False)
    assert rejoined.returncode == DONE, rejoined.stderr
    for name in missing:
        assert name in rejoined.stderr or "more)" in rejoined.stderr
    assert "/var/lib/xcat-ha/diverged/" in rejoined.stdout
    saved = rejoined.stdout.partition("saved in ")[2].split()[0]
    assert missing <= database.saved_nodes(primary, saved), "the saved copy lacks what was lost"
    assert xcat_ha(standby, "status", check=False).returncode == DONE, status_of(standby)
    left = ",".join(sorted(set(writer.acknowledged) - missing))
    standby.run(("/opt/xcat/bin/rmdef", "-t", "node", "-o", left), timeout_s=120, check=False)
    loss_s = killed - good
    return (
        f"{len(writer.acknowledged)} acknowledged, {len(missing)} lost, all after the announced time; "
        f"copy {loss_s:.1f} s old, failover done {took_s:.1f} s after the power loss"
    )
