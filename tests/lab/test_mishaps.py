"""Things that go wrong in the middle, on a real pair: what was good stays good, status explains, resume completes."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.lab import Lab, Node
from tests.lab.deaths import Underway
from tests.lab.losses import await_guard
from tests.lab.process import wait_until
from tests.lab.product import SERVICE_ADDRESS, ask_service, xcat_ha

pytestmark = pytest.mark.lab

DONE, FAILED, USAGE, REFUSED, UNKNOWN, INTERRUPTED = range(6)
_BOOT_S = 60


def define(node: Node, name: str) -> None:
    node.run(("/opt/xcat/bin/mkdef", "-t", "node", "-f", "-o", name, "groups=mishap"), timeout_s=60)


def copied(node: Node, name: str) -> bool:
    """Whether the node's files, read by sqlite3 itself, have the record."""
    query = f"SELECT count(*) FROM nodelist WHERE node = '{name}'"
    return node.run(("sqlite3", "-readonly", "/etc/xcat/nodelist.sqlite", query)).stdout.strip() == "1"


def intact(node: Node) -> bool:
    """Whether every table file of the node is a sound database."""
    script = 'for f in /etc/xcat/*.sqlite; do sqlite3 -readonly "$f" "PRAGMA integrity_check"; done | sort | uniq -c'
    words = node.run(("sh", "-c", script), timeout_s=60).stdout.split()
    return len(words) == 2 and int(words[0]) >= 73 and words[1] == "ok"


def test_the_standbys_disk_is_full(site: Lab) -> None:
    mna, mnb = site.node("mna"), site.node("mnb")
    define(mna, "before-full")
    assert xcat_ha(mna, "sync", "database", "--yes").returncode == DONE
    mnb.run(("sh", "-c", "mkdir -p /mnt/kept && cp -a /var/lib/xcat-ha/. /mnt/kept"))
    mnb.tmpfs("/var/lib/xcat-ha", 64 * 1024 * 1024)
    mnb.run(("sh", "-c", "cp -a /mnt/kept/. /var/lib/xcat-ha && cat /dev/zero > /var/lib/xcat-ha/fill; :"), check=False)
    try:
        define(mna, "while-full")
        done = xcat_ha(mna, "sync", "database", "--yes", check=False)
        assert done.returncode in {FAILED, REFUSED}, done.stderr
        assert "mnb" in done.stderr
        assert "hint:" in done.stderr
        assert "Traceback" not in done.stderr
        assert intact(mnb)
        assert copied(mnb, "before-full")
    finally:
        mnb.remove_tmpfs("/var/lib/xcat-ha")
    assert xcat_ha(mna, "sync", "database", "--yes").returncode == DONE
    assert copied(mnb, "while-full")


def test_an_install_directory_that_is_not_mounted(site: Lab) -> None:
    mna, mnb = site.node("mna"), site.node("mnb")
    before = mnb.run(("sh", "-c", "find /install | sort | sha256sum")).stdout
    mna.tmpfs("/install", 1024 * 1024)
    try:
        done = xcat_ha(mna, "sync", "install", "--yes", check=False)
        assert done.returncode in {FAILED, REFUSED}, done.stderr
        assert "/install" in done.stderr
        assert mnb.run(("sh", "-c", "find /install | sort | sha256sum")).stdout == before
    finally:
        mna.remove_tmpfs("/install")
    assert xcat_ha(mna, "sync", "install", "--yes").returncode == DONE


def test_ctrl_c_in_a_sync(site: Lab) -> None:
    mna, mnb = site.node("mna"), site.node("mnb")
    for number in range(4):
        define(mna, f"ctrl-c-{number}")
        _interrupt(mna, ("sync", "--yes"), after_s=0.3 + 0.5 * number)
        assert intact(mnb)
        assert xcat_ha(mna, "status", check=False).returncode == DONE
    assert xcat_ha(mna, "sync", "--yes").returncode == DONE
    assert copied(mnb, "ctrl-c-3")


def _interrupt(node: Node, arguments: tuple[str, ...], *, after_s: float, number: int = signal.SIGINT) -> int:
    """Start the verb in the node, signal its process there after a while, return the exit code."""
    pid_file = "/run/interrupted.pid"
    script = f'echo $$ > {pid_file}; exec /opt/xcat-ha/bin/xcat-ha "$@"'
    started = node.popen(("sh", "-c", script, "sh", *arguments))
    time.sleep(after_s)  # the moment of the interruption is what is tested
    node.run(("sh", "-c", f"kill -{int(number)} $(cat {pid_file})"), check=False)
    started.communicate(timeout=300)
    return started.returncode


def test_ctrl_c_in_a_hand_over_and_resume(site: Lab) -> None:
    chance = random.Random(77)
    order = ["mna", "mnb"]
    interrupted = 0
    for _ in range(4):
        old, new = order
        operator = site.node(old)
        code = _interrupt(operator, ("failover", "--yes"), after_s=chance.uniform(1.0, 9.0))
        status = xcat_ha(operator, "status", check=False)
        if code == INTERRUPTED and "is unfinished" in status.stdout:  # else no step had begun
            interrupted += 1
            assert "is unfinished: interrupted" in status.stdout
            assert "xcat-ha resume" in status.stdout
            blocked = xcat_ha(operator, "sync", "--yes", check=False)
            assert blocked.returncode in {REFUSED, UNKNOWN}, blocked.stderr
            resumed = xcat_ha(operator, "resume", "--yes", check=False)
            assert resumed.returncode == DONE, resumed.stderr
        else:
            assert code in {DONE, REFUSED, INTERRUPTED}, code
            if code != DONE:
                assert xcat_ha(operator, "failover", "--yes").returncode == DONE
        assert f" {SERVICE_ADDRESS}/" in site.node(new).run(("ip", "-o", "addr")).stdout
        assert f" {SERVICE_ADDRESS}/" not in site.node(old).run(("ip", "-o", "addr")).stdout
        assert xcat_ha(site.node(new), "status", check=False).returncode == DONE
        order.reverse()
    assert interrupted > 0, "no interruption hit a hand-over: nothing was tested"


def test_kill_9_in_a_hand_over_and_resume(site: Lab) -> None:
    primary = "mna" if f" {SERVICE_ADDRESS}/" in site.node("mna").run(("ip", "-o", "addr")).stdout else "mnb"
    operator = site.node(primary)
    handing_over = Underway(operator, "failover", "--yes")
    handing_over.await_phase("release")
    handing_over.kill()
    assert "its program died" in xcat_ha(operator, "status", check=False).stdout
    resumed = xcat_ha(operator, "resume", "--yes", check=False)
    assert resumed.returncode == DONE, resumed.stderr
    assert "master=10.77.0.11" in ask_service(site, "/opt/xcat/bin/lsdef", "-t", "site", "-i", "master", "-c").stdout


def test_the_operator_is_logged_in_over_the_address_that_moves(site: Lab) -> None:
    """His session ends in the middle; the operation must not."""
    primary = "mna" if f" {SERVICE_ADDRESS}/" in site.node("mna").run(("ip", "-o", "addr")).stdout else "mnb"
    old, new = site.node(primary), site.node("mnb" if primary == "mna" else "mna")
    before = xcat_ha(new, "history").stdout.count("failover  done")
    public = old.run(("cat", "/root/.ssh/id_rsa.pub")).stdout
    old.run(("sh", "-c", "cat >> /root/.ssh/authorized_keys"), input=public)
    client = site.observer_chroot()
    client.run(("sh", "-c", "umask 077; cat > /root/operator"), input=old.run(("cat", "/root/.ssh/id_rsa")).stdout)
    host_key = old.run(("cat", "/etc/ssh/ssh_host_ed25519_key.pub")).stdout.split()
    client.run(("sh", "-c", "cat > /root/known"), input=f"{SERVICE_ADDRESS} {host_key[0]} {host_key[1]}\n")
    options = ("-o", "UserKnownHostsFile=/root/known", "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2", "-i", "/root/operator")
    session = client.run(("ssh", "-tt", *options, f"root@{SERVICE_ADDRESS}", "xcat-ha failover --yes"), check=False, timeout_s=120)
    assert session.returncode == 255, session.stdout[-500:]

    def ended() -> bool:
        return xcat_ha(new, "history", check=False).stdout.count("failover  done") > before

    wait_until(ended, timeout_s=90, what="the hand-over to end without its operator")
    assert f" {SERVICE_ADDRESS}/" in new.run(("ip", "-o", "addr")).stdout
    assert xcat_ha(new, "status", check=False).returncode == DONE


def test_power_of_the_source_is_cut_during_sync(site: Lab) -> None:
    primary = "mna" if f" {SERVICE_ADDRESS}/" in site.node("mna").run(("ip", "-o", "addr")).stdout else "mnb"
    source, target = site.node(primary), site.node("mnb" if primary == "mna" else "mna")
    define(source, "last-good")
    assert xcat_ha(source, "sync", "database", "--yes").returncode == DONE
    for number, after_s in enumerate((0.5, 0.9, 1.3)):
        define(source, f"cut-{number}")
        source.popen(("/opt/xcat-ha/bin/xcat-ha", "sync", "database", "--yes"))
        time.sleep(after_s)  # the moment of the power loss is what is tested
        source.kill()
        assert intact(target)
        assert copied(target, "last-good")
        source.boot()
        await_guard(source, "active", timeout_s=_BOOT_S)  # the other node answers and names it: the role is taken up again
