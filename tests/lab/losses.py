"""What the tests of dead primaries share: who holds the address as the kernel says, what was lost, what was announced."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.lab import Completed, Lab, Node
from tests.lab.errors import LabError
from tests.lab.process import wait_until
from tests.lab.product import SERVICE_ADDRESS, host_key_fingerprint, make_client, start_site, xcat_ha

DONE, FAILED, USAGE, REFUSED, UNKNOWN, INTERRUPTED = range(6)
_LOCAL = re.compile(rf"\|-- {re.escape(SERVICE_ADDRESS)}\n\s+/32 host LOCAL")
_ANNOUNCED = re.compile(r"What was written after [-0-9: ]+ \((\d+\.\d{3})\)")


def make_pair(lab: Lab, start: Callable[[Lab], None] = start_site) -> Lab:
    """A site of which setup has made a pair. ``start`` makes the site."""
    start(lab)
    make_client(lab)
    done = xcat_ha(lab.node("mna"), "setup", "--yes", "--trust-host-key", host_key_fingerprint(lab.node("mnb")), check=False)
    assert done.returncode == DONE, done.stderr
    return lab


def holds_address(node: Node) -> bool:
    """Whether the kernel of the node counts the service address as its own, asked from outside the node."""
    init = node.init
    if init is None:
        return False
    with contextlib.suppress(OSError):  # it may go off in between
        return _LOCAL.search(Path(f"/proc/{init.pid}/net/fib_trie").read_text()) is not None
    return False


def announced(done: Completed) -> float:
    """The time of the last good copy that an unplanned failover announced (epoch seconds)."""
    found = _ANNOUNCED.search(done.stderr)
    assert found is not None, done.stderr
    return float(found.group(1))


def guard_of(node: Node) -> dict[str, str]:
    """What the node's guard says now; empty if it has not spoken."""
    shown = node.run(("sh", "-c", "cat /run/xcat-ha/guard.json 2>/dev/null || :")).stdout
    found: dict[str, str] = json.loads(shown) if shown.strip() else {}
    return found


def await_guard(node: Node, state: str, *words: str, timeout_s: float = 60.0) -> None:
    """Wait until the guard says so."""

    def said() -> bool:
        found = guard_of(node)
        return found.get("state") == state and all(word in found["why"] for word in words)

    wait_until(said, timeout_s=timeout_s, what=f"the guard of {node.id} to be {state} ({words}); it says {guard_of(node)}")


def status_of(node: Node) -> str:
    """What the administrator sees there."""
    return str(xcat_ha(node, "status", check=False).stdout)


def await_healthy(node: Node, *, timeout_s: float = 180.0) -> None:
    """Wait until status finds nothing wrong there: on a busy machine even a question may take so long that a clock looks wrong."""

    def healthy() -> bool:
        return xcat_ha(node, "status", check=False).returncode == DONE

    try:
        wait_until(healthy, timeout_s=timeout_s, what=f"{node.id} to find nothing wrong", interval_s=2.0)
    except LabError as error:
        raise AssertionError(status_of(node)) from error


def seconds_until(holds: Callable[[], bool], *, timeout_s: float, what: str) -> float:
    """How long it takes."""
    began = time.monotonic()
    wait_until(holds, timeout_s=timeout_s, what=what, interval_s=0.05)
    return time.monotonic() - began


def go_home(mna: Node, mnb: Node) -> None:
    """From either node being primary of a healthy pair: mna has the role again, and all is well."""
    if not holds_address(mna):
        done = xcat_ha(mnb, "failback", "--yes", check=False)
        assert done.returncode == DONE, done.stderr
    await_guard(mna, "active")
    await_guard(mnb, "standby")
    assert xcat_ha(mna, "status", check=False).returncode == DONE, status_of(mna)


def pause_syncs(primary: Node) -> None:
    """No sync is scheduled any more, and none runs: what a test has just changed is not copied, or repaired, meanwhile."""
    found = [path.name for path in (primary.root / "run/systemd/system").glob("xcat-ha-sync-*.timer")]
    assert found, "no sync is scheduled"
    primary.run(("systemctl", "stop", *found))
    wait_until(lambda: not (primary.root / "run/xcat-ha/lock.json").exists(), timeout_s=120, what="a scheduled sync to end")


def schedule_syncs(primary: Node) -> None:
    """Syncs are scheduled again."""
    primary.run(("sh", "-c", "cd /run/systemd/system && exec systemctl start xcat-ha-sync-*.timer"))
