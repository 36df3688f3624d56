"""The xCAT stand-in as installed: xcatd with its processes, clients over TLS, and how they fail."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simulators.xcat.install import install, provision
from tests.simulators.xcat.standin.paths import ROOT_VARIABLE
from tests.simulators.xcat.trial import HOSTS, Answer

PROCESSES = (
    "xcatd: SSL listener",
    "xcatd: DB Access",
    "xcatd: UDP listener",
    "xcatd: install monitor",
    "xcatd: Command log writer",
    "xcatd: Discovery worker",
)
HERE = "at /opt/xcat/lib/perl/xCAT/Client.pm line"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """A provisioned tree, its daemon, and its commands as separate processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()

    def set_ports(self) -> None:
        ports = {"xcatdport": self.port, "xcatiport": free_port(), "xcatlport": free_port()}
        connection = sqlite3.connect(self.root / "etc/xcat/site.sqlite")
        for key, port in ports.items():
            connection.execute("INSERT OR REPLACE INTO site (key, value) VALUES (?, ?)", (key, str(port)))
        connection.commit()
        connection.close()

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        own = {ROOT_VARIABLE: str(self.root), "XCAT_STANDIN_TIME_SCALE": "0", "XCATHOST": f"localhost:{self.port}"}
        return {**os.environ, **own, **extra}

    def run(self, *words: str, **extra: str) -> Answer:
        """Run an installed command."""
        found = [self.root / "opt/xcat" / folder / words[0] for folder in ("bin", "sbin")]
        program = next(p for p in found if p.exists())
        done = subprocess.run(
            [program, *words[1:]],
            env=self.environment(extra),
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self) -> None:
        assert self.run("xcatd").code == 0

    @property
    def pid(self) -> int:
        return int((self.root / "run/xcatd.pid").read_text())

    def titles(self) -> dict[int, str]:
        """The daemon's processes as ps shows them."""
        found = {}
        listener = self.pid
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                try:
                    words = (place / "stat").read_text().rpartition(")")[2].split()
                    title = (place / "cmdline").read_text().rstrip("\0")
                except OSError:
                    continue
                if int(place.name) == listener or int(words[1]) == listener:
                    found[int(place.name)] = title
        return found

    def stop(self) -> None:
        if Path(f"/proc/{self.pid}").exists():
            os.kill(self.pid, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{self.pid}").exists() or is_zombie(self.pid))


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(holds: Callable[[], bool], limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mn1")
    install(root)
    provision(root, primary=True)
    (root / "etc/hosts").write_text(HOSTS)
    (root / "etc/hostname").write_text("mn1\n")
    return root


@pytest.fixture(scope="module")
def machine(provisioned: Path) -> Iterator[Machine]:
    own = Machine(provisioned)
    own.set_ports()
    own.start()
    yield own
    own.stop()


def test_it_runs_as_the_real_processes(machine: Machine) -> None:
    assert sorted(machine.titles().values()) == sorted(PROCESSES)
    assert machine.titles()[machine.pid] == "xcatd: SSL listener"
    files = {p.name for p in (machine.root / "run/xcat").iterdir()}
    assert files == {
        "mainservice.pid",
        "udpservice.pid",
        "installservice.pid",
        "cmdlogservice.pid",
        f"dbworker.sock.{machine.pid}",
    }


def test_commands_through_the_daemon(machine: Machine) -> None:
    assert machine.run("lsdef", "-t", "site", "-i", "master", "-c") == Answer(0, "clustersite: master=10.77.0.11\n", "")
    assert machine.run("nodels", "nosuch") == Answer(1, "", "Error: Invalid nodes and/or groups in noderange: nosuch\n")
    assert machine.run("chdef", "-t", "site", "probe=1").code == 0
    assert machine.run("gettab", "key=probe", "site.value").out == "1\n"
    assert machine.run("chtab", "key=probe", "site.value=2") == Answer(0, "", "")
    assert machine.run("gettab", "key=probe", "site.value").out == "2\n"
    assert machine.run("chtab", "key=x", "nosuch.value=2") == Answer(1, "Table nosuch does not exist.\n", "")


def test_dump_and_restore(machine: Machine, tmp_path: Path) -> None:
    target = tmp_path / "dump"
    done = machine.run("dumpxCATdb", "-p", str(target))
    # Paths a command is given are the node's own: below the root here.
    assert done == Answer(0, f" Creating {target} for database dump\nBackup Complete.\n", "")
    names = {p.name for p in target.iterdir()}
    assert len(names) == 71
    assert not names & {"auditlog.csv", "eventlog.csv"}
    assert machine.run("dumpxCATdb").code == 1
    assert machine.run("restorexCATdb", "-p", str(tmp_path / "none")) == Answer(1, "", " Input path must exist \n")


def test_a_table_file_renamed_over_is_served_as_it_was_until_a_restart(machine: Machine) -> None:
    file = machine.root / "etc/xcat/policy.sqlite"
    copy = machine.root / "etc/xcat/new"
    shutil.copy(file, copy)
    changed = sqlite3.connect(copy)
    changed.execute("INSERT INTO policy (priority, name, rule) VALUES ('9.9', 'mn2', 'trusted')")
    changed.commit()
    changed.close()
    copy.replace(file)
    assert "9.9" not in machine.run("tabdump", "policy").out
    refused = machine.run("chdef", "-t", "policy", "9.8", "rule=allow")
    assert refused.code == 1
    assert refused.err == ("Error: [mn1]: One or more errors occured when attempting to create or modify xCAT object definitions.\n")
    done = machine.run("restartxcatd")
    assert done == Answer(0, "restartxcatd invoked by root.\n\nRestarting xCATd                                           [  OK  ]\n", "")
    assert "9.9" in machine.run("tabdump", "policy").out
    assert machine.run("chdef", "-t", "policy", "9.8", "rule=allow").code == 0


def test_clients_fail_as_the_real_ones(machine: Machine, tmp_path: Path) -> None:
    other = Machine(tmp_path)
    install(tmp_path)
    provision(tmp_path, primary=False)
    other.port = machine.port
    down = (
        "Unable to open socket connection to xcatd daemon on localhost:{}.\n"
        "Verify that the xcatd daemon is running and that your SSL setup is correct.\n"
    )
    foreign = other.run("lsdef")
    assert foreign == Answer(
        255,
        down.format(machine.port),
        f"Connection failure: SSL connect attempt failed error:0A000086:SSL routines::certificate verify failed {HERE} 282.\n",
    )
    shutil.copy(machine.root / "root/.xcat/ca.pem", tmp_path / "root/.xcat/ca.pem")
    assert other.run("lsdef") == Answer(1, "", "ERROR/WARNING: communication with the xCAT server seems to have been ended prematurely\n")
    shutil.rmtree(tmp_path / "root/.xcat")
    nobody = other.run("lsdef")
    assert (nobody.code, nobody.err) == (1, "Error: Permission denied for request\n")
    assert nobody.out.startswith("warning: the client certificates under /root/.xcat/ are not setup correctly, ")
    assert other.run("lsdef", XCATHOST="no.such.host.invalid:3001").code == 22
    refused = other.run("tabdump", "-h", XCATHOST="localhost:1")
    assert refused == Answer(111, down.format(1), f"Connection failure: IO::Socket::INET: connect: Connection refused {HERE} 248.\n")
    for words in (("xcatconfig", "-v"), ("dumpxCATdb", "-v"), ("restorexCATdb", "-v"), ("restartxcatd", "-h")):
        assert other.run(*words, XCATHOST="localhost:1").code == 0


def test_certificates_put_back_work_at_once(machine: Machine) -> None:
    cert = machine.root / "etc/xcat/cert"
    cert.rename(cert.with_name("away"))
    done = machine.run("lsdef", "-t", "site")
    cert.with_name("away").rename(cert)
    assert (done.code, "SSL connect attempt failed" in done.err) == (104, True)
    assert machine.run("lsdef", "-t", "site").code == 0


def test_nodels_beside_a_long_request_is_truncated(machine: Machine) -> None:
    assert len(machine.run("nodels").out.split()) == 2000
    slow = socket.create_connection(("localhost", machine.port))  # a request that has not come to its end
    try:
        until(lambda: len(machine.titles()) > len(PROCESSES))
        beside = machine.run("nodels")
        assert (beside.code, len(beside.out.split())) == (0, 1800)
        assert len(machine.run("lsdef").out.splitlines()) == 2000
    finally:
        slow.close()
    until(lambda: len(machine.titles()) == len(PROCESSES))
    assert len(machine.run("nodels").out.split()) == 2000


def test_a_killed_listener_leaves_nobody_behind_and_a_stopped_one_its_pid_file(machine: Machine) -> None:
    processes = machine.titles()
    os.kill(machine.pid, signal.SIGKILL)
    until(lambda: all(is_zombie(pid) for pid in processes))
    machine.start()
    machine.stop()
    assert machine.run("lsdef").code == 111
    assert (machine.root / "run/xcatd.pid").exists()
    assert list((machine.root / "run/xcat").iterdir()) == []
    assert machine.run("lsdef", "-t", "site", XCATBYPASS="1").code == 0
    machine.start()


def test_a_start_without_a_database_waits_and_given_up_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    environment = machine.environment({ROOT_VARIABLE: str(tmp_path), "XCATCFG": "Pg:dbname=xcatdb;host=10.77.0.11|xcatadm|pw"})
    with subprocess.Popen([machine.root / "opt/xcat/sbin/xcatd"], env=environment) as launcher:
        place = tmp_path / "run/xcat"
        until(lambda: place.exists() and any(place.iterdir()))
        daemon = int(next(place.iterdir()).suffix[1:])
        time.sleep(0.3)
        assert launcher.poll() is None
        launcher.terminate()
    until(lambda: is_zombie(daemon))


# ---- what is installed


def modes(root: Path, names: str) -> dict[str, str]:
    return {name: f"{stat.S_IMODE((root / name).stat().st_mode):o}" for name in names.split()}


def test_modes_of_what_is_provisioned(provisioned: Path) -> None:
    assert modes(provisioned / "etc/xcat", "ca ca/private ca/private/ca-key.pem cert cert/server-cred.pem ddns.key site.sqlite") == {
        "ca": "755",
        "ca/private": "700",
        "ca/private/ca-key.pem": "600",
        "cert": "700",
        "cert/server-cred.pem": "600",
        "ddns.key": "660",
        "site.sqlite": "600",
    }
    assert modes(provisioned / "etc/xcat/hostkeys", "ssh_host_rsa_key ssh_host_rsa_key.pub") == {
        "ssh_host_rsa_key": "640",
        "ssh_host_rsa_key.pub": "644",
    }
    assert modes(provisioned / "root", ".xcat .xcat/ca.pem .xcat/client-cred.pem .ssh/id_rsa") == {
        ".xcat": "755",
        ".xcat/ca.pem": "644",
        ".xcat/client-cred.pem": "600",
        ".ssh/id_rsa": "600",
    }


def test_commands_are_where_xcat_has_them(provisioned: Path) -> None:
    in_sbin = "tabdump makedns makedhcp makehosts nodeset chtab mknb restartxcatd dumpxCATdb xcatd"
    assert all((provisioned / "opt/xcat/sbin" / name).exists() for name in in_sbin.split())
    assert all((provisioned / "opt/xcat/bin" / name).exists() for name in ["lsdef", "nodels", "rpower", "lsxcatd", "gettab"])


def test_the_server_certificate_names_the_node(provisioned: Path) -> None:
    assert "Subject: CN=mn1\n" in (provisioned / "etc/xcat/cert/server-cert.pem").read_text()


def test_trees_hold_what_copying_gets_wrong(provisioned: Path) -> None:
    image = provisioned / "install/netboot/rocky9.5/x86_64/compute/rootimg"
    assert (image / "usr/bin/ping").samefile(image / "usr/bin/ping6")
    assert (image / "bin").is_symlink()
    assert stat.S_IMODE((image / "usr/bin/su").stat().st_mode) == 0o4755


def test_a_fresh_standby_has_a_database_and_a_ca_of_its_own(provisioned: Path, tmp_path: Path) -> None:
    install(tmp_path)
    provision(tmp_path, primary=False, name="mnb", address="10.77.0.22")
    own = Machine(tmp_path)
    (tmp_path / "etc/hostname").write_text("mnb\n")
    assert own.run("lsdef", XCATBYPASS="1").out == "Could not find any object definitions to display.\n"
    assert '"1.2","mnb"' in own.run("tabdump", "policy", XCATBYPASS="1").out
    assert own.run("gettab", "key=master", "site.value", XCATBYPASS="1").out == "10.77.0.22\n"
    assert len(list((tmp_path / "etc/xcat").glob("*.sqlite"))) == 73
    assert (tmp_path / "etc/xcat/ca/ca-cert.pem").read_text() != (provisioned / "etc/xcat/ca/ca-cert.pem").read_text()
    assert not (tmp_path / "root/.ssh/id_rsa").exists()
