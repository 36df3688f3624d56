"""Operations whose program or machine died: who may go on, who may not, and fencing over ssh. Each test leaves mna primary."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.lab import Node
from tests.lab.losses import DONE, REFUSED, await_guard, go_home, holds_address, status_of
from tests.lab.product import xcat_ha

pytestmark = pytest.mark.lab

_CONFIG = "/etc/xcat-ha/pair.toml"


def kill_in_phase(operator: Node, verb: tuple[str, ...], phase: str) -> None:
    """Start the verb, and end its program with SIGKILL as soon as its journal says that the phase has begun."""
    journals = operator.root / "var/lib/xcat-ha/journal"
    before = set(journals.glob("*.jsonl"))
    started = operator.popen(("sh", "-c", 'echo $$ > /run/killed.pid; exec /opt/xcat-ha/bin/xcat-ha "$@"', "sh", *verb))
    deadline = time.monotonic() + 120
    wanted = f'"name": "{phase}"'
    while time.monotonic() < deadline:
        newest = [path for path in journals.glob(f"*-{verb[0]}-*.jsonl") if path not in before]
        lines = newest[0].read_text().splitlines() if newest else []
        if any('"event": "phase"' in line and wanted in line for line in lines) and started.poll() is None:
            break
        assert started.poll() is None, f"it ended before {phase}"
        time.sleep(0.01)
    operator.run(("sh", "-c", f"kill -{int(signal.SIGKILL)} $(cat /run/killed.pid)"))
    started.communicate(timeout=60)


@pytest.mark.parametrize("phase", ["yield", "last-copy", "release", "acquire", "serve"])
def test_a_killed_hand_over_is_resumed_on_the_other_node(phase: str, mna: Node, mnb: Node) -> None:
    kill_in_phase(mna, ("failover", "--yes"), phase)
    time.sleep(11)  # two looks of each guard: none of them may act on a half-done change
    shown = status_of(mnb)
    assert not (holds_address(mna) and holds_address(mnb))
    if phase == "yield" and "is unfinished" not in shown:  # it was killed before it had changed anything
        assert xcat_ha(mnb, "failover", "--yes").returncode == DONE
    else:
        assert "is unfinished: its program died" in shown, shown
        assert "xcat-ha resume" in shown
        done = xcat_ha(mnb, "resume", "--yes", check=False)
        assert done.returncode == DONE, done.stderr
    assert holds_address(mnb)
    assert not holds_address(mna)
    assert xcat_ha(mna, "resume", "--yes", check=False).returncode == REFUSED
    go_home(mna, mnb)


def test_the_old_primary_dies_in_a_hand_over_it_ran_itself(mna: Node, mnb: Node) -> None:
    kill_in_phase(mna, ("failover", "--yes"), "stop-xcatd")
    mna.kill()
    assert "is unfinished" in status_of(mnb)
    assert xcat_ha(mnb, "sync", "--yes", check=False).returncode != DONE
    done = xcat_ha(mnb, "failover", "--confirm-down", "mna", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    mna.boot()
    await_guard(mna, "standby")
    # The journal of the hand-over is still there; the role has moved without it.
    done = xcat_ha(mna, "resume", "--yes", check=False)
    assert done.returncode == REFUSED
    assert "the role has moved since" in done.stderr, done.stderr
    assert xcat_ha(mnb, "rejoin", "--yes", check=False).returncode == DONE
    go_home(mna, mnb)


@pytest.mark.soak
@pytest.mark.parametrize("phase", ["raise-term", "promote", "acquire", "settle"])
def test_a_killed_unplanned_failover_is_resumed(phase: str, mna: Node, mnb: Node) -> None:
    mna.kill()
    kill_in_phase(mnb, ("failover", "--confirm-down", "mna", "--yes"), phase)
    assert "is unfinished" in status_of(mnb)
    done = xcat_ha(mnb, "resume", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert holds_address(mnb)
    mna.boot()
    await_guard(mna, "passive", "above ours")
    kill_in_phase(mnb, ("rejoin", "--yes"), {"raise-term": "stop", "promote": "save", "acquire": "accept-term", "settle": "seed"}[phase])
    # Killed before the first step of its first phase, it has changed nothing, and there is nothing to resume.
    verb = "resume" if "is unfinished" in status_of(mna) else "rejoin"
    done = xcat_ha(mna, verb, "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    go_home(mna, mnb)


def test_fencing_over_ssh_takes_the_role_away_and_reads_that_back(mna: Node, mnb: Node) -> None:
    for node in (mna, mnb):
        node.run(("sh", "-c", f"printf '\\n[fencing]\\ndriver = \"ssh\"\\n' >> {_CONFIG}"))
    assert xcat_ha(mna, "sync", "--yes").returncode == DONE
    mna.run(("systemctl", "kill", "--signal=KILL", "xcatd"), check=False)
    done = xcat_ha(mnb, "failover", "--fence", "mna", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert holds_address(mnb)
    assert not holds_address(mna)
    await_guard(mna, "passive", "above ours")
    assert xcat_ha(mnb, "rejoin", "--yes", check=False).returncode == DONE
    go_home(mna, mnb)
    mnb.kill()
    done = xcat_ha(mna, "failover", "--fence", "mnb", "--yes", check=False)
    assert done.returncode != DONE
    mnb.boot()
    await_guard(mnb, "standby")


def test_abandon_explains_the_state_that_is_left(mna: Node, mnb: Node) -> None:
    kill_in_phase(mna, ("failover", "--yes"), "stop-xcatd")
    done = xcat_ha(mnb, "abandon", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert "given up as it stood" in done.stdout
    history = json.loads(xcat_ha(mna, "history", "--json").stdout)["operations"]
    assert history[0]["outcome"] == "abandoned"
    assert "mnb is standby" in history[0]["message"]
    done = xcat_ha(mna, "failover", "--yes", check=False)
    if done.returncode != DONE:  # its xcatd was stopped already
        mna.run(("systemctl", "start", "xcatd"), timeout_s=120)
        done = xcat_ha(mna, "failover", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    go_home(mna, mnb)
