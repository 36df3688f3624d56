"""Two machines with DB2 in temporary roots, on loopback addresses, without root's rights: for unit tests."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from . import install
from .db2sim import wire
from .db2sim.client import Connection
from .db2sim.paths import ROOT_VARIABLE

_numbers = itertools.count(1)
WAIT_S = 60


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command line said."""

    code: int
    out: str

    @property
    def text(self) -> str:
        """Without the line ends that the CLP put in."""
        return " ".join(self.out.split())

    @property
    def sql(self) -> str:
        """Code and reason code of the first error, or else of the first warning: `SQL1768N 7`."""
        found = re.search(r"\b(SQL\d{4,5}[NC])\b", self.text) or re.search(r"\b(SQL\d{4,5}W)\b", self.text)
        reason = re.search(r'Reason code = "(\d+)"', self.text)
        return " ".join([found[1] if found else "", reason[1] if reason else ""]).strip()


def wait_until(true: Callable[[], bool], what: str, deadline_s: float = WAIT_S, found: Callable[[], str] = str) -> None:
    end = time.monotonic() + deadline_s
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what} {found()}")
        time.sleep(0.05)


@functools.cache
def _product(flavour: str) -> pathlib.Path:
    """The programs, installed once for all machines of this process."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="db2sim-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    install.install(root, flavour, python=sys.executable)
    return root


def _words(process: pathlib.Path) -> bytes:
    try:
        return process.read_bytes()
    except OSError:
        return b""


class Machine:
    """One machine. `shell` is a login shell of the instance owner: what `su - xcatdb -c` starts."""

    def __init__(self, root: pathlib.Path, flavour: str, name: str, address: str, hosts: str) -> None:
        self.root, self.flavour, self.name, self.address = root, flavour, name, address
        (root / "etc").mkdir(parents=True)
        self.write("etc/hostname", name + "\n")
        self.write("etc/hosts", hosts)
        (root / "opt/ibm").mkdir(parents=True)
        (root / "opt/ibm/db2").symlink_to(_product(flavour) / "opt/ibm/db2")
        install.make_instance(root, flavour, host=name, uid=os.getuid(), gid=os.getgid())
        self.write("etc/services", (root / "etc/services").read_text() + "DB2_HADR_1 55001/tcp\nDB2_HADR_2 55002/tcp\n")
        self.sqllib = root / "var/lib/db2/sqllib"
        self.folder = root / "var/lib/db2/xcatdb/NODE0000/XCATDB"
        (root / "backup").mkdir()

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.sqllib}/bin:{self.sqllib}/adm:{os.environ['PATH']}"
        return {ROOT_VARIABLE: str(self.root), "DB2INSTANCE": "xcatdb", "PATH": path, "LC_ALL": "C.UTF-8"}

    def shell(self, script: str, stdin: str = "", **environment: str) -> Answer:
        done = subprocess.run(
            ["bash", "-c", f"exec 2>&1\n{script}\nexit $?"],
            input=stdin,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )
        return Answer(done.returncode, done.stdout)

    def db2(self, command: str, stdin: str = "") -> Answer:
        """One command in a shell of its own. What a CONNECT starts ends with it, as it would keep our pipe open."""
        end = "; code=$?; db2 terminate >/dev/null; exit $code" if command.upper().startswith("CONNECT TO") else ""
        return self.shell(f'db2 "{command}"{end}', stdin)

    def quick(self, command: str) -> Answer:
        """The same without the CLP's own process: its words and codes, not its lines."""
        channel = wire.connect_to(self.sqllib / "sim/ipc")
        channel.send({"op": "clp", "text": command})
        found = channel.receive()
        channel.close()
        assert found is not None, f"{self.name}: {command}: the engine went away"
        return Answer(found["code"], found["text"])

    def must(self, command: str) -> Answer:
        """A command that has to succeed, if only with a warning."""
        answer = self.quick(command)
        assert answer.code in {0, 2}, f"{self.name}: {command}: {answer}"
        return answer

    def connect(self) -> Connection:
        """As xcatd does: through the local catalogue."""
        os.environ[ROOT_VARIABLE] = str(self.root)
        try:
            return Connection.local("xcatdb", "XCATDB")
        finally:
            del os.environ[ROOT_VARIABLE]

    @property
    def pid(self) -> int:
        """The engine's process."""
        return int((self.sqllib / "sim/db2sysc.pid").read_text())

    def kill(self) -> None:
        """SIGKILL, if it runs; also to an engine that was stopped."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            process = pathlib.Path(f"/proc/{self.pid}/cmdline")
            if str(self.sqllib).encode() in process.read_bytes():
                os.kill(self.pid, signal.SIGKILL)
                wait_until(lambda: not _words(process), "the engine is gone")

    def limit_files(self, size_bytes: int) -> None:
        """No file of the engine's grows beyond this: what a full disk looks like to it."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))

    def idle(self) -> None:
        """Wait until nobody is connected."""
        wait_until(lambda: self.quick("LIST APPLICATIONS").code == 2, f"{self.name}: nobody is connected")

    def start(self) -> None:
        answer = self.shell("db2start")
        assert answer.code == 0, answer

    def diag(self) -> str:
        """db2diag.log."""
        path = self.sqllib / "db2dump/db2diag.log"
        return path.read_text() if path.exists() else ""

    # --- HADR

    def configure(self, other: Machine, *, timeout_s: int = 3, window_s: int = 0, mode: str = "NEARSYNC") -> None:
        mine, theirs = ("DB2_HADR_1", "DB2_HADR_2") if self.name < other.name else ("DB2_HADR_2", "DB2_HADR_1")
        self.must(
            f"UPDATE DB CFG FOR XCATDB USING HADR_LOCAL_HOST {self.address} HADR_LOCAL_SVC {mine} HADR_REMOTE_HOST {other.address}"
            f" HADR_REMOTE_SVC {theirs} HADR_REMOTE_INST xcatdb HADR_TIMEOUT {timeout_s} HADR_PEER_WINDOW {window_s} HADR_SYNCMODE {mode}"
        )

    def pd(self) -> str:
        """What db2pd -hadr says, without its own process."""
        channel = wire.connect_to(self.sqllib / "sim/ipc")
        channel.send({"op": "db2pd", "databases": ["XCATDB"]})
        found = channel.receive()
        channel.close()
        return str(found["text"]) if found else ""

    def stands(self) -> tuple[str, str, str]:
        """(role, state, connection) as db2pd prints them, in the words of the newer layout."""
        text = self.pd()
        if self.flavour != "97":
            found = dict(re.findall(r"^\s*([A-Z_,]+)(?:\(\w+\))?\s=\s(.*)$", text, re.MULTILINE))
            return (found.get("HADR_ROLE", ""), found.get("HADR_STATE", ""), found.get("HADR_CONNECT_STATUS", ""))
        role = re.search(r"^Role .*\n(\w+)\s+(\w+)", text, re.MULTILINE)
        status = re.search(r"^ConnectStatus .*\n(\w+)", text, re.MULTILINE)
        state = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", role[2]).upper() if role else ""
        return (role[1].upper() if role else "", state, status[1].upper() if status else "")

    def wait_for(self, *wanted: str) -> None:
        """Until db2pd shows these words, from the left: role, state, connection."""
        wait_until(lambda: self.stands()[: len(wanted)] == wanted, f"{self.name}: {wanted}; it says", found=self.pd)


class Pair:
    """Two machines, `a` with a database of its own in archive logging and backed up."""

    def __init__(self, folder: pathlib.Path, flavour: str) -> None:
        number = next(_numbers)
        net = f"127.{os.getpid() >> 8 & 127 | 64}.{os.getpid() & 255}"
        addresses = {"mna": f"{net}.{2 * number}", "mnb": f"{net}.{2 * number + 1}"}
        hosts = "".join(f"{address} {name} {name}.example\n" for name, address in addresses.items())
        self.a, self.b = (Machine(folder / name, flavour, name, addresses[name], hosts) for name in addresses)
        self.machines = (self.a, self.b)

    def start(self, *only: Machine) -> None:
        """Create the databases and start the instances."""
        for machine in only or self.machines:
            install.create_database(machine.root)
            machine.start()

    def seed(self) -> None:
        """B's database becomes a copy of A's, ready to be a standby."""
        parameter = "LOGRETAIN RECOVERY" if self.a.flavour == "97" else "LOGARCHMETH1 LOGRETAIN"
        self.a.must(f"UPDATE DB CFG FOR XCATDB USING {parameter} TRACKMOD ON LOGINDEXBUILD ON INDEXREC RESTART")
        said = self.a.must("BACKUP DB XCATDB TO /backup").text
        self.copy(self.a, self.b, said)

    def copy(self, source: Machine, target: Machine, said: str) -> Answer:
        """Carry the backup that was announced over and restore it."""
        found = re.search(r"timestamp for this backup image\s+is\s*:\s*(\d{14})", said)
        assert found, said
        for image in (source.root / "backup").glob(f"*{found[1]}*"):
            (target.root / "backup" / image.name).write_bytes(image.read_bytes())
        return target.must(f"RESTORE DB XCATDB FROM /backup TAKEN AT {found[1]} REPLACE HISTORY FILE WITHOUT PROMPTING")

    def configure(self, *, timeout_s: int = 3, window_s: int = 0, mode: str = "NEARSYNC") -> None:
        self.a.configure(self.b, timeout_s=timeout_s, window_s=window_s, mode=mode)
        self.b.configure(self.a, timeout_s=timeout_s, window_s=window_s, mode=mode)

    def join(self, *, timeout_s: int = 3, window_s: int = 0, mode: str = "NEARSYNC") -> None:
        """From two instances that run to Peer and Connected."""
        self.seed()
        self.configure(timeout_s=timeout_s, window_s=window_s, mode=mode)
        self.b.must("START HADR ON DB XCATDB AS STANDBY")
        self.a.must("START HADR ON DB XCATDB AS PRIMARY")
        state = "REMOTE_CATCHUP" if mode == "SUPERASYNC" else "PEER"
        self.a.wait_for("PRIMARY", state, "CONNECTED")
        self.b.wait_for("STANDBY", state, "CONNECTED")

    def stop(self) -> None:
        for machine in self.machines:
            machine.kill()
