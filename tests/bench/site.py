"""A pair in the lab, and a stopwatch on its nodes."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.lab import Lab, Node, Settings
from tests.lab.databases import DATABASES, DEFAULT
from tests.lab.lab import down
from tests.lab.product import PAIR_TOML, host_key_fingerprint, write_config, xcat_ha
from xcat_ha.config import parse_pair
from xcat_ha.models import Node as PairNode
from xcat_ha.ssh_command import ssh_argv

PYTHON = "/opt/xcat-ha/bin/python3"
XCAT_HA = "/opt/xcat-ha/bin/xcat-ha"
FILES_DIR = "/srv/bench"

# No scheduled sync may run into a measurement.
CONFIG_TEXT = (
    PAIR_TOML.replace('preferred = "mna"\n', 'preferred = "mna"\nsync_database_every_s = 86400\nsync_files_every_s = 86400\n')
    + f'\n[files.own.bench]\npaths = ["{FILES_DIR}"]\n'
)

# The clock is read on the node, so that entering it does not count.
_STOPWATCH = """\
import json, subprocess, sys, time
argv = json.loads(sys.stdin.read())
began = time.monotonic()
done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
seconds = time.monotonic() - began
print(json.dumps({"seconds": seconds, "code": done.returncode, "said": (done.stderr or done.stdout)[-1000:]}))
"""


class BenchError(Exception):
    """What was to be measured failed."""


class Pair:
    """The nodes of a pair in the lab whose primary is ``mna``."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mna, self.mnb = lab.node("mna"), lab.node("mnb")

    @property
    def standby(self) -> PairNode:
        """The standby as the configuration has it."""
        return parse_pair(CONFIG_TEXT).node("mnb")

    def seconds(self, *argv: str, on: Node | None = None, codes: Sequence[int] = (0,)) -> float:
        """How long a command takes on a node (``mna`` by default).

        Raises:
            BenchError: its exit status is none of ``codes``.
        """
        node = on or self.mna
        answer = json.loads(node.run((PYTHON, "-c", _STOPWATCH), input=json.dumps(argv), timeout_s=1800).stdout)
        if answer["code"] not in codes:
            raise BenchError(f"{' '.join(argv)[:200]} on {node.id}: exit {answer['code']}: {answer['said'].strip()}")
        return float(answer["seconds"])

    def ours(self, *arguments: str, codes: Sequence[int] = (0,)) -> float:
        """How long the product's command line takes."""
        return self.seconds(XCAT_HA, *arguments, codes=codes)

    def to_standby(self, *argv: str) -> tuple[str, ...]:
        """A command on the standby by a fresh ssh connection from the primary, with the product's own key and options."""
        return (*ssh_argv(self.standby), *argv)


@contextmanager
def pair_in_the_lab(driver: str = DEFAULT) -> Iterator[Pair]:
    """A site with that database driver made into a pair; the lab is taken down in any case.

    Raises:
        LabError: there can be no lab, or one of this name is up.
        BenchError: ``setup`` failed.
    """
    settings = Settings.from_environment()
    print("bench: building what the two machines are made of (minutes the first time, then cached) …", file=sys.stderr, flush=True)
    database = DATABASES[driver]
    lab = Lab.up("single", database.layers(settings), settings=settings)
    try:
        database.start_site(lab)
        pair = Pair(lab)
        write_config(pair.mna, CONFIG_TEXT.replace(f'driver = "{DEFAULT}"\n', f'driver = "{driver}"\n'))
        pair.mna.run(("mkdir", "-p", FILES_DIR))
        pair.mna.run(("touch", f"{FILES_DIR}/first"))
        done = xcat_ha(pair.mna, "setup", "--yes", "--trust-host-key", host_key_fingerprint(pair.mnb), check=False)
        if done.returncode != 0:
            raise BenchError(f"setup failed: {done.stderr[-2000:]}")
        yield pair
    finally:
        down(settings)


def in_turn(repeat: int, ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    """Medians of both, measured alternately so that a busy moment of the machine hits both."""
    taken = [(ours(), theirs()) for _ in range(repeat)]
    return statistics.median(one for one, _ in taken), statistics.median(other for _, other in taken)
