"""What the program keeps on the node: the jobs and the boot they belong to, how each ran last, and a lock. Standard library only."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xcat_ha_drivers.cron.crontab import JobSpec, job_from
from xcat_ha_drivers.node_commands import Trouble, root, said

DIRECTORY = "run/xcat-ha/cron"
BOOT_ID = "proc/sys/kernel/random/boot_id"


def this_boot() -> str:
    """A word for the present boot: the kernel's on Linux, the moment of the boot (``who -b``, POSIX) elsewhere.

    Raises:
        Trouble: it cannot be told.
    """
    path = root() / BOOT_ID
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    words = said("who", "-b").split()
    if "boot" not in words:
        raise Trouble(f"who -b does not say when this machine booted: {' '.join(words)!r}")
    return " ".join(words)


def directory() -> Path:
    """Where all of it is; made by whoever writes."""
    return root() / DIRECTORY


def jobs_path() -> Path:
    """The jobs."""
    return directory() / "jobs.json"


def log_path(name: str) -> Path:
    """What the last run of a job printed."""
    return directory() / f"{name}.log"


def jobs_of_this_boot() -> list[JobSpec] | None:
    """The jobs written since this machine booted; None if there are none."""
    try:
        data = json.loads(jobs_path().read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:
        return None
    if data["boot"] != this_boot():
        return None
    return [job_from(item) for item in data["jobs"]]


def write_jobs(jobs: Sequence[JobSpec]) -> None:
    """Replace them."""
    _write(jobs_path(), {"boot": this_boot(), "jobs": [job._asdict() for job in jobs]})
    wanted = {f"{job.name}.run.json" for job in jobs}
    for path in directory().glob("*.run.json"):
        if path.name not in wanted:
            path.unlink()


def last_run(name: str) -> dict[str, Any]:
    """``last_run`` (epoch seconds) and ``last_exit`` of a job in this boot; None where it has not run, or not ended."""
    nothing: dict[str, Any] = {"last_run": None, "last_exit": None}
    try:
        data = json.loads((directory() / f"{name}.run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return nothing
    return {key: data[key] for key in nothing} if data.get("boot") == this_boot() else nothing


def note_run(name: str, began: float, code: int | None) -> None:
    """Write when it began and how it ended (None: not yet)."""
    _write(directory() / f"{name}.run.json", {"boot": this_boot(), "last_run": began, "last_exit": code})


def forget_runs() -> None:
    """Remove what is known of runs."""
    for pattern in ("*.run.json", "*.log"):
        for path in directory().glob(pattern):
            path.unlink()


@contextmanager
def turn() -> Iterator[bool]:
    """Whether nobody else runs jobs; nobody else can while the block lasts. The lock ends with the process that has it."""
    directory().mkdir(parents=True, exist_ok=True)
    with (directory() / "lock").open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


@contextmanager
def nothing_at_work(wait_s: float) -> Iterator[None]:
    """Wait until no job is at work, and let none begin while the block lasts.

    Raises:
        Trouble: it did not end in time; it was not cut off.
    """
    end = time.monotonic() + wait_s
    while True:
        with turn() as mine:
            if mine:
                yield
                return
        if time.monotonic() > end:
            raise Trouble(f"a job did not end within {wait_s:.0f} s; it was not cut off: try again")
        time.sleep(0.1)


def is_at_work() -> bool:
    """Whether a job is at work. Reads only: where no lock file is, no job has ever run."""
    path = directory() / "lock"
    if not path.exists():
        return False
    with path.open("r+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _write(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
