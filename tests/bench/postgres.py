"""The drivers for PostgreSQL with 20,000 nodes: a dump against the three commands of the document, and streaming's lag."""

from __future__ import annotations

import statistics

from tests.bench.site import BenchError, Pair, in_turn
from tests.bench.table import Row
from tests.lab.postgres import DATABASE, psql, rows
from tests.lab.process import wait_until
from xcat_ha.ssh_command import rsh_words

_TIMES = 10
_THEIRS = "theirs"
_DUMP = "/var/tmp/theirs.dump"
_LAG_S = 20
_WRITES_PER_S = 20

_GROW = """\
DO $grow$
DECLARE name text; others text;
BEGIN
  FOR name IN SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = 'node' AND ordinal_position = 1
  LOOP
    SELECT string_agg(format('%I', column_name), ', ' ORDER BY ordinal_position) INTO others
      FROM information_schema.columns WHERE table_schema = 'public' AND table_name = name AND column_name <> 'node';
    EXECUTE format('INSERT INTO %I (node, %s) SELECT node || ''-x'' || n, %s FROM %I, generate_series(1, TIMES) n'
      ' WHERE (SELECT count(*) FROM %I) >= 1000', name, others, others, name, name);
  END LOOP;
END
$grow$;
"""


def _grow(pair: Pair) -> int:
    """Give the primary a database ten times as big; returns the number of nodes there are then."""
    psql(pair.mna, _GROW.replace("TIMES", str(_TIMES - 1)))
    return int(rows(pair.mna, "SELECT count(*) FROM nodelist")[0])


def bench_postgres_dump(pair: Pair, repeat: int) -> list[Row]:
    """First copy, one record changed, nothing changed."""
    name = f"postgres-dump of the database of {_grow(pair):,} nodes"
    changes = iter(range(1_000_000))

    def write_something() -> None:
        psql(pair.mna, f"UPDATE nodelist SET comments = 'bench {next(changes)}' WHERE node = 'cn0005'")

    def theirs() -> float:
        """The document's three: dump, copy, restore (into an empty database, as it needs one)."""
        restore = (
            f"runuser -u postgres -- dropdb --if-exists {_THEIRS} && runuser -u postgres -- createdb {_THEIRS}"
            f" && runuser -u postgres -- pg_restore -d {_THEIRS} < {_DUMP}"
        )
        script = (
            f'runuser -u postgres -- pg_dump -Fc {DATABASE} > {_DUMP} && rsync -a -e "$1" {_DUMP} "root@$2:{_DUMP}" && shift 2 && exec "$@"'
        )
        words = ("sh", "-c", script, "sh", rsh_words(pair.standby), str(pair.standby.address))
        return pair.seconds(*words, *pair.to_standby(restore))

    def ours() -> float:
        return pair.ours("sync", "database", "--yes")

    def changed() -> float:
        write_something()
        return ours()

    note = "pg_dump, rsync, pg_restore"
    changed_s, theirs_s = in_turn(repeat, changed, theirs)
    unchanged_s = statistics.median(ours() for _ in range(repeat))
    return [
        Row(f"{name}, a record changed", changed_s, theirs_s, 1.5, note),
        Row(f"{name}, nothing changed", unchanged_s, theirs_s, 0.4, note),
    ]


# One connection on each side, so that neither's start counts. Both nodes have the same clock here: one kernel.
_WRITE = """\
import sys, time
import psycopg2
connection = psycopg2.connect("dbname=xcatdb")
connection.autocommit = True
cursor = connection.cursor()
for number in range(int(sys.argv[1])):
    cursor.execute("INSERT INTO bench_lag VALUES (%s)", (number,))
    print(number, time.monotonic(), flush=True)
    time.sleep(1 / float(sys.argv[2]))
"""
_READ = """\
import sys, time
import psycopg2
connection = psycopg2.connect("dbname=xcatdb")
connection.autocommit = True
cursor = connection.cursor()
seen, deadline = -1, time.monotonic() + 120
while seen < int(sys.argv[1]) - 1 and time.monotonic() < deadline:
    cursor.execute("SELECT coalesce(max(number), -1) FROM bench_lag")
    (newest,), now = cursor.fetchone(), time.monotonic()
    for number in range(seen + 1, newest + 1):
        print(number, now)
    seen = newest
    time.sleep(0.001)
"""


def bench_postgres_streaming(pair: Pair, repeat: int) -> list[Row]:
    """How far the copy is behind a steady writer."""
    del repeat  # hundreds of commits are measured
    nodes = _grow(pair)
    lags = _lags(pair)
    note = f"{len(lags)} commits, {_WRITES_PER_S} a second; nothing is held against it"
    middle, worst = (lags[min(len(lags) - 1, int(len(lags) * part))] for part in (0.5, 0.99))
    name = f"postgres-streaming of {nodes:,} nodes, seconds behind"
    return [Row(f"{name}, p50", middle, middle, None, note), Row(f"{name}, p99", worst, worst, None, note)]


def _lags(pair: Pair) -> list[float]:
    """Seconds from a commit's answer until the standby shows the record, of each commit, in rising order."""
    number = _LAG_S * _WRITES_PER_S
    psql(pair.mna, "CREATE TABLE bench_lag (number integer PRIMARY KEY)")
    wait_until(lambda: rows(pair.mnb, "SELECT to_regclass('bench_lag')") == ["bench_lag"], timeout_s=60, what="the table on the standby")
    words = ("runuser", "-u", "postgres", "--", "/usr/bin/python3", "-c")
    reader = pair.mnb.popen((*words, _READ, str(number)))
    writer = pair.mna.popen((*words, _WRITE, str(number), str(_WRITES_PER_S)))
    committed, seen = (_times(process.communicate(timeout=300)) for process in (writer, reader))
    if len(committed) != number or committed.keys() != seen.keys():
        raise BenchError(f"{len(committed)} of {number} records were committed, {len(seen)} seen on the standby")
    return sorted(max(0.0, seen[one] - committed[one]) for one in committed)


def _times(output: tuple[bytes, bytes]) -> dict[int, float]:
    """What a program printed: number and time."""
    return {int(number): float(moment) for number, moment in (line.split() for line in output[0].decode().splitlines())}
