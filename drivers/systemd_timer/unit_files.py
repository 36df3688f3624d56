"""Text of the unit files for a job. Pure, standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

PREFIX = "xcat-ha-"
MARK = "# Written by xcat-ha (driver systemd-timer); gone after a reboot on purpose."
LARGEST_DELAY_S = 10
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class JobSpec(NamedTuple):
    """A job as it travels to the node."""

    name: str
    argv: tuple[str, ...]
    every_s: int
    why: str


def quoted(word: str) -> str:
    """One argument of ``ExecStart=``, safe from splitting, specifiers (%) and variables ($)."""
    # Order matters: backslashes first.
    for raw, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"), ("%", "%%"), ("$", "$$")):
        word = word.replace(raw, escaped)
    return f'"{word}"'


def one_line(text: str) -> str:
    """Text for ``Description=``."""
    return " ".join(text.split()).replace("%", "%%")


def why_unusable(name: str, argv: Sequence[str], every_s: int) -> str:
    """Why no timer can be made of this; empty when one can."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is no kebab-case name"
    if not argv or not argv[0].startswith("/"):
        return "the program of a job must be an absolute path"
    # systemd reads a quoted "/path" like an unquoted one, but does not undo $$ in it
    if re.search(r"[$\s\"'\\]", argv[0]) or any("\0" in word for word in argv):
        return f"systemd cannot run a program called {argv[0]!r}"
    return "" if every_s >= 1 else f"a job cannot run every {every_s} s"


def service_text(job: JobSpec) -> str:
    """The service: one run of the job. It is never started at boot, having no [Install] section."""
    command = " ".join([job.argv[0].replace("%", "%%"), *map(quoted, job.argv[1:])])
    return f"""\
{MARK}
[Unit]
Description={one_line(job.why)}

[Service]
Type=oneshot
ExecStart={command}
Nice=5
"""


def timer_text(job: JobSpec) -> str:
    """The timer: first run soon after the start, then every ``every_s`` seconds from start to start."""
    delay_s = min(LARGEST_DELAY_S, job.every_s // 10)
    return f"""\
{MARK}
[Unit]
Description=every {job.every_s} s: {one_line(job.why)}

[Timer]
OnActiveSec={min(job.every_s, LARGEST_DELAY_S)}s
OnUnitActiveSec={job.every_s}s
RandomizedDelaySec={delay_s}s
AccuracySec=1s
"""


def files_of(job: JobSpec) -> dict[str, str]:
    """File name -> text."""
    return {f"{PREFIX}{job.name}.service": service_text(job), f"{PREFIX}{job.name}.timer": timer_text(job)}
