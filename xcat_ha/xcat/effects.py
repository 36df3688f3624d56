"""Reads the effect of xCAT's commands on the node it runs on: ``python3 -m xcat_ha.xcat.effects WORD …``.

Prints ``HOLDS``, ``FAILS: why`` or ``UNKNOWN: why`` as its last line and exits with 0, or exits with another status if it could not even
ask. Standard library only: it must start quickly. ``prove`` alone changes something, and takes it away again.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from xcat_ha.xcat.commands import LSDEF, MKDEF, RMDEF

_ROOT = Path(os.environ.get("XCAT_HA_ROOT", "/"))
_PROVED = "run/xcat-ha/proved"
_NAMED_CONF = ("etc/named.conf", "etc/bind/named.conf")
_DHCPD_CONF = ("etc/dhcp/dhcpd.conf", "etc/dhcpd.conf", "etc/kea/kea-dhcp4.conf")
_LEASES = ("var/lib/dhcp/dhcpd.leases", "var/lib/dhcpd/dhcpd.leases", "var/lib/dhcp/db/dhcpd.leases")
_CONSOLE_CONF = ("etc/conserver.cf", "etc/goconserver/server.conf")
_DNS_PORT = 53
_DHCP_PORT = 67
_TFTP_PORT = 69
_TYPE_A = 1
_TYPE_AAAA = 28


class _Fails(Exception):  # noqa: N818 - a verdict, not an error
    """The question's answer is no, for this reason."""


class _Unknown(Exception):  # noqa: N818 - a verdict, not an error
    """The question cannot be answered, for this reason."""


def main(arguments: list[str] | None = None) -> int:
    """Answer one question; returns the exit status."""
    parser = argparse.ArgumentParser(prog="xcat_ha.xcat.effects")
    words = parser.add_subparsers(required=True)
    for name, answer in _ANSWERS.items():
        word = words.add_parser(name)
        word.set_defaults(answer=answer)
        if name in {"dns", "dhcp", "console"}:
            word.add_argument("--since", required=True)
        if name in {"dns", "dhcp"}:
            word.add_argument("--address", required=True)
        if name == "dns":
            word.add_argument("--name", required=True)
        if name == "dhcp":
            word.add_argument("--nodes", metavar="STAMP", help="a file touched after reservations were made")
        if name == "xcatd":
            word.add_argument("--master", required=True)
        if name in {"prove", "proved"}:
            word.add_argument("operation", type=_operation_id)
    given = parser.parse_args(arguments)
    try:
        given.answer(given)
    except _Fails as reason:
        print(f"FAILS: {reason}")  # noqa: T201
        return 1 if given.answer is _prove else 0
    except _Unknown as reason:
        print(f"UNKNOWN: {reason}")  # noqa: T201
        return 1 if given.answer is _prove else 0
    print("HOLDS")  # noqa: T201
    return 0


def _operation_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,80}", text):
        raise argparse.ArgumentTypeError("not an operation's id")
    return text


def _existing(candidates: tuple[str, ...]) -> Path:
    """The newest of the files that exist."""
    found = [path for name in candidates if (path := _ROOT / name).is_file()]
    if not found:
        raise _Fails(f"none of {', '.join('/' + name for name in candidates)} exists")
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def _require_newer(path: Path, since: str) -> None:
    stamp = _ROOT / since.lstrip("/")
    if not stamp.is_file():
        raise _Fails(f"{stamp} does not exist: this node did not take the role since it booted")
    if path.stat().st_mtime_ns < stamp.stat().st_mtime_ns:
        raise _Fails(f"{path} is older than {stamp}")


def _run(*argv: str, timeout_s: float = 100.0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    words = (str(_ROOT / argv[0].lstrip("/")), *argv[1:])
    try:
        return subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False, errors="replace")
    except FileNotFoundError as error:
        raise _Unknown(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise _Unknown(f"{argv[0]} did not end within {timeout_s:g} s") from error


def _last_words(completed: subprocess.CompletedProcess[str]) -> str:
    lines = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
    return f"exit {completed.returncode}" + (f": {lines[-1][:200]}" if lines else "")


def _xcatd(given: argparse.Namespace) -> None:
    """A row of the site table has to come back: an exit status of 0 does not tell (facts: xCAT 2.4)."""
    completed = _run(LSDEF, "-t", "site", "-i", "master", "-c")
    found = re.search(r"^clustersite: master=(.*)$", completed.stdout, re.MULTILINE)
    if completed.returncode != 0 or not found or not found.group(1).strip():
        raise _Fails(_last_words(completed))
    if found.group(1).strip() != given.master:
        raise _Fails(f"site.master is {found.group(1).strip()}, not {given.master}: this is another database")


def _udp_ports() -> set[int]:
    """Local UDP ports that are bound, from the kernel's own tables."""
    ports: set[int] = set()
    for name in ("proc/net/udp", "proc/net/udp6"):
        try:
            lines = (_ROOT / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        ports |= {int(line.split()[1].rpartition(":")[2], 16) for line in lines}
    return ports


def _require_port(port: int, what: str) -> None:
    if port not in _udp_ports():
        raise _Fails(f"no {what} listens on UDP port {port}")


def _dns(given: argparse.Namespace) -> None:
    _require_newer(_existing(_NAMED_CONF), given.since)
    _require_port(_DNS_PORT, "name server")
    wanted = given.address
    answers = _ask_dns(given.name, _TYPE_AAAA if ":" in wanted else _TYPE_A, wanted)
    if wanted not in answers:
        raise _Fails(f"the name server says {given.name} is {', '.join(answers) or 'unknown'}, not {wanted}")


def _ask_dns(name: str, kind: int, server: str) -> list[str]:
    """Addresses the name server at ``server`` gives for ``name``; one UDP query, 3 s."""
    query_id = secrets.randbelow(65536)
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.rstrip(".").split("."))
    query = struct.pack(">HHHHHH", query_id, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.settimeout(3.0)
        try:
            asked.connect((server, _DNS_PORT))
            asked.send(query)
            reply = asked.recv(4096)
        except OSError as error:
            raise _Fails(f"the name server at {server} does not answer: {error}") from error
    return _addresses_in(reply, query_id, len(query), kind)


def _addresses_in(reply: bytes, query_id: int, offset: int, kind: int) -> list[str]:
    """The A or AAAA records of an answer section that begins at ``offset``."""
    found: list[str] = []
    try:
        answer_id, _flags, _questions, count = struct.unpack_from(">HHHH", reply)
        if answer_id != query_id:
            raise _Unknown("the name server answered another question")
        for _ in range(count):
            while reply[offset] != 0 and reply[offset] < 0xC0:
                offset += reply[offset] + 1
            offset += 2 if reply[offset] >= 0xC0 else 1
            record_kind, _class, _ttl, size = struct.unpack_from(">HHIH", reply, offset)
            offset += 10
            if record_kind == kind:
                found.append(socket.inet_ntop(socket.AF_INET6 if kind == _TYPE_AAAA else socket.AF_INET, reply[offset : offset + size]))
            offset += size
    except (struct.error, IndexError, ValueError) as error:
        raise _Unknown("the name server's answer cannot be read") from error
    return found


def _dhcp(given: argparse.Namespace) -> None:
    path = _existing(_DHCPD_CONF)
    _require_newer(path, given.since)
    text = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE)
    if "subnet" not in text:
        raise _Fails(f"{path} has no subnet at all: the interface it should serve is not found")
    if not re.search(rf'next-server["\s:]+{re.escape(given.address)}["\s;,]', text):
        raise _Fails(f"{path} does not name {given.address} as next-server")
    if given.nodes:
        _require_port(_DHCP_PORT, "DHCP server")
        _require_newer(_existing((given.nodes.lstrip("/"),)), str(path.relative_to(_ROOT)))
        _require_reservations(path)


def _require_reservations(configuration: Path) -> None:
    """The leases file (ISC) or the configuration (Kea) has reservations, unless no node has a MAC address at all."""
    kea = configuration.name.startswith("kea")
    leases = configuration if kea else _existing(_LEASES)
    text = leases.read_text(encoding="utf-8", errors="replace")
    if re.search(r'"hw-address"' if kea else r"^host \S+ \{", text, re.MULTILINE):
        return
    completed = _run("/opt/xcat/sbin/tabdump", "mac")
    if completed.returncode != 0:
        raise _Unknown(f"tabdump mac: {_last_words(completed)}")
    rows = [line for line in completed.stdout.splitlines() if line and not line.startswith("#")]
    if rows:
        raise _Fails(f"{leases} has no reservation although {len(rows)} nodes have a MAC address")


def _console(given: argparse.Namespace) -> None:
    _require_newer(_existing(_CONSOLE_CONF), given.since)


def _tftp(given: argparse.Namespace) -> None:
    del given
    _require_port(_TFTP_PORT, "TFTP server")


def _proved(given: argparse.Namespace) -> None:
    if not (_ROOT / _PROVED / given.operation).is_file():
        raise _Fails("not yet proven")


def _prove(given: argparse.Namespace) -> None:
    """Write a node definition, read it back, remove it, read that back; then remember on /run that it was proven."""
    name = f"xcat-ha-probe-{given.operation[-4:]}"
    comment = given.operation
    _run(MKDEF, "-t", "node", "-f", "-o", name, "groups=xcat-ha-probe", f"usercomment={comment}", timeout_s=120)
    try:
        back = _run(LSDEF, "-t", "node", "-o", name, "-i", "usercomment", "-c", timeout_s=120)
        if f"{name}: usercomment={comment}" not in back.stdout:
            raise _Fails(f"the record {name} was accepted but is not there: {_last_words(back)}")
    finally:
        _run(RMDEF, "-t", "node", "-o", name, timeout_s=120)
    gone = _run(LSDEF, "-t", "node", "-o", name, "-i", "usercomment", "-c", timeout_s=120)
    if f"{name}: usercomment={comment}" in gone.stdout:
        raise _Fails(f"the record {name} cannot be removed again")
    directory = _ROOT / _PROVED
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    (directory / given.operation).touch()


_ANSWERS: dict[str, Callable[[argparse.Namespace], None]] = {
    "xcatd": _xcatd,
    "dns": _dns,
    "dhcp": _dhcp,
    "console": _console,
    "tftp": _tftp,
    "prove": _prove,
    "proved": _proved,
}

if __name__ == "__main__":
    sys.exit(main())
