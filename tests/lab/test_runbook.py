"""A runbook moves the role without xcat-ha: exported while all is well, run by ``sh`` alone after xcat-ha was taken off both nodes.

One pair for the module; the tests build on each other's end.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.lab import Completed, Lab, Node
from tests.lab.losses import DONE, INTERRUPTED, REFUSED, USAGE, await_guard, await_healthy, holds_address, status_of
from tests.lab.observers import SecretSampler, ServiceWatcher, process_probe
from tests.lab.process import wait_until
from tests.lab.product import xcat_ha
from tests.lab.secrets_of_site import secrets_of, where_written
from tests.lab.witnesses import Writer

pytestmark = pytest.mark.lab

RUNBOOK = "/root/runbook.sh"


@pytest.fixture
def never_two(site: Lab) -> Iterator[None]:
    """Neither the address nor xcatd is ever on two nodes while the test runs."""
    xcatd = process_probe("xcatd: SSL listener")
    with ServiceWatcher(site, holds_address, interval_s=0.02) as address, ServiceWatcher(site, xcatd) as daemons:
        yield
    assert address.overlaps() == []
    assert daemons.overlaps() == []


@contextlib.contextmanager
def without_xcat_ha(*nodes: Node) -> Iterator[None]:
    """The program is away, as after a broken upgrade. The guards that run are left: they hold nothing of it open that is not loaded."""
    for node in nodes:
        node.run(("mv", "/opt/xcat-ha", "/opt/xcat-ha.away"))
        assert node.run(("sh", "-c", "command -v xcat-ha"), check=False).returncode != 0
    try:
        yield
    finally:
        for node in nodes:
            node.run(("mv", "/opt/xcat-ha.away", "/opt/xcat-ha"))


def export(node: Node, *verb: str) -> None:
    done = xcat_ha(node, *verb, "--dry-run", "--export", RUNBOOK, check=False)
    assert done.returncode == DONE, done.stderr
    assert node.run(("stat", "-c", "%a", RUNBOOK)).stdout.strip() == "700"
    assert node.run(("sh", "-n", RUNBOOK)).returncode == 0


def run_it(node: Node, *words: str) -> Completed:
    done = node.run(("sh", RUNBOOK, *words), timeout_s=900, check=False)
    print(done.stdout, done.stderr, sep="")
    return done


def stop_in_the_middle(node: Node) -> None:
    """Run the runbook of a planned change on ``node``, the primary, and press Ctrl-C when nobody has the address."""
    running = node.popen(("sh", RUNBOOK), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_until(lambda: not holds_address(node), timeout_s=300, what=f"the address to leave {node.id}")
    node.run(("pkill", "-INT", "-o", "-f", f"^sh {RUNBOOK}"))
    said, _ = running.communicate(timeout=300)
    assert running.returncode == INTERRUPTED, said.decode()


@pytest.mark.usefixtures("never_two")
def test_the_exported_failover_moves_the_role_without_xcat_ha(site: Lab, mna: Node, mnb: Node) -> None:
    assert xcat_ha(mna, "failover", "--export", RUNBOOK, check=False).returncode == USAGE
    export(mna, "failover")
    secrets = secrets_of(site)
    text = (mna.root / RUNBOOK.lstrip("/")).read_text(encoding="utf-8")
    assert not [label for label, value in secrets.items() if value in text]
    with Writer(site, "wr") as writer, SecretSampler(secrets) as sampler:
        time.sleep(1)  # there must be something to lose
        with without_xcat_ha(mna, mnb):
            assert run_it(mna, "--check").returncode == DONE
            assert holds_address(mna)
            began = time.monotonic()
            done = run_it(mna)
            print(f"the runbook took {time.monotonic() - began:.1f} s")
            assert done.returncode == DONE, done.stderr
            assert holds_address(mnb)
            assert not holds_address(mna)
            assert "done already" in run_it(mna).stdout
        time.sleep(1)
    assert writer.acknowledged
    assert writer.missing() == set()
    assert not sampler.leaks
    assert not where_written(site, secrets)
    await_guard(mnb, "active")
    for node in (mna, mnb):
        await_healthy(node)
        assert "by=runbook" in xcat_ha(node, "history").stdout
    assert xcat_ha(mnb, "sync", "--yes", check=False).returncode == DONE
    assert xcat_ha(mnb, "check", check=False).returncode == DONE


@pytest.mark.soak
@pytest.mark.usefixtures("never_two")
def test_stopped_in_the_middle_the_exported_failback_goes_on_where_it_was(mna: Node, mnb: Node) -> None:
    if not holds_address(mnb):
        assert xcat_ha(mna, "failover", "--yes", check=False).returncode == DONE
    export(mnb, "failback")
    with without_xcat_ha(mna, mnb):
        stop_in_the_middle(mnb)
        done = run_it(mnb)
        assert done.returncode == DONE, done.stderr
        assert "complete already" in done.stdout
        assert holds_address(mna)
    await_guard(mna, "active")
    await_healthy(mna)


@pytest.mark.soak
@pytest.mark.usefixtures("never_two")
def test_stopped_in_the_middle_xcat_ha_goes_on_with_it_when_it_is_back(mna: Node, mnb: Node) -> None:
    if not holds_address(mna):
        assert xcat_ha(mnb, "failback", "--yes", check=False).returncode == DONE
    export(mna, "failover")
    with without_xcat_ha(mna, mnb):
        stop_in_the_middle(mna)
    assert "xcat-ha resume" in status_of(mnb)
    done = xcat_ha(mna, "resume", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert holds_address(mnb)
    assert "done already" in run_it(mna).stdout
    await_guard(mnb, "active")
    await_healthy(mna)
    assert xcat_ha(mnb, "failback", "--yes", check=False).returncode == DONE


@pytest.mark.soak
@pytest.mark.usefixtures("never_two")
def test_the_unplanned_failover_exported_in_peace_serves_the_night_of_the_crash(mna: Node, mnb: Node) -> None:
    if not holds_address(mna):
        assert xcat_ha(mnb, "failback", "--yes", check=False).returncode == DONE
    export(mnb, "failover", "--confirm-down", "mna")
    with without_xcat_ha(mnb):
        assert run_it(mnb).returncode == REFUSED, "it takes the role without another machine only if told so"
        done = run_it(mnb, "--confirm-down", "mna", "--allow-data-loss")
        assert done.returncode == REFUSED, "mna answers"
        assert not holds_address(mnb)
        mna.kill()
        done = run_it(mnb, "--confirm-down", "mna", "--allow-data-loss")
        assert done.returncode == DONE, done.stderr
        assert holds_address(mnb)
    mna.boot()
    await_guard(mna, "passive", "above ours")
    export(mnb, "rejoin")
    with without_xcat_ha(mna, mnb):
        done = run_it(mnb)
        assert done.returncode == DONE, done.stderr
        assert "saved-copy: saved in /var/lib/xcat-ha/diverged/" in done.stdout
    for node in (mna, mnb):
        await_healthy(node)
