"""Program of the driver ``systemd-timer`` on the node. Standard library only.

``started`` and ``stopped`` only read, and print a verdict; ``start`` and ``stop`` change. The jobs come as JSON on standard input.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from xcat_ha_drivers.systemd_timer.unit_files import MARK, PREFIX, JobSpec, files_of, why_unusable

UNIT_DIR = "/run/systemd/system"
"""Not /etc: a machine that boots has no role, and so nothing to send."""
BUSY = {"active", "activating", "deactivating", "reloading"}
SYSTEMCTL_TIMEOUT_S = 60.0


class Trouble(Exception):  # noqa: N818 - not an error of the program: it is the answer to the caller
    """systemd does not answer, or a job does not end."""


def unit_dir() -> Path:
    """Where the units are, below ``XCAT_HA_ROOT`` (for tests; normally ``/``)."""
    return Path(os.environ.get("XCAT_HA_ROOT", "/")) / UNIT_DIR.lstrip("/")


def systemctl(*words: str) -> str:
    """Output of ``systemctl``.

    Raises:
        Trouble: it failed.
    """
    try:
        done = subprocess.run(("systemctl", *words), capture_output=True, text=True, timeout=SYSTEMCTL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(f"systemctl {' '.join(words)}: {error}") from error
    if done.returncode:
        raise Trouble(f"systemctl {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def own_files() -> dict[str, str]:
    """The unit files of this driver that are there: name -> text."""
    directory = unit_dir()
    found = sorted(directory.glob(f"{PREFIX}*.service")) + sorted(directory.glob(f"{PREFIX}*.timer"))
    texts = {path.name: path.read_text() for path in found}
    return {name: text for name, text in texts.items() if text.startswith(MARK)}


def active_states(names: Sequence[str]) -> dict[str, str]:
    """Unit -> active state."""
    if not names:
        return {}
    blocks = systemctl("show", "-p", "Id,ActiveState", "--", *names).strip().split("\n\n")
    facts = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return {fact["Id"]: fact["ActiveState"] for fact in facts if "Id" in fact and "ActiveState" in fact}


def read_jobs() -> list[JobSpec]:
    """The jobs on standard input.

    Raises:
        Trouble: one cannot be made a timer.
    """
    jobs = [JobSpec(item["name"], tuple(item["argv"]), item["every_s"], item["why"]) for item in json.load(sys.stdin)]
    for job in jobs:
        reason = why_unusable(job.name, job.argv, job.every_s)
        if reason:
            raise Trouble(f"job {job.name}: {reason}")
    return jobs


def started(args: argparse.Namespace) -> int:
    """Verdict: exactly these jobs are there, and their timers wait or run."""
    del args
    wanted = {name: text for job in read_jobs() for name, text in files_of(job).items()}
    if own_files() != wanted:
        return answer("the timers are not those asked for")
    waiting = active_states([name for name in wanted if name.endswith(".timer")])
    return answer(", ".join(f"{name} is {state}" for name, state in waiting.items() if state != "active"))


def start(args: argparse.Namespace) -> int:
    """Write what is missing or different, take away what is not wanted, start the timers."""
    wanted = {name: text for job in read_jobs() for name, text in files_of(job).items()}
    there = own_files()
    _end([name for name in there if name not in wanted], args.wait_s)
    changed = [name for name, text in wanted.items() if there.get(name) != text]
    for name in changed:
        _write(unit_dir() / name, wanted[name])
    if changed or there.keys() - wanted.keys():
        systemctl("daemon-reload")
    timers = [name for name in wanted if name.endswith(".timer")]
    again = [name for name in timers if name in changed]
    if again:
        systemctl("restart", *again)  # a running timer keeps its old intervals
    if timers:
        systemctl("start", *timers)
    return 0


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.chmod(0o644)
    temporary.replace(path)


def stopped(args: argparse.Namespace) -> int:
    """Verdict: no timer, no job at work."""
    del args
    names = list(own_files())
    busy = [f"{name} is {state}" for name, state in active_states(names).items() if state in BUSY]
    return answer(", ".join(busy) or (f"{names[0]} is still there" if names else ""))


def stop(args: argparse.Namespace) -> int:
    """Stop all timers, wait for jobs at work, remove the files."""
    names = list(own_files())
    _end(names, args.wait_s)
    if names:
        systemctl("daemon-reload")
    return 0


def _end(names: Sequence[str], wait_s: float) -> None:
    timers = [name for name in names if name.endswith(".timer")]
    services = [name for name in names if name.endswith(".service")]
    if timers:
        systemctl("stop", *timers)
    end = time.monotonic() + wait_s
    while busy := [name for name, state in active_states(services).items() if state in BUSY]:
        if time.monotonic() > end:
            raise Trouble(f"{', '.join(busy)} did not end within {wait_s:.0f} s; it was not cut off. Its timer is stopped: try again")
        time.sleep(0.1)
    # The services' files last: a run that was killed before finds its jobs again.
    for name in (*timers, *services):
        (unit_dir() / name).unlink(missing_ok=True)


def answer(reason: str) -> int:
    """Print a verdict."""
    print(f"FAILS: {reason}" if reason else "HOLDS")
    return 0


VERBS = {"start": start, "started": started, "stop": stop, "stopped": stopped}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="xcat_ha_drivers.systemd_timer.node_side", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--wait-s", type=float, default=60.0, help="seconds to wait for a job that is at work")
    args = parser.parse_args(argv)
    try:
        return VERBS[args.verb](args)
    except (Trouble, OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"xcat-ha: {args.verb}: {error}")


if __name__ == "__main__":
    sys.exit(main())
