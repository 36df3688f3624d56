"""A machine reboots in the middle of setup: status says so, resume completes, and the site that worked before works again."""

from __future__ import annotations

import pytest

from tests.lab import Node
from tests.lab.conftest import Nodes
from tests.lab.deaths import Underway
from tests.lab.losses import DONE, FAILED, UNKNOWN, await_guard, holds_address, status_of
from tests.lab.observers import process_probe
from tests.lab.product import ask_service, host_key_fingerprint, layers, make_client, start_site, xcat_ha
from xcat_ha.interfaces import Service
from xcat_ha.xcat.services import UNIT_CANDIDATES

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def serving(node: Node) -> set[str]:
    """The units of the role that run there; of TFTP whether anybody serves it, because xcatd does where the unit does not."""
    units = [f"{unit}.service" for service, found in UNIT_CANDIDATES.items() if service is not Service.TFTP for unit in found]
    shown = node.run(("systemctl", "list-units", "--state=active", "--plain", "--no-legend", *units)).stdout
    return {line.split()[0] for line in shown.splitlines()} | ({"tftp"} if process_probe("in.tftpd")(node) else set())


@pytest.mark.parametrize(
    ("phase", "rebooted"),
    [
        ("standby-off", "mnb"),
        ("own-addresses", "mna"),
        ("nothing-at-boot", "mna"),
        ("first-copy", "mnb"),
        ("first-copy", "mna"),
        ("schedule", "mna"),
        ("schedule", "mnb"),
    ],
)
def test_a_reboot_in_setup(phase: str, rebooted: str, lab_nodes: Nodes) -> None:
    lab = lab_nodes.fresh("single", layers())
    start_site(lab)
    make_client(lab)
    mna, mnb = lab.node("mna"), lab.node("mnb")
    served = serving(mna)
    assert {"xcatd.service", "tftp"} <= served
    setting_up = Underway(mna, "setup", "--yes", "--trust-host-key", host_key_fingerprint(mnb))
    setting_up.await_phase(phase)
    lab.node(rebooted).kill()
    lab.node(rebooted).boot()
    if rebooted == "mnb":
        done = setting_up.end()
        assert done.returncode in {FAILED, UNKNOWN}, done.stderr
        assert "hint:" in done.stderr
    shown = status_of(mna)
    assert "is unfinished" in shown, shown
    assert "xcat-ha resume" in shown
    done = xcat_ha(mna, "resume", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    await_guard(mna, "active")
    await_guard(mnb, "standby")
    assert holds_address(mna)
    assert not holds_address(mnb)
    shown = status_of(mna)
    assert xcat_ha(mna, "status", check=False).returncode == DONE, shown
    answer = ask_service(lab, "/opt/xcat/bin/lsdef", "-t", "site", "-i", "master", "-c")
    assert "master=10.77.0.11" in answer.stdout, answer.stderr
    assert served <= serving(mna), "a service that ran before does not run any more"
    done = xcat_ha(mna, "failover", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
