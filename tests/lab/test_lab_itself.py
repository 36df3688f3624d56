"""The lab does what it promises: without this, what is tested in it means nothing."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import (
    Chroot,
    CommandFailedError,
    CommandTimedOutError,
    Lab,
    LabError,
    Node,
    Settings,
    build_layer,
)
from tests.lab.cgroups import CgroupTree
from tests.lab.lab import down
from tests.lab.observers import (
    AddressRecorder,
    SecretSampler,
    ServiceWatcher,
    port_probe,
)
from tests.lab.process import wait_until
from tests.lab.settings import NAME_VARIABLE, ROOT_VARIABLE
from tests.lab.trees import PROJECT

SERVICE = "10.77.0.11"


def answers(lab: Lab, address: str) -> bool:
    """Whether somebody on the segment answers for an IPv4 address."""
    argv = ["arping", "-q", "-c", "2", "-f", "-w", "1", "-I", "br0", address]
    return lab.observer_chroot_run(argv, check=False).returncode == 0


def text(node: Node, path: str) -> str:
    return node.run(["cat", path]).stdout


def test_nodes_boot_and_only_the_unconfigured_dhcp_server_is_not_well(pair: Lab) -> None:
    for node in pair.nodes.values():
        listing = node.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout
        assert [line.split()[0] for line in listing.splitlines()] == ["isc-dhcp-server.service"]


def test_nodes_are_different_machines_with_the_same_software(pair: Lab) -> None:
    first, second = pair.node("mna"), pair.node("mnb")
    for path in (
        "/etc/machine-id",
        "/etc/hostname",
        "/proc/sys/kernel/random/boot_id",
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "/etc/ssh/ssh_host_rsa_key.pub",
    ):
        assert text(first, path).strip()
        assert text(first, path) != text(second, path)
    assert text(first, "/var/lib/dpkg/status") == text(second, "/var/lib/dpkg/status")


def test_names_and_addresses(pair: Lab) -> None:
    for node in pair.nodes.values():
        assert node.run(["hostname", "-f"]).stdout == f"{node.id}.lab.example\n"
        assert node.run(["getent", "ahostsv4", "mn1.lab.example"]).stdout.startswith(SERVICE)
        assert answers(pair, node.spec.ipv4)
        pair.observer_chroot_run(["ping", "-q", "-c", "1", "-W", "1", node.spec.ipv6])
    assert not answers(pair, SERVICE)


def test_ssh_needs_a_key_and_takes_one(pair: Lab) -> None:
    first, second = pair.node("mna"), pair.node("mnb")
    assert second.run(["ls", "-A", "/root/.ssh"]).stdout == ""
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new"]
    ssh = ["ssh", *options, second.spec.ipv4, "hostname"]
    refused = first.run(ssh, check=False)
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr
    first.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"])
    key = text(first, "/root/.ssh/id_ed25519.pub")
    second.run(["tee", "/root/.ssh/authorized_keys"], input=key)
    assert first.run(ssh).stdout == "mnb\n"


def test_commands_pass_input_and_status_and_end_at_their_limit(pair: Lab) -> None:
    node = pair.node("mna")
    done = node.run(["sh", "-c", "cat; echo bad >&2; exit 7"], input="in", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "in", "bad\n")
    with pytest.raises(CommandTimedOutError):
        node.run(["sleep", "4711"], timeout_s=0.2)
    wait_until(
        lambda: node.run(["pgrep", "-f", "sleep 4711"], check=False).returncode == 1,
        timeout_s=5,
        what="the command to be gone from the node",
    )


def test_a_cut_cable_is_silent_both_ways_until_healed(pair: Lab) -> None:
    node = pair.node("mna")
    pair.cut("mna")
    assert not answers(pair, node.spec.ipv4)
    assert "NO-CARRIER" in node.run(["ip", "link", "show", "en1"]).stdout
    pair.heal("mna")
    assert answers(pair, node.spec.ipv4)


def test_a_slow_cable_is_slow_and_a_lossy_one_loses(pair: Lab) -> None:
    ping = ["ping", "-q", "-c", "1", "-W", "1", pair.node("mna").spec.ipv4]
    pair.delay("mna", 100)
    pair.observer_chroot_run(ping)  # so that the next one need not ask for the neighbour first
    start_s = time.monotonic()
    pair.observer_chroot_run(ping)
    assert 0.2 <= time.monotonic() - start_s < 0.9
    pair.delay("mna", 0, 100)
    assert pair.observer_chroot_run(ping, check=False).returncode == 1
    pair.delay("mna", 0)

    def quick() -> bool:
        start_s = time.monotonic()
        answered = pair.observer_chroot_run(ping, check=False).returncode == 0
        return answered and time.monotonic() - start_s < 0.2

    # Not at once: the neighbour has to be found again, which is tried once a second.
    wait_until(quick, timeout_s=5, what="the cable to be quick again")


def test_a_small_file_system_gets_full_and_goes_away_again(pair: Lab) -> None:
    node = pair.node("mnb")
    node.run(["sh", "-c", "mkdir /srv/small && echo below >/srv/small/file"])
    node.tmpfs("/srv/small", 1 << 20)
    full = node.run(["dd", "if=/dev/zero", "of=/srv/small/big", "bs=1M", "count=2"], check=False)
    assert "No space left on device" in full.stderr
    node.remove_tmpfs("/srv/small")
    assert text(node, "/srv/small/file") == "below\n"


def test_a_disk_behaves_like_a_disk(pair: Lab) -> None:
    """Even directories that come from the base tree can be renamed, over a reboot too."""
    node = pair.node("mnb")
    node.run(["python3", "-c", "import os; os.rename('/usr/share/zoneinfo', '/usr/share/zones')"])
    node.kill()
    node.boot()
    node.run(["test", "-f", "/usr/share/zones/UTC"])
    node.run(["test", "!", "-e", "/usr/share/zoneinfo"])


def test_observers_see_who_holds_an_address_and_a_port(pair: Lab) -> None:
    first, second = pair.node("mna"), pair.node("mnb")
    address = [f"{SERVICE}/16", "dev", "en1"]
    listen = [
        "python3",
        "-c",
        "import http.server as s; s.test(s.BaseHTTPRequestHandler, port=3001)",
    ]
    with AddressRecorder(pair) as addresses, ServiceWatcher(pair, port_probe(3001)) as watcher:
        first.run(["ip", "address", "add", *address])
        daemon = first.popen(listen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        probe = port_probe(3001)
        wait_until(lambda: probe(first), timeout_s=10, what="the port")
        second.run(["ip", "address", "add", *address])
        first.run(["ip", "address", "delete", *address])
        wait_until(lambda: bool(watcher.held()), timeout_s=5, what="the watcher to look")
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()
        second.run(["ip", "address", "delete", *address])
    assert [part.nodes for part in addresses.held(SERVICE)] == [("mna",), ("mnb",)]
    assert [part.nodes for part in addresses.overlaps(SERVICE)] == [("mna", "mnb")]
    assert len(addresses.gaps(SERVICE)) == 2
    assert [part.nodes for part in watcher.held()] == [("mna",)]
    assert watcher.overlaps() == []
    assert addresses.gaps(second.spec.ipv4) == []


def test_a_secret_in_a_command_line_of_a_node_is_seen(pair: Lab) -> None:
    node = pair.node("mna")
    node.run(["tee", "/root/leaky"], input="#!/bin/sh\n/bin/echo --password=tr0ub4dor\n")
    with SecretSampler({"db": "tr0ub4dor", "other": "not-used"}) as sampler:
        node.run(["sh", "/root/leaky"])
    assert {leak.secret for leak in sampler.leaks} == {"db"}
    assert any(leak.argv[0] == "/bin/echo" for leak in sampler.leaks)


def test_power_loss_silences_the_address_and_spares_the_disk(pair: Lab) -> None:
    node = pair.node("mna")
    node.run(["ip", "address", "add", f"{SERVICE}/16", "dev", "en1"])
    node.run(["touch", "/root/mark"])
    boot_id = text(node, "/proc/sys/kernel/random/boot_id")
    with AddressRecorder(pair) as recorder:
        node.kill()
        node.kill()
        assert not node.is_on
        assert not answers(pair, SERVICE)
        assert not answers(pair, node.spec.ipv4)
        assert (node.root / "root/mark").exists()
        with pytest.raises(LabError, match="mna is off"):
            node.run(["true"])
        node.boot()
        recorder.attach("mna")
    node.run(["test", "-e", "/root/mark"])
    assert not answers(pair, SERVICE)
    assert text(node, "/proc/sys/kernel/random/boot_id") != boot_id
    assert [part.nodes for part in recorder.gaps(node.spec.ipv4)] == [()]


def test_a_reboot_from_inside_comes_back_with_the_address_of_its_files(pair: Lab) -> None:
    node = pair.node("mnb")
    node.run(["sed", "-i", "s/10.77.0.22/10.77.0.99/", "/etc/network/interfaces"])
    node.run(["ip", "address", "add", f"{SERVICE}/16", "dev", "en1"])
    node.reboot()
    assert answers(pair, "10.77.0.99")
    assert not answers(pair, node.spec.ipv4)
    assert not answers(pair, SERVICE)


def test_reset_forgets_everything(pair: Lab) -> None:
    node = pair.node("mnb")
    machine_id = text(node, "/etc/machine-id")
    pair.observer_chroot_run(["touch", "/root/mark"])
    pair.cut("mna")
    pair.reset()
    assert text(node, "/etc/machine-id") != machine_id
    assert answers(pair, "10.77.0.21")
    assert answers(pair, "10.77.0.22")
    assert not answers(pair, "10.77.0.99")
    assert pair.observer_chroot_run(["ls", "-A", "/root/"]).stdout.find("mark") < 0


def test_in_the_shape_single_the_first_node_is_the_management_node(single: Lab) -> None:
    node = single.node("mna")
    assert node.run(["hostname", "-f"]).stdout == "mn1.lab.example\n"
    assert answers(single, SERVICE)
    assert not answers(single, "10.77.0.21")


def write_key(key: str) -> Callable[[Chroot], None]:
    def write(chroot: Chroot) -> None:
        (chroot.path / "opt/key").write_text(key)

    return write


def fail(chroot: Chroot) -> None:
    chroot.run(["touch", "/opt/half-done"])
    chroot.run(["false"])


def test_layers_are_cached_and_pruned_and_a_failed_one_leaves_nothing(
    lab_settings: Settings,
) -> None:
    lab_settings, keeping = dataclasses.replace(lab_settings, keep_s=0), lab_settings
    try:
        first = build_layer("lab-test", "1", write_key("1"), settings=lab_settings)
        assert build_layer("lab-test", "1", fail, settings=lab_settings) == first
        build_layer("lab-test", "1b", write_key("1b"), settings=keeping)
        assert first.path.exists()
        upper = build_layer("lab-test-up", "1", write_key("up"), below=[first], settings=lab_settings)
        assert [(tree / "opt/key").read_text() for tree in upper.trees] == ["up", "1"]
        second = build_layer("lab-test", "2", write_key("2"), settings=lab_settings)
        assert not first.path.exists()
        assert upper.path.exists()
        with pytest.raises(CommandFailedError):
            build_layer("lab-test", "3", fail, settings=lab_settings)
        assert {path.name for path in second.path.parent.glob("lab-test*")} == {
            second.path.name,
            upper.path.name,
        }
        assert not list(second.path.parent.glob(".building-*"))
    finally:
        for path in (lab_settings.root / "layers").glob("lab-test-*"):
            shutil.rmtree(path)
        for stamp in (lab_settings.root / "layers").glob(".lab-test-*"):
            stamp.unlink()


def traces(settings: Settings) -> set[str]:
    """Whatever of a lab exists on this machine."""
    name = settings.name
    found = {str(path) for path in Path("/run/netns").glob(f"{name}-*")}
    found |= {str(path) for path in (settings.lab_run_dir, settings.lab_disks) if path.exists()}
    top = CgroupTree.of_lab(name).top
    found |= {str(top)} if top.exists() else set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mounts, argv = (process / "mountinfo").read_text(), (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"/labs/{name}/" in mounts or f"/netns/{name}-" in mounts or f"{name}-".encode() in argv:
            found.add(f"{process.name} {argv!r}")
    return found


def test_down_leaves_nothing_even_if_the_starter_was_killed(lab_settings: Settings) -> None:
    settings = dataclasses.replace(lab_settings, name=f"{lab_settings.name[:6]}dn")
    down(settings)
    before = Path("/proc/mounts").read_text().splitlines()
    environ = {**os.environ, NAME_VARIABLE: settings.name, ROOT_VARIABLE: str(settings.root)}
    command = [sys.executable, "-m", "tests.lab", "up"]
    with subprocess.Popen(command, cwd=PROJECT, env=environ) as starter:
        wait_until(
            lambda: bool(CgroupTree.of_lab(settings.name).processes("mna")),
            timeout_s=20,
            what="a node to start",
        )
        starter.kill()
    assert len(traces(settings)) > 4
    down(settings)
    down(settings)
    wait_until(lambda: not traces(settings), timeout_s=5, what=f"{traces(settings)} to be gone")
    new = set(Path("/proc/mounts").read_text().splitlines()) - set(before)
    assert not [line for line in new if settings.name in line]
