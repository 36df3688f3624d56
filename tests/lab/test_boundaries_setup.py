"""xcat-ha is killed at every step boundary of setup and of sync: the site goes on serving, and what was good stays good."""

from __future__ import annotations

import pytest

from tests.lab import Lab, Node
from tests.lab.conftest import Nodes
from tests.lab.deaths import die_at_boundary, killed_in_a_row
from tests.lab.losses import DONE, await_guard, holds_address, status_of
from tests.lab.observers import ServiceWatcher
from tests.lab.product import ask_service, host_key_fingerprint, layers, make_client, start_site, xcat_ha

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def answers(lab: Lab) -> bool:
    return "master=10.77.0.11" in ask_service(lab, "/opt/xcat/bin/lsdef", "-t", "site", "-i", "master", "-c").stdout


def intact(node: Node) -> bool:
    """Whether every table file of the node is a sound database."""
    script = 'for f in /etc/xcat/*.sqlite; do sqlite3 -readonly "$f" "PRAGMA integrity_check"; done | sort | uniq -c'
    words = node.run(("sh", "-c", script), timeout_s=60).stdout.split()
    return len(words) == 2 and int(words[0]) >= 73 and words[1] == "ok"


def test_setup_and_sync_killed_at_every_boundary_in_a_row(lab_nodes: Nodes) -> None:
    lab = lab_nodes.fresh("single", layers())
    start_site(lab)
    make_client(lab)
    mna, mnb = lab.node("mna"), lab.node("mnb")
    # As the kernel sees it: for a moment the address is there in two forms, of which one is then removed.
    with ServiceWatcher(lab, holds_address, interval_s=0.02) as address:
        tried = killed_in_a_row((mna,), "setup", "--yes", "--trust-host-key", host_key_fingerprint(mnb))
    print(f"setup, killed in a row at {len(tried)} boundaries")
    assert [interval.nodes for interval in address.held()] == [("mna",)], "it answers all the time, on the node that had it"
    assert len(tried) > 20
    await_guard(mna, "active")
    await_guard(mnb, "standby")
    assert (holds_address(mna), holds_address(mnb)) == (True, False)
    assert xcat_ha(mna, "check", check=False).returncode == DONE
    assert answers(lab)

    tried = []
    while True:
        name = f"killed-{len(tried)}"
        mna.run(("/opt/xcat/bin/mkdef", "-t", "node", "-f", "-o", name, "groups=boundary"), timeout_s=60)
        mna.run(("sh", "-c", 'date +%N > "/install/$1"', "sh", name))
        done, boundary = die_at_boundary(mna, "sync", "--yes", known=tried)
        assert intact(mnb)
        if not boundary:
            break
        tried.append(boundary)
        assert "is unfinished" not in status_of(mna), "a sync is in nobody's way"
    print(f"sync, killed at {len(tried)} boundaries")
    assert len(tried) > 5
    assert done.returncode == DONE, done.stderr
    query = "SELECT count(*) FROM nodelist WHERE node LIKE 'killed-%'"
    assert mnb.run(("sqlite3", "-readonly", "/etc/xcat/nodelist.sqlite", query)).stdout.strip() == str(len(tried) + 1)
    assert answers(lab)
