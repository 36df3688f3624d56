"""How fast it answers: ``status`` and ``--help``."""

from __future__ import annotations

from tests.bench.site import XCAT_HA, Pair, in_turn
from tests.bench.table import Row

_LOGINS = 3
_ALLOWANCE_S = 0.5
_HELP_S = 0.3


def bench_help(pair: Pair, repeat: int) -> list[Row]:
    """``--help`` reads no configuration and asks no machine."""
    ours, theirs = in_turn(repeat, lambda: pair.ours("--help"), lambda: _HELP_S)
    return [Row("xcat-ha --help", ours, theirs, 1.0, f"{_HELP_S} s")]


def bench_status(pair: Pair, repeat: int) -> list[Row]:
    """Everything about both nodes, against logging in and out again."""
    login = pair.to_standby("true")
    ours, theirs = in_turn(repeat, lambda: pair.seconds(XCAT_HA, "status"), lambda: pair.seconds(*login))
    note = f"{_LOGINS} cold ssh logins of {theirs:.2f} s, and {_ALLOWANCE_S} s"
    return [Row("xcat-ha status", ours, _LOGINS * theirs + _ALLOWANCE_S, 1.0, note)]
