"""The target's part of a sync: look before anything comes, record what came. Standard library only.

Every function takes the request of the source and returns the answer to it, both plain JSON.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from xcat_ha_drivers.rsync.passes import PARTIAL_DIR
from xcat_ha_drivers.rsync.present import ancestors, group_number, under_root, user_number
from xcat_ha_drivers.rsync.refusal import Refusal
from xcat_ha_drivers.rsync.spec import RECEIPTS_DIR

_ORPHAN_S = 15.0
_FSYNC_SINCE = (3, 2, 4)


def prepare(name: str, target: str, request: Mapping[str, Any]) -> dict[str, object]:
    """Whether the set may come: no symbolic link above it, no file where a directory must go or the other way round.

    Raises:
        Refusal: it may not.
    """
    _end_orphan(name, target)
    directories, files = _texts(request["directories"]), _texts(request["files"])
    for path in (*directories, *files):
        refuse_links_above(path, target)
    for path in directories:
        _require_directory(path, path, target)
    for path in files:
        there = under_root(path)
        if there.is_dir() and not there.is_symlink():
            what = f"{path} is a directory on {target}, but a file on the source"
            raise Refusal(what, hint=f"remove it on {target} by hand, then sync again")
    return {
        "occupied": any(_holds_something(path) for path in directories),
        "absent_parents": not all(under_root(owned[0]).is_dir() for owned in request["parents"]),
        "fsync": _rsync_version() >= _FSYNC_SINCE,
        "unfinished": under_root(f"{RECEIPTS_DIR}/{name}.unfinished").exists(),
    }


def make_parents(_name: str, _target: str, request: Mapping[str, Any]) -> dict[str, object]:
    """Make directories above the set's paths that are not there, as they are on the source. Those that are there stay as they are."""
    for path, mode, user, group in request["parents"]:
        there = under_root(path)
        try:
            there.mkdir(0o700)
        except FileExistsError:
            continue
        if os.geteuid() == 0:
            os.chown(there, user_number(user), group_number(group))
        there.chmod(mode)
    return {"done": True}


def record(name: str, _target: str, request: Mapping[str, Any]) -> dict[str, object]:
    """Have everything on disk, then write the receipt."""
    if request.get("sweep"):
        _sweep(_texts(request["sweep"]))
    _flush(_texts(request["sync"]))
    write_receipt(name, request["record"])
    return {"done": True}


def write_receipt(name: str, facts: Mapping[str, object]) -> None:
    """``<set>.json``: one line, written beside, flushed and renamed; then the mark of an unfinished sync goes."""
    path = under_root(f"{RECEIPTS_DIR}/{name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, (json.dumps({**facts, "finished": time.time()}) + "\n").encode(), 0o644)
    under_root(f"{RECEIPTS_DIR}/{name}.unfinished").unlink(missing_ok=True)


def read_receipt(name: str) -> dict[str, Any]:
    """What is recorded of the last sync; empty if nothing can be read."""
    try:
        found = json.loads(under_root(f"{RECEIPTS_DIR}/{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_file(path: Path, content: bytes, mode: int, like: Path | None = None, owner: tuple[int, int] | None = None) -> None:
    """Replace a file whole: temporary file beside it, flushed, renamed, directory flushed.

    ``like``: an existing file whose extended attributes (ACL, SELinux label) the new one gets; ``owner``: uid and gid, -1 for ours.
    """
    temporary = path.with_name(f"{path.name}.xcat-ha-new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if owner is not None and os.geteuid() == 0:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            for attribute in os.listxattr(like) if like is not None else ():
                os.setxattr(file.fileno(), attribute, os.getxattr(like or path, attribute))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def refuse_links_above(path: str, target: str) -> None:
    """Every directory above ``path`` is a real one, or not there.

    Raises:
        Refusal: one is a symbolic link or a file.
    """
    for parent in ancestors(path):
        _require_directory(parent, path, target)


def _require_directory(path: str, wanted: str, target: str) -> None:
    """Neither a symbolic link nor a file; not being there is fine."""
    try:
        mode = under_root(path).lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise Refusal(
            f"{path} is a symbolic link on {target}; {wanted} would be written to another place",
            hint=f"make {path} a real directory (or a bind mount) on {target}, or name the real path in the file set",
        )
    if not stat.S_ISDIR(mode):
        what = f"{path} is a file on {target}, but a directory on the source"
        raise Refusal(what, hint=f"remove it on {target} by hand, then sync again")


def _holds_something(path: str) -> bool:
    try:
        with os.scandir(under_root(path)) as entries:
            return any(True for _ in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _end_orphan(name: str, target: str) -> None:
    """End the receiver of an earlier sync whose source lost power: it would wait for minutes, and write when it ends.

    The source holds the lock of the set, so whatever still receives it is an orphan. Its number is proven by what it is.

    Raises:
        Refusal: it does not end.
    """
    try:
        number = int(under_root(f"{RECEIPTS_DIR}/{name}.unfinished").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    deadline_s = time.monotonic() + _ORPHAN_S
    while _is_receiver(number):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
        if time.monotonic() > deadline_s:
            what = f"process {number} on {target} still receives set {name}"
            raise Refusal(what, hint=f"end it: kill -9 {number} (on {target}), then sync again")
        time.sleep(0.1)


def _is_receiver(number: int) -> bool:
    """Whether the process is an rsync that serves at our root; a number may have been given to another process meanwhile."""
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        here = Path(f"/proc/{number}/cwd").samefile(under_root("/"))
    except OSError:
        return False
    return here and words[0].rsplit(b"/", 1)[-1] == b"rsync" and b"--server" in words


def _rsync_version() -> tuple[int, ...]:
    try:
        said = subprocess.run(["rsync", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    except OSError as error:
        raise Refusal(f"rsync cannot be run: {error}", hint="install rsync on both nodes") from error
    found = re.search(r"version v?(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(word) for word in found.groups()) if found else (0,)


def _sweep(directories: Sequence[str]) -> None:
    """Remove what an earlier, interrupted sync left waiting."""
    for top in directories:
        for directory, names, _files in os.walk(under_root(top)):
            if PARTIAL_DIR in names:
                names.remove(PARTIAL_DIR)
                _remove_flat(Path(directory, PARTIAL_DIR))


def _remove_flat(directory: Path) -> None:
    """An rsync puts only files into its partial directories; whatever else is there was not put there by it and stays."""
    for entry in list(directory.iterdir()):
        if entry.is_symlink() or not entry.is_dir():
            entry.unlink()
    with suppress(OSError):
        directory.rmdir()


def _flush(paths: Sequence[str]) -> None:
    """Flush each file system that holds a path of the set once."""
    devices: dict[int, str] = {}
    for path in paths:
        try:
            devices.setdefault(under_root(path).lstat().st_dev, path)
        except FileNotFoundError:
            continue
    for path in devices.values():
        there = under_root(path)
        there = there.parent if there.is_symlink() else there
        flushed = subprocess.run(["sync", "-f", there], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if flushed.returncode != 0:
            raise Refusal(
                f"what was received below {path} could not be flushed to disk: {flushed.stderr.strip()}",
                hint="look at the kernel's messages about the disk (dmesg)",
                state="the files are there, but are not recorded as synced",
            )
