"""From an ordinary management node to a healthy pair with two answers; then administrators at work on it, and what an upgrade leaves.

One site for the module; the tests go on from each other's end.
"""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.lab import Lab, Node
from tests.lab.conftest import Nodes
from tests.lab.losses import await_guard, status_of
from tests.lab.product import CONFIG, PAIR_TOML, host_key_fingerprint, layers, start_site, xcat_ha
from tests.lab.typed import CTRL_C, type_in

pytestmark = pytest.mark.lab

DONE, FAILED, USAGE, REFUSED, UNKNOWN, INTERRUPTED = range(6)
INIT = ("/opt/xcat-ha/bin/xcat-ha", "init")
SPARE = "A spare address in 10.77.0.0/16"
PEER = "The other machine's own hostname"


@pytest.fixture(scope="module")
def site(lab_nodes: Nodes) -> Lab:
    """A site with one management node, as its administrator has had it for years: no configuration of xcat-ha."""
    lab = lab_nodes.fresh("single", layers())
    start_site(lab)
    lab.node("mna").run(("rm", CONFIG))
    return lab


def configuration(node: Node) -> str:
    """The text of the file; empty if there is none."""
    return node.run(("sh", "-c", f"cat {CONFIG} 2>/dev/null || :")).stdout


def test_ctrl_c_at_a_question_leaves_nothing(mna: Node) -> None:
    session = type_in(mna, INIT, [(SPARE, CTRL_C)])
    assert session.code == REFUSED, session.shown
    assert "nothing was changed" in session.shown
    assert "Traceback" not in session.shown
    assert configuration(mna) == ""


def test_without_a_terminal_the_proposal_is_a_draft(mna: Node) -> None:
    done = xcat_ha(mna, "init", check=False)
    assert done.returncode == UNKNOWN, done.stderr
    assert "NOT COMPLETE" in done.stdout
    assert configuration(mna) == ""
    mna.run(("rm", f"{CONFIG}.draft"))


def test_wrong_answers_are_refused_and_two_right_ones_are_enough(mna: Node) -> None:
    turns = [
        (SPARE, "10.77.0.11\n"),
        (SPARE, "10.77.0.300\n"),
        (SPARE, "10.78.0.21\n"),
        (SPARE, "10.77.0.21\n"),
        (PEER, "mn1\n"),
        (PEER, "mnb\n"),
    ]
    session = type_in(mna, INIT, turns)
    assert (session.code, session.left) == (DONE, 0), session.shown
    for words in ("two machines need three addresses", "is not an IP address", "is not in 10.77.0.0/16", "mn1 is the name that moves"):
        assert words in session.shown
    mna.run(("rm", CONFIG))
    session = type_in(mna, INIT, [(SPARE, "10.77.0.21\n"), (PEER, "mnb\n")])
    assert session.code == DONE, session.shown
    assert session.shown.count("? ") == 2, session.shown
    proposed, wanted = tomllib.loads(configuration(mna)), tomllib.loads(PAIR_TOML)
    assert (proposed["nodes"], proposed["service"]) == (wanted["nodes"], wanted["service"])
    assert mna.run(("stat", "-c", "%a %U", CONFIG)).stdout == "600 root\n"


def test_it_is_never_overwritten_unless_told_to(mna: Node) -> None:
    before = configuration(mna)
    done = xcat_ha(mna, "init", "--own-address", "10.77.0.21", "--peer", "mnb", check=False)
    assert done.returncode == REFUSED
    assert "is there already" in done.stderr
    assert configuration(mna) == before
    done = xcat_ha(mna, "init", "--force", "--own-address", "10.77.0.21", "--peer", "mnb=10.77.0.22", check=False)
    assert done.returncode == DONE, done.stderr
    kept = done.stdout.partition("is kept: ")[2].split()[0]
    assert mna.run(("cat", kept)).stdout == before


def test_the_proposal_makes_a_healthy_pair_without_a_question(site: Lab, mna: Node) -> None:
    assert xcat_ha(mna, "config", "validate").returncode == DONE
    done = xcat_ha(mna, "setup", "--yes", "--trust-host-key", host_key_fingerprint(site.node("mnb")), check=False)
    assert done.returncode == DONE, done.stderr
    await_guard(mna, "active", "has the role")
    assert xcat_ha(mna, "status", check=False).returncode == DONE, status_of(mna)
    checked = xcat_ha(mna, "check", check=False)
    assert checked.returncode == DONE, checked.stdout


def test_on_the_pair_init_finds_what_is_configured(mna: Node) -> None:
    shown = xcat_ha(mna, "init", "--stdout", "--peer", "mnb").stdout
    proposed, wanted = tomllib.loads(shown), tomllib.loads(PAIR_TOML)
    assert (proposed["nodes"], proposed["service"]) == (wanted["nodes"], wanted["service"])


def test_maintenance_is_known_on_both_nodes_and_survives_a_power_loss(mna: Node, mnb: Node) -> None:
    assert xcat_ha(mna, "maintenance", "on", "--reason", "new xCAT", "--until", "+2h", "--yes").returncode == DONE
    for node in (mna, mnb):
        assert status_of(node).startswith("MAINTENANCE until ")
    mnb.kill()
    mnb.boot()
    await_guard(mnb, "standby")
    assert status_of(mnb).startswith("MAINTENANCE until ")


def test_meanwhile_the_timers_copy_nothing_and_failover_asks(mna: Node) -> None:
    before = mna.run(("systemctl", "show", "-p", "ActiveState", "--value", "xcat-ha-sync-database.timer")).stdout.strip()
    assert before == "active"
    mna.run(("systemctl", "start", "xcat-ha-sync-database.service"), timeout_s=120)
    log = mna.run(("journalctl", "-u", "xcat-ha-sync-database.service", "-n", "20", "--no-pager")).stdout
    assert "maintenance until" in log
    session = type_in(mna, ("/opt/xcat-ha/bin/xcat-ha", "failover"), [("Go on? [y/N]", "n\n")])
    assert session.code == REFUSED, session.shown
    assert session.shown.index("ATTENTION, maintenance until") < session.shown.index("Go on?")


def test_what_an_upgrade_of_the_standby_leaves_is_found_and_mended(mna: Node, mnb: Node) -> None:
    """Packages of xCAT start and enable xcatd, also on a standby, and a newer xcatd changes tables (facts: xCAT 2.2)."""
    change = "ALTER TABLE osimage ADD COLUMN newfangled TEXT"
    mnb.run(("systemctl", "enable", "--now", "xcatd"), timeout_s=120)
    mnb.run(("sqlite3", "/etc/xcat/osimage.sqlite", change))
    checked = xcat_ha(mna, "check", check=False)
    assert checked.returncode == FAILED
    for words in ("xcatd is enabled", "runs", "only mnb has column osimage.newfangled"):
        assert words in checked.stdout, checked.stdout
    assert xcat_ha(mnb, "step-down", "--yes").returncode == DONE
    assert xcat_ha(mna, "sync", "--yes").returncode == DONE
    checked = xcat_ha(mna, "check", check=False)
    assert checked.returncode == DONE, checked.stdout


def test_the_end_of_maintenance_is_known_too(mna: Node, mnb: Node) -> None:
    assert xcat_ha(mnb, "maintenance", "off", "--yes").returncode == DONE
    for node in (mna, mnb):
        assert xcat_ha(node, "status", check=False).returncode == DONE, status_of(node)
        assert "MAINTENANCE" not in status_of(node)
    operations = json.loads(xcat_ha(mna, "history", "--json").stdout)["operations"]
    said = [operation["parameters"]["state"] for operation in operations if operation["operation"] == "maintenance"]
    assert said == ["off", "on"]
