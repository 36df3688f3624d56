"""Program of the driver ``aix-src`` on the node. Standard library only, and of AIX only what POSIX or AIX itself has.

``stopped``, ``running``, ``disabled`` and ``kept`` only read, and print a verdict; ``stop``, ``start``, ``disable`` and ``keep`` change.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from xcat_ha_drivers.aix_src.reading import (
    NOT_STARTED,
    RC_TCPIP,
    Entry,
    Subsystem,
    boot_lines,
    inittab,
    started_by,
    starts,
    starts_group,
    subsystems,
)
from xcat_ha_drivers.node_commands import Trouble, root, run, said

STOP_WAIT_S = 60.0
CANCEL_WAIT_S = 40.0
"""``stopsrc -c`` kills 20 s after its SIGTERM (AIX documentation)."""
SETTLE_S = 0.5
POLL_S = 0.1
NOT_ON_FILE = "0513-085"
RESPAWN_LEVELS = "23456789"


def ask(name: str) -> Subsystem | None:
    """The subsystem as it is now; None if SRC does not know it."""
    done = run("lssrc", "-s", name)
    if done.returncode and NOT_ON_FILE in done.stdout + done.stderr:
        return None
    if done.returncode:
        raise Trouble(f"lssrc -s {name}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    found = subsystems(done.stdout).get(name)
    if found is None:
        raise Trouble(f"lssrc -s {name} does not speak of it: {done.stdout.strip()!r}")
    return found


def _processes() -> list[str]:
    """A line per process: number, command line."""
    return said("ps", "-A", "-o", "pid=", "-o", "args=").splitlines()


def processes(names: Sequence[str]) -> list[str]:
    """Processes whose program, or the title xcatd gives itself, is one of these names."""
    found = []
    for line in _processes():
        pid, _, words = line.strip().partition(" ")
        program = words.split()[0].rsplit("/", 1)[-1].rstrip(":") if words.split() else ""
        if program in names:
            found.append(f"{program} runs as process {pid}")
    return found


def listens(port: int) -> bool:
    """Whether anything listens on the TCP port: netstat shows ``*.3001`` or ``127.0.0.1.3001`` and LISTEN."""
    return bool(re.search(rf"^tcp\S*\s+\d+\s+\d+\s+\S+\.{port}\s+\S+\s+LISTEN", said("netstat", "-an"), re.MULTILINE))


def answer(reasons: Sequence[str]) -> int:
    """Print a verdict."""
    print(f"FAILS: {'; '.join(reasons)}" if reasons else "HOLDS")
    return 0


def stopped(args: argparse.Namespace) -> int:
    """Verdict: SRC has none of them running, no process of that name is there, nothing listens on the port."""
    states = [one for name in args.words if (one := ask(name)) is not None]
    reasons = [f"{one.name} is {one.status}" for one in states if one.runs]
    reasons = reasons or processes(args.words)
    if not reasons and args.tcp_port and listens(args.tcp_port):
        reasons.append(f"something still listens on TCP port {args.tcp_port}")
    return answer(reasons)


def stop(args: argparse.Namespace) -> int:
    """Ask each to stop and wait until it has; one that does not listen is cancelled, which kills it."""
    for name in args.words:
        for flag, wait_s in (((), STOP_WAIT_S), (("-c",), CANCEL_WAIT_S)):
            if _runs(name):
                run("stopsrc", *flag, "-s", name)  # that it is inoperative already is no failure: lssrc has the last word
                _wait_until_stopped(name, wait_s)
        if _runs(name):
            raise Trouble(f"{name} did not stop within {STOP_WAIT_S + CANCEL_WAIT_S:.0f} s")
    return 0


def _runs(name: str) -> bool:
    state = ask(name)
    return state is not None and state.runs


def _wait_until_stopped(name: str, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    while _runs(name) and time.monotonic() < end:
        time.sleep(POLL_S)


def _why_not_running(name: str) -> str:
    state = ask(name)
    if state is None:
        return f"SRC does not know {name}"
    return "" if state.status == "active" else f"{name} is {state.status}"


def running(args: argparse.Namespace) -> int:
    """Verdict: each is active."""
    return answer([reason for name in args.words if (reason := _why_not_running(name))])


def start(args: argparse.Namespace) -> int:
    """Start each. SRC says "started" of a program that cannot even be run, so it has to be the same process a moment later."""
    for name in args.words:
        if _why_not_running(name):
            _wait_until_stopped(name, STOP_WAIT_S)  # while it is stopping, startsrc refuses
            done = run("startsrc", "-s", name)
            before = ask(name)
            time.sleep(SETTLE_S)
            after = ask(name)
            if before is None or after is None or not after.runs or before.pid != after.pid:
                raise Trouble(f"{name} does not stay: {(done.stdout + done.stderr).strip()}")
    return 0


def _boot_script() -> str:
    path = root() / RC_TCPIP
    return path.read_text(errors="surrogateescape") if path.exists() else ""


def disabled(args: argparse.Namespace) -> int:
    """Verdict: a boot starts none of them."""
    entries, script = inittab(said("lsitab", "-a")), _boot_script()
    known = [one for name in args.words if (one := ask(name)) is not None]
    return answer([f"{one.name} is started by {place}" for one in known for place in started_by(one, entries, script)])


def disable(args: argparse.Namespace) -> int:
    """Switch entries of the inittab to ``off`` and comment lines of /etc/rc.tcpip out."""
    known = [one for name in args.words if (one := ask(name)) is not None]
    for entry in inittab(said("lsitab", "-a")):
        if entry.action in NOT_STARTED:
            continue
        for one in known:
            _refuse_group(one, entry.command, f"inittab entry {entry.name}")
        if any(starts(entry.command, one.name) for one in known):
            _refuse_more(entry)
            said("chitab", entry._replace(action="off").line)
    _comment_out(known)
    return 0


def _refuse_group(one: Subsystem, command: str, where: str) -> None:
    if starts_group(command, one.group):
        raise Trouble(f"{where} starts the whole group {one.group}, and {one.name} with it: take {one.name} out of that by hand")


def _refuse_more(entry: Entry) -> None:
    if re.search(r"[;|]|&(?!\d|\s*$)", entry.command):
        raise Trouble(f"inittab entry {entry.name} does more than start one service; change it by hand: {entry.line}")


def _comment_out(known: Sequence[Subsystem]) -> None:
    text = _boot_script()
    doomed = []
    for line in boot_lines(text):
        for one in known:
            _refuse_group(one, line, "/etc/rc.tcpip")
        if any(starts(line, one.name) for one in known):
            doomed.append(line)
    if doomed:
        _replace(root() / RC_TCPIP, "".join(f"#{line}" if line.rstrip("\n") in doomed else line for line in text.splitlines(keepends=True)))


def _replace(path: Path, text: str) -> None:
    status = path.stat()
    fresh = path.with_name(f"{path.name}.xcat-ha")
    with fresh.open("w", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chown(fresh, status.st_uid, status.st_gid)
    fresh.chmod(status.st_mode & 0o7777)
    fresh.replace(path)


def _kept_line(args: argparse.Namespace) -> str:
    return f"{args.id}:{RESPAWN_LEVELS}:respawn:{' '.join(args.words)} >/dev/null 2>&1"


def kept(args: argparse.Namespace) -> int:
    """Verdict: the entry is as it should be, and its process runs."""
    done = run("lsitab", args.id)
    if done.stdout.strip() != _kept_line(args):
        return answer([f"the inittab entry {args.id} is not there, or not as setup writes it"])
    wanted = " ".join(args.words)
    running_now = any(line.strip().partition(" ")[2].strip().endswith(wanted) for line in _processes())
    return answer([] if running_now else [f"it does not run: {wanted}"])


def keep(args: argparse.Namespace) -> int:
    """Write the entry, and have init read it."""
    wanted = _kept_line(args)
    now = run("lsitab", args.id).stdout.strip()
    if now != wanted:
        said("chitab" if now else "mkitab", wanted)
    said("telinit", "q")
    return 0


VERBS = {
    "stop": stop,
    "stopped": stopped,
    "start": start,
    "running": running,
    "disable": disable,
    "disabled": disabled,
    "keep": keep,
    "kept": kept,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="xcat_ha_drivers.aix_src.node_side", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--tcp-port", type=int, default=0)
    parser.add_argument("--id", default="", help="name of an entry of the inittab")
    parser.add_argument("words", nargs="*", help="subsystems; with --id the command to keep running")
    args = parser.parse_args(argv)
    try:
        return VERBS[args.verb](args)
    except (Trouble, OSError, ValueError) as error:
        sys.exit(f"xcat-ha: {args.verb}: {error}")


if __name__ == "__main__":
    sys.exit(main())
