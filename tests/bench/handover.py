"""A planned change of primary, against its own commands and waits one after the other."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from tests.bench.site import PYTHON, BenchError, Pair
from tests.bench.table import Row
from xcat_ha.ssh_command import ssh_options

_REPLAY = Path(__file__).with_name("replay.py")
_JOURNALS = "/var/lib/xcat-ha/journal"
_ORDERS = "/run/bench-orders.json"


def steps_of(journal: str) -> tuple[list[dict[str, Any]], list[bool]]:
    """The steps of an operation in the order of its plan, as its journal's text has them, and whether each had anything to do."""
    planned: dict[tuple[str, str, str], dict[str, Any]] = {}
    begun: set[tuple[str, str, str]] = set()
    for line in journal.splitlines():
        entry = json.loads(line)
        if entry["event"] == "phase":
            phase = entry["plan"]
            for stage in phase["stages"]:
                for lane in stage["lanes"]:
                    planned |= {(phase["name"], step["name"], step["host"]): step for step in lane}
        elif entry["event"] == "step" and entry["state"] == "started":
            begun.add((entry["phase"], entry["step"], entry["host"]))
        elif entry["event"] == "captured":
            raise BenchError("the plan captures outputs; the replay cannot do that yet")
    return list(planned.values()), [key in begun for key in planned]


def bench_handover(pair: Pair, repeat: int) -> list[Row]:
    """``failover`` with everything it checks, journals and proves; then the changing commands of that very run, run plainly."""
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeat):
        ours.append(pair.ours("failover", "--yes"))
        steps, had_to_do = _newest_steps(pair)
        pair.ours("failback", "--yes")
        theirs.append(_replayed(pair, steps, had_to_do))
        _require_primary(pair, "mnb")
        pair.ours("failback", "--yes")
    note = f"its {sum(had_to_do)} steps one after the other, one ssh connection"
    return [Row("failover", statistics.median(ours), statistics.median(theirs), 0.9, note)]


def _newest_steps(pair: Pair) -> tuple[list[dict[str, Any]], list[bool]]:
    text = pair.mna.run(("sh", "-c", f"cat $(ls -1 {_JOURNALS}/*-failover-*.jsonl | tail -n 1)")).stdout
    return steps_of(text)


def _replayed(pair: Pair, steps: list[dict[str, Any]], had_to_do: list[bool]) -> float:
    """Seconds the steps take without the product.

    Raises:
        BenchError: a step failed.
    """
    standby = pair.standby
    orders = {
        "here": "mna",
        "ssh": ["ssh", *ssh_options(standby)],
        "there": f"root@{standby.address}",
        "steps": steps,
        "had_to_do": had_to_do,
    }
    pair.mna.run(("sh", "-c", f"umask 077; cat > {_ORDERS}"), input=json.dumps(orders))
    done = pair.mna.run((PYTHON, "-", _ORDERS), input=_REPLAY.read_text(encoding="utf-8"), timeout_s=1800, check=False)
    if done.returncode != 0:
        raise BenchError(f"the replay failed: {done.stderr[-1000:]}")
    return float(done.stdout)


def _require_primary(pair: Pair, node_id: str) -> None:
    shown = pair.mna.run(("/opt/xcat-ha/bin/xcat-ha", "status", "--json"), check=False).stdout
    primary = json.loads(shown).get("status", {}).get("primary")
    if primary != node_id:
        raise BenchError(f"after the replay {primary} is primary, not {node_id}")
