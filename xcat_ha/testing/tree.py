"""What a directory tree holds, as values that can be compared."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from attrs import frozen


@frozen
class Entry:
    """One path of a tree.

    Attributes:
        kind: ``file``, ``directory``, ``symlink`` or ``other``.
        mode: permission bits (0o0000 to 0o7777); 0 for a symlink.
        owner: (uid, gid).
        content: SHA-256 of a file's content, a symlink's target, else empty.
        twins: the paths (itself included) that are hard links to the same file; empty if it has only this name.
        mtime_s: modification time of a file in whole seconds, else 0.
    """

    kind: str
    mode: int
    owner: tuple[int, int]
    content: str
    twins: tuple[str, ...]
    mtime_s: int


def entries(root: Path, below: str = "/", *, without: Collection[str] = ()) -> Mapping[str, Entry]:
    """Everything at and below the path ``below`` of the tree at ``root``, by its path as the host itself would name it.

    Args:
        root: what is "/" for the host.
        below: absolute path on the host; a path that is not there yields nothing.
        without: absolute paths left out with everything below them.
    """
    found: dict[str, tuple[Path, os.stat_result]] = {}
    names_of_inode: dict[tuple[int, int], list[str]] = {}
    waiting = [below if below == "/" else below.rstrip("/")]
    while waiting:
        name = waiting.pop()
        path = root / name.lstrip("/")
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if name in without:
            continue
        found[name] = (path, status)
        if stat.S_ISDIR(status.st_mode):
            waiting += [f"{name.rstrip('/')}/{child}" for child in os.listdir(path)]  # noqa: PTH208 - names, not paths
        elif status.st_nlink > 1:
            names_of_inode.setdefault((status.st_dev, status.st_ino), []).append(name)
    twins = {name: tuple(sorted(names)) for names in names_of_inode.values() for name in names if len(names) > 1}
    return {name: _entry(path, status, twins.get(name, ())) for name, (path, status) in sorted(found.items())}


def _entry(path: Path, status: os.stat_result, twins: tuple[str, ...]) -> Entry:
    owner = (status.st_uid, status.st_gid)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry("file", mode, owner, content, twins, int(status.st_mtime))
    if stat.S_ISLNK(status.st_mode):
        return Entry("symlink", 0, owner, str(path.readlink()), twins, 0)
    return Entry("directory" if stat.S_ISDIR(status.st_mode) else "other", mode, owner, "", twins, 0)


def digest(root: Path, below: str = "/", *, without: Collection[str] = ()) -> str:
    """One word for everything :func:`entries` sees; equal words mean equal trees."""
    seen = hashlib.sha256()
    for name, entry in entries(root, below, without=without).items():
        seen.update(repr((name, entry)).encode("utf-8", "surrogateescape"))
    return seen.hexdigest()


def copy_tree(source: Path, target: Path) -> None:
    """Copy a tree with permissions, times, links and hard links; ``target`` must not be there yet."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True, capture_output=True)


def fingerprint(root: Path, *, without: Collection[str] = ()) -> str:
    """Like :func:`digest`, but trusting size, inode and change times instead of reading contents: quick, and blind to nothing a program
    can do without setting the clock back.

    Change times of directories do not count: what was made and removed again leaves a tree as it was. ``without`` are names of directories
    directly below ``root`` that are left out.
    """
    seen = hashlib.sha256()
    for directory, children, files in os.walk(root):
        children[:] = sorted(child for child in children if directory != str(root) or child not in without)
        status = os.lstat(directory)
        seen.update(repr((directory, status.st_mode, status.st_uid, status.st_gid)).encode("utf-8", "surrogateescape"))
        links = [child for child in children if os.path.islink(f"{directory}/{child}")]  # noqa: PTH114 - this runs around every read
        for name in sorted([*files, *links]):
            status = os.lstat(f"{directory}/{name}")
            facts = (
                name,
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_size,
                status.st_ino,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
            seen.update(repr(facts).encode("utf-8", "surrogateescape"))
    return seen.hexdigest()
