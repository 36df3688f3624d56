"""The command line as a program on a toy site: two directories as nodes, ``mna`` here and ``mnb`` behind a program called ``ssh``."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.unit.test_core_registry import TOYS
from tests.unit.test_core_toys import hosts_in

REPOSITORY = Path(__file__).parents[2]

# Everything of this machine that the program would look at or write to is moved into the test's directory before it is imported.
PROGRAM = """
import os, sys
import xcat_ha.models as models
import xcat_ha.xcat.commands as commands
base = sys.argv.pop(1)
import xcat_ha.term
xcat_ha.term.TERM_FILE = base + "/lib/term.json"
models.COMMANDS_LOCK = base + "/run.commands.lock"
models.RUN_DIR, models.STATE_DIR, models.SSH_DIR = base + "/run", base + "/lib", base + "/ssh"
for name in ("LSDEF", "MKDEF", "RMDEF", "TABDUMP", "MAKEDNS", "MAKEDHCP", "MAKECONSERVERCF"):
    setattr(commands, name, base + "/xcat/" + name.lower())
import xcat_ha.planning.setup
xcat_ha.planning.setup.NODE_ID_FILE = base + "/node"
import xcat_ha.xcat.services
xcat_ha.xcat.services._XCATD_STOPPED = "echo HOLDS"  # it looks at all processes of the machine, which are none of the test's
os.geteuid = lambda: int(os.environ.get("TEST_EUID", "0"))
from xcat_ha.cli import main
main()
"""
SSH = """\
#!/bin/bash
# ssh to mnb: the same machine, with the paths of the other node.
[ -e __BASE__/mnb-is-silent ] && { echo "ssh: connect to host 192.0.2.22 port 22: No route to host" >&2; exit 255; }
mux=
while :; do
  case $1 in
    -O) mux=$2; shift 2;;
    -o|-F) shift 2;;
    -N|-f) mux=master; shift;;
    *) shift; break;;
  esac
done
[ -n "$mux" ] && exit 0
export TOY_NODE=mnb
there() { text=$1; for name in run lib bin node; do text=${text//"__BASE__/$name"/"__BASE__/mnb-$name"}; done; }
case $1 in
  "sh -s") there "$(cat)"; exec sh -s <<< "$text";;
  *) there "$1"; exec sh -c "$text";;
esac
"""
CONFIG = """\
[pair]
name = "toys"
preferred = "mna"
min_free_mib = 0
[nodes.mna]
name = "mna.example.org"
address = "192.0.2.21"
interface = "en1"
bin_dir = "__BASE__/bin"
[nodes.mnb]
name = "mnb.example.org"
address = "192.0.2.22"
interface = "en1"
bin_dir = "__BASE__/bin"
[service]
hostname = "mn"
addresses = ["192.0.2.11/24"]
"""
PRIMARY = "address source jobs running-xcatd running-dhcp running-dns running-console running-tftp"
NO_HOST = {"path": "/etc/xcat/cfgloc", "host": ""}
NOTHING_STALE = {
    "domain": "example.org", "rows": [], "policy": [], "management_nodes": [], "generated": [], "table_troubles": {}, "file_troubles": {},
    "certificate": {"path": "/etc/xcat/cert/server-cert.pem", "cn": "mn", "alternatives": []}, "cfgloc": NO_HOST,
}  # fmt: skip
"""What the program that looks for stale pointers says of a node that has none."""
SECTIONS = ("database", "files", "network", "services", "schedule", "images")


class Outcome:
    """What came of a call."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert "Traceback" not in self.err, self.err

    @property
    def json(self) -> dict[str, Any]:
        """The one document on stdout."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self.out
        document: dict[str, Any] = json.loads(lines[0])
        assert document["format"] == 1
        assert document["exit_code"] == self.code
        return document


class CliSite:
    """A configured pair on which ``mna`` is primary, and the program."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.hosts = hosts_in(base / "hosts", mna=PRIMARY, mnb="copy")
        for name, text in (("run", None), ("mnb-run", None), ("node", "mna\n"), ("mnb-node", "mnb\n")):
            (base / name).mkdir() if text is None else (base / name).write_text(text)
        self.program("path/ssh", SSH.replace("__BASE__", str(base)))
        self.program("path/getent", "case $2 in mn) echo 192.0.2.11;; mna*) echo 192.0.2.21;; *) echo 192.0.2.22;; esac")
        self.program("path/ip", 'case $TOY_NODE in mnb) echo "inet 192.0.2.22/24 ";; *) echo "inet 192.0.2.21/24 ";; esac')
        self.copied()
        for mark in ("", "mnb-"):
            term = base / f"{mark}lib/term.json"
            store = f"""printf '{{"counter": %s, "holder": "%s", "yielded_by": "%s"}}\\n' "$4" "$5" "$7" > {term}"""
            stale = f'*"stale_scan look"*) cat {base}/nothing-stale;; *"stale_scan cfgloc"*) echo \'{json.dumps(NO_HOST)}\';;'
            cases = f'*importlib.metadata*) echo 0.1.0;; *"xcat_ha.term raise"*) {store};; {stale} *) echo HOLDS;;'
            self.program(f"{mark}bin/python3", f'case "$*" in {cases} esac')
            term.parent.mkdir(exist_ok=True)
            term.write_text('{"counter": 1, "holder": "mna", "yielded_by": ""}')
            word = {"state": "active", "why": "it looks", "hint": "", "checked": time.time()}
            (base / f"{mark}run/guard.json").write_text(json.dumps(word))
        (base / "nothing-stale").write_text(json.dumps(NOTHING_STALE))
        self.program("xcat/lsdef", "echo clustersite: master=192.0.2.11; echo clustersite: domain=example.org")
        for name in ("mkdef", "rmdef", "makedns", "makedhcp", "makeconservercf"):
            self.program(f"xcat/{name}", "exit 0")
        self.program("xcat/tabdump", "echo '#node'")
        self.program("path/dpkg-query", "echo 2.19.0")
        self.config = base / "pair.toml"
        drivers = [f'[{section}]\ndriver = "toy"\ndirectory = "{self.hosts}"\n' for section in SECTIONS]
        self.config.write_text(CONFIG.replace("__BASE__", str(base)) + "".join(drivers))
        information = base / "dist/toy_drivers-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-drivers\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(TOYS)

    def copied(self) -> None:
        """The standby's copy is of this moment."""
        (self.hosts / f"mnb/good-{time.time():.0f}").touch()

    def program(self, path: str, script: str) -> None:
        file = self.base / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def command(self, *words: str) -> tuple[tuple[str, ...], dict[str, str]]:
        """Argv and environment."""
        environment = os.environ | {
            "PATH": f"{self.base / 'path'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": os.pathsep.join((str(self.base / "dist"), str(REPOSITORY), *sys.path)),
            "HOME": str(self.base),
        }
        verb, *rest = words
        return (sys.executable, "-c", PROGRAM, str(self.base), verb, "--config", str(self.config), *rest), environment

    def __call__(self, *words: str, stdin: str = "", **environment: str) -> Outcome:
        """Run a verb without a terminal."""
        argv, inherited = self.command(*words)
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=inherited | environment, timeout=60, check=False)
        return Outcome(done)

    def on_a_terminal(self, *words: str, stdin: str) -> Outcome:
        """Run a verb on a pseudo-terminal, typing ``stdin``; stdout and stderr come together."""
        argv, environment = self.command(*words)
        typed = ("script", "-qec", shlex.join(argv), "/dev/null")
        done = subprocess.run(typed, input=stdin, capture_output=True, text=True, env=environment, timeout=60, check=False)
        return Outcome(done)

    def facts(self, node_id: str) -> set[str]:
        """What a node has."""
        return {path.name for path in (self.hosts / node_id).iterdir()}

    def everything(self) -> dict[str, tuple[bytes, int]]:
        """Every file of the site with its time, apart from caches."""
        return {
            str(path.relative_to(self.base)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.base.rglob("*")
            if path.is_file() and ".cache" not in path.parts
        }
