"""xcat-ha is killed at every step boundary of an operation on a real pair: status says so, resume completes, nothing is done twice.

A boundary is a line of the journal about a step: it has started, or it is done. The kill comes when that line is on disk, so before the
step's commands, or before whatever follows it. (That a step was found done already is no boundary: nothing happened since the last one.)
The operation is killed at its first boundary, its resume (on the other node, where there is one) at the next, and so on, until a resume
comes to the end. Kills one by one, each resumed to the end: ``test_recovery.py`` by phase, ``tests/unit/test_killed_everywhere.py`` by
command.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.lab import Lab, Node
from tests.lab.deaths import killed_in_a_row
from tests.lab.losses import DONE, await_guard, go_home, holds_address
from tests.lab.observers import ServiceWatcher, process_probe
from tests.lab.product import ask_service, xcat_ha

pytestmark = [pytest.mark.lab, pytest.mark.soak]


@pytest.fixture(autouse=True)
def one_holder(site: Lab) -> Iterator[None]:
    """Neither the address nor xcatd is ever seen on two nodes."""
    xcatd = ServiceWatcher(site, process_probe("xcatd: SSL listener"), interval_s=0.1)
    with ServiceWatcher(site, holds_address, interval_s=0.02) as address, xcatd:
        yield
    for watched in (address, xcatd):
        assert watched.held(), "the watch saw nothing"
        assert watched.overlaps() == []


def define(node: Node, name: str) -> None:
    node.run(("/opt/xcat/bin/mkdef", "-t", "node", "-f", "-o", name, "groups=boundary"), timeout_s=60)


def known(site: Lab, name: str) -> bool:
    return name in ask_service(site, "/opt/xcat/bin/lsdef", "-t", "node", "-s").stdout.split()


def term_of(node: Node) -> int:
    return int(json.loads(node.run(("cat", "/var/lib/xcat-ha/term.json")).stdout)["counter"])


def done_twice(operator: Node, verb: str) -> list[str]:
    """Steps that were started again in the newest journal of the verb although they had been done."""
    newest = max((operator.root / "var/lib/xcat-ha/journal").glob(f"*-{verb}-*.jsonl"))
    done: set[tuple[str, ...]] = set()
    again: Counter[str] = Counter()
    for line in newest.read_text().splitlines():
        event = json.loads(line)
        if event["event"] != "step":
            continue
        step = (event["phase"], event["host"], event["step"])
        if event["state"] in {"done", "already"}:
            done.add(step)
        elif event["state"] == "started" and step in done:
            again["/".join(step)] += 1
    return sorted(again)


def test_a_planned_hand_over_killed_at_every_boundary_in_a_row(site: Lab, mna: Node, mnb: Node) -> None:
    define(mna, "in-a-row")
    before = term_of(mna)
    tried = killed_in_a_row((mna, mnb), "failover", "--yes")
    print(f"planned hand-over, killed in a row at {len(tried)} boundaries; started again: {done_twice(mna, 'failover')}")
    assert len(tried) > 20
    assert {term_of(mna), term_of(mnb)} == {before + 1}
    assert holds_address(mnb)
    assert known(site, "in-a-row")
    go_home(mna, mnb)


def test_an_unplanned_failover_and_the_rejoin_killed_at_every_boundary_in_a_row(site: Lab, mna: Node, mnb: Node) -> None:
    define(mna, "copied")
    assert xcat_ha(mna, "sync", "--yes", check=False).returncode == DONE
    define(mna, "not-copied")
    before = term_of(mna)
    mna.kill()
    tried = killed_in_a_row((mnb,), "failover", "--confirm-down", "mna", "--yes")
    print(f"unplanned failover, killed in a row at {len(tried)} boundaries; started again: {done_twice(mnb, 'failover')}")
    assert len(tried) > 15
    assert term_of(mnb) == before + 1
    assert known(site, "copied")
    mna.boot()
    await_guard(mna, "passive", "above ours")
    tried = killed_in_a_row((mnb, mna), "rejoin", "--yes")
    print(f"rejoin, killed in a row at {len(tried)} boundaries; started again: {done_twice(mnb, 'rejoin')}")
    assert len(tried) > 10
    assert {term_of(mna), term_of(mnb)} == {before + 1}
    query = "SELECT count(*) FROM nodelist WHERE node = 'not-copied'"
    script = f'for d in /var/lib/xcat-ha/diverged/*/; do sqlite3 -readonly "$d/nodelist.sqlite" "{query}"; done'
    assert "1" in mna.run(("sh", "-c", script)).stdout.split(), "what only the old primary had is not in any saved copy"
    go_home(mna, mnb)
