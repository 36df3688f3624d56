"""Where things are, and what names mean: every path hangs below one root, `/` unless a test says otherwise."""

from __future__ import annotations

import ipaddress
import os
import pathlib
import socket

ROOT_VARIABLE = "DB2SIM_ROOT"


def root() -> pathlib.Path:
    return pathlib.Path(os.environ.get(ROOT_VARIABLE, "/"))


def is_whole_machine() -> bool:
    return root() == pathlib.Path("/")


def at(path: str) -> pathlib.Path:
    """The place of an absolute path below the root."""
    return root() / path.lstrip("/")


def lines(path: str) -> list[list[str]]:
    """Words of the lines of a file of the machine, without comments."""
    try:
        text = at(path).read_text(errors="replace")
    except OSError:
        return []
    return [words for line in text.splitlines() if (words := line.partition("#")[0].split())]


def hostname() -> str:
    """What `hostname` prints."""
    if is_whole_machine():
        return socket.gethostname()
    return (lines("/etc/hostname") or [["localhost"]])[0][0]


def address_of(name: str) -> str:
    """The IP address that a name or an address means here; empty if none."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    for words in lines("/etc/hosts"):
        if name.lower() in (word.lower() for word in words[1:]):
            return words[0]
    if not is_whole_machine():
        return ""
    try:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return ""


def port_of(service: str) -> int:
    """The TCP port that a service name or a number means here; 0 if none."""
    if service.isdigit():
        number = int(service)
        return number if 0 < number < 65536 else 0
    for words in lines("/etc/services"):
        if len(words) > 1 and service in (words[0], *words[2:]) and words[1].endswith("/tcp"):
            return int(words[1].partition("/")[0])
    return 0


def fcm_ports(instance: str) -> range:
    """The ports between DB2_<instance> and DB2_<instance>_END."""
    return range(port_of(f"DB2_{instance}"), port_of(f"DB2_{instance}_END") + 1)


def home_of(user: str) -> pathlib.Path | None:
    """The home directory of a user of this machine."""
    try:
        text = at("/etc/passwd").read_text(errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) > 5 and fields[0] == user:
            return at(fields[5])
    return None
