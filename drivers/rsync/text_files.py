"""Sets of text files that are merged: the source reads and asks, the target compares and writes. Standard library only."""

from __future__ import annotations

import base64
import os
import stat
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from xcat_ha_drivers.rsync.merge import HOSTS, OwnName, merge, merge_hosts, says_something
from xcat_ha_drivers.rsync.present import examine, group_name, group_number, under_root, user_name, user_number
from xcat_ha_drivers.rsync.push import ask_target, locked
from xcat_ha_drivers.rsync.receive import read_receipt, refuse_links_above, write_file, write_receipt
from xcat_ha_drivers.rsync.refusal import Refusal
from xcat_ha_drivers.rsync.spec import SyncSpec

_LARGEST_BYTES = 16 << 20


def check_text(spec: SyncSpec) -> str:
    """The verdict on "every file of the set is what a merge would make of it, and the target knows that it came from here"."""
    try:
        answer = ask_target(spec, "compare", _request(spec))
    except Refusal as refusal:
        return f"{'UNKNOWN' if refusal.silence else 'FAILS'}: {refusal.what}"
    if answer["different"]:
        return f"FAILS: {', '.join(answer['different'])} not as on {spec.source}"
    if answer["source"] != spec.source:
        return f"FAILS: equal, but {spec.target} has no record of a sync from {spec.source}"
    return "; ".join(["HOLDS: equal", *answer["notes"]])


def push_text(spec: SyncSpec) -> str:
    """Merge every file of the set on the target; one line about it.

    Raises:
        Refusal: it must not, or could not, be done.
    """
    with locked(spec):
        request = {**_request(spec), "record": {"set": spec.name, "source": spec.source, "started": time.time(), "deleted": 0}}
        answer = ask_target(spec, "merge", request)
    return "; ".join([f"{spec.name} on {spec.target} is as on {spec.source}", *answer["notes"]])


def compare(name: str, target: str, request: Mapping[str, Any]) -> dict[str, object]:
    """On the target: which files a merge would change."""
    changed, notes = _weigh(target, request)
    return {"different": [one.path for one in changed], "notes": notes, "source": read_receipt(name).get("source", "")}


def merge_here(name: str, target: str, request: Mapping[str, Any]) -> dict[str, object]:
    """On the target: merge, then write the receipt."""
    changed, notes = _weigh(target, request)
    for one in changed:
        there = under_root(one.path)
        there.parent.mkdir(parents=True, exist_ok=True)
        write_file(there, one.content, one.mode, like=there if there.exists() else None, owner=one.owner)
    write_receipt(name, {**request["record"], "notes": notes})
    return {"done": True, "notes": notes}


class _Merged(NamedTuple):
    path: str
    content: bytes
    mode: int
    owner: tuple[int, int]


def _request(spec: SyncSpec) -> dict[str, object]:
    """The source's files, and what is said of those that are not sent."""
    present = examine(spec)
    if present.directories:
        raise Refusal(
            f"{present.directories[0]} is a directory, but set {spec.name} keeps lines (keep_lines), which only text files have",
            hint="put directories into a file set without keep_lines",
        )
    files: list[dict[str, object]] = []
    notes = [f"not present on {spec.source}: {path}" for path in present.missing]
    for path in present.files:
        if under_root(path).is_symlink():
            notes.append(f"{path} is a symbolic link on {spec.source} and was left alone")
            continue
        files.append(_described(path))
    own = {"name": spec.target_name, "address": spec.target_address}
    return {"files": files, "keep": list(spec.keep_lines), "own": own, "notes": notes, "from": spec.source}


def _described(path: str) -> dict[str, object]:
    with under_root(path).open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_BYTES:
            raise Refusal(f"{path} is no text file of at most {_LARGEST_BYTES >> 20} MiB", hint="put it into a file set without keep_lines")
        content = file.read()
    return {
        "path": path,
        "content": base64.b64encode(content).decode("ascii"),
        "mode": stat.S_IMODE(status.st_mode),
        "user": user_name(status.st_uid),
        "group": group_name(status.st_gid),
    }


def _weigh(target: str, request: Mapping[str, Any]) -> tuple[list[_Merged], list[str]]:
    """Files whose merged content is not what they have now, and what is worth a note.

    Raises:
        Refusal: a file would be emptied, or lies behind a symbolic link.
    """
    notes = [str(note) for note in request["notes"]]
    changed: list[_Merged] = []
    for file in request["files"]:
        path = str(file["path"])
        refuse_links_above(path, target)
        if under_root(path).is_symlink():
            notes.append(f"{path} is a symbolic link on {target} and was left alone")
            continue
        merged = _merge_one(path, file, target, request)
        if merged is not None:
            changed.append(merged)
    return changed, notes


def _merge_one(path: str, file: Mapping[str, Any], target: str, request: Mapping[str, Any]) -> _Merged | None:
    before, mode, owner = _current(path, file)
    ours = _lines(before or b"")
    theirs = _lines(base64.b64decode(file["content"]))
    if not says_something(theirs) and says_something(ours):
        raise Refusal(
            f"{path} says nothing on {request['from']}, and would be emptied on {target}",
            hint=f"restore {path} on {request['from']} (a copy is on {target}), then sync again",
        )
    keep = [str(pattern) for pattern in request["keep"]]
    own = OwnName(request["own"]["name"], request["own"]["address"])
    lines = merge_hosts(theirs, ours, keep, own) if path == HOSTS else merge(theirs, ours, keep)
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    return None if content == before else _Merged(path, content, mode, owner)


def _current(path: str, file: Mapping[str, Any]) -> tuple[bytes | None, int, tuple[int, int]]:
    """What the target has: content, mode, owner; of a file that is not there None and the source's."""
    try:
        with under_root(path).open("rb") as stream:
            status = os.fstat(stream.fileno())
            return stream.read(), stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
    except FileNotFoundError:
        return None, int(file["mode"]), (user_number(file["user"]), group_number(file["group"]))


def _lines(content: bytes) -> list[str]:
    text = content.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").split("\n") if text else []
