"""The text of root's crontab, and which job is due. Pure, standard library only."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

BEGIN = "# xcat-ha: begin (written by the driver cron; do not edit, it is replaced)"
END = "# xcat-ha: end"
SLACK_S = 30.0
"""Cron starts at whole minutes, and the last start was a little after one: without slack every second turn would be missed."""
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PROGRAM = re.compile(r"/[A-Za-z0-9/._+@=-]*")


class JobSpec(NamedTuple):
    """A job as it travels to the node and is kept there."""

    name: str
    argv: tuple[str, ...]
    every_s: int
    why: str


def job_from(item: Any) -> JobSpec:
    """A job out of JSON.

    Raises:
        ValueError, KeyError, TypeError: it is none, or cannot be scheduled by cron.
    """
    job = JobSpec(str(item["name"]), tuple(str(word) for word in item["argv"]), int(item["every_s"]), str(item["why"]))
    reason = why_unusable(job.name, job.argv, job.every_s)
    if reason:
        raise ValueError(f"job {job.name!r}: {reason}")
    return job


def why_unusable(name: str, argv: Sequence[str], every_s: int) -> str:
    """Why cron cannot run this; empty when it can."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is no kebab-case name"
    if not argv or not argv[0].startswith("/"):
        return "the program of a job must be an absolute path"
    if any("\0" in word for word in argv):
        return "a word of a command cannot hold a zero byte"
    return "" if every_s >= 60 else f"cron cannot run a job every {every_s} s: it counts in minutes"


def minutes(intervals_s: Sequence[int]) -> str:
    """The minutes of an hour at which to look for due jobs: AIX's cron knows no steps (``*/5``), so they are listed."""
    every_min = math.gcd(60, *(interval_s // 60 for interval_s in intervals_s))
    return "*" if every_min == 1 else ",".join(str(minute) for minute in range(0, 60, every_min))


def block(python: str, intervals_s: Sequence[int]) -> str:
    """The lines of ours: one command that runs whatever is due, one job after the other.

    Raises:
        ValueError: the shell or cron (``%``) could misread the path of Python.
    """
    if not _PROGRAM.fullmatch(python):
        raise ValueError(f"cron may misread {python!r}: install xcat-ha below a path of plain letters and digits")
    command = f"{python} -m xcat_ha_drivers.cron.node_side tick >/dev/null 2>&1"
    return f"{BEGIN}\n{minutes(intervals_s)} * * * * {command}\n{END}\n"


def split(text: str) -> tuple[str, str]:
    """(what others wrote, our block) of a crontab; the block is empty if there is none.

    Raises:
        ValueError: our marks are not a pair, so it is not certain which lines are ours.
    """
    lines = text.splitlines(keepends=True)
    begins = [number for number, line in enumerate(lines) if line.rstrip("\n") == BEGIN]
    ends = [number for number, line in enumerate(lines) if line.rstrip("\n") == END]
    if not begins and not ends:
        return text, ""
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise ValueError("the marks of xcat-ha in root's crontab are not one pair: remove those lines by hand (crontab -e)")
    first, last = begins[0], ends[0] + 1
    return "".join([*lines[:first], *lines[last:]]), "".join(lines[first:last])


def joined(others: str, ours: str) -> str:
    """A crontab of both, ours last."""
    return f"{others}{'' if not others or others.endswith(chr(10)) else chr(10)}{ours}"


def is_due(every_s: int, last_run: float | None, now: float) -> bool:
    """Whether a job has to run now. A clock that was set back makes it due, not silent for days."""
    return last_run is None or now < last_run or now - last_run >= (every_s // 60) * 60 - SLACK_S
