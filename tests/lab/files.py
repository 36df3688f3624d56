"""Compares two directory trees in everything a copy has to keep, times excepted."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class FileFacts:
    """What is compared of one file.  ``linked_with``: the other names of the same file."""

    type: str
    mode: str
    owner: str
    size_bytes: int
    sha256: str
    target: str
    device: str
    xattrs: tuple[tuple[str, str], ...]
    linked_with: tuple[str, ...] = ()


@dataclass(frozen=True, order=True)
class Difference:
    """One fact about ``path`` that is not the same on both sides; None: no such file there."""

    path: str
    what: str
    left: str | None
    right: str | None


def compare_trees(left: Path, right: Path, *, ignore: Sequence[str] = ()) -> list[Difference]:
    """Every difference between the trees below two directories, by path.

    ``ignore``: patterns of relative paths (``*`` also matches ``/``) that are left out.
    """
    ours, theirs = read_tree(left, ignore=ignore), read_tree(right, ignore=ignore)
    found: list[Difference] = []
    for path in sorted(ours.keys() | theirs.keys()):
        found += compare_facts(path, ours.get(path), theirs.get(path))
    return found


def compare_facts(path: str, left: FileFacts | None, right: FileFacts | None) -> list[Difference]:
    """The differences between two files."""
    if left is None or right is None:
        types = (facts.type if facts else None for facts in (left, right))
        return [Difference(path, "type", *types)]
    return [
        Difference(path, fact.name, str(ours), str(theirs))
        for fact in fields(FileFacts)
        if (ours := getattr(left, fact.name)) != (theirs := getattr(right, fact.name))
    ]


def read_tree(top: Path, *, ignore: Sequence[str] = ()) -> dict[str, FileFacts]:
    """The facts of every file below ``top``, and of ``top`` itself (as ".")."""
    facts: dict[str, FileFacts] = {}
    names: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for path in _walk(top):
        relative = str(path.relative_to(top))
        if any(fnmatchcase(relative, pattern) for pattern in ignore):
            continue
        status = path.lstat()
        facts[relative] = _facts(path, status)
        if stat.S_ISREG(status.st_mode):
            names[status.st_dev, status.st_ino].append(relative)
    for group in names.values():
        for name in group:
            others = tuple(sorted(other for other in group if other != name))
            facts[name] = FileFacts(**{**vars(facts[name]), "linked_with": others})
    return facts


def _walk(top: Path) -> list[Path]:
    paths = [top]
    # Errors are not passed over: a directory that cannot be read is no empty directory.
    for directory, directories, files in os.walk(top, onerror=_raise):
        paths += [Path(directory, name) for name in (*directories, *files)]
    return paths


def _raise(error: OSError) -> None:
    raise error


def _facts(path: Path, status: os.stat_result) -> FileFacts:
    mode = status.st_mode
    regular, link = stat.S_ISREG(mode), stat.S_ISLNK(mode)
    device = stat.S_ISBLK(mode) or stat.S_ISCHR(mode)
    return FileFacts(
        type=stat.filemode(mode)[0],
        # The mode of a symbolic link means nothing.
        mode="" if link else f"{stat.S_IMODE(mode):04o}",
        owner=f"{status.st_uid}:{status.st_gid}",
        size_bytes=status.st_size if regular else 0,
        sha256=_sha256(path) if regular else "",
        target=str(path.readlink()) if link else "",
        device=f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" if device else "",
        xattrs=_xattrs(path),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _xattrs(path: Path) -> tuple[tuple[str, str], ...]:
    return tuple((name, os.getxattr(path, name, follow_symlinks=False).hex()) for name in sorted(os.listxattr(path, follow_symlinks=False)))
