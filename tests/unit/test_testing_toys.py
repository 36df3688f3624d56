"""Small correct drivers for every interface, which every contract must accept. ``test_testing_kit`` breaks them one flaw at a time.

A flaw is a word; the place where it makes a driver wrong asks ``flawed(word)``.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve

from xcat_ha.interfaces import (
    Driver,
    Fence,
    FileSyncer,
    Holding,
    ImageStates,
    Job,
    JobState,
    NetworkIdentity,
    OsImageProvisioner,
    PowerState,
    ReplicaRole,
    ReplicaState,
    ReplicationBackend,
    Schedule,
    ScheduleState,
    Service,
    ServiceControl,
    ServiceStates,
    SetState,
    SyncState,
    UnitState,
)
from xcat_ha.models import Engine, FileSet, Node, OsImage, Pair, ServiceIdentity
from xcat_ha.steps import (
    Check,
    Command,
    Completed,
    ExitStatus,
    Matches,
    Prints,
    Probe,
    Ref,
    SamePrinted,
    SaysVerdict,
    Step,
    Steps,
    changes,
    reads,
)
from xcat_ha.testing import (
    Answer,
    Call,
    DriverContract,
    FenceContract,
    FileSyncerContract,
    IdentityContract,
    ImagesContract,
    RecordStore,
    ReplicationContract,
    ScheduleContract,
    ServiceControlContract,
    SimulatedHost,
    SimulatedSite,
    Site,
)
from xcat_ha.xcat.services import UNIT_CANDIDATES, xcatd_is_stopped

CURRENT: set[str] = set()
"""The flaws the toys have now."""


CHANCE = itertools.count()


def flawed(word: str) -> bool:
    return word in CURRENT


def check(question: str, host: str, *argv: str, rule: Any = None) -> Check:
    return Check(question, (Probe(host, reads(*argv)),), rule or ExitStatus())


State = TypeVar("State")
Toy = TypeVar("Toy", bound=Driver[Any])


def spoil(steps: Steps, pair: Pair) -> Steps:
    """Flaws any driver may have in its plans."""
    first = steps[0]
    if flawed("plans-by-chance"):
        steps = (evolve(first, why=f"{first.why} {next(CHANCE)}"), *steps[1:])
    if flawed("shouted-name"):
        steps = (evolve(first, name="Do It!"), *steps[1:])
    if flawed("same-name-twice"):
        steps = (*steps, first)
    if flawed("wordless"):
        steps = (evolve(first, why="x"), *steps[1:])
    if flawed("stray-host"):
        steps = (evolve(first, host="elsewhere"), *steps[1:])
    if flawed("list-of-steps"):
        return list(steps)  # type: ignore[return-value]
    if flawed("unknown-reference"):
        steps = (evolve(first, commands=(changes("true", Ref("nowhere")), *first.commands)), *steps[1:])
    if flawed("changing-check"):
        probe = Probe(first.host, changes("true"))
        steps = (evolve(first, only_if=(Check("true is true", (probe,), ExitStatus()),)), *steps[1:])
    if flawed("believes-exit-status"):
        steps = tuple(_believing(step) for step in steps)
    if flawed("never-done"):
        steps = tuple(evolve(step, commands=(*step.commands, changes("touch", f"/var/{step.name}")), done_when=_touched(step)) for step in steps)
    if flawed("nothing-to-do"):
        steps = tuple(evolve(step, done_when=check("it is done", step.host, "true")) for step in steps)
    if flawed("silence-is-done"):
        other = pair.other(first.host).id
        steps = (evolve(first, done_when=check("it is done", other, "test", "-e", "/nowhere"), only_if=()), *steps[1:])
    if flawed("tells-secret"):
        steps = (evolve(first, commands=(*first.commands, changes("true", "Pr1vate-Key-Of-The-Pair"))), *steps[1:])
    if flawed("works-in-probe"):
        steps = (evolve(first, only_if=(*first.only_if, check("it can be done", first.host, "toy-secretly-touch"))), *steps[1:])
    if flawed("trips-over-leftovers"):
        lock = changes("sh", "-c", "[ ! -e /var/toy-lock ] && touch /var/toy-lock")
        unlock = changes("rm", "-f", "/var/toy-lock")
        steps = (evolve(first, commands=(lock, *first.commands, unlock)), *steps[1:])
    return steps


def _touched(step: Step) -> Check:
    return check("it is done once more", step.host, "sh", "-c", "[ -e $1 ] && [ $(wc -c < $1) -gt 999 ]", "sh", f"/var/{step.name}")


def _believing(step: Step) -> Step:
    """Asks once, and takes it for done the next time, whatever came of the commands."""
    return evolve(step, done_when=check("it was tried", step.host, "toy-was-tried", str(next(CHANCE))))


class ToyDriver(Driver[State]):
    """What the toys have in common: flaws of observation."""

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        if flawed("takes-any-option"):
            options = {}
        super().__init__(pair, options)

    def spoilt(self, question: Command) -> tuple[Command, ...]:
        if flawed("question-changes"):
            return (evolve(question, effect=changes("x").effect),)
        if flawed("observing-changes"):
            return (question, reads("toy-secretly-touch"))
        return (question,)


# --- replication


def toydb(site: SimulatedSite, host: SimulatedHost, call: Call) -> Answer:
    """A database in one file: role, records, time of the last good copy."""
    path, verb, words = host.path("/var/toydb.json"), call.words[0], call.words[1:]
    data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"role": "none", "records": [], "last_good": None}
    stamp = hashlib.sha256(json.dumps(data["records"]).encode()).hexdigest()
    if verb == "observe":
        return Answer(0, json.dumps(data))
    if verb == "has":
        there = words[0] in data["records"] or (flawed("sees-odd-names") and not words[0].isalnum())
        return Answer(0, "present\n" if there and not flawed("denies-records") else "absent\n")
    if verb == "stamp":
        return Answer(0 if path.exists() else 1, f"{stamp}\n")
    if verb == "is-saved":
        saved = host.path("/var/toydb.saved")
        return Answer(0 if saved.exists() and saved.read_text() == path.read_text() else 1)
    if verb == "save":
        shutil.copy(path, host.path("/var/toydb.saved"))
        if flawed("saves-nothing"):
            host.write("/var/toydb.saved", json.dumps({**data, "records": []}))
        return Answer(0)
    if verb == "become":
        host.write("/var/toydb.json", json.dumps({**data, "role": words[0], "last_good": 1.7e9 if words[0] == "copy" else None}))
        return Answer(0)
    return _receive(site, host, words[0], path)


def _receive(site: SimulatedSite, host: SimulatedHost, source: str, path: Path) -> Answer:
    if flawed("clears-first"):
        host.write("/var/toydb.json", json.dumps({"role": "none", "records": [], "last_good": None}))
    peer = site.simulated.host_at(source, host)
    if peer is None:
        return Answer(1, stderr="no route\n")
    data = json.loads(peer.path("/var/toydb.json").read_text())
    if flawed("loses-one"):
        data["records"] = data["records"][1:]
    if flawed("empties-source"):
        peer.write("/var/toydb.json", json.dumps({**data, "records": []}))
    if flawed("breaks-saved"):
        host.path("/var/toydb.saved").unlink(missing_ok=True)
    last_good = None if flawed("forgets-time") else 1.7e9
    path.write_text(json.dumps({"role": "copy", "records": data["records"], "last_good": last_good}))
    return Answer(0)


class ToyStore:
    def install(self, site: Site, node_id: str) -> None:
        site.path(node_id, "/var/toydb.json").write_text(json.dumps({"role": "source", "records": [], "last_good": None}))

    def write(self, site: Site, node_id: str, name: str) -> None:
        path = site.path(node_id, "/var/toydb.json")
        data = json.loads(path.read_text())
        path.write_text(json.dumps({**data, "records": [*data["records"], name]}))

    def names(self, site: Site, node_id: str) -> frozenset[str]:
        path = site.path(node_id, "/var/toydb.json")
        return frozenset(json.loads(path.read_text())["records"]) if path.exists() else frozenset()


class ToyReplication(ToyDriver[ReplicaState], ReplicationBackend):
    @property
    def engines(self) -> frozenset[Engine]:  # type: ignore[override]
        return frozenset() if flawed("no-engines") else frozenset({Engine.SQLITE})

    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("toydb", "observe"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ReplicaState:
        del node
        if flawed("silence-is-none") and answers[0].returncode is None:
            return ReplicaState(ReplicaRole.NONE, healthy=None)
        if flawed("stumbles-over-garbage"):
            return ReplicaState(json.loads(answers[0].stdout)["role"] and None, healthy=None)
        if flawed("believes-garbage") and answers[0].returncode == 0:
            return ReplicaState(ReplicaRole.SOURCE, healthy=True)
        self.seen = getattr(self, "seen", 0) + 1
        lag = self.seen if flawed("remembers") else None
        try:
            data = json.loads(answers[0].stdout) if answers[0].ok else None
            role = ReplicaRole(data["role"]) if data else None
            if flawed("always-source") and role:
                role = ReplicaRole.SOURCE
            if role is None:
                return ReplicaState(None, healthy=None)
            last = data["last_good"] if role is ReplicaRole.COPY else None
            return ReplicaState(role, healthy=True if role is not ReplicaRole.NONE else None, last_good=last, lag_bytes=lag)
        except (ValueError, KeyError, TypeError, AttributeError):
            return ReplicaState(None, healthy=None)

    def question_for_record(self, node: Node, name: str) -> Command:
        del node
        return reads("toydb", "has", name)

    def _copied(self, source: Node, target: Node, name: str, *, guarded: bool = True, role: str = "copy") -> Step:
        same = Check("the copy is equal", (Probe(source.id, reads("toydb", "stamp")), Probe(target.id, reads("toydb", "stamp"))), SamePrinted())
        # A target without any database prints nothing and exits with 1: compare in a way in which that is no silence.
        script = '[ "$(toydb stamp 2>/dev/null || echo none)" = "$1" ]'
        del script, same
        probes = tuple(Probe(node.id, reads("sh", "-c", "toydb stamp 2>/dev/null || echo none")) for node in (source, target))
        done = Check("the copy is equal", probes, SamePrinted())
        return Step(
            name, "The copy becomes equal to its source.", target.id, done, (changes("toydb", "receive", source.address),),
            only_if=(xcatd_is_stopped(target),) if guarded and not flawed("ignores-xcatd") else (),
        )

    def _role(self, node: Node, role: str, name: str) -> Step:
        done = check(f"the database is a {role}", node.id, "toydb", "observe", rule=Matches(f'"role": "{role}"'))
        return Step(
            name, "The database gets its new role.", node.id, done, (changes("toydb", "become", role),),
            only_if=(() if flawed("ignores-xcatd") else (xcatd_is_stopped(node),))
            + (() if flawed("promotes-nothing") else (check("there is a copy", node.id, "toydb", "observe", rule=Matches('"role": "(copy|source)"')),)),
        )

    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        copy = self._role(target, "copy", "become-copy")
        return spoil((self._copied(source, target, "seed-database"), copy), self.pair)

    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        steps: Steps = (self._copied(source, target, "sync-database"),)
        if flawed("sends-always"):
            done = check("the copy is equal", target.id, "toy-alternates")
            steps = (evolve(steps[0], done_when=done),)
        return spoil(steps, self.pair)

    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        if flawed("hands-over-alone"):
            return spoil((self._role(new, "source", "become-source"),), self.pair)
        last = self._copied(old, new, "fetch-last-records")
        done = (self._role(new, "source", "become-source"), self._role(old, "copy", "become-copy"))
        return spoil(done if flawed("skips-last-records") else (last, *done), self.pair)

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        del forced
        step = self._role(node, "source", "promote-database")
        if flawed("asks-the-dead"):
            other = self.pair.other(node.id)
            step = evolve(step, only_if=(*step.only_if, check("the old one is there", other.id, "true")))
        return spoil((step,), self.pair)

    def steps_before_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        del identity
        return (self._role(node, "copy", "step-back"),) if flawed("steps-back") else ()

    def steps_to_save_divergence(self, node: Node) -> Steps:
        done = check("the database is saved", node.id, "toydb", "is-saved")
        return spoil((Step("save-database", "Nothing written here must be lost.", node.id, done, (changes("toydb", "save"),)),), self.pair)


# --- files


def toysync(site: SimulatedSite, host: SimulatedHost, call: Call) -> Answer:
    """Run on the source: ``toysync check|push TARGET SETS-AS-JSON``; ``toysync state`` on the target."""
    record = host.path("/var/toysync.json")
    if call.words[0] == "state":
        return Answer(0, record.read_text() if record.exists() else "{}")
    verb, address, text = call.words
    peer = site.simulated.host_at(address, host)
    if peer is None:
        return Answer(255, stderr="no route\n")
    one = FileSet(**json.loads(text))
    try:
        pending = [_sync_path(host, peer, one, path, dry=True) for path in _expand(host, one)]
    except ValueError as error:
        if flawed("records-refusals"):
            peer.write("/var/toysync.json", json.dumps({one.name: {"time": 1.7e9, "from": host.node.id}}))
        return Answer(3, stderr=f"{error}\n")
    if verb == "check":
        return Answer(0, "FAILS: they differ\n" if any(pending) else "HOLDS\n")
    for path in _expand(host, one):
        _sync_path(host, peer, one, path, dry=False)
    target = (host if flawed("records-at-source") else peer).path("/var/toysync.json")
    known = json.loads(target.read_text()) if target.exists() else {}
    target.write_text(json.dumps({**known, one.name: {"time": 17.0 if flawed("small-time") else 1.7e9, "from": host.node.id}}))
    return Answer(0)


def _expand(host: SimulatedHost, one: FileSet) -> list[str]:
    found = [f"/{path.relative_to(host.root)}" for name in one.paths for path in sorted(host.root.glob(name.lstrip("/")))]
    if not found and not flawed("missing-is-empty"):
        raise ValueError("the source is missing")
    if one.must_be_mounted and not flawed("ignores-mounts") and not set(one.paths) <= host.machine.mounts:
        raise ValueError("not mounted")
    if flawed("globs-directory") and any("*" in name for name in one.paths):
        return [one.paths[0].rsplit("/", 1)[0]]
    return found or list(one.paths)


def _sync_path(host: SimulatedHost, peer: SimulatedHost, one: FileSet, name: str, *, dry: bool) -> str:
    source, target = host.path(name), peer.path(name)
    if one.keep_lines and not flawed("drops-kept-lines"):
        return _merge(source, target, one.keep_lines[0], dry=dry)
    if source.is_dir() and not any(source.iterdir()) and not flawed("deletes-for-empty"):
        raise ValueError("the source is empty")
    flags = ["-a" if flawed("breaks-hard-links") else "-aH", *(f"--exclude={pattern}" for pattern in one.excludes if not flawed("ignores-excludes"))]
    if ((one.delete or flawed("always-deletes")) and source.is_dir()) or not source.exists():
        flags.append("--delete")
        if flawed("deletes-up-to-limit"):
            flags += ["--max-delete=2", "--ignore-errors"]
    if flawed("keeps-changes"):
        flags.append("--ignore-existing")
    source.mkdir(parents=True, exist_ok=True) if not source.exists() and not dry else None
    words = ["rsync", *flags, f"{source}/" if source.is_dir() or not source.exists() else str(source), f"{target}/" if source.is_dir() else str(target)]
    if not dry:
        target.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        return "gone"
    seen = subprocess.run([words[0], "-n", "-i", *words[1:]], capture_output=True, text=True, check=False).stdout
    doomed = sum(line.startswith("*deleting") for line in seen.splitlines())
    there = sum(1 for path in target.rglob("*") if path.is_file()) if target.is_dir() else 0
    if doomed and doomed * 100 > one.max_delete_pct * there and not flawed("deletes-up-to-limit"):
        raise ValueError("too many deletions")
    if not dry:
        subprocess.run(words, capture_output=True, check=False)
        if flawed("touches-source") and source.is_dir():
            (source / ".toysync").write_text("been here\n")
    return seen


def _merge(source: Path, target: Path, keep: str, *, dry: bool) -> str:
    import re

    own = [line for line in target.read_text().splitlines() if re.search(keep, line)] if target.exists() else []
    wanted = "\n".join([*(line for line in source.read_text().splitlines() if not re.search(keep, line)), *own]) + "\n"
    pending = "" if target.exists() and target.read_text() == wanted else "differs"
    if pending and not dry:
        target.write_text(wanted)
    return pending


class ToyFiles(ToyDriver[SyncState], FileSyncer):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("toysync", "state"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> SyncState:
        del node
        try:
            data = json.loads(answers[0].stdout) if answers[0].ok else None
            sets = {name: SetState(float(one["time"]), str(one["from"])) for name, one in data.items()} if data is not None else None
        except (ValueError, TypeError, KeyError, AttributeError):
            sets = None
        return SyncState(known=sets is not None, sets=sets or {})

    def steps_to_sync(self, source: Node, target: Node, file_sets: Sequence[FileSet]) -> Steps:
        steps = []
        for one in file_sets:
            text = json.dumps({"name": one.name, "paths": one.paths, "excludes": one.excludes, "delete": one.delete,
                               "max_delete_pct": one.max_delete_pct, "must_be_mounted": one.must_be_mounted, "keep_lines": one.keep_lines})
            done = check("the set is equal", source.id, "toysync", "check", target.address, text, rule=SaysVerdict())
            name = f"copy-{one.name}" if flawed("own-names") else f"sync-{one.name}"
            push = changes("toysync", "push", target.address, text)
            if flawed("believes-broken-link"):
                done = check("the set is equal", source.id, "true")
            steps.append(Step(name, "Both nodes have the same files.", source.id, done, (push,)))
        return spoil(tuple(steps), self.pair)


# --- identity


class ToyIdentity(ToyDriver[Holding], NetworkIdentity):
    def questions(self, node: Node) -> tuple[Command, ...]:
        return (*self.spoilt(reads("ip", "-o", "addr", "show", "dev", node.interface)), reads("sh", "-c", "hostname; cat /etc/hostname; cat /etc/toynet 2>/dev/null; echo end"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> Holding:
        shown, names = answers[0], answers[-1]
        lines = names.stdout.splitlines()
        if not shown.ok or not names.ok or " inet " not in shown.stdout or len(lines) < 3 or lines[-1] != "end":
            return Holding(service_addresses=None)
        held = {word.split("/")[0] for word in shown.stdout.split() if "/" in word and word[0].isdigit()}
        mine = tuple(address.ip for address in self.pair.identity.addresses if str(address.ip) in held)
        stored = tuple(ip_address(line) for line in lines[2:-1] if line[:1].isdigit())
        if flawed("never-persistent"):
            stored = ()
        if flawed("sees-nothing-held"):
            mine = ()
        return Holding(mine, node.address in held, lines[0].split(".")[0], lines[1].split(".")[0], interface_exists=True, persistent=stored)

    def _has(self, node: Node, address: str, *, absent: bool = False) -> Check:
        pattern = rf"inet {address.replace('.', '[.]')}/"
        return check(f"{address} is {'not ' if absent else ''}there", node.id, "ip", "-o", "addr", "show", "dev", node.interface, rule=Matches(pattern, absent=absent))

    def steps_to_acquire(self, node: Node, identity: ServiceIdentity) -> Steps:
        steps = []
        for one in identity.addresses:
            take = ["ip", "addr", "add", f"{one.ip}/{one.network.prefixlen - 1}", "dev", node.interface, "scope", "link", "noprefixroute"]
            if flawed("listed-last"):
                take = ["ip", "addr", "add", f"{one}", "dev", node.interface]
            commands = [changes("arping", "-D", "-I", node.interface, str(one.ip)), changes(*take), changes("arping", "-U", "-I", node.interface, str(one.ip))]
            if flawed("takes-in-use"):
                commands = commands[1:]
            if flawed("loses-own"):
                own = (f"{node.address}/16", "dev", node.interface)
                commands += [changes("ip", "addr", "del", *own), changes("ip", "addr", "add", *own)]
            if flawed("stores-address"):
                commands.append(changes("sh", "-c", "echo $1 > /etc/toynet", "sh", str(one.ip)))
            if flawed("enables-address"):
                commands.append(changes("toy-store-address", f"{one}"))
            steps.append(Step("take-address", "The node answers at the service address.", node.id, self._has(node, str(one.ip)), tuple(commands)))
        named = check("the hostname is the service's", node.id, "hostname", rule=Prints(identity.hostname))
        if not flawed("keeps-own-name"):
            steps.append(Step("take-hostname", "The node has the service hostname.", node.id, named, (changes("hostname", identity.hostname),)))
        return spoil(tuple(steps), self.pair)

    def steps_to_release(self, node: Node, identity: ServiceIdentity) -> Steps:
        steps = []
        if not flawed("keeps-address"):
            for one in identity.addresses:
                words = ("sh", "-c", 'a=$(ip -o addr show dev $2 | grep -o "inet $1/[0-9]*" | cut -c6-); ip addr del $a dev $2', "sh", str(one.ip), node.interface)
                steps.append(Step("drop-address", "The node does not answer there any more.", node.id, self._has(node, str(one.ip), absent=True), (changes(*words),)))
        own = check("the hostname is its own", node.id, "hostname", rule=Prints(node.name))
        if flawed("release-always-acts"):
            own = check("the hostname is its own", node.id, "test", "-e", "/run/toy-released")
            return (Step("restore-hostname", "The node has its own name again.", node.id, own, (changes("hostname", node.name), changes("touch", "/run/toy-released"))), *steps)
        steps.append(Step("restore-hostname", "The node has its own name again.", node.id, own, (changes("hostname", node.name),)))
        return spoil(tuple(steps), self.pair)

    def address_is_free(self, node: Node, identity: ServiceIdentity) -> Check:
        if flawed("always-free"):
            return check("the address is free", node.id, "true")
        return check("the address is free", node.id, "arping", "-D", "-I", node.interface, str(identity.primary_address))

    def steps_to_make_own(self, node: Node, identity: ServiceIdentity) -> Steps:
        del identity
        done = check("it has its own address", node.id, "test", "-e", "/etc/own" if flawed("migrates-always") else "/etc/hostname")
        return (Step("make-own", "The node needs an address of its own.", node.id, done, (changes("touch", "/etc/own"),)),)


# --- services


class ToyServices(ToyDriver[ServiceStates], ServiceControl):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("systemctl", "show", "-p", "Id,LoadState,ActiveState,UnitFileState", *(names[0] for names in UNIT_CANDIDATES.values())))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ServiceStates:
        del node
        blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in answers[0].stdout.split("\n\n")]
        if not answers[0].ok or len(blocks) < len(UNIT_CANDIDATES) or not all(block.keys() >= {"Id", "LoadState", "ActiveState", "UnitFileState"} for block in blocks):
            return ServiceStates(known=False, services={})
        states = {}
        for service, block in zip(UNIT_CANDIDATES, blocks, strict=False):
            if block["LoadState"] != "not-found" or flawed("sees-absent-units"):
                running = (block["ActiveState"] == "active") is not flawed("inverts-running")
                states[service] = (UnitState(block["Id"], running, block["UnitFileState"] == "enabled"),)
        return ServiceStates(known=True, services=states)

    def _steps(self, node: Node, verb: str, services: Iterable[Service], states: ServiceStates) -> Steps:
        chosen = [service for service in services if service in states.services or flawed("plans-for-absent")]
        if flawed("reverses-order"):
            chosen.reverse()
        if flawed("touches-all"):
            chosen = list(states.services)
        steps = []
        for service in chosen:
            unit = UNIT_CANDIDATES[service][0]
            names = {"stop": ("ActiveState", "ActiveState=inactive"), "start": ("ActiveState", "ActiveState=active"), "disable": ("UnitFileState", "UnitFileState=disabled")}
            key, text = names[verb]
            done = check(f"{service} is done with", node.id, "systemctl", "show", "-p", key, unit, rule=Prints(text))
            words = {"stop": ("stop",), "start": ("start",), "disable": ("disable",)}[verb]
            if flawed("stop-does-nothing") and verb == "stop":
                words, done = ("is-active",), check("it was asked", node.id, "test", "-e", f"/run/asked-{unit}")
                steps.append(Step(f"{verb}-{service}", "It has to be in that state.", node.id, done, (changes("touch", f"/run/asked-{unit}"),)))
                continue
            if flawed("disable-stops") and verb == "disable":
                words = ("disable", "--now")
            commands = [changes("systemctl", *words, unit)]
            if flawed("start-enables") and verb == "start":
                commands.append(changes("systemctl", "enable", unit))
            if flawed("disable-is-volatile") and verb == "disable":
                done = check("it was asked", node.id, "test", "-e", f"/var/asked-{unit}")
                commands = [changes("touch", f"/var/asked-{unit}")]
            steps.append(Step(f"{verb}-{service}", "It has to be in that state.", node.id, done, tuple(commands)))
        return spoil(tuple(steps), self.pair) if steps else ()

    def steps_to_stop(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return self._steps(node, "stop", services[1:] if flawed("forgets-first") else services, states)

    def steps_to_start(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return self._steps(node, "start", services, states)

    def steps_to_disable(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return self._steps(node, "disable", services, states)


# --- schedule


def toycron(host: SimulatedHost, call: Call) -> Answer:
    """Jobs in a file that a boot takes away; ``run NAME`` runs one."""
    path = host.path("/var/toycron.json" if flawed("survives-boot") else "/run/toycron.json")
    jobs: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    verb, words = call.words[0], call.words[1:]
    if verb == "show":
        return Answer(0, json.dumps(jobs))
    if verb == "run":
        argv = jobs[words[0]]["argv"]
        argv = " ".join(argv).split() if flawed("splits-arguments") else argv
        done = host.execute(changes(*argv))
        jobs[words[0]] |= {"last_run": host.machine.booted_at + 1, "last_exit": 0 if flawed("always-well") else done.returncode}
    if verb == "set":
        wanted = {job["name"]: job for job in json.loads(words[0])}
        kept = jobs if flawed("keeps-old-jobs") else {}
        jobs = {**kept, **{name: jobs[name] if jobs.get(name, {}).get("argv") == job["argv"] else job for name, job in wanted.items()}}
    if verb == "clear":
        jobs = {name: job for name, job in jobs.items() if flawed("stops-but-one") and name == min(jobs)}
    path.write_text(json.dumps(jobs))
    if flawed("touches-peer"):
        host.peer.write("/run/toycron.json", json.dumps(jobs))
    return Answer(0)


class ToySchedule(ToyDriver[ScheduleState], Schedule):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("toycron", "show"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ScheduleState:
        del node
        try:
            data = json.loads(answers[0].stdout) if answers[0].ok else None
            jobs = {name: JobState(job["every_s"] > 0, job.get("last_run"), job.get("last_exit")) for name, job in data.items()} if data is not None else None
        except (ValueError, TypeError, KeyError, AttributeError):
            jobs = None
        return ScheduleState(known=jobs is not None, jobs=jobs or {})

    def steps_to_start(self, node: Node, jobs: tuple[Job, ...]) -> Steps:
        if flawed("forgets-one-job"):
            jobs = jobs[1:]
        text = json.dumps([{"name": job.name, "argv": job.argv, "every_s": job.every_s} for job in jobs])
        script = 'toycron show | python3 -c "$1" "$2"'
        compare = (
            "import json,sys; have=json.load(sys.stdin); want=json.loads(sys.argv[1]); "
            "same={n: j['argv'] for n, j in have.items()} == {j['name']: j['argv'] for j in want}; "
            "print('HOLDS' if same else 'FAILS')"
        )
        rule = SaysVerdict()
        done = check("exactly these jobs are there", node.id, "sh", "-c", script, "sh", compare, text, rule=rule)
        if flawed("keeps-old-jobs"):
            done = check("the jobs are there", node.id, "toycron", "show", rule=Matches(jobs[0].name))
        return spoil((Step("start-jobs", "The syncs have to run again and again.", node.id, done, (changes("toycron", "set", text),)),), self.pair)

    def steps_to_stop(self, node: Node) -> Steps:
        done = check("no job is there", node.id, "toycron", "show", rule=Prints("{}"))
        if flawed("stops-but-one"):
            done = check("few jobs are there", node.id, "sh", "-c", "[ $(toycron show | wc -c) -lt 250 ]")
        return spoil((Step("stop-jobs", "Nothing must be sent any more.", node.id, done, (changes("toycron", "clear"),)),), self.pair)


# --- fence


def toybmc(host: SimulatedHost, call: Call) -> Answer:
    """A power switch that ``host`` has for its peer."""
    if call.words[0] == "off" and not flawed("switch-does-nothing"):
        (host if flawed("fences-itself") else host.peer).power_off()
    return Answer(0, "Chassis Power is on\n" if host.peer.machine.powered and not flawed("always-off") else "Chassis Power is off\n")


class ToyFence(ToyDriver[PowerState], Fence):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("toybmc", "status"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> PowerState:
        del node
        off = answers[0].ok and answers[0].stdout.strip() == "Chassis Power is off"
        on = answers[0].ok and answers[0].stdout.strip() == "Chassis Power is on"
        return PowerState(True if off else False if on else None)

    def is_fenced(self, node: Node, *, by: Node) -> Check:
        if flawed("silence-is-fenced"):
            return check("it is silent", by.id, "ping", "-c", "1", node.address, rule=ExitStatus(holds=(1,), fails=(0,)))
        if flawed("silence-of-fence-is-off"):
            return check("it is off", node.id, "false")
        return check("its power is off", by.id, "toybmc", "status", rule=Matches("is off$"))

    def steps_to_fence(self, node: Node, *, by: Node) -> Steps:
        only_if = (check("it answers", node.id, "true"),) if flawed("needs-an-answer") else ()
        step = Step("switch-off", "It must not hold the role any more.", by.id, self.is_fenced(node, by=by), (changes("toybmc", "off"),), only_if=only_if)
        return spoil((step,), self.pair)


# --- images


def toyimages(host: SimulatedHost, call: Call) -> Answer:
    """``missing`` prints what each defined image lacks; ``serve NAME`` makes it bootable."""
    names = host.path("/var/toyimages").read_text().split() if host.path("/var/toyimages").exists() else []
    if call.words[0] == "missing":
        if flawed("sees-no-holes"):
            return Answer(0, json.dumps({name: [] for name in names}))
        lacking = {name: [path for path in (f"/install/{name}/kernel",) if not host.path(path).exists()] for name in names}
        if flawed("sees-holes-everywhere"):
            lacking = {name: [f"/install/{name}/initrd"] for name in names}
        return Answer(0, json.dumps(lacking))
    if call.words[0] == "served":
        return Answer(0 if host.path(f"/tftpboot/{call.words[1]}").exists() else 1)
    for name in names if flawed("serves-all") else call.words[1:]:
        host.write(f"/tftpboot/{name}", "boot\n")
    return Answer(0)


class ToyImages(ToyDriver[ImageStates], OsImageProvisioner):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("toyimages", "missing"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ImageStates:
        del node
        try:
            data = json.loads(answers[0].stdout) if answers[0].ok else None
            missing = {name: tuple(paths) for name, paths in data.items()} if data is not None else None
        except (ValueError, TypeError, AttributeError):
            missing = None
        return ImageStates(known=missing is not None, missing=missing or {})

    def steps_to_serve(self, images: Sequence[OsImage], node: Node) -> Steps:
        steps = []
        for number, image in enumerate(images[:1] if flawed("serves-first-only") else images):
            done = check("it is served", node.id, "toyimages", "served", image.name)
            steps.append(Step(f"serve-image-{number}", "Nodes are installed from it.", node.id, done, (changes("toyimages", "serve", image.name),)))
        if flawed("always-a-step") and not steps:
            steps.append(Step("serve-nothing", "There has to be some step.", node.id, check("true is true", node.id, "true"), ()))
        return spoil(tuple(steps), self.pair) if steps else ()


# --- the correct toys pass


def secretly_touch(host: SimulatedHost, call: Call) -> Answer:
    del call
    host.write("/var/touched", str(host.machine.next_pid))
    return Answer(0, "touched\n")


ASKED: set[str] = set()


def was_tried(host: SimulatedHost, call: Call) -> Answer:
    """No the first time it is asked about something, then yes."""
    word = f"{id(host)} {call.words[0]}"
    known = word in ASKED
    ASKED.add(word)
    return Answer(0 if known else 1)


def alternates(host: SimulatedHost, call: Call) -> Answer:
    """No, then yes, then no again."""
    del host, call
    return Answer(1 - next(CHANCE) % 2)


def toy_site() -> SimulatedSite:
    site = SimulatedSite()

    def store_address(host: SimulatedHost, call: Call) -> Answer:
        host.stored_addresses = {host.node.interface: (f"{host.node.address}/16", call.words[0])}
        return Answer(0)

    for host in site.simulated.hosts.values():
        programs: dict[str, Callable[[SimulatedHost, Call], Answer]] = {
            "toydb": functools.partial(toydb, site), "toysync": functools.partial(toysync, site), "toycron": toycron, "toybmc": toybmc,
            "toyimages": toyimages, "toy-secretly-touch": secretly_touch, "toy-was-tried": was_tried, "toy-alternates": alternates, "toy-store-address": store_address,
        }
        for name, handler in programs.items():
            host.handle(name, handler)
    return site


class ToyContract(DriverContract[Any]):
    toy: Callable[[Pair, Mapping[str, object]], Any]

    def make_driver(self, pair: Pair) -> Any:
        return type(self).toy(pair, {})

    def make_site(self) -> SimulatedSite:
        return toy_site()


class TestToyReplication(ToyContract, ReplicationContract):
    toy = ToyReplication

    def make_store(self) -> RecordStore:
        return ToyStore()

    def saved_records(self, site: Site, driver: ReplicationBackend, node: Node) -> frozenset[str]:
        del driver
        path = site.path(node.id, "/var/toydb.saved")
        return frozenset(json.loads(path.read_text())["records"]) if path.exists() else frozenset()


class TestToyFiles(ToyContract, FileSyncerContract):
    toy = ToyFiles


class TestToyIdentity(ToyContract, IdentityContract):
    toy = ToyIdentity


class TestToyServices(ToyContract, ServiceControlContract):
    toy = ToyServices


class TestToySchedule(ToyContract, ScheduleContract):
    toy = ToySchedule

    def run_now(self, site: Site, name: str) -> None:
        site.command(site.first.id, "toycron", "run", name)


class TestToyFence(ToyContract, FenceContract):
    toy = ToyFence


class TestToyImages(ToyContract, ImagesContract):
    toy = ToyImages

    def define(self, site: Site, node_id: str, images: Iterable[OsImage]) -> None:
        site.path(node_id, "/var/toyimages").write_text("\n".join(image.name for image in images))

    def put_files(self, site: Site, node_id: str, image: OsImage) -> None:
        site.path(node_id, f"/install/{image.name}").mkdir(parents=True)
        site.path(node_id, f"/install/{image.name}/kernel").write_text("kernel\n")

    def remove_file(self, site: Site, node_id: str, image: OsImage) -> str:
        site.path(node_id, f"/install/{image.name}/kernel").unlink()
        return f"/install/{image.name}/kernel"

    def is_served(self, site: Site, node_id: str, image: OsImage) -> bool:
        return site.path(node_id, f"/tftpboot/{image.name}").exists()
