"""Processes of services that run outside any unit, and UDP ports. Standard library only.

xcatd starts ``in.tftpd`` itself; scripts of xCAT and administrators start daemons by hand. Only processes of this network namespace count:
one in a container on the same machine does not serve the cluster.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TERM_WAIT_S = 5.0
KILL_WAIT_S = 5.0
XCATD_TITLES = ("xcatd: ", "xcatd SSL: ")
"""How xcatd's processes call themselves (facts: xCAT 2.2)."""


class Process(NamedTuple):
    """A running process."""

    pid: int
    title: str


def root() -> Path:
    """Prefix of all paths: ``XCAT_HA_ROOT`` (for tests), normally ``/``."""
    return Path(os.environ.get("XCAT_HA_ROOT", "/"))


def find_processes(names: Iterable[str]) -> tuple[Process, ...]:
    """Processes of this network namespace with one of these names; ``xcatd`` finds all that title themselves so."""
    wanted = frozenset(names)
    return tuple(process for process in _all_processes() if _matches(process, wanted)) if wanted else ()


def _all_processes() -> Iterator[Process]:
    proc = root() / "proc"
    namespace = _link(proc / "self/ns/net")
    for directory in proc.glob("[0-9]*"):
        # A process may end while it is looked at.
        with suppress(OSError):
            if _link(directory / "ns/net") != namespace:
                continue
            title = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            name = (directory / "comm").read_text(errors="replace").strip()
            if title:  # no kernel thread, no zombie
                yield Process(int(directory.name), title if title.startswith(XCATD_TITLES) else name)


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _matches(process: Process, wanted: frozenset[str]) -> bool:
    return process.title in wanted or ("xcatd" in wanted and process.title.startswith(XCATD_TITLES))


def end_processes(names: Iterable[str]) -> None:
    """End them: SIGTERM, and SIGKILL for what does not react within seconds. Returns when they are gone or cannot be ended."""
    wanted = tuple(names)
    for number, wait_s in ((signal.SIGTERM, TERM_WAIT_S), (signal.SIGKILL, KILL_WAIT_S)):
        found = find_processes(wanted)
        if not found or root() != Path("/"):  # process numbers of a test's tree mean nothing to the kernel
            return
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
        _wait_until_gone(wanted, wait_s)


def _wait_until_gone(names: tuple[str, ...], wait_s: float) -> None:
    end = time.monotonic() + wait_s
    while find_processes(names) and time.monotonic() < end:
        time.sleep(0.05)


def udp_port_taken(port: int) -> bool:
    """Whether anything in this network namespace receives on the UDP port."""
    wanted = f":{port:04X}"
    for table in ("udp", "udp6"):
        with suppress(FileNotFoundError):
            for line in (root() / "proc/net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if len(fields) > 1 and fields[1].endswith(wanted):
                    return True
    return False
