"""What the programs on the node do to the kernel: read and change addresses, sysctls, the running hostname. Standard library only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

from xcat_ha_drivers.linux.addresses import Held, Interface, Link, argv_to_delete, every, parse_links, secondaries_of

IP_TIMEOUT_S = 10.0


class Refusal(Exception):  # noqa: N818 - not an error of the program: it is the answer to the caller
    """The command cannot or must not be done; the text says why and what to do."""


def under_root(path: str) -> Path:
    """``path`` below ``XCAT_HA_ROOT`` (for tests; normally ``/``)."""
    return Path(os.environ.get("XCAT_HA_ROOT", "/")) / path.lstrip("/")


def run(*argv: str) -> str:
    """Standard output of a command.

    Raises:
        Refusal: it failed.
    """
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=IP_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refusal(f"{' '.join(argv)}: {error}") from error
    if done.returncode:
        raise Refusal(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def read_links() -> tuple[Link, ...]:
    """All interfaces with their addresses.

    Raises:
        Refusal: ``ip`` failed, or prints no JSON.
    """
    try:
        return parse_links(run("ip", "-j", "address", "show"))
    except ValueError as error:
        raise Refusal(f"ip -j address show: {error}; iproute2 4.17 or newer is needed") from error


def delete_address(held: Held) -> None:
    """Remove an address; the kernel's "secondaries" of it are promoted and stay.

    Raises:
        Refusal: it could not be removed, or others would be lost with it.
    """
    if secondaries_of(read_links(), held):
        with _promoting_secondaries(held.device):
            run(*argv_to_delete(held))
    else:
        run(*argv_to_delete(held))


@contextmanager
def _promoting_secondaries(device: str) -> Iterator[None]:
    switch = under_root(f"/proc/sys/net/ipv4/conf/{device}/promote_secondaries")
    try:
        before = switch.read_text()
        switch.write_text("1\n")
    except OSError as error:
        raise Refusal(f"{switch}: {error}; without it the node's own address would be lost with the service address") from error
    try:
        yield
    finally:
        switch.write_text(before)


def drop_foreign_broadcasts(service: Interface, device: str) -> None:
    """Remove broadcast routes that the wider mask of the service form brought with it.

    With 192.168.0.11/23 the kernel takes 192.168.1.255 for a broadcast address (older kernels 192.168.0.0 of a neighbouring network too),
    which in the cluster's routed neighbour may be a host.
    """
    if service.version == 6:
        return
    text = run("ip", "-4", "-j", "route", "show", "table", "local", "type", "broadcast", "dev", device)
    for route in json.loads(text or "[]"):
        if route.get("prefsrc") == str(service.ip) and ip_address(route["dst"]) not in service.network:
            run("ip", "-4", "route", "del", "broadcast", route["dst"], "dev", device, "table", "local", "src", str(service.ip))


def kernel_checks_duplicates(device: str) -> bool:
    """Whether the kernel itself probes for duplicates of a new IPv6 address before using it."""
    conf = "/proc/sys/net/ipv6/conf"
    with suppress(OSError, ValueError):
        accept = max(int(under_root(f"{conf}/{name}/accept_dad").read_text()) for name in ("all", device))
        return accept > 0 and int(under_root(f"{conf}/{device}/dad_transmits").read_text()) > 0
    return False


def wait_until_checked(services: Sequence[Interface], *, deadline_s: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Wait until the kernel has finished its duplicate detection of these IPv6 addresses.

    Raises:
        Refusal: one is a duplicate, or it takes longer than ``deadline_s`` seconds.
    """
    ours = {service.ip for service in services if service.version == 6}
    end = clock() + deadline_s
    while ours:
        flags = {held.address.ip: held.flags for held in every(read_links()) if held.address.ip in ours}
        for address, set_flags in flags.items():
            if "dadfailed" in set_flags:
                raise Refusal(f"{address} is in use by another machine (IPv6 duplicate address detection)")
        if not any("tentative" in set_flags for set_flags in flags.values()):
            return
        if clock() > end:
            raise Refusal(f"IPv6 duplicate address detection did not end within {deadline_s} s; is the link up?")
        time.sleep(0.05)


def running_hostname() -> str:
    """The hostname the kernel has now."""
    return under_root("/proc/sys/kernel/hostname").read_text().strip()


def stored_hostname() -> str:
    """The hostname after the next boot; empty if none is stored."""
    try:
        lines = under_root("/etc/hostname").read_text().splitlines()
    except FileNotFoundError:
        return ""
    names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return names[0] if names else ""


def set_running_hostname(name: str) -> None:
    """Set the running hostname only; nothing is stored (``hostnamectl`` without ``--transient`` would write ``/etc/hostname``)."""
    if os.environ.get("XCAT_HA_ROOT", "/") == "/":
        socket.sethostname(name)
    else:
        under_root("/proc/sys/kernel/hostname").write_text(f"{name}\n")


def answer(reason: str) -> int:
    """Print a verdict: HOLDS, or FAILS with the reason."""
    print(f"FAILS: {reason}" if reason else "HOLDS")  # noqa: T201 - the answer to the caller
    return 0


def give_up(message: str) -> NoReturn:
    """End the program with a message for the caller's log."""
    sys.exit(f"xcat-ha: {message}")
