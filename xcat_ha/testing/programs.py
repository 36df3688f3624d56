"""The programs every simulated host knows: network, names, processes, mounts. ``systemctl`` is in its own module."""

from __future__ import annotations

import functools
import ipaddress
from typing import Protocol

from xcat_ha.steps import changes
from xcat_ha.testing import _ip
from xcat_ha.testing._systemctl import systemctl
from xcat_ha.testing.host import Answer, Call, SimulatedHost
from xcat_ha.testing.machine import Process


class Segment(Protocol):
    """The network both hosts are on."""

    def answering_for(self, address: str, asker: SimulatedHost) -> str | None:
        """Who, beside ``asker``, answers for an address."""


def install_programs(host: SimulatedHost, segment: Segment) -> None:
    """Teach a host the programs of this module."""
    for name in ("arping", "ping"):
        host.handle(name, functools.partial(_probe_address, segment))
    for name in ("pgrep", "pidof", "pkill", "killall"):
        host.handle(name, _processes)
    host.handle("ip", _ip.ip)
    host.handle("systemctl", systemctl)
    for name, handler in {
        "hostname": _hostname,
        "ss": _ss,
        "sysctl": _sysctl,
        "mountpoint": _mountpoint,
        "findmnt": _findmnt,
        "uname": _uname,
        "ps": _ps,
        "kill": _kill,
        "runuser": _runuser,
        "hostnamectl": _hostnamectl,
        "logger": _nothing,
    }.items():
        host.handle(name, handler)


def _option(call: Call, *names: str) -> str | None:
    """The value of an option given as separate word."""
    for name, value in zip(call.words, call.words[1:], strict=False):
        if name in names:
            return value
    return None


def _probe_address(segment: Segment, host: SimulatedHost, call: Call) -> Answer:
    """``arping`` (iputils) and ``ping``: -D exits with 1 if somebody answers, -U and -A announce, else 0 if somebody answers."""
    address = call.words[-1]
    interface = _option(call, "-I")
    if interface is not None and interface not in host.machine.interfaces and "/" not in interface:
        return Answer(2, stderr=f"arping: Interface {interface} not found\n")
    flags = "".join(word[1:] for word in call.words if word.startswith("-") and not word.startswith("--"))
    if "U" in flags or "A" in flags:
        host.machine.announced.append(address)
        return Answer(0)
    somebody = segment.answering_for(address, host)
    line = f"Unicast reply from {address} [02:00:00:00:00:01]  0.6ms\n" if somebody else ""
    text = f"ARPING {address}\n{line}Sent 1 probes (1 broadcast(s))\nReceived {1 if somebody else 0} response(s)\n"
    if "D" in flags:
        return Answer(1 if somebody else 0, text)
    own = call.argv[0] == "ping" and address in host.machine.addresses()
    return Answer(0 if somebody or own else 1, text)


def _hostname(host: SimulatedHost, call: Call) -> Answer:
    flags = [word for word in call.words if word.startswith("-")]
    names = [word for word in call.words if not word.startswith("-")]
    if names:
        host.machine.hostname = names[0]
        return Answer(0)
    name = host.machine.hostname
    if "-s" in flags or "--short" in flags:
        name = name.split(".")[0]
    if "-I" in flags:
        name = " ".join(sorted(word for word in host.machine.addresses() if not ipaddress.ip_address(word).is_loopback))
    return Answer(0, f"{name}\n")


def _hostnamectl(host: SimulatedHost, call: Call) -> Answer:
    words = [word for word in call.words if not word.startswith("-")]
    if not words or (words[0] in {"status", "hostname"} and len(words) == 1):
        stored = host.path("/etc/hostname").read_text().strip()
        return Answer(0, f" Static hostname: {stored}\nTransient hostname: {host.machine.hostname}\n")
    name = words[-1]
    if "--static" in call.words or "--transient" not in call.words:
        host.write("/etc/hostname", f"{name}\n")
    if "--transient" in call.words or "--static" not in call.words:
        host.machine.hostname = name
    return Answer(0)


def _uname(host: SimulatedHost, call: Call) -> Answer:
    return Answer(0, f"{host.machine.hostname}\n" if "-n" in call.words else "Linux\n")


def _ss(host: SimulatedHost, call: Call) -> Answer:
    """``ss`` for listening TCP sockets, with or without heading, filtered by ``sport = :PORT``."""
    wanted = " ".join(call.words).replace(" = ", " ").replace("(", " ").replace(")", " ").split()
    ports = sorted(host.machine.listening())
    if "sport" in wanted:
        ports = [port for port in ports if f":{port}" in wanted]
    flags = "".join(word[1:] for word in call.words if word.startswith("-"))
    heading = [] if "H" in flags else ["State  Recv-Q Send-Q Local Address:Port Peer Address:Port"]
    lines = [f"LISTEN 0      128          0.0.0.0:{port}      0.0.0.0:*" for port in ports]
    return Answer(0, "".join(f"{line}\n" for line in [*heading, *lines]))


def _sysctl(host: SimulatedHost, call: Call) -> Answer:
    out = []
    for word in call.words:
        if word.startswith("-"):
            continue
        name, separator, value = word.replace("/", ".").partition("=")
        if separator:
            host.machine.sysctl[name] = value
        out.append(f"{name} = {host.machine.sysctl.get(name, '0')}" if "-n" not in call.words else host.machine.sysctl.get(name, "0"))
    return Answer(0, "".join(f"{line}\n" for line in out))


def _is_mounted(host: SimulatedHost, name: str) -> bool:
    return name.rstrip("/") in host.machine.mounts or name == "/"


def _mountpoint(host: SimulatedHost, call: Call) -> Answer:
    name = call.words[-1].removeprefix(str(host.root)) or "/"
    return Answer(0 if _is_mounted(host, name) else 32)


def _findmnt(host: SimulatedHost, call: Call) -> Answer:
    name = call.words[-1].removeprefix(str(host.root)) or "/"
    mounted = _is_mounted(host, name)
    return Answer(0 if mounted else 1, f"{name}\n" if mounted else "")


def _title(process: Process) -> str:
    return process.argv[0].rsplit("/", 1)[-1]


def _processes(host: SimulatedHost, call: Call) -> Answer:
    """``pgrep``, ``pidof``, ``pkill``, ``killall`` by exact name (``-f``: any part of the command line)."""
    names = [word for word in call.words if not word.startswith("-")]
    whole = call.argv[0] in {"pgrep", "pkill"} and any(word.startswith("-") and "f" in word for word in call.words)
    exact = any(word.startswith("-") and "x" in word for word in call.words) or call.argv[0] in {"pidof", "killall"}
    found = []
    for pid, process in host.machine.processes.items():
        text = " ".join(process.argv) if whole else _title(process)
        if any(text == name if exact and not whole else name in text for name in names):
            found.append(pid)
    if call.argv[0] in {"pkill", "killall"} and "-0" not in call.words:
        for pid in found:
            del host.machine.processes[pid]
        return Answer(0 if found else 1)
    separator = " " if call.argv[0] == "pidof" else "\n"
    return Answer(0 if found else 1, separator.join(map(str, found)) + "\n" if found else "")


def _kill(host: SimulatedHost, call: Call) -> Answer:
    code = 0
    for word in call.words:
        if word.isdigit() and int(word) in host.machine.processes:
            if "-0" not in call.words:
                del host.machine.processes[int(word)]
        elif word.isdigit():
            code = 1
    return Answer(code)


def _ps(host: SimulatedHost, call: Call) -> Answer:
    del call
    return Answer(0, "".join(f"{pid} {' '.join(process.argv)}\n" for pid, process in host.machine.processes.items()))


def _runuser(host: SimulatedHost, call: Call) -> Answer:
    """``runuser -u USER -- argv``: the simulated host has no users; the command itself is run."""
    if "--" not in call.words:
        return Answer(1, stderr="runuser: only the form 'runuser -u USER -- argv' is simulated\n")

    done = host.execute(changes(*call.words[call.words.index("--") + 1 :]))
    return Answer(done.returncode if done.returncode is not None else 124, done.stdout, done.stderr)


def _nothing(host: SimulatedHost, call: Call) -> Answer:
    del host, call
    return Answer(0)
