"""Watches every process of this machine, the nodes' included, for secrets that can be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Final

from .errors import LabError
from .trees import PROJECT
from .watching import Watching

_PROBE: Final = f"{__package__}.leak_probe"
_STOP_LIMIT_S: Final = 20.0


@dataclass(frozen=True)
class Leak:
    """A secret was seen.

    ``secret`` is its label, ``where`` is "argv" or "environ", ``argv`` the offending process's.
    """

    secret: str
    where: str
    pid: int
    argv: tuple[str, ...]


def parse_report(line: str) -> Leak:
    """Parse one line of what the probe prints."""
    data = json.loads(line)
    return Leak(data["secret"], data["where"], int(data["pid"]), tuple(data["argv"]))


class SecretSampler(Watching):
    """Looks at argv and environment of all processes until stop(); this process is left out.

    ``secrets`` maps labels (for the report) to values.  Each dynamically linked program is seen
    however short its life, because it is held for the moment it takes to look; others, and what a
    program makes of its argv later, are seen if they last for 0.25 s.  A node that boots while
    the sampler runs is seen in full from 0.25 s after.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        if not all(secrets.values()):
            raise ValueError("an empty secret is in everything")
        self._secrets = dict(secrets)
        self._found: dict[Leak, None] = {}

    @property
    def leaks(self) -> list[Leak]:
        """What was found so far, each once; complete after stop()."""
        return list(self._found)

    def start(self) -> None:
        """Begin; returns when every process is being watched.  LabError if that is impossible."""
        # A process of its own: it holds others while it looks at them, and must never hold itself.
        self._probe = subprocess.Popen(
            [sys.executable, "-m", _PROBE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            text=True,
            start_new_session=True,
        )
        # Through a pipe: in argv or environment the secrets would be found, here of all places.
        order = {"secrets": self._secrets, "leave_out": [os.getpid()]}
        stdin, stdout = _pipes(self._probe)
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        if stdout.readline().strip() != "ready":
            raise LabError(f"the secret sampler ended with exit status {self._probe.wait()}")
        self._reader = threading.Thread(target=self._read, args=(stdout,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """End; the results stay."""
        stdin, _ = _pipes(self._probe)
        stdin.close()
        self._probe.wait(timeout=_STOP_LIMIT_S)
        self._reader.join()

    def _read(self, reports: IO[str]) -> None:
        for line in reports:
            self._found[parse_report(line)] = None


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process was started without pipes")
    return process.stdin, process.stdout
