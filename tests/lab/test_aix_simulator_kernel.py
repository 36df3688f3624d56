"""The simulated AIX on a kernel of its own: its commands change real addresses, names and processes; an outsider sees them.

Of the lab only its base tree is needed: two network namespaces with a cable between them, no systemd.
"""

from __future__ import annotations

import contextlib
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Settings
from tests.lab.base import base_tree
from tests.simulators.aix import install

OWN, SERVICE, TAKEN = "9.114.47.103", "9.114.47.120", "9.114.47.121"
MASK, GATEWAY = "255.255.255.192", "9.114.47.126"
GENEROUS_S = 60.0

NODE = textwrap.dedent("""\
    set -eu
    mount -t tmpfs tmpfs "$1"
    mkdir "$1/upper" "$1/work" "$1/root"
    mount -t overlay overlay -o lowerdir="$3",upperdir="$1/upper",workdir="$1/work" "$1/root"
    cp -R "$2/." "$1/root"
    mount -t proc proc "$1/root/proc"
    mount --rbind /dev "$1/root/dev"
    mount -t tmpfs tmpfs "$1/root/run"
    ip link set lo up
    echo ready
    exec chroot "$1/root" /bin/sleep 1000
""")


class Node:
    """The node, and the machine at the other end of its cable."""

    def __init__(self, pid: int, outside: int, base: Path) -> None:
        self.pid = pid
        self.base = base
        self.outside = outside

    def run(self, *words: str, timeout_s: float = GENEROUS_S) -> subprocess.CompletedProcess[str]:
        path = "PATH=/opt/aixsim/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        enter = ["nsenter", "-t", str(self.pid), "-m", "-n", "-u", "-p", "-r", "-w", "--", "env", "-i", path]
        return subprocess.run([*enter, *words], capture_output=True, text=True, check=False, timeout=timeout_s)

    def ok(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done
        return done.stdout

    def from_outside(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", "-t", str(self.outside), "-n", "--", "chroot", str(self.base), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=GENEROUS_S,
        )

    def addresses(self) -> list[str]:
        return [line.split()[3].partition("/")[0] for line in self.ok("ip", "-4", "-o", "address", "show", "en1").splitlines()]

    def gateways(self) -> list[str]:
        return [line.split()[2] for line in self.ok("ip", "route", "show", "default").splitlines()]

    def word(self, subsystem: str) -> str:
        return self.ok("lssrc", "-s", subsystem).split()[-1]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GENEROUS_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextlib.contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, lab_settings: Settings) -> Iterator[Node]:
    base = base_tree(lab_settings)
    tree, place = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("place")
    install.install(tree)
    install.provision(tree, "aixmn1", OWN, mask=MASK, gateway=GATEWAY)
    (tree / "etc/hosts").write_text(f"127.0.0.1 localhost\n{OWN} aixmn1\n", encoding="ascii")
    inside = ("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation", "private")
    with (
        running("unshare", "--net", "sleep", "1000") as outside,
        running(*inside, "sh", "-c", NODE, "sh", str(place), str(tree), str(base)) as box,
    ):
        assert box.stdout is not None
        assert box.stdout.readline() == "ready\n"
        pid = int(Path(f"/proc/{box.pid}/task/{box.pid}/children").read_text(encoding="ascii"))
        made = Node(pid, outside.pid, base)
        made.ok("ip", "link", "add", "en1", "type", "veth", "peer", "name", "peer")
        subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "link", "set", "peer", "netns", str(outside.pid)], check=True)
        for words in (
            ("address", "add", f"{GATEWAY}/26", "dev", "peer"),
            ("address", "add", f"{TAKEN}/26", "dev", "peer"),
            ("link", "set", "peer", "up"),
        ):
            assert made.from_outside("ip", *words).returncode == 0
        with running("nsenter", "-t", str(pid), "-m", "-n", "-u", "-p", "-r", "-w", "--", "/opt/aixsim/bin/aixsim", "init"):
            wait_for(lambda: made.addresses() == [OWN] and made.gateways() == [GATEWAY])
            yield made


def test_it_boots_with_its_own_name_and_address(node: Node) -> None:
    assert node.ok("hostname") == "aixmn1\n"
    assert node.ok("/bin/sh", "-c", "cat /proc/sys/kernel/hostname") == "aixmn1\n"
    assert node.from_outside("ping", "-c", "1", "-W", "5", OWN).returncode == 0
    assert f"\tinet {OWN} netmask 0xffffffc0" in node.ok("ifconfig", "-a")


def test_firstalias_is_the_first_address_and_the_default_source(node: Node) -> None:
    node.ok("ifconfig", "en1", "firstalias", SERVICE, "netmask", MASK, "up")
    assert node.addresses() == [SERVICE, OWN]
    assert f"src {SERVICE} " in node.ok("ip", "route", "get", GATEWAY)
    assert node.gateways() == [GATEWAY]
    assert node.from_outside("ping", "-c", "1", "-W", "5", SERVICE).returncode == 0
    node.ok("ifconfig", "en1", "delete", SERVICE)
    assert node.addresses() == [OWN]
    assert node.from_outside("ping", "-c", "1", "-W", "1", SERVICE).returncode != 0


def test_an_outsiders_address_is_noted_in_the_error_log_and_only_that(node: Node) -> None:
    node.ok("ifconfig", "en1", "alias", SERVICE, "netmask", MASK, "up")
    node.ok("ifconfig", "en1", "alias", TAKEN, "netmask", MASK, "up")
    try:
        assert node.addresses() == [OWN, SERVICE, TAKEN]
        wait_for(lambda: TAKEN in node.ok("errpt", "-a"))
        assert SERVICE not in node.ok("errpt", "-a")
    finally:
        node.ok("ifconfig", "en1", "delete", TAKEN)
        node.ok("ifconfig", "en1", "delete", SERVICE)


def test_mktcpip_moves_the_real_address_and_adds_a_route(node: Node) -> None:
    node.ok("ifconfig", "en1", "alias", SERVICE, "netmask", MASK, "up")
    node.ok("mktcpip", "-haixmn2", "-a9.114.47.104", f"-m{MASK}", "-ien1", "-g9.114.47.125", "-Ano", "-tN/A", "-s")
    assert node.addresses() == ["9.114.47.104", SERVICE]
    assert node.gateways() == [GATEWAY, "9.114.47.125"]
    assert node.ok("/bin/sh", "-c", "cat /proc/sys/kernel/hostname") == "aixmn2\n"
    node.ok("chdev", "-l", "inet0", "-a", "delroute=net,-hopcount,0,,0,9.114.47.125", "-a", "hostname=aixmn1")
    node.ok("chdev", "-l", "en1", "-a", f"netaddr={OWN}", "-a", "state=up")
    node.ok("ifconfig", "en1", "delete", SERVICE)
    assert (node.addresses(), node.gateways(), node.ok("hostname")) == ([OWN], [GATEWAY], "aixmn1\n")


def test_arp_shows_and_forgets_the_kernels_neighbours(node: Node) -> None:
    node.ok("ping", "-c", "1", "-W", "5", GATEWAY)
    assert f"({GATEWAY}) at " in node.ok("arp", "-an")
    node.ok("arp", "-d", GATEWAY)
    assert f"({GATEWAY}) at " not in node.ok("arp", "-an")


def test_a_subsystem_is_a_process_and_stops_when_it_will(node: Node) -> None:
    node.ok("mkssys", "-s", "sleeper", "-p", "/bin/sleep", "-u", "0", "-a", "1000", "-S", "-n", "15", "-f", "9")
    pid = node.ok("startsrc", "-s", "sleeper").split()[-1].rstrip(".")
    assert node.word("sleeper") == "active"
    assert node.ok("/bin/sh", "-c", f"readlink /proc/{pid}/exe") == "/usr/bin/sleep\n"
    node.ok("stopsrc", "-s", "sleeper")
    assert node.word("sleeper") in {"stopping", "inoperative"}
    wait_for(lambda: node.word("sleeper") == "inoperative")
    assert node.run("/bin/sh", "-c", f"readlink /proc/{pid}/exe").returncode != 0


def test_a_subsystem_that_does_not_listen_stops_only_by_force(node: Node) -> None:
    node.ok("mkssys", "-s", "deaf", "-p", "/bin/sh", "-u", "0", "-a", "-c \"trap '' TERM; touch /tmp/deaf; while :; do sleep 1; done\"")
    node.ok("startsrc", "-s", "deaf")
    wait_for(lambda: node.run("/bin/sh", "-c", "test -e /tmp/deaf").returncode == 0)
    node.run("stopsrc", "-s", "deaf")
    time.sleep(3)  # longer than stop_delay_s: what has to be seen is that nothing happens
    assert node.word("deaf") == "stopping"
    node.ok("stopsrc", "-f", "-s", "deaf")
    wait_for(lambda: node.word("deaf") == "inoperative")


def test_started_is_said_of_a_program_that_does_not_exist(node: Node) -> None:
    node.ok("mkssys", "-s", "nothing", "-p", "/no/such/program", "-u", "0")
    assert "0513-059" in node.ok("startsrc", "-s", "nothing")
    wait_for(lambda: node.word("nothing") == "inoperative")


def test_init_keeps_a_respawn_entry_alive(node: Node) -> None:
    def pids() -> list[str]:
        return node.run("/usr/bin/pgrep", "-f", "^/bin/sleep 777$").stdout.split()

    node.ok("mkitab", "sleeper:2:respawn:exec /bin/sleep 777")
    assert not pids()
    node.ok("telinit", "q")
    wait_for(lambda: len(pids()) == 1)
    before = pids()
    node.ok("/bin/kill", *before)
    wait_for(lambda: len(pids()) == 1 and pids() != before)
    node.ok("rmitab", "sleeper")
    node.ok("telinit", "q")
    wait_for(lambda: not pids())


def test_programs_that_look_like_xcat_by_name_only_find_no_systemctl(node: Node) -> None:
    assert node.run("/bin/sh", "-c", "systemctl start xcatd; exit $?", "xcat-ha").returncode == 127
    assert node.run("systemctl", "is-active", "xcatd").returncode == 127
