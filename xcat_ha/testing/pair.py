"""Two simulated hosts behind one runner."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

from attrs import evolve

from xcat_ha.errors import ChangeForbiddenError
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.models import DriverChoice, Node, Pair, ServiceIdentity
from xcat_ha.steps import Command, Completed, Effect, Trouble
from xcat_ha.testing.host import Answer, SimulatedHost
from xcat_ha.testing.programs import install_programs
from xcat_ha.testing.watch import Ran, WatchedRunner


class ReadThatChangedError(AssertionError):
    """A command declared as READS changed files or state of a host. The mistake is in the command's ``effect``."""


def example_pair(bin_dirs: tuple[str, str] = ("/opt/xcat-ha/bin", "/opt/xcat-ha/bin")) -> Pair:
    """A configuration for tests: nodes ``mna`` (10.77.0.21) and ``mnb`` (.22), service identity ``mn`` (10.77.0.11/16) on ``en1``."""
    nodes = (
        Node("mna", "mna.example.org", "10.77.0.21", "en1", bin_dirs[0]),
        Node("mnb", "mnb.example.org", "10.77.0.22", "en1", bin_dirs[1]),
    )
    identity = ServiceIdentity("mn", (ipaddress.ip_interface("10.77.0.11/16"),))
    none = DriverChoice("none")
    return Pair("example", nodes, "mna", identity, none, none, none, none, none, source="example-pair.toml")


class SimulatedPair:
    """Two hosts that behave as far as drivers can tell, in a temporary directory, without root.

    * Each host has a real directory tree as its root and a :class:`~xcat_ha.testing.machine.Machine`. Commands find simulated programs
      (``systemctl``, ``ip``, ``hostname``, ``arping``, ``ss`` …; add yours with ``host.handle``) and a choice of harmless real ones
      (``cat``, ``sed``, ``rsync``, ``sh`` …), whose absolute paths are moved below the host's root. There is nothing else in their PATH.
    * ``node.python -m …`` runs for real, with ``XCAT_HA_ROOT`` set to the host's root. ``ssh`` and ``rsync`` to the other node's address
      enter the other host, if it answers and the link between them is not cut.
    * A host that is off or cut off gives ``returncode=None`` with ``trouble=UNREACHABLE``.
    * Every READS command is proven to leave files and machines of *both* hosts as they were; otherwise :class:`ReadThatChangedError`.

    Use it as a context manager, or call :meth:`close`.

    Attributes:
        host_class: what its hosts are made of; a subclass may be another operating system.
        config: the :class:`~xcat_ha.models.Pair` that drivers are built with.
        runner: the :class:`~xcat_ha.testing.watch.WatchedRunner` through which commands are given.
        linked: False cuts the network between the two hosts; the runner still reaches both.
        strangers: addresses that some third machine on the segment answers for.
    """

    host_class: ClassVar[type[SimulatedHost]] = SimulatedHost

    def __init__(self, config: Pair | None = None, directory: Path | None = None) -> None:
        """Build both hosts.

        Args:
            config: None for :func:`example_pair`. The nodes' ``bin_dir`` is replaced by a working one.
            directory: where to build; None for a temporary directory that :meth:`close` removes.
        """
        self._base = Path(tempfile.mkdtemp(prefix="pair-", dir=directory)).resolve()
        self._remove = weakref.finalize(self, shutil.rmtree, self._base, ignore_errors=True)  # at the latest when this process ends
        self._socket_name = f"xcat-ha-{os.getpid()}-{self._base.name}"
        config = config or example_pair()
        first, second = (evolve(node, bin_dir=str(self._base / f"{node.id}.bin")) for node in config.nodes)
        self.config = evolve(config, nodes=(first, second))
        self.linked = True
        self.strangers: set[str] = set()
        self._call_lock = threading.RLock()
        self._questions = {".route": self._route, ".who-has": self._who_has, ".announced": self._announced}
        self._listener = self._listen()
        self.hosts = {node.id: self.host_class(node, self._base, self._socket_name) for node in self.config.nodes}
        for host in self.hosts.values():
            host.peer = self.hosts[self.config.other(host.node.id).id]
            install_programs(host, self)
        self.runner = WatchedRunner(_HostRunner(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __getitem__(self, node_id: str) -> SimulatedHost:
        """The host of a node id."""
        return self.hosts[node_id]

    @property
    def log(self) -> tuple[Ran, ...]:
        """Every command given since the last ``runner.forget()``."""
        return self.runner.log

    @property
    def changes(self) -> tuple[Ran, ...]:
        """The CHANGES commands among them."""
        return self.runner.changes

    def reset(self) -> None:
        """Both hosts as new, linked; handlers stay."""
        with self._call_lock:  # a program may still run in the background
            self.linked = True
            self.strangers.clear()
            for host in self.hosts.values():
                host.reset()
        self.runner.reset()

    def checkpoint(self) -> Callable[[], None]:
        """Remember files, machines and network as they are; calling the result brings them back."""
        linked, strangers = self.linked, set(self.strangers)
        saved = [host.checkpoint() for host in self.hosts.values()]

        def restore() -> None:
            with self._call_lock:
                self.linked, self.strangers = linked, set(strangers)
                for bring_back in saved:
                    bring_back()

        return restore

    def state(self) -> str:
        """One word for the state of both hosts."""
        return " ".join(host.state() for host in self.hosts.values())

    def answering_for(self, address: str, asker: SimulatedHost) -> str | None:
        """Who on the segment, beside ``asker``, answers for an address (without prefix length): a name, or None for nobody."""
        if address in self.strangers:
            return "a stranger"
        others = [host for host in self.hosts.values() if host is not asker and host.machine.powered and self.linked]
        return next((host.node.id for host in others if address in host.machine.addresses()), None)

    def host_at(self, address: str, asker: SimulatedHost) -> SimulatedHost | None:
        """The host that ``asker`` reaches under an address or node id; None if none answers there."""
        for host in self.hosts.values():
            if address in {host.node.id, host.node.name} or address in host.machine.addresses():
                there = host is asker or (self.linked and host.machine.powered and asker.machine.powered)
                return host if there else None
        return None

    def close(self) -> None:
        """Stop listening and remove the directory."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._remove()

    def _listen(self) -> socket.socket:
        """Answer simulated programs that are called from scripts and node-side programs."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"\0{self._socket_name}")  # abstract: the path of a socket may have 107 bytes, and temporary directories can be deep
        listener.listen(64)
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        return listener

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                talk, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(talk,), daemon=True).start()

    def _converse(self, talk: socket.socket) -> None:
        # What is missing or broken here belongs to a program that outlived its command and its pair.
        with talk, talk.makefile("rb") as stream, contextlib.suppress(FileNotFoundError, BrokenPipeError):
            count = int.from_bytes(stream.read(4), "big")
            parts = [stream.read(int.from_bytes(stream.read(4), "big")).decode("utf-8", "surrogateescape") for _ in range(count + 1)]
            host_id, name, *words = parts[:-1]
            with self._call_lock:
                host = self.hosts[host_id]
                host.read_back()
                question = self._questions.get(name)
                answer = question(host, words[0]) if question is not None else host.call(name, tuple(words), parts[-1])
                host.show()
            out, err = (text.encode("utf-8", "surrogateescape") for text in (answer.stdout, answer.stderr))
            talk.sendall(answer.returncode.to_bytes(4, "big") + len(out).to_bytes(4, "big") + out + err)

    def _who_has(self, asker: SimulatedHost, address: str) -> Answer:
        return Answer(0, "020000000001" if self.answering_for(address, asker) else "")

    def _announced(self, asker: SimulatedHost, address: str) -> Answer:
        if not asker.machine.announced or asker.machine.announced[-1] != address:
            asker.machine.announced.append(address)
        return Answer(0)

    def _route(self, asker: SimulatedHost, target: str) -> Answer:
        host = self.host_at(target.rsplit("@", 1)[-1].strip("[]"), asker)
        if host is None:
            return Answer(1, stderr="No route to host\n")
        return Answer(0, "".join(f"{word}\n" for word in (host.root, host.node.bin_dir, self._base)))


class _HostRunner(Runner):
    """Gives commands to simulated hosts."""

    def __init__(self, pair: SimulatedPair) -> None:
        self._pair = pair

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        with self._unchanged((command,)):
            completed = self._give(host, command)
        if on_output is not None and completed.stdout:
            on_output(completed.stdout)
        return completed

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        for command in commands:
            if command.effect is not Effect.READS:
                raise ChangeForbiddenError(f"not a read: {command.argv}", hint="use run() for a command that changes something")
        with self._unchanged(commands):
            return tuple(self._give(host, command) for command in commands)

    def _give(self, host: str, command: Command) -> Completed:
        target = self._pair[host]
        if not target.answers:
            words = tuple(str(word) for word in command.argv)
            return Completed(words, None, stderr=f"{host} does not answer", trouble=Trouble.UNREACHABLE)
        return target.execute(command)

    @contextlib.contextmanager
    def _unchanged(self, commands: Sequence[Command]) -> Iterator[None]:
        reading = all(command.effect is Effect.READS for command in commands)
        before = self._pair.state() if reading else ""
        yield
        if reading and self._pair.state() != before:
            raise ReadThatChangedError(f"commands declared as READS changed something: {[command.argv for command in commands]}")
