"""A toy file syncer that keeps every promise, unless it is told to have a flaw."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.unit.test_testing_toys import SiteProgram, ToyContract, ToyDriver, check, flawed, spoil
from xcat_ha.interfaces import FileSyncer, SetState, SyncState
from xcat_ha.models import FileSet, Node
from xcat_ha.steps import Command, Completed, SaysVerdict, Step, Steps, changes, reads
from xcat_ha.testing import Answer, Call, FileSyncerContract, SimulatedHost, SimulatedSite


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


def _sync_path(host: SimulatedHost, peer: SimulatedHost, one: FileSet, name: str, *, dry: bool) -> str:  # noqa: C901 - the flaws make it so
    source, target = host.path(name), peer.path(name)
    if one.keep_lines and not flawed("drops-kept-lines"):
        return _merge(source, target, one.keep_lines[0], dry=dry)
    if source.is_dir() and not any(source.iterdir()) and not flawed("deletes-for-empty"):
        raise ValueError("the source is empty")
    flags = [
        "-a" if flawed("breaks-hard-links") else "-aH",
        *(f"--exclude={pattern}" for pattern in one.excludes if not flawed("ignores-excludes")),
    ]
    if ((one.delete or flawed("always-deletes")) and source.is_dir()) or not source.exists():
        flags.append("--delete")
        if flawed("deletes-up-to-limit"):
            flags += ["--max-delete=2", "--ignore-errors"]
    if flawed("keeps-changes"):
        flags.append("--ignore-existing")
    source.mkdir(parents=True, exist_ok=True) if not source.exists() and not dry else None
    words = [
        "rsync",
        *flags,
        f"{source}/" if source.is_dir() or not source.exists() else str(source),
        f"{target}/" if source.is_dir() else str(target),
    ]
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
            text = json.dumps(
                {
                    "name": one.name,
                    "paths": one.paths,
                    "excludes": one.excludes,
                    "delete": one.delete,
                    "max_delete_pct": one.max_delete_pct,
                    "must_be_mounted": one.must_be_mounted,
                    "keep_lines": one.keep_lines,
                }
            )
            done = check("the set is equal", source.id, "toysync", "check", target.address, text, rule=SaysVerdict())
            name = f"copy-{one.name}" if flawed("own-names") else f"sync-{one.name}"
            push = changes("toysync", "push", target.address, text)
            if flawed("believes-broken-link"):
                done = check("the set is equal", source.id, "true")
            steps.append(Step(name, "Both nodes have the same files.", source.id, done, (push,)))
        return spoil(tuple(steps), self.pair)


class TestToyFiles(ToyContract, FileSyncerContract):
    toy = ToyFiles
    site_programs: ClassVar[Mapping[str, SiteProgram]] = {"toysync": toysync}
