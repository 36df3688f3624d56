"""Copying the database of 20,000 nodes: ``sync database`` against ``rsync -az`` of the same files by the same ssh."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

from tests.bench.site import BenchError, Pair, in_turn
from tests.bench.table import Row
from tests.lab.product import REPOSITORY
from xcat_ha.ssh_command import rsh_words

_TIMES = 10
_THEIRS = "/srv/theirs-db"
_STATE = "/var/lib/xcat-ha/sqlite-copy"
_ALLOWANCE_S = 0.5


def multiply(directory: Path, times: int) -> int:
    """Give every table that is about nodes ``times`` as many rows; returns the number of nodes there are then."""
    nodes = 0
    for path in sorted(directory.glob("*.sqlite")):
        with contextlib.closing(sqlite3.connect(path)) as table:
            columns = [row[1] for row in table.execute(f'PRAGMA table_info("{path.stem}")')]
            (rows,) = table.execute(f'SELECT count(*) FROM "{path.stem}"').fetchone() if columns else (0,)
            if not columns or columns[0] != "node" or rows < 1000:
                continue
            rest = ", ".join(f'"{name}"' for name in columns[1:])
            for number in range(1, times):
                rows_of_old = f'SELECT "node" || ?, {rest} FROM "{path.stem}" WHERE "node" NOT LIKE ?'
                table.execute(f'INSERT INTO "{path.stem}" ("node", {rest}) {rows_of_old}', (f"-x{number}", "%-x%"))
            table.commit()
            if path.stem == "nodelist":
                (nodes,) = table.execute("SELECT count(*) FROM nodelist").fetchone()
    return nodes


def _grow(pair: Pair) -> int:
    """Give the primary a database ten times as big."""
    pair.mna.run(("systemctl", "stop", "xcatd"), timeout_s=120)
    with tempfile.TemporaryDirectory() as made:
        for path in (REPOSITORY / "tests/data/sqlite").glob("*.sqlite"):
            shutil.copy(path, made)
        nodes = multiply(Path(made), _TIMES)
        for path in Path(made).glob("*.sqlite"):
            target = pair.mna.root / "etc/xcat" / path.name
            shutil.copyfile(path, target)
            target.chmod(0o600)
    pair.mna.run(("systemctl", "start", "xcatd"), timeout_s=120)
    return nodes


def _rsync(pair: Pair) -> tuple[str, ...]:
    address = f"root@{pair.standby.address}:{_THEIRS}/"
    return ("sh", "-c", f'exec rsync -az -e "$1" /etc/xcat/*.sqlite "{address}"', "sh", rsh_words(pair.standby))


def bench_database(pair: Pair, repeat: int) -> list[Row]:
    """First copy, one record changed, nothing changed."""
    nodes = _grow(pair)
    rsync = _rsync(pair)
    changes = iter(range(1_000_000))

    def write_something() -> None:
        done = pair.mna.run(("/opt/xcat/bin/chdef", "-t", "node", "-o", "cn0005", f"usercomment=bench {next(changes)}"), timeout_s=300)
        if done.returncode != 0:
            raise BenchError(f"chdef failed: {done.stderr}")

    def first_of_ours() -> float:
        pair.mnb.run(("sh", "-c", f"rm -rf {_STATE} /etc/xcat/*.sqlite"))
        pair.mna.run(("rm", "-rf", _STATE))
        return pair.ours("sync", "database", "--yes")

    def first_of_theirs() -> float:
        pair.mnb.run(("rm", "-rf", _THEIRS))
        pair.mnb.run(("mkdir", "-p", _THEIRS))
        return pair.seconds(*rsync)

    def changed_of_ours() -> float:
        write_something()
        return pair.ours("sync", "database", "--yes")

    def changed_of_theirs() -> float:
        write_something()
        return pair.seconds(*rsync)

    name = f"copy of the database of {nodes:,} nodes"
    note = "rsync -az of the tables"
    rows = [Row(f"{name}, first", *in_turn(repeat, first_of_ours, first_of_theirs), None, note)]
    rows.append(Row(f"{name}, a record changed", *in_turn(repeat, changed_of_ours, changed_of_theirs), 1.5, note))
    ours, theirs = in_turn(repeat, lambda: pair.ours("sync", "database", "--yes"), lambda: pair.seconds(*rsync))
    rows.append(Row(f"{name}, nothing changed", ours, theirs + _ALLOWANCE_S, 1.0, f"{note} ({theirs:.2f} s), and {_ALLOWANCE_S} s"))
    return rows
