"""Runs on a node: the steps in a file one after the other, local ones here, the others over one multiplexed ssh connection.

A step's commands, then its ``done_when`` until it holds, polled as the product polls: nothing is asked before, nothing is written
down, nothing runs beside anything. A step that had nothing to do in the product's run is asked about while the clock is stopped; it is
run if it has something to do now. Prints the seconds. Of xcat_ha it uses only what a step's rule says.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from xcat_ha.planfile import steps_from_json
from xcat_ha.steps import Command, Completed, Step, Verdict

_FIRST_POLL_S = 0.05
_LONGEST_POLL_S = 1.0


def main(path: str) -> int:
    """Run the orders in the file at ``path``."""
    orders = json.loads(Path(path).read_text(encoding="utf-8"))
    steps = steps_from_json(json.dumps(orders["steps"]))
    began, not_counted_s = time.monotonic(), 0.0
    way = Way(orders)
    try:
        for step, had_to_do in zip(steps, orders["had_to_do"], strict=True):
            asked = time.monotonic()
            due = had_to_do or not _holds(step, way)
            not_counted_s += time.monotonic() - asked
            if due:
                _run(step, way)
    finally:
        way.close()
    print(time.monotonic() - began - not_counted_s)
    return 0


class Way:
    """To both hosts."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self._here = orders["here"]
        self._ssh = [*orders["ssh"], "-o", "ControlPath=/run/bench-control"]
        self._there = orders["there"]
        subprocess.run([*self._ssh, "-o", "ControlMaster=yes", "-o", "ControlPersist=600", "-N", "-f", self._there], check=True, timeout=30)

    def run(self, host: str, command: Command) -> Completed:
        """One command, wherever it belongs."""
        words = [str(word) for word in command.argv]
        argv = words if host == self._here else [*self._ssh, self._there, shlex.join(words)]
        done = subprocess.run(argv, input=command.stdin or "", capture_output=True, text=True, timeout=command.timeout_s, check=False)
        return Completed(tuple(words), done.returncode, done.stdout, done.stderr)

    def close(self) -> None:
        """End the connection."""
        subprocess.run([*self._ssh, "-O", "exit", self._there], capture_output=True, timeout=30, check=False)


def _holds(step: Step, way: Way) -> bool:
    answers = [way.run(probe.host, probe.command) for probe in step.done_when.probes]
    return step.done_when.judge(answers).verdict is Verdict.HOLDS


def _run(step: Step, way: Way) -> None:
    for command in step.commands:
        done = way.run(step.host, command)
        if done.returncode not in command.ok_codes:
            sys.exit(f"{step.name} on {step.host}: {done.summary}")
    deadline = time.monotonic() + step.settle_s
    pause_s = _FIRST_POLL_S
    while not _holds(step, way):
        if time.monotonic() > deadline:
            sys.exit(f"{step.name} on {step.host}: {step.done_when.question}: not within {step.settle_s:g} s")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_POLL_S)
    for command in step.cleanup:
        way.run(step.host, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
