"""Toys for the tests of the core: a clock that only sleep moves, two hosts that are dictionaries, and drivers whose hosts are directories.

The toy drivers are ordinary ones: their questions and commands are real programs (``ls``, ``touch``, ``rm``), so that they work through
any runner. What a host "has" is a file of that name in ``<directory>/<node id>``.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from xcat_ha.interfaces import (
    Drivers,
    FileSyncer,
    Holding,
    ImageFile,
    ImageState,
    ImageStates,
    Job,
    JobState,
    Mount,
    NetworkIdentity,
    OsImageProvisioner,
    OutputSink,
    ReplicaRole,
    ReplicaState,
    ReplicationBackend,
    Runner,
    Schedule,
    ScheduleState,
    Service,
    ServiceControl,
    ServiceStates,
    SetState,
    SyncState,
    UnitState,
    WaitingNode,
)
from xcat_ha.models import DriverChoice, Engine, FileSet, Node, OsImage, Pair, ServiceIdentity
from xcat_ha.steps import Check, Command, Completed, Effect, ExitStatus, Matches, Prints, Probe, Step, Steps, Trouble, changes, reads

MNA = Node("mna", "mna.example.org", "192.0.2.21", "en1")
MNB = Node("mnb", "mnb.example.org", "192.0.2.22", "en1")
IDENTITY = ServiceIdentity("mn", (ipaddress.ip_interface("192.0.2.11/24"),))
SETS = (FileSet("credentials", ("/etc/xcat/ca",)), FileSet("hosts", ("/etc/hosts",)))


def toy_pair(directory: Path | str = "/nowhere", **changed: Any) -> Pair:
    """A pair of the toy drivers."""
    toy = DriverChoice("toy", {"directory": str(directory)})
    pair = Pair("toys", (MNA, MNB), "mna", IDENTITY, toy, toy, toy, toy, toy, images=toy, source="/etc/xcat-ha/pair.toml")
    return evolve(pair, **changed)


class ToyClock:
    """Time that passes only in ``sleep``."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


# Hosts that are dictionaries


@define
class World(Runner):
    """Hosts as dictionaries of facts. Its commands: ``get KEY``, ``put KEY VALUE``, ``say TEXT``, ``complain CODE TEXT``, ``call NAME``.

    Attributes:
        facts: host -> key -> value.
        silent: hosts that do not answer.
        calls: what ``call NAME`` does (any callable; its text is printed).
        transcript: every command that may change something, and whatever else a test notes in it.
    """

    facts: dict[str, dict[str, str]] = field(factory=lambda: {"mna": {}, "mnb": {}})
    silent: set[str] = field(factory=set)
    calls: dict[str, Callable[[], str]] = field(factory=dict)
    transcript: list[str] = field(factory=list)
    asked: list[str] = field(factory=list)
    exchanges: list[str] = field(factory=list)
    lock: threading.Lock = field(factory=threading.Lock)

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        words = tuple(str(word) for word in command.argv)
        with self.lock:
            (self.transcript if command.effect is Effect.CHANGES else self.asked).append(f"{host}: {' '.join(words)}")
        if host in self.silent:
            return Completed(words, None, stderr="no route to host", trouble=Trouble.UNREACHABLE)
        completed = self._do(host, words)
        if on_output is not None:
            on_output(completed.stdout)
        return completed

    def _do(self, host: str, words: tuple[str, ...]) -> Completed:
        match words:
            case ("get", key):
                return Completed(words, 0, self.facts[host].get(key, "") + "\n")
            case ("put", key, value):
                self.facts[host][key] = value
                return Completed(words, 0)
            case ("say", text):
                return Completed(words, 0, text + "\n")
            case ("complain", code, text):
                return Completed(words, int(code), stderr=text + "\n")
            case ("call", name):
                return Completed(words, 0, self.calls[name]() or "")
        return Completed(words, 127, stderr=f"{words[0]}: command not found\n")

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        self.exchanges.append(host)
        return tuple(self.run(host, command) for command in commands)


def fact(key: str, value: str = "yes", host: str = "mna", hint: str = "") -> Check:
    """HOLDS if the host's fact has this value; UNKNOWN if the host is silent."""
    return Check(f"{key} is {value} on {host}", (Probe(host, reads("get", key)),), Prints(value), hint)


def put(key: str, value: str = "yes") -> Command:
    return changes("put", key, value)


def toy_step(name: str, *commands: Command, host: str = "mna", **options: Any) -> Step:
    """A step that is done when the host's fact of its name is ``yes``; by default its one command makes it so."""
    step = Step(name, f"because of {name}", host, fact(name, host=host), commands or (put(name),))
    return evolve(step, **options)


# Drivers whose hosts are directories


class _OnFiles:
    """Facts of a node are the names of the files in its directory."""

    option_names = frozenset({"directory"})
    options: Mapping[str, object]

    def questions(self, node: Node) -> tuple[Command, ...]:
        return (reads("ls", f"{self.options['directory']}/{node.id}"),)

    def _facts(self, answers: Sequence[Completed]) -> set[str] | None:
        (answer,) = answers
        return set(answer.stdout.split()) if answer.ok else None

    def path(self, node: Node, name: str) -> str:
        return f"{self.options['directory']}/{node.id}/{name}"

    def _has(self, node: Node, name: str, *, absent: bool = False) -> Check:
        listing = reads("ls", f"{self.options['directory']}/{node.id}")
        return Check(f"{node.id} has {'no ' if absent else ''}{name}", (Probe(node.id, listing),), Matches(f"^{name}$", absent=absent))

    def make(self, step: str, node: Node, name: str) -> Step:
        return Step(step, f"{node.id} needs {name}", node.id, self._has(node, name), (changes("touch", self.path(node, name)),))

    def drop(self, step: str, node: Node, name: str) -> Step:
        done = self._has(node, name, absent=True)
        return Step(step, f"{node.id} must not have {name}", node.id, done, (changes("rm", "-f", self.path(node, name)),))


class ToyReplication(_OnFiles, ReplicationBackend):
    """A database that is a file called ``source`` or ``copy``."""

    engines = frozenset({Engine.SQLITE})

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ReplicaState:
        del node
        facts = self._facts(answers)
        if facts is None:
            return ReplicaState(role=None, healthy=None, detail="not known")
        role = ReplicaRole.COPY if "copy" in facts else ReplicaRole.SOURCE if "source" in facts else ReplicaRole.NONE
        times = [float(name.partition("-")[2]) for name in facts if name.startswith("good-")]
        return ReplicaState(role, role is not ReplicaRole.NONE, last_good=max(times, default=None), detail=str(role))

    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        del source
        return (self.make("seed", target, "copy"),)

    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        del source
        return (self.make("sync-database", target, "copy"),)

    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        del old
        return (self.make("hand-over-database", new, "source"),)

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        del forced
        return (self.make("promote", node, "source"),)

    def steps_before_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        del identity
        return (self.make("before-identity-change", node, "before"),)

    def steps_after_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        del identity
        return (self.make("after-identity-change", node, "after"),)

    def steps_to_save_divergence(self, node: Node) -> Steps:
        return (self.make("save-divergence", node, "saved"),)

    def question_for_record(self, node: Node, name: str) -> Command:
        return reads("sh", "-c", 'test -e "$1" && echo present || echo absent', "sh", self.path(node, name))


class ToyFiles(_OnFiles, FileSyncer):
    """File sets that are files called ``set-NAME``."""

    def interpret(self, node: Node, answers: Sequence[Completed]) -> SyncState:
        del node
        facts = self._facts(answers)
        sets = {name.removeprefix("set-"): SetState(detail="there") for name in sorted(facts or ()) if name.startswith("set-")}
        return SyncState(known=facts is not None, sets=sets)

    def steps_to_sync(self, source: Node, target: Node, file_sets: Sequence[FileSet]) -> Steps:
        del source
        return tuple(self.make(f"sync-{file_set.name}", target, f"set-{file_set.name}") for file_set in file_sets)


class ToyIdentity(_OnFiles, NetworkIdentity):
    """The service address is a file called ``address``."""

    def interpret(self, node: Node, answers: Sequence[Completed]) -> Holding:
        facts = self._facts(answers)
        if facts is None:
            return Holding(service_addresses=None)
        addresses = (IDENTITY.primary_address,) if "address" in facts else ()
        return Holding(addresses, own_address=True, hostname=node.name, stored_hostname=node.name, interface_exists=True, persistent=())

    def steps_to_acquire(self, node: Node, identity: ServiceIdentity) -> Steps:
        del identity
        return (self.make("acquire-address", node, "address"),)

    def steps_to_release(self, node: Node, identity: ServiceIdentity) -> Steps:
        del identity
        return (self.drop("release-address", node, "address"),)

    def address_is_free(self, node: Node, identity: ServiceIdentity) -> Check:
        return Check(f"{identity.primary_address} is free", (Probe(node.id, reads("true")),), ExitStatus())

    def steps_to_make_own(self, node: Node, identity: ServiceIdentity) -> Steps:
        del identity
        return (self.make("make-own-address", node, "own"),)


class ToyServices(_OnFiles, ServiceControl):
    """A service runs if there is a file ``running-NAME``, and would start at boot if there is ``enabled-NAME``."""

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ServiceStates:
        del node
        facts = self._facts(answers)
        if facts is None:
            return ServiceStates(known=False, services={})
        installed = {Service.XCATD, Service.DHCP, Service.DNS, Service.CONSOLE, Service.TFTP}
        units = {
            service: (UnitState(f"{service}.service", f"running-{service}" in facts, f"enabled-{service}" in facts),)
            for service in sorted(installed)
        }
        return ServiceStates(known=True, services=units)

    def steps_to_stop(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return tuple(self.drop(f"stop-{service}", node, f"running-{service}") for service in services if service in states.services)

    def steps_to_start(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return tuple(self.make(f"start-{service}", node, f"running-{service}") for service in services if service in states.services)

    def steps_to_disable(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return tuple(self.drop(f"disable-{service}", node, f"enabled-{service}") for service in services if service in states.services)


class ToySchedule(_OnFiles, Schedule):
    """All jobs are one file called ``jobs``."""

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ScheduleState:
        del node
        facts = self._facts(answers)
        return ScheduleState(known=facts is not None, jobs={"sync": JobState(active=True)} if facts and "jobs" in facts else {})

    def steps_to_start(self, node: Node, jobs: tuple[Job, ...]) -> Steps:
        del jobs
        return (self.make("start-jobs", node, "jobs"),)

    def steps_to_stop(self, node: Node) -> Steps:
        return (self.drop("stop-jobs", node, "jobs"),)


class ToyImages(_OnFiles, OsImageProvisioner):
    """One image, whose kernel is there unless there is a file ``no-kernel``; ``waiting-NAME``: that node waits for it."""

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ImageStates:
        del node
        facts = self._facts(answers)
        if facts is None:
            return ImageStates(known=False, missing={}, detail="silent")
        kernel = ImageFile("/install/kernel", "kernel", None if "no-kernel" in facts else 10)
        names = tuple(sorted(name.removeprefix("waiting-") for name in facts if name.startswith("waiting-")))
        image = OsImage("toy-image", "install", nodes=names)
        return ImageStates(
            known=True,
            missing={"toy-image": ("/install/kernel",) if kernel.size is None else ()},
            images=(ImageState(image, (kernel,)),),
            waiting=tuple(WaitingNode(name, "toy-image", "install toy") for name in names),
            exports=("/install",) if "exports" in facts else (),
            configured_exports=() if "no-exports" in facts else ("/install",),
            mounts=tuple(Mount(name.removeprefix("mounted-"), "/install") for name in sorted(facts) if name.startswith("mounted-")),
        )

    def steps_to_serve(self, images: Sequence[OsImage], node: Node) -> Steps:
        return tuple(self.make(f"set-{name}", node, f"set-{name}") for image in images for name in image.nodes)

    def steps_to_withdraw(self, node: Node) -> Steps:
        return (self.drop("withdraw-exports", node, "exports"),)

    def steps_to_export(self, node: Node) -> Steps:
        return (self.make("export-directories", node, "exports"),)

    def steps_to_note(self, node: Node, installdir: str) -> Steps:
        del installdir
        return (self.make("note-images", node, "note"),)


def toy_drivers(pair: Pair) -> Drivers:
    """The toy drivers of a pair."""
    return Drivers(
        replication=ToyReplication(pair, pair.database.options),
        files=ToyFiles(pair, pair.files.options),
        identity=ToyIdentity(pair, pair.network.options),
        services=ToyServices(pair, pair.services.options),
        schedule=ToySchedule(pair, pair.schedule.options),
    )


@define
class Relocated(Runner):
    """Passes commands on with one path prefix replaced by another: what belongs to ``/run`` happens in a test's own directory.

    ``per_host``: each host gets a directory of its own below it.
    """

    inner: Runner
    moved: Mapping[str, Path]
    silent: set[str] = field(factory=set)
    ran: list[tuple[str, Command]] = field(factory=list)

    def _there(self, host: str, command: Command) -> Command:
        words = []
        for word in command.argv:
            text = str(word)
            for prefix, directory in self.moved.items():
                text = text.replace(prefix, str(directory / host))
            words.append(text)
        return evolve(command, argv=tuple(words))

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        self.ran.append((host, command))
        if host in self.silent:
            return Completed(tuple(map(str, command.argv)), None, stderr="no route to host", trouble=Trouble.UNREACHABLE)
        return self.inner.run(host, self._there(host, command), on_output=on_output)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        return tuple(self.run(host, command) for command in commands)


def hosts_in(directory: Path, **facts: str) -> Path:
    """A directory for the toy drivers: ``hosts_in(tmp, mna="address running-xcatd", mnb="copy")``."""
    for node_id in ("mna", "mnb"):
        (directory / node_id).mkdir(parents=True, exist_ok=True)
        for name in facts.get(node_id, "").split():
            (directory / node_id / name).touch()
    return directory
