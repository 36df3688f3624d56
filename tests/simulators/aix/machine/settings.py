"""The simulator's own settings: /etc/aixsim.conf, lines `name = value`; AIXSIM_<NAME> in the environment wins."""

from __future__ import annotations

import os
import time

from . import paths

CONF = "/etc/aixsim.conf"

DEFAULTS = {
    # What part of a real machine's seconds work takes.
    "time_scale": 0.02,
    # How often lssrc says "stopping" of a subsystem without a process before it is inoperative.
    "stop_polls": 2.0,
    # Seconds between a stop request and the signal, where subsystems are processes.
    "stop_delay_s": 1.0,
    # 1: nim ends with the number of the inner message; 0: with 1. Which of them AIX does is not known for sure.
    "nim_inner_code": 1.0,
    # How long a NIM command waits for another one's hold on the NIM database.
    "nim_lock_wait_s": 5.0,
}

# Seconds on a real machine.
REAL_SECONDS = {"spot": 1800.0, "check": 120.0, "lpp_source": 600.0, "master": 60.0, "sync": 120.0}


def number(name: str) -> float:
    """A setting as a number; nonsense counts as the default."""
    try:
        return float(os.environ.get("AIXSIM_" + name.upper()) or _from_file(name) or DEFAULTS[name])
    except ValueError:
        return DEFAULTS[name]


def take(work: str, part: float = 1.0) -> None:
    """Last as long as this part of the real thing's work, scaled."""
    time.sleep(max(0.0, REAL_SECONDS[work] * number("time_scale") * part))


def _from_file(name: str) -> str:
    try:
        lines = paths.at(CONF).read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, equals, value = line.partition("#")[0].partition("=")
        if equals and key.strip() == name:
            return value.strip()
    return ""
