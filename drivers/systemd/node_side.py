"""Program of the driver ``systemd`` on the node. Standard library only.

``stopped``, ``running`` and ``disabled`` only read, and print a verdict; ``stop`` and ``start`` change.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from xcat_ha_drivers.systemd import choice
from xcat_ha_drivers.systemd.processes import end_processes, find_processes, udp_port_taken
from xcat_ha_drivers.systemd.units import PROPERTIES, RC_LINKS_SCRIPT, Unit, parse_show, rc_started

START_TIMEOUT_S = 640.0
"""xcatd's unit allows 600 s (facts: xCAT 2.2)."""
STOP_TIMEOUT_S = 150.0
SETTLE_S = 20.0
TFTP_PORT = 69
XCATD_STARTS_TFTP_WITHIN_S = 10.0
STATUS_LINES = 12


class Trouble(Exception):  # noqa: N818 - not an error of the program: it is the answer to the caller
    """systemd does not answer, or a service does not start."""


def systemctl(*words: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run ``systemctl``; its exit status is the caller's business.

    Raises:
        Trouble: it did not end in time, or cannot be run.
    """
    try:
        return subprocess.run(("systemctl", *words), capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(f"systemctl {' '.join(words)}: {error}") from error


def show(units: Sequence[str]) -> tuple[Unit, ...]:
    """The units as they are now.

    Raises:
        Trouble: systemd does not answer.
    """
    if not units:
        return ()
    done = systemctl("show", "-p", PROPERTIES, "--", *units)
    if done.returncode:
        raise Trouble(f"systemctl show: {done.stderr.strip()}")
    return parse_show(done.stdout)


def answer(reasons: Sequence[str]) -> int:
    """Print a verdict."""
    print(f"FAILS: {'; '.join(reasons)}" if reasons else "HOLDS")
    return 0


def stop(args: argparse.Namespace) -> int:
    """Stop units, then end what runs beside them. Whether that helped is for ``stopped`` to say."""
    if args.unit:
        done = systemctl("stop", *args.unit, timeout_s=STOP_TIMEOUT_S)
        if done.returncode:
            print(done.stderr.strip(), file=sys.stderr)
    end_processes(args.process)
    return 0


def stopped(args: argparse.Namespace) -> int:
    """Verdict: no unit is active, no process is there, nothing receives on the port."""
    reasons = [f"{unit.id} is {unit.active} ({unit.sub})" for unit in show(args.unit) if unit.active not in {"inactive", "failed"}]
    reasons += [f"{process.title} runs as process {process.pid}" for process in find_processes(args.process)]
    if not reasons and args.udp_port and udp_port_taken(args.udp_port):
        reasons.append(f"something still receives on UDP port {args.udp_port}; see: ss -lunp sport = :{args.udp_port}")
    return answer(reasons)


def disabled(args: argparse.Namespace) -> int:
    """Verdict: a boot starts none of the units."""
    script = subprocess.run(("sh", "-c", f"root=${{XCAT_HA_ROOT:-}}\n{RC_LINKS_SCRIPT}"), capture_output=True, text=True, check=True)
    sysv = rc_started(script.stdout)
    return answer([f"{unit.id} starts at boot ({unit.file_state})" for unit in show(args.unit) if unit.starts_at_boot(sysv)])


def _parse_services(specs: Sequence[str]) -> list[tuple[str, list[str]]]:
    pairs = (spec.partition("=") for spec in specs)
    return [(service, [unit for unit in units.split(",") if unit]) for service, _, units in pairs]


def _why_not_running(service: str, units: Sequence[str]) -> str:
    if service == "tftp":
        return "" if udp_port_taken(TFTP_PORT) else f"nothing receives on UDP port {TFTP_PORT}"
    states = show(units)
    if any(unit.settled for unit in states):
        return ""
    return f"{service}: " + ", ".join(f"{unit.id} is {unit.active} ({unit.sub})" for unit in states)


def running(args: argparse.Namespace) -> int:
    """Verdict: each service has a unit that runs."""
    return answer([reason for service, units in _parse_services(args.service) if (reason := _why_not_running(service, units))])


def start(args: argparse.Namespace) -> int:
    """Start each service, in order; the first unit that comes up is enough for a service."""
    for service, units in _parse_services(args.service):
        if service == "tftp":
            _await(service, units, XCATD_STARTS_TFTP_WITHIN_S)
        if _why_not_running(service, units):
            _start_one_of(service, units)
    return 0


def _start_one_of(service: str, units: Sequence[str]) -> None:
    candidates = choice.in_order_of_choice(service, units)
    if service == "tftp" and not candidates:
        raise Trouble("no TFTP server runs: xcatd normally starts in.tftpd; see its log and the node's servicenode row")
    if not candidates:
        raise Trouble(f"none of {', '.join(units)} has a configuration written by xCAT: run makeconservercf or makegocons first")
    began = time.time()
    for unit in candidates:
        if choice.prepare(unit):
            systemctl("daemon-reload")
        # A SysV script whose processes have died counts as active: "start" would do nothing.
        verb = "restart" if any(state.active == "active" for state in show([unit])) else "start"
        systemctl(verb, unit, timeout_s=START_TIMEOUT_S)
        if not _await(service, units, SETTLE_S, unit):
            return
    raise Trouble(f"{_why_not_running(service, units)}\n{_journal(candidates[0], began)}")


def _await(service: str, units: Sequence[str], wait_s: float, unit: str = "") -> str:
    end = time.monotonic() + wait_s
    while (reason := _why_not_running(service, units)) and time.monotonic() < end:
        if unit and all(state.active in {"failed", "inactive"} for state in show([unit])):
            break
        time.sleep(0.1)
    return reason


def _journal(unit: str, since: float) -> str:
    """What the unit said since then, each thing once (a unit that is restarted says it again and again); errors rather than the rest."""
    words = ("journalctl", "--no-pager", "-o", "cat", "-u", unit, f"--since=@{since:.0f}")
    for priority in (("-p", "err"), ()):
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run((*words, *priority), capture_output=True, text=True, timeout=10.0, check=False)
            lines = [line for line in dict.fromkeys(done.stdout.splitlines()) if not line.startswith("-- ")]
            if lines:
                return "\n".join(lines[:STATUS_LINES])
    return f"see: systemctl status {unit}"


VERBS = {"stop": stop, "stopped": stopped, "start": start, "running": running, "disabled": disabled}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="xcat_ha_drivers.systemd.node_side", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--unit", action="append", default=[])
    parser.add_argument("--process", action="append", default=[])
    parser.add_argument("--service", action="append", default=[], help="SERVICE=UNIT,UNIT in order of preference")
    parser.add_argument("--udp-port", type=int, default=0)
    args = parser.parse_args(argv)
    try:
        return VERBS[args.verb](args)
    except (Trouble, OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"xcat-ha: {args.verb}: {error}")


if __name__ == "__main__":
    sys.exit(main())
