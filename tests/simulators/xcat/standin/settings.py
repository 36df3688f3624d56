"""The stand-in's own settings: /etc/xcat-standin.conf, overridden by the environment.

`time_scale = 0.25`: a command takes this part of the real seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from . import paths

CONF = "/etc/xcat-standin.conf"
DEFAULT_SCALE = 0.25

# Seconds on a real management node with 2,000 nodes and two cores.
REAL_SECONDS = {
    "xcatd": 2.9,
    "lsdef": 0.3,
    "nodels": 0.3,
    "makedns": 4.0,
    "makedns -n": 13.1,
    "makedhcp": 0.8,
    "makedhcp -n": 3.6,
    "makedhcp -a": 8.4,
    "makeconservercf": 1.1,
    "makehosts": 5.0,
    "nodeset": 2.1,
    "dumpxCATdb": 6.0,
    "restorexCATdb": 12.0,
    "restartxcatd": 2.0,
    "mknb": 4.0,
    "rpower timeout": 14.0,
}


def _from_file(name: str) -> str | None:
    try:
        lines = paths.at(CONF).read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, equals, value = line.partition("#")[0].partition("=")
        if equals and key.strip() == name:
            return value.strip()
    return None


def setting(name: str) -> str | None:
    """A setting by name; XCAT_STANDIN_<NAME> in the environment wins."""
    return os.environ.get("XCAT_STANDIN_" + name.upper()) or _from_file(name)


def time_scale() -> float:
    try:
        return max(0.0, float(setting("time_scale") or DEFAULT_SCALE))
    except ValueError:
        return DEFAULT_SCALE


class Pace:
    """Makes work last as long as the real thing's, scaled, and no shorter."""

    def __init__(
        self,
        *,
        scale: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._scale = time_scale() if scale is None else scale
        self._clock = clock
        self._sleep = sleep
        self._begun = clock()

    def wait_until(self, work: str, part: float = 1.0) -> None:
        """Return when this part of the work's scaled time has passed since the start."""
        due = self._begun + REAL_SECONDS[work] * self._scale * part
        left = due - self._clock()
        if left > 0:
            self._sleep(left)
