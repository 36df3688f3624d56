"""Program of the driver ``cron`` on the node. Standard library only; it needs ``crontab``, and on AIX ``who -b``.

``started``, ``stopped`` and ``show`` only read; ``start`` and ``stop`` change; ``tick`` is what cron calls, ``run NAME`` runs one job now.
A crontab survives a reboot and the jobs must not: they are written with the boot they belong to, in any other one ``tick`` does nothing.
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

from xcat_ha_drivers.cron import state
from xcat_ha_drivers.cron.crontab import JobSpec, block, is_due, job_from, joined, split
from xcat_ha_drivers.node_commands import Trouble, root, run, said

NO_CRONTAB = ("no crontab for", "0481-103")
"""What ``crontab -l`` says, with an exit status above zero, when there is none. Anything else may hide one that must not be lost."""
CRON_DAEMONS = frozenset({"cron", "crond"})


def read_crontab() -> str:
    """Root's crontab; empty if there is none.

    Raises:
        Trouble: it cannot be told.
    """
    done = run("crontab", "-l")
    if done.returncode == 0:
        return done.stdout
    if any(words in done.stdout + done.stderr for words in NO_CRONTAB):
        return ""
    raise Trouble(f"crontab -l: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")


def write_crontab(others: str, ours: str) -> None:
    """Replace it, and read back that both parts are there."""
    text = joined(others, ours)
    # AIX keeps an empty crontab as readily as Linux does, and "-" means standard input on both.
    said("crontab", "-", stdin=text)
    if read_crontab().rstrip("\n") != text.rstrip("\n"):
        raise Trouble("the crontab is not what was written: somebody else changed it at the same moment; look at crontab -l")


def cron_runs() -> bool:
    """Whether a cron daemon is among the processes."""
    lines = said("ps", "-A", "-o", "pid=", "-o", "args=").splitlines()
    programs = (line.split()[1] for line in lines if len(line.split()) > 1)
    return any(program.rsplit("/", 1)[-1] in CRON_DAEMONS for program in programs)


def why_not_started(jobs: Sequence[JobSpec] | None, python: str) -> str:
    """What keeps these jobs (None: those that are written here) from being run; empty if nothing does."""
    there = state.jobs_of_this_boot()
    wanted = there if jobs is None else list(jobs)
    if there is None or there != wanted:
        return "the jobs are not those asked for"
    if split(read_crontab())[1] != block(python, [job.every_s for job in there]):
        return "root's crontab does not call them"
    return "" if cron_runs() else "no cron daemon runs"


def read_jobs() -> list[JobSpec]:
    """The jobs on standard input."""
    return [job_from(item) for item in json.load(sys.stdin)]


def started(args: argparse.Namespace) -> int:
    """Verdict: exactly these jobs are there, and cron runs."""
    return answer(why_not_started(read_jobs(), args.python))


def start(args: argparse.Namespace) -> int:
    """Write the jobs, then the crontab; a job at work is waited for."""
    jobs = read_jobs()
    with state.nothing_at_work(args.wait_s):
        others, ours = split(read_crontab())
        state.write_jobs(jobs)
        wanted = block(args.python, [job.every_s for job in jobs])
        if ours != wanted:
            write_crontab(others, wanted)
    if not cron_runs():
        raise Trouble("no cron daemon runs here: start it (AIX: lsitab cron; Linux: the service cron or crond)")
    return 0


def stopped(args: argparse.Namespace) -> int:
    """Verdict: no job is written, none at work, nothing of ours in the crontab."""
    del args
    if state.jobs_path().exists():
        return answer("jobs are still written")
    if split(read_crontab())[1]:
        return answer("root's crontab still calls them")
    return answer("a job is at work" if state.is_at_work() else "")


def stop(args: argparse.Namespace) -> int:
    """No further job starts; one at work is waited for; then the crontab is as it was before."""
    state.jobs_path().unlink(missing_ok=True)
    with state.nothing_at_work(args.wait_s):
        others, ours = split(read_crontab())
        if ours:
            write_crontab(others, "")
        state.forget_runs()
    return 0


def show(args: argparse.Namespace) -> int:
    """What is known of the jobs, as one line of JSON."""
    jobs = state.jobs_of_this_boot() or []
    active = not why_not_started(None, args.python) if jobs else False
    print(json.dumps({"jobs": {job.name: {"active": active, **state.last_run(job.name)} for job in jobs}}))
    return 0


def tick(args: argparse.Namespace) -> int:
    """Run whatever is due, one job after the other; nothing while an earlier turn still works."""
    del args
    with state.turn() as mine:
        if not mine:
            return 0
        for job in state.jobs_of_this_boot() or []:
            last = state.last_run(job.name)["last_run"]
            if is_due(job.every_s, last, time.time()) and job in (state.jobs_of_this_boot() or []):
                _run(job)
    return 0


def run_now(args: argparse.Namespace) -> int:
    """One job, whether it is due or not."""
    found = [job for job in state.jobs_of_this_boot() or [] if job.name == args.name]
    if not found:
        raise Trouble(f"no job {args.name!r} is scheduled here")
    with state.nothing_at_work(args.wait_s):
        _run(found[0])
    return 0


def _run(job: JobSpec) -> None:
    began = time.time()
    state.note_run(job.name, began, None)
    # Below another root (a test's) only the programs of its PATH keep to that root.
    argv = job.argv if root() == Path("/") else (Path(job.argv[0]).name, *job.argv[1:])
    with state.log_path(job.name).open("wb") as log:
        try:
            code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
        except OSError as error:
            log.write(f"{error}\n".encode())
            code = 127
    state.note_run(job.name, began, code if code >= 0 else 128 - code)


def answer(reason: str) -> int:
    """Print a verdict."""
    print(f"FAILS: {reason}" if reason else "HOLDS")
    return 0


VERBS = {"start": start, "started": started, "stop": stop, "stopped": stopped, "show": show, "tick": tick, "run": run_now}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="xcat_ha_drivers.cron.node_side", description=__doc__)
    parser.add_argument("--wait-s", type=float, default=60.0, help="seconds to wait for a job that is at work")
    parser.add_argument("--python", default=sys.executable, help="the Python that cron has to call, as the configuration names it")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("name", nargs="?", default="", help="of a job, for run")
    args = parser.parse_args(argv)
    os.umask(0o077)
    try:
        return VERBS[args.verb](args)
    except (Trouble, OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"xcat-ha: {args.verb}: {error}")


if __name__ == "__main__":
    sys.exit(main())
