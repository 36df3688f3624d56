"""A third machine, or a file on shared storage, remembers whose turn it is: who starts alone, who does not, and never two.

One pair for the module; the tests build on each other's end: each leaves a healthy pair whose primary is mna.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, Node
from tests.lab.conftest import Nodes
from tests.lab.losses import DONE, REFUSED, UNKNOWN, await_guard, holds_address, seconds_until, status_of
from tests.lab.observers import ServiceWatcher
from tests.lab.product import CONFIG, PAIR_TOML, host_key_fingerprint, layers, start_site, write_config, xcat_ha
from tests.lab.shared_storage import mount_shared, unmount_shared
from tests.lab.witness_host import WitnessHost

pytestmark = pytest.mark.lab

STEPS_DOWN_WITHIN_S = 45.0
"""docs/safety: guard_interval_s, a broken connection noticed, and a margin for a slow machine."""
STAYS_PASSIVE_S = 8.0
"""More than one look of the guard."""
SHARED = "/shared"
BY_HOST = f'{PAIR_TOML}\n[witness]\nhost = "10.77.0.1"\n'
BY_FILE = f'{PAIR_TOML}\n[witness]\nfile = "{SHARED}/xcat-ha/term.json"\n'
BY_USER = f'{BY_HOST}user = "xcatha"\n'


@pytest.fixture(scope="module")
def site(lab_nodes: Nodes) -> Lab:
    """Not yet a pair: that is the first test's business."""
    lab = lab_nodes.fresh("single", layers())
    start_site(lab)
    return lab


@pytest.fixture(scope="module")
def witness(site: Lab) -> WitnessHost:
    host = WitnessHost(site)
    host.let_in(site.node("mna").run(("cat", "/root/.ssh/id_rsa.pub")).stdout)
    host.start()
    return host


@pytest.fixture
def paired(mna: Node, mnb: Node, witness: WitnessHost) -> None:
    """A pair with a witness, made now if no test has made it."""
    if mna.run(("test", "-e", "/var/lib/xcat-ha/term.json"), check=False).returncode != 0:
        write_config(mna, BY_HOST)
        done = xcat_ha(mna, "setup", "--yes", *trusting(host_key_fingerprint(mnb), witness.fingerprint()), check=False)
        assert done.returncode == DONE, done.stderr


def trusting(*fingerprints: str) -> list[str]:
    return [word for fingerprint in fingerprints for word in ("--trust-host-key", fingerprint)]


@pytest.fixture
def storage(site: Lab, mna: Node, mnb: Node) -> Path:
    """A directory that is mounted on both nodes."""
    directory = Path(site.settings.lab_run_dir) / "shared"
    directory.mkdir(exist_ok=True)
    for node in (mna, mnb):
        if node.run(("mountpoint", "-q", SHARED), check=False).returncode != 0:
            mount_shared(node, directory, SHARED)
    return directory


@pytest.fixture
def one_holder(site: Lab) -> Iterator[None]:
    """The address never has two holders while the test runs."""
    with ServiceWatcher(site, holds_address, interval_s=0.02) as address:
        yield
    assert address.overlaps() == []


def require_healthy(node: Node) -> None:
    assert xcat_ha(node, "status", check=False).returncode == DONE, status_of(node)


def stays_passive(node: Node, *words: str) -> None:
    await_guard(node, "passive", *words)
    time.sleep(STAYS_PASSIVE_S)  # it must go on being passive
    assert not holds_address(node)


def takes_the_role(node: Node) -> None:
    took_s = seconds_until(lambda: holds_address(node), timeout_s=90, what=f"{node.id} to take the role up")
    print(f"{node.id} took the role up after {took_s:.1f} s")
    await_guard(node, "active")


def take_over(new: Node, old: str) -> None:
    done = xcat_ha(new, "failover", "--confirm-down", old, "--allow-data-loss", "--yes", check=False)
    assert done.returncode == DONE, done.stderr


def come_back(mna: Node, mnb: Node) -> None:
    """From mnb being primary in a higher term: mna rejoins and gets the role back."""
    done = xcat_ha(mnb, "rejoin", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    done = xcat_ha(mnb, "failback", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    await_guard(mna, "active", "has the role")
    require_healthy(mna)


def known_lines(node: Node) -> list[str]:
    return [line for line in node.run(("cat", "/etc/xcat-ha/ssh/known_hosts")).stdout.splitlines() if line.startswith("witness ")]


def test_setup_asks_about_the_witness_and_lets_both_nodes_in(mna: Node, mnb: Node, witness: WitnessHost) -> None:
    write_config(mna, BY_HOST)
    refused = xcat_ha(mna, "setup", "--yes", *trusting(host_key_fingerprint(mnb)), check=False)
    assert refused.returncode == REFUSED, refused.stderr
    assert "the host keys of witness are not confirmed" in refused.stderr
    assert witness.fingerprint() in refused.stderr
    done = xcat_ha(mna, "setup", "--yes", *trusting(witness.fingerprint()), check=False)
    assert done.returncode == DONE, done.stderr
    assert '"counter": 1, "holder": "mna"' in witness.remembered()
    before = (known_lines(mna), known_lines(mnb), witness.keys())
    assert [len(lines) for lines in before] == [1, 1, 3], before  # root's own key, and one of each node
    again = xcat_ha(mna, "setup", "--yes", check=False)
    assert again.returncode == DONE, again.stderr
    assert "inform-witness  nothing to do" in again.stderr, again.stderr
    assert (known_lines(mna), known_lines(mnb), witness.keys()) == before
    checked = xcat_ha(mnb, "check", check=False).stdout
    for question in ("mna reaches the witness", "mnb reaches the witness", "the witness has term 1 of mna"):
        assert f"holds  witness  {question}" in checked, checked
    assert "witness: term 1 mna -" in status_of(mnb)
    require_healthy(mna)


@pytest.mark.soak  # the next one has it too
@pytest.mark.usefixtures("paired", "one_holder")
def test_booted_alone_it_starts_because_the_witness_names_it(mna: Node, mnb: Node) -> None:
    mnb.kill()
    mna.reboot()
    takes_the_role(mna)
    assert "the witness names mna in term 1" in xcat_ha(mna, "history").stdout
    mnb.boot()
    await_guard(mnb, "standby")
    require_healthy(mna)


@pytest.mark.usefixtures("paired", "one_holder")
def test_a_witness_that_is_gone_is_as_none(mna: Node, mnb: Node, witness: WitnessHost) -> None:
    witness.stop()
    shown = status_of(mna)
    assert "unknown: the witness does not answer" in shown, shown
    assert "until then no change of primary begins" in shown
    refused = xcat_ha(mna, "failover", "--yes", check=False)
    assert refused.returncode == UNKNOWN, refused.stderr
    assert "nothing was changed" in refused.stderr
    assert "bring the witness back" in refused.stderr
    mnb.kill()
    mna.reboot()
    stays_passive(mna, "mnb does not answer, nor does the witness")
    assert "xcat-ha activate --confirm-down mnb" in status_of(mna)
    witness.start()
    takes_the_role(mna)
    mnb.boot()
    await_guard(mnb, "standby")
    require_healthy(mna)


@pytest.mark.soak
@pytest.mark.usefixtures("paired", "one_holder")
def test_the_old_primary_does_not_start_against_the_witness(site: Lab, mna: Node, mnb: Node) -> None:
    """Beside nobody, because the new primary is dead; then cut off from the new primary, which serves."""
    mna.kill()
    take_over(mnb, "mna")
    mnb.kill()
    mna.boot()
    stays_passive(mna, "the witness has term 2 of mnb, above ours (1)")
    shown = status_of(mna)
    assert "xcat-ha rejoin makes mna the standby of mnb" in shown, shown
    assert "the witness remembers term 2 of mnb, the nodes term 1 of mna" in shown
    refused = xcat_ha(mna, "activate", "--yes", check=False)
    assert refused.returncode == REFUSED, refused.stderr
    site.part()
    mnb.boot()
    takes_the_role(mnb)  # mna is silent, and the witness names mnb
    mna.reboot()
    stays_passive(mna, "the witness has term 2 of mnb, above ours (1)")
    site.join()
    await_guard(mna, "passive", "mnb has term 2 of mnb, above ours")
    come_back(mna, mnb)


@pytest.mark.soak
@pytest.mark.usefixtures("paired")
def test_declared_down_while_cut_off_it_steps_down_because_the_witness_tells_it(site: Lab, mna: Node, mnb: Node) -> None:
    """A lie: mna serves on, cut off from mnb only. Nothing but the witness can tell it."""
    site.part()
    take_over(mnb, "mna")
    took_s = seconds_until(lambda: not holds_address(mna), timeout_s=STEPS_DOWN_WITHIN_S, what="mna to step down")
    print(f"the lower term gave its address up {took_s:.1f} s after the failover had ended")
    assert holds_address(mnb)
    await_guard(mna, "passive", "the witness has term")
    site.join()
    come_back(mna, mnb)


@pytest.mark.soak
@pytest.mark.usefixtures("paired", "one_holder")
@pytest.mark.parametrize("reachable", [True, False], ids=["with a witness", "the witness gone"])
def test_both_boot_at_once(reachable: bool, site: Lab, mna: Node, mnb: Node, witness: WitnessHost) -> None:
    if not reachable:
        witness.stop()
    mna.kill()
    mnb.kill()
    site.boot()
    takes_the_role(mna)
    await_guard(mnb, "standby")
    if not reachable:
        witness.start()
    require_healthy(mna)


@pytest.mark.soak
@pytest.mark.usefixtures("paired", "one_holder")
def test_both_boot_at_once_cut_off_from_each_other(site: Lab, mna: Node, mnb: Node, witness: WitnessHost) -> None:
    """The witness names one of them; without it none starts."""
    site.part()
    witness.stop()
    mna.kill()
    mnb.kill()
    site.boot()
    stays_passive(mna, "nor does the witness")
    assert not holds_address(mnb)
    witness.start()
    takes_the_role(mna)
    await_guard(mnb, "standby")
    site.join()
    require_healthy(mna)


@pytest.mark.soak
@pytest.mark.usefixtures("paired", "one_holder")
def test_a_witness_with_a_new_disk_names_nobody_until_setup_tells_it(mna: Node, mnb: Node, witness: WitnessHost) -> None:
    witness.forget()
    shown = status_of(mna)
    assert "PROBLEM: the witness remembers no term" in shown, shown
    assert "xcat-ha setup on the primary tells it" in shown
    mnb.kill()
    mna.reboot()
    stays_passive(mna, "the witness remembers no term")
    mnb.boot()
    takes_the_role(mna)
    assert xcat_ha(mna, "setup", "--yes").returncode == DONE
    require_healthy(mna)


@pytest.mark.soak
@pytest.mark.usefixtures("paired")
def test_a_user_who_is_not_root_is_enough(mna: Node, mnb: Node, witness: WitnessHost) -> None:
    witness.add_user("xcatha")
    write_config(mna, BY_USER)
    refused = xcat_ha(mna, "setup", "--yes", check=False)
    assert refused.returncode == REFUSED, refused.stderr
    assert "xcatha cannot log in to witness (10.77.0.1)" in refused.stderr
    assert "/etc/xcat-ha/ssh/id_ed25519.pub" in refused.stderr
    witness.let_in(f"restrict {mna.run(('cat', '/etc/xcat-ha/ssh/id_ed25519.pub')).stdout}", "xcatha")
    done = xcat_ha(mna, "setup", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert len(witness.keys("/home/xcatha")) == 2
    assert '"holder": "mna"' in witness.remembered("/home/xcatha/.xcat-ha")
    require_healthy(mnb)


@pytest.mark.soak
@pytest.mark.usefixtures("paired", "one_holder")
def test_a_file_on_shared_storage_counts_while_it_is_mounted(storage: Path, mna: Node, mnb: Node) -> None:
    write_config(mna, BY_FILE)
    unmount_shared(mnb, SHARED)
    refused = xcat_ha(mna, "setup", "--yes", check=False)
    assert refused.returncode == REFUSED, refused.stderr
    assert "no storage of its own is mounted" in refused.stderr
    mount_shared(mnb, storage, SHARED)
    done = xcat_ha(mna, "setup", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    require_healthy(mnb)
    # The mount point of a node whose storage is away, with something old below it.
    unmount_shared(mna, SHARED)
    term = mna.run(("cat", "/var/lib/xcat-ha/term.json")).stdout
    mna.run(("sh", "-c", f"mkdir -p {SHARED}/xcat-ha && cat > {SHARED}/xcat-ha/term.json"), input=term)
    mnb.kill()
    mna.reboot()
    stays_passive(mna, "mnb does not answer, nor does the witness")
    assert "no storage of its own is mounted" in status_of(mna)
    mount_shared(mna, storage, SHARED)
    takes_the_role(mna)
    mnb.boot()
    mount_shared(mnb, storage, SHARED)
    await_guard(mnb, "standby")
    require_healthy(mna)


@pytest.mark.soak
@pytest.mark.usefixtures("paired", "one_holder")
def test_a_change_of_primary_tells_the_file(storage: Path, mna: Node, mnb: Node) -> None:
    file = storage / "xcat-ha/term.json"
    write_config(mna, BY_FILE)
    assert xcat_ha(mna, "setup", "--yes").returncode == DONE
    unmount_shared(mnb, SHARED)
    refused = xcat_ha(mna, "failover", "--yes", check=False)
    assert refused.returncode == REFUSED, refused.stderr
    assert "no storage of its own is mounted" in refused.stderr
    mount_shared(mnb, storage, SHARED)
    mna.kill()
    take_over(mnb, "mna")
    assert '"holder": "mnb"' in file.read_text(encoding="ascii")
    mnb.kill()
    mna.boot()
    mount_shared(mna, storage, SHARED)
    stays_passive(mna, "the witness has term", "of mnb, above ours")
    mnb.boot()
    takes_the_role(mnb)
    mount_shared(mnb, storage, SHARED)
    come_back(mna, mnb)


@pytest.mark.soak
@pytest.mark.usefixtures("paired")
def test_without_the_witness_all_is_as_before(mna: Node, mnb: Node) -> None:
    """Taken out of the configuration it is asked for no more."""
    write_config(mna, PAIR_TOML)
    done = xcat_ha(mna, "setup", "--yes", check=False)
    assert done.returncode == DONE, done.stderr
    assert "[witness]" not in mnb.run(("cat", CONFIG)).stdout
    assert "witness" not in status_of(mnb)
    require_healthy(mnb)
