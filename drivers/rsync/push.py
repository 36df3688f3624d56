"""The source's part of a sync: look, count, send, have it recorded. Standard library only."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from xcat_ha_drivers.rsync.passes import LOCKS, Differences, find_differences, transfer
from xcat_ha_drivers.rsync.present import Present, examine, parents, under_root
from xcat_ha_drivers.rsync.refusal import STATE_PARTIAL, Refusal, explain
from xcat_ha_drivers.rsync.spec import SyncSpec

_ENOUGH = 1000
"""So many differences say that a sync is due; a first sync is not held up by counting all of them."""
_CATCH_UP_S = 10.0
"""A pass that took longer is followed by another, so that what changed meanwhile comes along."""
_MOST_PASSES = 3
_LOCK_WAIT_S = 30.0
_ANSWER_S = 600.0
_SHOWN = 5
_SHARED_S = 15
_LONGEST_SOCKET = 88  # ssh adds 17 characters for a moment, and a socket's path has at most 107
_VANISHED = 24
_PARTLY = 23
_SSH_FAILED = 255
# rsync's own temporary file of an interrupted transfer: .NAME.XXXXXX
_TEMPORARY = re.compile(r"(.*/)\.([^/]+)\.[A-Za-z0-9]{6}")


def share_connection(spec: SyncSpec) -> SyncSpec:
    """The check, the transfer and the check after it use one ssh connection, which goes some seconds after the last use of it."""
    directory = under_root("/run/xcat-ha")
    socket = f"{directory}/{spec.name}-{spec.target}.ssh"
    if not spec.rsh.startswith("ssh ") or not directory.is_dir() or len(socket) > _LONGEST_SOCKET or " " in socket:
        return spec
    return spec._replace(rsh=f"{spec.rsh} -o ControlMaster=auto -o ControlPath={socket} -o ControlPersist={_SHARED_S}")


def check(spec: SyncSpec) -> str:
    """The verdict on "the set is equal on both nodes, and the target knows that it came from here": one dry run, nothing else.

    A file whose inode changed on the source after this check began does not count: the answer is as of its beginning.
    """
    began_ns = time.time_ns()
    try:
        present = examine(spec)
    except Refusal as refusal:
        return f"FAILS: {refusal.what}"  # the sync itself refuses, with the hint
    found = find_differences(spec, present, enough=_ENOUGH)
    if found.code is None:
        return f"FAILS: more than {_ENOUGH - 1} files differ"
    if found.code != 0:
        return f"UNKNOWN: {explain(found.code, found.said, spec).what}"
    changed = tuple(path for path in found.changed if not _changed_since(path, began_ns))
    deleted = tuple(path for path in found.deleted if not _changed_since(path.rstrip("/").rpartition("/")[0] or "/", began_ns))
    if changed or deleted:
        shown = ", ".join((*changed, *deleted)[:_SHOWN])
        return f"FAILS: {len(changed)} differ, {len(deleted)} are no more on {spec.source} ({shown})"
    receipt = _parsed(found.receipt)
    if receipt.get("source") != spec.source:
        return f"FAILS: equal, but {spec.target} has no record of a sync from {spec.source}"
    absent = f"; not present on {spec.source}: {', '.join(present.missing)}" if present.missing else ""
    return f"HOLDS: equal{absent}"


def push(spec: SyncSpec) -> str:
    """Make the set on the target equal; one line about it.

    Raises:
        Refusal: it must not, or could not, be done.
    """
    started = time.time()
    with locked(spec):
        present = examine(spec)
        ready = ask_target(spec, "prepare", {"directories": present.directories, "files": present.files, "parents": parents(present)})
        doomed = _guard(spec, present, bool(ready["occupied"]))
        if ready["absent_parents"]:
            ask_target(spec, "make-parents", {"parents": parents(present)})
        notes = _send(spec, present, _options(spec, ready, doomed))
        notes += [f"not present on {spec.source}: {path}" for path in present.missing]
        record = {"set": spec.name, "source": spec.source, "started": started, "deleted": doomed, "notes": notes}
        ask_target(spec, "record", {"record": record, "sync": present.paths, "sweep": present.directories if ready["unfinished"] else ()})
    return "; ".join([f"{spec.name} on {spec.target} is equal to {spec.source}, {doomed} deleted", *notes])


def ask_target(spec: SyncSpec, verb: str, request: Mapping[str, object]) -> dict[str, Any]:
    """Have the target's part done over ssh; its answer.

    Raises:
        Refusal: the target refuses, or did not answer.
    """
    remote = shlex.join([spec.target_python, "-m", "xcat_ha_drivers.rsync.node_side", verb, spec.name, spec.target])
    argv = [*spec.rsh.split(), spec.ssh_destination, remote]
    hint = f"see that {spec.target} is up and has the same xcat-ha, then sync again"
    try:
        asked = subprocess.run(argv, input=json.dumps(request).encode(), capture_output=True, timeout=_ANSWER_S, check=False)
    except subprocess.TimeoutExpired as error:
        what = f"{spec.target} did not answer within {_ANSWER_S:g} s"
        raise Refusal(what, hint=hint, state=STATE_PARTIAL, silence=True) from error
    except OSError as error:
        raise Refusal(f"cannot start {argv[0]}: {error}", hint=f"install the ssh client on {spec.source}") from error
    answer = _parsed(asked.stdout.decode("utf-8", "replace"))
    if "refused" in answer:
        raise Refusal(str(answer["refused"]), hint=str(answer.get("hint", hint)), state=str(answer.get("state", "nothing was changed")))
    if asked.returncode != 0 or not answer:
        said = asked.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        if asked.returncode == _SSH_FAILED:
            raise explain(asked.returncode, said[-1], spec)
        what = f"{spec.target} could not {verb} set {spec.name} (exit {asked.returncode}): {said[-1]}"
        raise Refusal(what, hint=hint, state="what was complete is in place; nothing is recorded as synced", silence=True)
    return answer


def _guard(spec: SyncSpec, present: Present, occupied: bool) -> int:  # noqa: FBT001 - one caller
    """How many files and directories will be deleted on the target: counted, and few enough.

    Raises:
        Refusal: too many, or everything because the source is empty.
    """
    if not spec.delete or not occupied:
        return 0  # nothing there that could be deleted
    found = find_differences(spec, present)
    if found.code not in {0, _VANISHED} or found.target_files is None:
        refusal = explain(found.code or 0, found.said, spec)
        raise Refusal(refusal.what, hint=refusal.hint)
    _refuse_emptied(spec, present, found)
    files = [path for path in found.deleted if not path.endswith("/") and not _is_leftover(path)]
    share_pct = 100.0 * len(files) / max(found.target_files, 1)
    if files and share_pct > spec.max_delete_pct:
        raise Refusal(
            f"{len(files)} of the {found.target_files} files of set {spec.name} on {spec.target} are not on {spec.source}"
            f" and would be deleted ({share_pct:.1f}%, the limit is {spec.max_delete_pct:g}%): {_examples(files)}",
            state=f"nothing was changed on {spec.target}",
            hint=f"if {spec.source} is complete and they really must go, set max_delete_pct = {min(int(share_pct) + 1, 100)}"
            " below [files] in the configuration for one sync",
        )
    return len(found.deleted)


def _refuse_emptied(spec: SyncSpec, present: Present, found: Differences) -> None:
    for directory in present.empty:
        lost = [path for path in found.deleted if path.startswith(f"{directory.rstrip('/')}/")]
        if lost:
            raise Refusal(
                f"{directory} is empty on {spec.source}, but {spec.target} has {len(lost)} files there: {_examples(lost)}",
                state=f"nothing was changed on {spec.target}",
                hint=f"mount {directory} on {spec.source}; if it is meant to be empty, empty it on {spec.target} by hand",
            )


def _examples(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more


def _is_leftover(path: str) -> bool:
    """A temporary file of an interrupted sync: what it was for is still on the source."""
    found = _TEMPORARY.fullmatch(path)
    return found is not None and os.path.lexists(under_root(found.group(1) + found.group(2)))


def _options(spec: SyncSpec, ready: Mapping[str, Any], doomed: int) -> list[str]:
    """How the target may be changed.

    Deletions come last, and not beyond the number counted, should the source be unmounted this very moment. Where there are good files
    already, each new one is on disk before it takes an old one's place (fsync), and those of a small set change places together
    (--delay-updates; image trees are too big for that). Into an empty target nothing good can be lost: one flush before the record
    is made is enough, and ten times faster.
    """
    occupied = bool(ready["occupied"])
    return [
        *(["--delete-delay", f"--max-delete={doomed}"] if spec.delete and occupied else []),
        *(["--fsync"] if occupied and ready["fsync"] else []),
        *(["--delay-updates"] if occupied and not spec.numeric_ids else []),
    ]


def _send(spec: SyncSpec, present: Present, options: list[str]) -> list[str]:
    """Send until the target has what the source had when the last pass began; what is worth a note.

    Raises:
        Refusal: rsync failed.
    """
    vanished = 0
    for _ in range(_MOST_PASSES):
        began_s = time.monotonic()
        code, said = transfer(spec, present, *options)
        if code == _PARTLY and examine(spec) != present:
            present, code = examine(spec), _VANISHED  # a path of the set itself came or went
        if code not in {0, _VANISHED}:
            raise explain(code, said, spec)
        vanished += code == _VANISHED
        again = vanished == 1 if code == _VANISHED else time.monotonic() - began_s > _CATCH_UP_S
        if not again:
            break
    return [f"files vanished on {spec.source} while they were being sent"] if vanished else []


def _changed_since(path: str, moment_ns: int) -> bool:
    try:
        return under_root(path).lstat().st_ctime_ns >= moment_ns
    except OSError:
        return False


@contextmanager
def locked(spec: SyncSpec) -> Iterator[None]:
    """One sync of a set at a time. rsync inherits the lock: a transfer that outlived its caller is waited for, never doubled.

    Raises:
        Refusal: another sync of the set does not end.
    """
    directory = under_root("/run/xcat-ha")
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(f"{directory}/rsync-{spec.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + _LOCK_WAIT_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline_s:
                    what = f"another sync of {spec.name} is running on {spec.source}"
                    raise Refusal(what, hint="wait until it has ended (ps -C rsync), then sync again") from error
                time.sleep(0.2)
        LOCKS.append(descriptor)
        yield
    finally:
        LOCKS.clear()
        os.close(descriptor)


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text.strip() or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def say(text: str) -> None:
    """One line on stdout, whatever bytes names hold."""
    flat = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    sys.stdout.buffer.write(flat.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.flush()
