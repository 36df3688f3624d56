"""Reading the effects of xCAT's commands, in a tree of the test's own: HOLDS only for what is there, UNKNOWN for what cannot be asked."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcat_ha.steps import Completed, SaysVerdict, Verdict
from xcat_ha.xcat import effects

TENURE = "/run/xcat-ha/tenure"
NODES = "/run/xcat-ha/dhcp-nodes"
MASTER = "192.0.2.11"
ISC = """\
option domain-name "cluster.example";
shared-network en1 {
  subnet 192.0.2.0 netmask 255.255.255.0 {
    authoritative;
    next-server  192.0.2.11;
  }
}
"""
KEA = '{"Dhcp4": {"subnet4": [{"id": 1, "subnet": "192.0.2.0/24", "next-server": "192.0.2.11", "reservations": []}]}}'


class Tree:
    """A node's files below a directory, each with an age relative to the node's tenure (seconds; above zero: newer)."""

    def __init__(self, root: Path, say: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._say = say

    def put(self, path: str, text: str = "", *, age: float = 1.0) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (1_700_000_000 + age, 1_700_000_000 + age))
        return file

    def program(self, path: str, script: str) -> None:
        self.put(path, f"#!/bin/sh\n{script}\n").chmod(0o755)

    def udp(self, *ports: int) -> None:
        head = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
        lines = [
            f" {100 + port}: 0B0200C0:{port:04X} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n"
            for port in ports
        ]
        self.put("/proc/net/udp", head + "".join(lines))

    def ask(self, *words: str) -> tuple[Verdict, str]:
        """The verdict as the plan's rule reads it, and what was said."""
        status = effects.main(list(words))
        said = self._say.readouterr().out
        return SaysVerdict().judge([Completed(words, status, said)]).verdict, said.strip()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tree:
    monkeypatch.setattr(effects, "_ROOT", tmp_path)
    made = Tree(tmp_path, capsys)
    made.put(TENURE, "an operation\n", age=0)
    return made


H, F, U = Verdict.HOLDS, Verdict.FAILS, Verdict.UNKNOWN


# xcatd


@pytest.mark.parametrize(
    ("script", "verdict", "said"),
    [
        ("echo clustersite: master=192.0.2.11", H, ""),
        ("echo 'clustersite: domain=x'; echo clustersite: master=192.0.2.11", H, ""),
        ("echo clustersite: master=192.0.2.9", F, "site.master is 192.0.2.9, not 192.0.2.11"),
        ("echo clustersite: master=", F, "exit 0"),
        ("true", F, "exit 0"),  # exit status 0 and no row: its database is gone
        ("echo 'Error: Permission denied for request' >&2; exit 1", F, "Permission denied for request"),
        ("echo 'Unable to open socket connection to xcatd daemon on localhost:3001.'; exit 111", F, "exit 111: Unable to open socket"),
        ("printf 'clustersite: master=\\377\\n'", F, "not 192.0.2.11"),
        ("kill -9 $$", F, "exit -9"),
    ],
)
def test_xcatd_answers_only_with_data_of_this_site(script: str, verdict: Verdict, said: str, tree: Tree) -> None:
    tree.program("/opt/xcat/bin/lsdef", script)
    found = tree.ask("xcatd", "--master", MASTER)
    assert found[0] is verdict
    assert said in found[1]


def test_without_lsdef_nothing_is_known_of_xcatd(tree: Tree) -> None:
    verdict, said = tree.ask("xcatd", "--master", MASTER)
    assert verdict is U
    assert "/opt/xcat/bin/lsdef is not installed" in said


def test_an_lsdef_that_hangs_is_unknown(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.program("/opt/xcat/bin/lsdef", "exec sleep 20")
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: real(*words, **options | {"timeout": 0.2}))
    verdict, said = tree.ask("xcatd", "--master", MASTER)
    assert verdict is U
    assert "did not end" in said


# DHCP


def dhcp(tree: Tree, *words: str) -> tuple[Verdict, str]:
    return tree.ask("dhcp", "--since", TENURE, "--address", MASTER, *words)


@pytest.mark.parametrize("path", ["/etc/dhcp/dhcpd.conf", "/etc/dhcpd.conf"])
def test_a_dhcp_configuration_of_this_tenure_that_names_the_service_address(path: str, tree: Tree) -> None:
    tree.put(path, ISC)
    assert dhcp(tree) == (H, "HOLDS")


def test_a_kea_configuration(tree: Tree) -> None:
    tree.put("/etc/kea/kea-dhcp4.conf", KEA)
    assert dhcp(tree) == (H, "HOLDS")
    tree.put("/etc/kea/kea-dhcp4.conf", KEA.replace("192.0.2.11", "192.0.2.110"))
    assert dhcp(tree)[0] is F


BAD_DHCP = {
    "none at all": (None, "none of /etc/dhcp/dhcpd.conf"),
    "empty": ("", "no subnet"),
    "no subnet": ("option domain-name-servers 192.0.2.11;\n", "no subnet"),
    "subnets only in comments": ("# subnet 192.0.2.0 netmask 255.255.255.0 {\n#   next-server 192.0.2.11;\n# }\n", "no subnet"),
    "the old node's address": (ISC.replace("192.0.2.11", "192.0.2.21"), "does not name 192.0.2.11 as next-server"),
    "an address that only begins like ours": (ISC.replace("192.0.2.11", "192.0.2.111"), "does not name 192.0.2.11 as next-server"),
    "our address as something else": (ISC.replace("next-server", "option routers"), "does not name 192.0.2.11 as next-server"),
}


@pytest.mark.parametrize("case", BAD_DHCP)
def test_a_dhcp_configuration_that_serves_nobody_fails(case: str, tree: Tree) -> None:
    text, said = BAD_DHCP[case]
    if text is not None:
        tree.put("/etc/dhcp/dhcpd.conf", text)
    verdict, shown = dhcp(tree)
    assert verdict is F
    assert said in shown


def test_what_is_older_than_the_tenure_is_somebody_else_s(tree: Tree) -> None:
    tree.put("/etc/dhcp/dhcpd.conf", ISC, age=-1)
    tree.put("/etc/conserver.cf", age=-1)
    for words in (("dhcp", "--since", TENURE, "--address", MASTER), ("console", "--since", TENURE)):
        verdict, said = tree.ask(*words)
        assert verdict is F
        assert "older than" in said


def test_without_a_tenure_nothing_is_of_it(tree: Tree) -> None:
    """The node was booted: /run is empty."""
    (tree.root / TENURE.lstrip("/")).unlink()
    tree.put("/etc/dhcp/dhcpd.conf", ISC)
    tree.put("/etc/conserver.cf")
    for words in (("dhcp", "--since", TENURE, "--address", MASTER), ("console", "--since", TENURE)):
        verdict, said = tree.ask(*words)
        assert verdict is F
        assert "did not take the role" in said


def test_the_newest_of_several_configurations_counts(tree: Tree) -> None:
    tree.put("/etc/dhcp/dhcpd.conf", "", age=-100)
    tree.put("/etc/kea/kea-dhcp4.conf", KEA, age=5)
    assert dhcp(tree)[0] is H
    tree.put("/etc/dhcp/dhcpd.conf", "", age=9)
    assert dhcp(tree)[0] is F


HOST = "host cn1 {\n  dynamic;\n  hardware ethernet 52:54:00:00:00:01;\n}\n"


def dhcp_server(tree: Tree, leases: str = HOST, *, port: int = 67, made: float = 2) -> None:
    tree.put("/etc/dhcp/dhcpd.conf", ISC, age=1)
    tree.put(NODES, age=made)
    tree.put("/var/lib/dhcp/dhcpd.leases", leases, age=3)
    tree.udp(port)


def test_reservations_made_after_the_configuration_hold(tree: Tree) -> None:
    dhcp_server(tree)
    assert dhcp(tree, "--nodes", NODES) == (H, "HOLDS")


def test_a_dhcp_server_that_does_not_listen_has_no_reservations(tree: Tree) -> None:
    dhcp_server(tree, port=68)
    verdict, said = dhcp(tree, "--nodes", NODES)
    assert verdict is F
    assert "no DHCP server listens on UDP port 67" in said


def test_reservations_made_before_the_configuration_do_not_count(tree: Tree) -> None:
    dhcp_server(tree, made=0.5)
    assert dhcp(tree, "--nodes", NODES)[0] is F
    (tree.root / NODES.lstrip("/")).unlink()
    assert dhcp(tree, "--nodes", NODES)[0] is F


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ("echo '#node,interface,mac,comments,disable'", H),  # no node has a MAC address: nothing to reserve
        ("echo '#node,interface,mac,comments,disable'; echo '\"cn1\",,\"52:54:00:00:00:01\",,'", F),
        ("echo 'Error: Permission denied for request' >&2; exit 1", U),
        ("exit 111", U),
    ],
)
def test_leases_without_reservations_are_fine_only_if_no_node_has_a_mac_address(script: str, verdict: Verdict, tree: Tree) -> None:
    dhcp_server(tree, leases="# dhcpd leases\nlease 192.0.2.50 {\n}\n")
    tree.program("/opt/xcat/sbin/tabdump", script)
    assert dhcp(tree, "--nodes", NODES)[0] is verdict


# Console, TFTP


def test_a_console_configuration_of_this_tenure(tree: Tree) -> None:
    assert tree.ask("console", "--since", TENURE)[0] is F
    tree.put("/etc/conserver.cf")
    assert tree.ask("console", "--since", TENURE)[0] is H


@pytest.mark.parametrize(("name", "verdict"), [("udp", H), ("udp6", H), ("tcp", F)])
def test_a_tftp_server_is_one_that_listens(name: str, verdict: Verdict, tree: Tree) -> None:
    tree.udp(69)
    (tree.root / "proc/net/udp").rename(tree.root / "proc/net" / name)
    assert tree.ask("tftp")[0] is verdict


def test_without_the_kernel_s_tables_nobody_is_seen_to_listen(tree: Tree) -> None:
    assert tree.ask("tftp")[0] is not H


# DNS


def reply(query: bytes, *addresses: str, alias: bool = False, query_id: bytes | None = None, rcode: int = 0) -> bytes:
    """A name server's answer to ``query``."""
    records = b""
    if alias:
        target = b"\x02mn\xc0\x0c"
        records += struct.pack(">HHHIH", 0xC00C, 5, 1, 60, len(target)) + target
    for text in addresses:
        packed = ipaddress.ip_address(text).packed
        records += struct.pack(">HHHIH", 0xC00C, 1 if len(packed) == 4 else 28, 1, 60, len(packed)) + packed
    head = (query_id or query[:2]) + struct.pack(">HHHHH", 0x8580 | rcode, 1, len(addresses) + alias, 0, 0)
    return head + query[12:] + records


class NameServer:
    """Answers on 127.0.0.1, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], bytes | None] = lambda query: reply(query, "127.0.0.1")
        self.asked: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                self._socket.close()
                return
            self.asked.append(query)
            answer = self.answer(query)
            if answer is not None:
                self._socket.sendto(answer, client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))


@pytest.fixture
def server(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """A name server on this machine's own loopback address, which is the service address here."""
    made = NameServer()
    monkeypatch.setattr(effects, "_DNS_PORT", made.port)
    tree.udp(made.port)
    tree.put("/etc/named.conf")
    yield made
    made.close()


def dns(tree: Tree, name: str = "mn.cluster.example", address: str = "127.0.0.1") -> tuple[Verdict, str]:
    return tree.ask("dns", "--since", TENURE, "--name", name, "--address", address)


def test_a_name_server_that_knows_the_service_name(tree: Tree, server: NameServer) -> None:
    assert dns(tree) == (H, "HOLDS")
    assert b"\x02mn\x07cluster\x07example\x00\x00\x01\x00\x01" in server.asked[0]
    server.answer = lambda query: reply(query, "192.0.2.1", "127.0.0.1", alias=True)
    assert dns(tree)[0] is H


ANSWERS: dict[str, tuple[Callable[[bytes], bytes | None], Verdict, str]] = {
    "another address": (lambda query: reply(query, "192.0.2.21"), F, "is 192.0.2.21, not 127.0.0.1"),
    "no such name": (lambda query: reply(query, rcode=3), F, "is unknown, not 127.0.0.1"),
    "an answer to somebody else": (
        lambda query: reply(query, "127.0.0.1", query_id=bytes([query[0] ^ 255, query[1]])),
        U,
        "another question",
    ),
    "an answer cut short": (lambda query: reply(query, "127.0.0.1")[:-2], U, "cannot be read"),
    "nothing but an id": (lambda query: query[:2], U, "cannot be read"),
    "an empty datagram": (lambda _query: b"", U, "cannot be read"),
    "a name that never ends": (lambda query: query[:2] + b"\x85\x80\0\1\0\1\0\0\0\0" + query[12:] + b"\x3f" * 40, U, "cannot be read"),
    "an address of three bytes": (
        lambda query: reply(query)[:6] + b"\0\1" + reply(query)[8:] + b"\xc0\x0c\0\1\0\1\0\0\0\0\0\3abc",
        U,
        "cannot be read",
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_other_answers_of_a_name_server(case: str, tree: Tree, server: NameServer) -> None:
    server.answer, verdict, said = ANSWERS[case]
    found = dns(tree)
    assert found[0] is verdict
    assert said in found[1]


def test_a_name_server_that_is_silent_fails(tree: Tree, server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = lambda _query: None
    monkeypatch.setattr(socket.socket, "settimeout", lambda self, _seconds: self.setblocking(False))  # not three seconds
    verdict, said = dns(tree)
    assert verdict is F
    assert "does not answer" in said


def test_a_name_server_that_does_not_listen_or_was_not_set_up_here_fails(tree: Tree, server: NameServer) -> None:
    tree.udp(54)
    assert "no name server listens" in dns(tree)[1]
    tree.put("/etc/named.conf", age=-1)
    assert "older than" in dns(tree)[1]
    (tree.root / "etc/named.conf").unlink()
    assert "/etc/bind/named.conf" in dns(tree)[1]
    assert server.asked == []


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 40), st.sampled_from([1, 28]), st.integers(0, 65535))
def test_any_datagram_is_addresses_or_unknown(data: bytes, offset: int, kind: int, query_id: int) -> None:
    try:
        found = effects._addresses_in(data, query_id, offset, kind)
    except effects._Unknown:
        return
    assert all(ipaddress.ip_address(text) for text in found)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4))
def test_an_answer_with_bytes_changed_is_addresses_or_unknown(changes: list[tuple[int, int]]) -> None:
    query = b"\1\2\1\0\0\1\0\0\0\0\0\0\2mn\0\0\1\0\1"
    data = bytearray(reply(query, "192.0.2.11", "192.0.2.12", alias=True))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        found = effects._addresses_in(bytes(data), 0x0102, len(query), 1)
    except effects._Unknown:
        return
    assert all(ipaddress.ip_address(text) for text in found)


# The proof by a record

XCAT = """
store="$XCAT_STORE"
case ${0##*/} in
  mkdef) [ -n "$READ_ONLY" ] || echo "$5: $7" > "$store"; exit 0;;
  lsdef) [ -s "$store" ] && cat "$store" || { echo "Error: Could not find an object named '$4' of type 'node'."; exit 1; };;
  rmdef) [ -n "$STICKY" ] || rm -f "$store";;
esac
"""


@pytest.fixture
def xcat(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Path:
    """mkdef, lsdef and rmdef over one file."""
    for name in ("mkdef", "lsdef", "rmdef"):
        tree.program(f"/opt/xcat/bin/{name}", XCAT)
    monkeypatch.setenv("XCAT_STORE", str(tree.root / "store"))
    return tree.root / "store"


OPERATION = "20260101T000000-failover-abcd"


def test_a_record_that_was_written_and_read_back_proves_it_for_this_operation(tree: Tree, xcat: Path) -> None:
    assert tree.ask("proved", OPERATION)[0] is F
    assert tree.ask("prove", OPERATION)[0] is H
    assert tree.ask("proved", OPERATION)[0] is H
    assert tree.ask("proved", "20260101T000000-failover-ffff")[0] is F
    assert not xcat.exists()


@pytest.mark.parametrize(("trouble", "said"), [("READ_ONLY", "accepted but is not there"), ("STICKY", "cannot be removed again")])
def test_a_database_that_only_looks_writable_proves_nothing(
    trouble: str, said: str, tree: Tree, xcat: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del xcat
    monkeypatch.setenv(trouble, "yes")
    assert effects.main(["prove", OPERATION]) == 1
    assert said in capsys.readouterr().out
    assert tree.ask("proved", OPERATION)[0] is F


@pytest.mark.parametrize("word", ["", "a/b", "..", "a b", "$(id)", "x" * 81])
def test_an_operation_s_id_is_no_path(word: str, tree: Tree) -> None:
    for verb in ("prove", "proved"):
        with pytest.raises(SystemExit) as caught:
            tree.ask(verb, "--", word)
        assert caught.value.code == 2


# As a program


def test_as_a_program_it_honours_its_root_and_starts_without_our_dependencies(tmp_path: Path) -> None:
    tree = tmp_path / "proc/net"
    tree.mkdir(parents=True)
    (tree / "udp").write_text("head\n 1: 00000000:0045 rest\n")
    script = (
        "import sys; from xcat_ha.xcat import effects; status = effects.main(['tftp'])\n"
        "sys.exit(status or ('foreign: ' + ' '.join(sys.modules) if {'attr', 'cattrs', 'plumbum', 'rich'} & set(sys.modules) else 0))"
    )
    environment = os.environ | {"XCAT_HA_ROOT": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, env=environment, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "HOLDS\n", "")
    usage = subprocess.run(
        (sys.executable, "-m", "xcat_ha.xcat.effects", "levitate"), capture_output=True, text=True, env=environment, timeout=30, check=False
    )
    assert usage.returncode == 2
    assert SaysVerdict().judge([Completed((), usage.returncode, usage.stdout, usage.stderr)]).verdict is U


def test_a_proof_that_has_to_name_somebody_does() -> None:
    """What any program might print is no proof about a node."""

    def said(text: str) -> Verdict:
        return SaysVerdict(names="mna").judge([Completed((), 0, text)]).verdict

    assert said("HOLDS: mna holds nothing of the role\n") is Verdict.HOLDS
    for other in ("HOLDS", "HOLDS: ", "HOLDS: mnb holds nothing of the role", "HOLDS: mnax holds nothing of the role"):
        assert said(other) is Verdict.UNKNOWN
    assert said("FAILS: it has a service address") is Verdict.FAILS
    assert said("UNKNOWN: not all of it could be read") is Verdict.UNKNOWN
