"""A simulated host: a directory as its root, a :class:`~xcat_ha.testing.machine.Machine`, and the programs it knows."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from xcat_ha.models import Node
from xcat_ha.steps import Command, Completed, Trouble
from xcat_ha.testing._paths import rooted_argv, unrooted
from xcat_ha.testing._shims import add_simulated, install_shims
from xcat_ha.testing._warm_python import WarmPython
from xcat_ha.testing.machine import Machine
from xcat_ha.testing.tree import copy_tree, fingerprint

_VOLATILE = ("run", "tmp", "proc")
_DIRECTORIES = ("etc", "root", "tmp", "run", "proc", "var/lib", "var/log", "var/tmp", "usr", "srv", "sys")


@functools.cache
def _warm_python() -> WarmPython:
    return WarmPython()


@frozen
class Call:
    """A simulated program being called. ``argv[0]`` is the bare name of the program."""

    argv: tuple[str, ...]
    stdin: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments without the program."""
        return self.argv[1:]


@frozen
class Answer:
    """What a simulated program says and how it ends."""

    returncode: int = 0
    stdout: str = ""
    stderr: str = ""


class SimulatedHost:
    """One of the two hosts of a :class:`~xcat_ha.testing.pair.SimulatedPair`.

    Attributes:
        node: how the pair's configuration names it; ``node.bin_dir`` is a real directory with a working ``python3``.
        root: the directory that is "/" for it.
        machine: its state beside its files; tests and handlers change it freely.
        stored_addresses: interface -> addresses it has after boot.
        peer: the other host.
    """

    def __init__(self, node: Node, base: Path, socket: str) -> None:
        """Make the directory tree below ``base`` and the programs in ``node.bin_dir``."""
        self.node = node
        self.root = base / node.id
        self.stored_addresses: Mapping[str, tuple[str, ...]] = {node.interface: (f"{node.address}/16",)}
        self.machine = Machine(hostname=node.name, interfaces={})
        self.peer: SimulatedHost = self
        self._base = base
        self._programs = Path(node.bin_dir)
        self._handlers: dict[str, Handler] = {}
        self._shown: dict[str, str] = {}
        self._lock = threading.RLock()  # a program may outlive the command that started it, and ask for things at any moment
        install_shims(node.id, self.root, self._programs, base, socket)
        self.reset()

    def reset(self) -> None:
        """A machine as installed: an almost empty tree, booted, without units. Handlers stay."""
        with self._lock:
            shutil.rmtree(self.root, ignore_errors=True)
            for name in _DIRECTORIES:
                (self.root / name).mkdir(parents=True, exist_ok=True)
            self.write("/etc/hostname", f"{self.node.name}\n")
            names = " ".join(dict.fromkeys((self.node.name, self.node.name.split(".")[0])))
            self.write("/etc/hosts", f"127.0.0.1 localhost\n{self.node.address} {names}\n")
            self.machine = Machine(hostname=self.node.name, interfaces={})
            self.stored_addresses = {self.node.interface: (f"{self.node.address}/16",)}
            self._boot()

    def checkpoint(self) -> Callable[[], None]:
        """Remember files and machine as they are; calling the result brings them back."""
        self.read_back()
        saved = Path(tempfile.mkdtemp(prefix="checkpoint-", dir=self._base)) / "root"
        copy_tree(self.root, saved)
        machine, stored = self.machine.copy(), dict(self.stored_addresses)

        def restore() -> None:
            with self._lock:
                shutil.rmtree(self.root)
                copy_tree(saved, self.root)
                self.machine, self.stored_addresses, self._shown = machine.copy(), stored, {}
                self.show()

        return restore

    def handle(self, name: str, handler: Handler, *, eats_stdin: bool = False) -> None:
        """Simulate the program ``name`` (wherever its directory is) by ``handler``, for direct commands, scripts and node-side programs.

        Args:
            name: bare name of the program.
            handler: called with this host and the call; changes ``host.machine`` or files below ``host.root``.
            eats_stdin: whether what comes on the program's stdin is given to the handler (up to 1 MiB).
        """
        self._handlers[name] = handler
        add_simulated(self._programs, name, eats_stdin=eats_stdin)

    def path(self, name: str) -> Path:
        """Where the host's absolute path ``name`` is on this machine."""
        return self.root / name.lstrip("/")

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the host, making its directories."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def state(self) -> str:
        """One word for the whole state: files and machine (``/proc`` shows the machine). Equal words: nothing changed in between."""
        self.read_back()
        self.show()
        files = fingerprint(self.root, without=("proc",))
        return f"{files} {self.machine.facts()}"

    def power_off(self) -> None:
        """Lose power: nothing runs any more, nothing answers; ``/run`` and ``/tmp`` are gone at the next boot."""
        self.machine.powered = False

    def power_on(self) -> None:
        """Boot, if it is off: only what is stored comes back (enabled units, ``/etc/hostname``, the node's own address)."""
        if not self.machine.powered:
            self.machine.powered = True
            self._boot()

    @property
    def answers(self) -> bool:
        """Whether commands reach it."""
        return self.machine.powered and self.machine.reachable

    def call(self, name: str, argv: tuple[str, ...], stdin: str = "") -> Answer:
        """Call a simulated program; exit status 127 if there is none of that name."""
        handler = self._handlers.get(name)
        if handler is None:
            return Answer(127, stderr=f"{name}: not simulated; teach the host with host.handle({name!r}, …)\n")
        return handler(self, Call((name, *argv), stdin))

    def execute(self, command: Command) -> Completed:
        """Run a command that has arrived at this host."""
        argv = tuple(str(word) for word in command.argv)
        name = argv[0].rsplit("/", 1)[-1]
        began = time.monotonic()
        if name in self._handlers and not argv[0].startswith(str(self._base)):
            answer = self.call(name, argv[1:], command.stdin or "")
            return Completed(argv, answer.returncode, answer.stdout, answer.stderr, time.monotonic() - began)
        program = self._program(argv[0])
        if program is None:
            said = f"{argv[0]}: not simulated; teach the host with host.handle({name!r}, …)\n"
            return Completed(argv, 127, stderr=said)
        self.show()
        (self.root / "proc/uptime").write_text(f"{self.machine.uptime_s():.2f} 0.00\n")
        try:
            if argv[:2] == (self.node.python, "-m"):
                return self._run_python(argv, command)
            return self._run_process(argv, program, command)
        finally:
            self.read_back()

    def _program(self, word: str) -> str | None:
        """The real program for argv[0]: one of the harmless ones, or a script the test put into the host's tree."""
        if word.startswith(str(self._base)):
            return word
        if word.startswith("/") and os.access(self.path(word), os.X_OK):
            return str(self.path(word))
        shim = self._programs / word.rsplit("/", 1)[-1]
        return str(shim) if shim.exists() else None

    def _run_process(self, argv: tuple[str, ...], program: str, command: Command) -> Completed:
        root, programs, base = str(self.root), str(self._programs), str(self._base)
        words = [program, *rooted_argv(argv, root, programs, base)[1:]]
        if program == f"{programs}/sh":
            words[0] = "/bin/sh"  # its paths are translated already; this saves the start of the translating program
        began = time.monotonic()
        try:
            ended = subprocess.run(
                words,
                input=(command.stdin or "").encode("utf-8", "surrogateescape"),
                capture_output=True,
                timeout=command.timeout_s,
                check=False,
                cwd=root,
                env=self._environment(),
            )
        except subprocess.TimeoutExpired:
            return self._completed(argv, None, b"", b"", began)
        return self._completed(argv, ended.returncode, ended.stdout, ended.stderr, began)

    def _run_python(self, argv: tuple[str, ...], command: Command) -> Completed:
        began = time.monotonic()
        code, out, err = _warm_python().run(
            argv[2:],
            stdin=(command.stdin or "").encode("utf-8", "surrogateescape"),
            directory=str(self.root),
            environment=self._environment(),
            custom=f"{self._base}/{self.node.id}.lib/sitecustomize.py",
            timeout_s=command.timeout_s,
        )
        return self._completed(argv, code, out, err, began)

    def _environment(self) -> dict[str, str]:
        root = str(self.root)
        return {"PATH": str(self._programs), "HOME": f"{root}/root", "LANG": "C.UTF-8", "XCAT_HA_ROOT": root}

    def _completed(self, argv: tuple[str, ...], code: int | None, out: bytes, err: bytes, began: float) -> Completed:
        """An outcome with paths as the host names them; ``code`` None means out of time, below zero a signal."""
        spent_s = time.monotonic() - began
        if code is None:
            said = f"no end after {spent_s:.1f} s: {shlex.join(argv)[:200]}"
            return Completed(argv, None, stderr=said, duration_s=spent_s, trouble=Trouble.TIMED_OUT)
        said, complained = (unrooted(data.decode("utf-8", "surrogateescape"), str(self.root)) for data in (out, err))
        return Completed(argv, code if code >= 0 else 128 - code, said, complained, spent_s)

    def _boot(self) -> None:
        with self._lock:
            for name in _VOLATILE:
                shutil.rmtree(self.root / name, ignore_errors=True)
                (self.root / name).mkdir()
            self._shown = {}
            stored = self.path("/etc/hostname").read_text().strip()
            self.machine.boot(stored, {"lo": ("127.0.0.1/8",), **self.stored_addresses})
            self.show()

    def show(self) -> None:
        """Write what scripts read below ``/proc``: command lines of processes, the running hostname, kernel parameters."""
        with self._lock:
            proc = self.root / "proc"
            there = {entry.name for entry in proc.iterdir() if entry.name.isdigit()}
            wanted = {str(pid): process for pid, process in self.machine.processes.items()}
            for name in there - wanted.keys():
                shutil.rmtree(proc / name)
            for name in wanted.keys() - there:
                (proc / name).mkdir()
                argv = wanted[name].argv
                (proc / name / "cmdline").write_text("\0".join(argv) + "\0")
                (proc / name / "comm").write_text(argv[0].rsplit("/", 1)[-1][:15] + "\n")
            self._show_file("net/tcp", self._listening_table())
            for key, value in self._kernel_files().items():
                self._show_file(f"sys/{key}", f"{value}\n")

    def _show_file(self, name: str, text: str) -> None:
        path = self.root / "proc" / name
        if self._shown.get(name) != text or not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            self._shown[name] = text

    def _listening_table(self) -> str:
        """As ``/proc/net/tcp``."""
        rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0"
        rows = [f"{number:4}: 00000000:{port:04X} {rest}" for number, port in enumerate(sorted(self.machine.listening()))]
        head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
        return "".join(f"{line}\n" for line in (head, *rows))

    def read_back(self) -> None:
        """Take over what a program wrote below ``/proc/sys``."""
        with self._lock:
            for key in self._kernel_files():
                name = f"sys/{key}"
                path = self.root / "proc" / name
                text = path.read_text() if name in self._shown and path.exists() else ""
                if not text or text == self._shown[name]:
                    continue
                self._shown[name] = text
                if key == "kernel/hostname":
                    self.machine.hostname = text.strip()
                else:
                    self.machine.sysctl[key.replace("/", ".")] = text.strip()

    def _kernel_files(self) -> Mapping[str, str]:
        names = ["all", *self.machine.interfaces]
        switches = [f"net/ipv4/conf/{name}/promote_secondaries" for name in names]
        files = {name: self.machine.sysctl.get(name.replace("/", "."), "0") for name in switches}
        files |= {name.replace(".", "/"): value for name, value in self.machine.sysctl.items()}
        return {"kernel/hostname": self.machine.hostname, **files}


Handler: TypeAlias = Callable[[SimulatedHost, Call], Answer]
"""A simulated program: gets the host it runs on and how it was called."""
