"""``make bench``: the benches named (all by default), one table. Exit status 0 if every goal is met, 1 if not, 3 if there is no lab."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import tests.bench
from tests.bench.answers import bench_help, bench_status
from tests.bench.database import bench_database
from tests.bench.files import bench_files
from tests.bench.handover import bench_handover
from tests.bench.postgres import bench_postgres_dump, bench_postgres_streaming
from tests.bench.site import BenchError, Pair, pair_in_the_lab
from tests.bench.table import Row, shown
from tests.lab import LabError
from tests.lab.databases import DEFAULT

# A bench and the database driver of the pair it needs; those of one driver stand together.
BENCHES: Mapping[str, tuple[Callable[[Pair, int], list[Row]], str]] = {
    "help": (bench_help, DEFAULT),
    "status": (bench_status, DEFAULT),
    "files": (bench_files, DEFAULT),
    "handover": (bench_handover, DEFAULT),
    # Last of its pair: it leaves ten times as many nodes behind.
    "database": (bench_database, DEFAULT),
    "postgres-dump": (bench_postgres_dump, "postgres-dump"),
    "postgres-streaming": (bench_postgres_streaming, "postgres-streaming"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the benches; returns the exit status."""
    form = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=tests.bench.__doc__, formatter_class=form)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHES)}")
    parser.add_argument("--repeat", type=int, default=3, choices=range(1, 21), metavar="N", help="repetitions of each measurement (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table there")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench is called {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    try:
        rows = _run([name for name in BENCHES if name in given.names or not given.names], given.repeat)
    except (BenchError, LabError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 3
    print(shown(rows))
    print(f"({os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f} in the last five minutes; only ratios mean anything)")
    if given.json:
        data = [dataclasses.asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows]
        given.json.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return 0 if all(row.met is not False for row in rows) else 1


def _run(names: list[str], repeat: int) -> list[Row]:
    """All rows; a bench that breaks gives one that says so, and the others go on with a pair made anew."""
    rows: list[Row] = []
    waiting = list(names)
    while waiting:
        driver = BENCHES[waiting[0]][1]
        with pair_in_the_lab(driver) as pair:
            broken = False
            while waiting and not broken and BENCHES[waiting[0]][1] == driver:
                name = waiting.pop(0)
                print(f"bench: {name} …", file=sys.stderr, flush=True)
                try:
                    rows += BENCHES[name][0](pair, repeat)
                except (BenchError, LabError) as error:
                    print(f"bench: {name}: {error}", file=sys.stderr)
                    rows.append(Row(name, None, None, None, note=str(error).splitlines()[0][:100]))
                    broken = True
    return rows


if __name__ == "__main__":
    sys.exit(main())
