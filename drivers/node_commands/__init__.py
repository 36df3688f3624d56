"""How the programs of drivers for AIX and POSIX run commands on their node. Standard library only; it is no driver itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

COMMAND_TIMEOUT_S = 30.0


class Trouble(Exception):  # noqa: N818 - not an error of the program: it is the answer to the caller
    """The node does not answer, does not do what it is asked, or must not be asked."""


def root() -> Path:
    """Prefix of all paths: ``XCAT_HA_ROOT`` (for tests), normally ``/``."""
    return Path(os.environ.get("XCAT_HA_ROOT", "/"))


def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in its own language (``LC_ALL=C``); the exit status is the caller's business.

    Raises:
        Trouble: it did not end within :data:`COMMAND_TIMEOUT_S`, or cannot be run.
    """
    try:
        return subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(f"{' '.join(words)}: {error}") from error


def said(*words: str, stdin: str = "") -> str:
    """Output of a command that has to succeed.

    Raises:
        Trouble: it did not.
    """
    done = run(*words, stdin=stdin)
    if done.returncode:
        raise Trouble(f"{' '.join(words)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
