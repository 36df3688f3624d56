"""Two nodes as temporary trees for the tests of sqlite-copy: real processes, SQLite files and rsync, an ``ssh`` that goes nowhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.models import DriverChoice, Node, Pair, ServiceIdentity
from xcat_ha.steps import Command, Completed, Effect
from xcat_ha_drivers.sqlite_copy import SqliteCopy

DATA = Path(__file__).parents[1] / "data" / "sqlite"
NODE_SIDE = "xcat_ha_drivers.sqlite_copy.node_side"
# Finds the tree by HostKeyAlias, as the real one finds the host key, and runs the far rsync on that tree's paths.
FAKE_SSH = """\
#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in
    -o) case "$2" in HostKeyAlias=*) id=${2#*=};; esac; shift 2;;
    -F|-l) shift 2;;
    -*) shift;;
    *) shift; break;;
  esac
done
[ -e "$TREES/cut" ] && { echo "ssh: connect to host: No route to host" >&2; exit 255; }
words=$#
while [ "$words" -gt 0 ]; do
  case "$1" in /var/lib/*) set -- "$@" "$TREES/$id$1";; *) set -- "$@" "$1";; esac
  shift; words=$((words - 1))
done
exec "$@"
"""
HOT_JOURNAL = """\
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=2")
connection.execute("BEGIN")
for number in range(2000):
    connection.execute("INSERT INTO nodelist (node, groups) VALUES (?, 'torn')", (f"torn{number}",))
os.kill(os.getpid(), signal.SIGKILL)
"""
WRITER = """\
import sqlite3, sys, time
number = 0
while True:
    for table in ("nodelist", "nodetype"):
        connection = sqlite3.connect(f"{sys.argv[1]}/{table}.sqlite", timeout=30)
        with connection:
            connection.execute(f"INSERT INTO {table} (node) VALUES (?)", (f"busy{number}",))
        connection.close()
    number += 1
    print(number, flush=True)
"""


class Trees(Runner):
    """Both nodes of a pair, and the runner that reaches them."""

    def __init__(self, top: Path, *, tables: Sequence[str] = (), **options: int) -> None:
        self.top = top
        self.nodes = tuple(
            Node(id=name, name=name, address=f"10.77.0.{last}", interface="en1", bin_dir=str(top / "bin"))
            for name, last in (("mna", 21), ("mnb", 22))
        )
        self.a, self.b = self.nodes
        self.pair = Pair(
            name="pair",
            nodes=(self.a, self.b),
            preferred="mna",
            identity=ServiceIdentity("mn", (ip_interface("10.77.0.11/16"),)),
            database=DriverChoice("none"),
            files=DriverChoice("none"),
            network=DriverChoice("none"),
            services=DriverChoice("none"),
            schedule=DriverChoice("none"),
        )
        self.backend = SqliteCopy(self.pair, options)
        self.changes: list[Command] = []
        for node in self.nodes:
            (top / node.id / "proc").mkdir(parents=True)
            (top / node.id / "etc/xcat").mkdir(parents=True)
        (top / "bin").mkdir()
        (top / "bin/python3").symlink_to(sys.executable)
        (top / "bin/ssh").write_text(FAKE_SSH)
        (top / "bin/ssh").chmod(0o755)
        for path in sorted(DATA.glob("*.sqlite")):
            if not tables or path.stem in tables:
                shutil.copyfile(path, self.xcat(self.a) / path.name)
                (self.xcat(self.a) / path.name).chmod(0o600)

    # -- the runner

    def environment(self, host: str) -> dict[str, str]:
        python_path = os.pathsep.join(path for path in sys.path if path)
        return {
            "PATH": f"{self.top}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "XCAT_HA_ROOT": str(self.top / host),
            "TREES": str(self.top),
            "PYTHONPATH": python_path,
        }

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        del on_output
        if command.effect is Effect.CHANGES:
            self.changes.append(command)
        return self.run_words(host, tuple(str(word) for word in command.argv))

    def run_words(self, host: str, argv: tuple[str, ...]) -> Completed:
        if "systemctl show -p ActiveState" in " ".join(argv):  # xcatd_is_stopped: these trees have no systemd
            runs = (self.top / host / "proc/4711").exists()
            return Completed(argv, 0, "FAILS: xcatd runs\n" if runs else "HOLDS\n")
        argv = tuple(sys.executable if word.endswith("/bin/python3") else word for word in argv)
        if sys.executable not in argv:  # a plain command knows nothing of trees
            argv = tuple(f"{self.top}/{host}{word}" if word.startswith(("/var/lib/", "/etc/")) else word for word in argv)
        began = time.monotonic()
        done = subprocess.run(argv, env=self.environment(host), capture_output=True, text=True, errors="surrogateescape", check=False)
        return Completed(argv, done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        assert all(command.effect is Effect.READS for command in commands)
        return tuple(self.run(host, command) for command in commands)

    # -- the nodes

    def xcat(self, node: Node) -> Path:
        return self.top / node.id / "etc/xcat"

    def base(self, node: Node) -> Path:
        return self.top / node.id / "var/lib/xcat-ha/sqlite-copy"

    def diverged(self, node: Node) -> list[Path]:
        return sorted((self.top / node.id / "var/lib/xcat-ha/diverged").glob("*"))

    def generations(self, node: Node) -> list[Path]:
        return sorted((self.base(node) / "generations").glob("*"))

    def start_xcatd(self, node: Node) -> None:
        process = self.top / node.id / "proc/4711"
        process.mkdir()
        (process / "cmdline").write_bytes(b"xcatd: SSL listener\0")

    def stop_xcatd(self, node: Node) -> None:
        shutil.rmtree(self.top / node.id / "proc/4711")

    def side(self, node: Node, verb: str, *words: str) -> Completed:
        return self.run_words(
            node.id,
            (node.python, "-m", NODE_SIDE, verb, f"--node={node.id}", "--xcat-dir=/etc/xcat", "--wait-s=2", *words),
        )

    def receive_words(self, source: Node, target: Node, *words: str) -> tuple[str, ...]:
        """The argv of the target's side of a sync."""
        (command,) = next(step for step in self.backend.steps_to_sync(source, target) if step.name == "receive-database").commands
        return (*(str(word) for word in command.argv), *words)

    def files(self, node: Node) -> dict[str, str]:
        """Every table file in place with its checksum."""
        return {path.name: sha256(path) for path in sorted(self.xcat(node).glob("*.sqlite"))}

    def everything(self, node: Node) -> dict[str, tuple[int, int, str]]:
        """Every file of the node's tree: what a read must not change."""
        found = {}
        for path in sorted((self.top / node.id).rglob("*")):
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mtime_ns, sha256(path) if path.is_file() else "")
        return found

    def marker(self, node: Node) -> dict[str, Any]:
        path = self.base(node) / "in-place.json"
        return json.loads(path.read_text()) if path.exists() else {"state": "none"}

    def record(self, node: Node, name: str) -> str:
        done = self.run(node.id, self.backend.question_for_record(node, name))
        return done.stdout.strip() if done.ok else f"? {done.stderr.strip()}"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(directory: Path, *names: str, table: str = "nodelist") -> None:
    """Commit rows."""
    connection = sqlite3.connect(directory / f"{table}.sqlite", timeout=10)
    with connection:
        connection.executemany(f"INSERT INTO {table} (node) VALUES (?)", [(name,) for name in names])
    connection.close()


def names_in(path: Path) -> set[str]:
    """All node names of a table file."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = connection.execute(f"SELECT node FROM {path.stem}").fetchall()
    connection.close()
    return {str(row[0]) for row in rows}


def die_in_a_transaction(directory: Path) -> None:
    """A writer of nodelist is killed after half of its transaction reached the file."""
    before = sha256(directory / "nodelist.sqlite")
    done = subprocess.run([sys.executable, "-c", HOT_JOURNAL, str(directory / "nodelist.sqlite")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (directory / "nodelist.sqlite-journal").stat().st_size > 512
    assert sha256(directory / "nodelist.sqlite") != before, "the cache did not spill, so nothing is torn"
