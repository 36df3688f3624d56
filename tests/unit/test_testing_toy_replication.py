"""A toy replication backend that keeps every promise, unless it is told to have a flaw."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve

from tests.unit.test_testing_toys import SiteProgram, ToyContract, ToyDriver, check, flawed, spoil
from xcat_ha.interfaces import ReplicaRole, ReplicaState, ReplicationBackend, StalePointer
from xcat_ha.models import Engine, Node, ServiceIdentity
from xcat_ha.steps import Check, Command, Completed, Matches, Probe, SamePrinted, Step, Steps, changes, reads
from xcat_ha.testing import Answer, Call, RecordStore, ReplicationContract, SimulatedHost, SimulatedSite, Site
from xcat_ha.xcat.services import xcatd_is_stopped


def toydb(site: SimulatedSite, host: SimulatedHost, call: Call) -> Answer:  # noqa: PLR0911 - one answer for each verb
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
            data = json.loads(answers[0].stdout if answers[0].ok else "null")
            role = ReplicaRole.SOURCE if flawed("always-source") and data["role"] else ReplicaRole(data["role"])
            last = data["last_good"] if role is ReplicaRole.COPY else None
            return ReplicaState(role, healthy=True if role is not ReplicaRole.NONE else None, last_good=last, lag_bytes=lag)
        except (ValueError, KeyError, TypeError, AttributeError):
            return ReplicaState(None, healthy=None)

    def questions_for_stale(self, node: Node, identity: ServiceIdentity) -> tuple[Command, ...]:
        del node, identity
        return (changes("toydb", "rules") if flawed("stale-question-changes") else reads("toydb", "rules"),)

    def interpret_stale(self, node: Node, answers: Sequence[Completed]) -> tuple[StalePointer, ...] | None:
        del node
        return () if answers[0].ok or flawed("silence-is-not-stale") else None

    def question_for_record(self, node: Node, name: str) -> Command:
        del node
        return reads("toydb", "has", name)

    def question_for_schema(self, node: Node) -> Command:
        return reads("toydb", "observe") if not flawed("schema-of-its-own") else reads("echo", json.dumps({node.id: 1}))

    def interpret_schema(self, answer: Completed) -> Mapping[str, frozenset[str]] | None:
        try:
            return {"toys": frozenset(json.loads(answer.stdout if answer.ok else "null").keys())}
        except (ValueError, AttributeError):
            return {} if flawed("guesses-schema") else None

    def _copied(self, source: Node, target: Node, name: str) -> Step:
        probes = tuple(Probe(node.id, reads("sh", "-c", "toydb stamp 2>/dev/null || echo none")) for node in (source, target))
        done = Check("the copy is equal", probes, SamePrinted())
        return Step(
            name,
            "The copy becomes equal to its source.",
            target.id,
            done,
            (changes("toydb", "receive", source.address),),
            only_if=(xcatd_is_stopped(target),) if not flawed("ignores-xcatd") else (),
        )

    def _role(self, node: Node, role: str, name: str) -> Step:
        done = check(f"the database is a {role}", node.id, "toydb", "observe", rule=Matches(f'"role": "{role}"'))
        return Step(
            name,
            "The database gets its new role.",
            node.id,
            done,
            (changes("toydb", "become", role),),
            only_if=(() if flawed("ignores-xcatd") else (xcatd_is_stopped(node),))
            + (
                ()
                if flawed("promotes-nothing")
                else (check("there is a copy", node.id, "toydb", "observe", rule=Matches('"role": "(copy|source)"')),)
            ),
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


class TestToyReplication(ToyContract, ReplicationContract):
    toy = ToyReplication
    site_programs: ClassVar[Mapping[str, SiteProgram]] = {"toydb": toydb}

    def make_store(self) -> RecordStore:
        return ToyStore()

    def saved_records(self, site: Site, driver: ReplicationBackend, node: Node) -> frozenset[str]:
        del driver
        path = site.path(node.id, "/var/toydb.saved")
        return frozenset(json.loads(path.read_text())["records"]) if path.exists() else frozenset()
