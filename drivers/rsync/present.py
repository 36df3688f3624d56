"""What of a file set is there on the source, and whether it may be sent. Standard library only."""

from __future__ import annotations

import glob
import grp
import os
import pwd
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.rsync.refusal import Refusal
from xcat_ha_drivers.rsync.spec import SyncSpec

_WILD = frozenset("*?[")
_NO_CONTENT = frozenset({"lost+found"})


class Owned(NamedTuple):
    """A directory above a path of the set, as the target may have to make it."""

    path: str
    mode: int
    user: str
    group: str


class Present(NamedTuple):
    """What is there on the source; absolute paths as the host names them.

    ``directories`` are trees, of which ``empty`` hold nothing; ``files`` are everything else; ``missing`` are entries of the
    configuration that match nothing.
    """

    directories: tuple[str, ...]
    files: tuple[str, ...]
    empty: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them."""
        return self.directories + self.files


def root() -> str:
    """``XCAT_HA_ROOT`` without a slash at its end: what stands before every path of the host. Empty outside of tests."""
    return os.environ.get("XCAT_HA_ROOT", "").rstrip("/")


def under_root(path: str) -> Path:
    """Where the host's absolute ``path`` is."""
    return Path(f"{root()}{path}")


def examine(spec: SyncSpec) -> Present:
    """Look at every path of the set.

    Raises:
        Refusal: nothing is there, something is not mounted that must be, or a path is a symbolic link to a directory.
    """
    found: list[str] = []
    missing: list[str] = []
    for path in spec.paths:
        matches = _matches(path.rstrip("/") or "/")
        found += [match for match in matches if match not in found]
        if not matches:
            missing.append(path)
    if not found:
        raise Refusal(
            f"nothing of file set {spec.name} is there on {spec.source}: {', '.join(missing)}",
            hint="if it is on a disk of its own, mount it; else correct the paths of the set, or take the set out of the configuration",
        )
    if spec.must_be_mounted:
        _require_mounted(spec, (*found, *missing))
    directories = tuple(path for path in found if _is_tree(spec, path))
    return Present(
        directories=directories,
        files=tuple(path for path in found if path not in directories),
        empty=tuple(path for path in directories if is_empty(path)),
        missing=tuple(missing),
    )


def parents(present: Present) -> tuple[Owned, ...]:
    """Directories above the set's paths, outermost first, with owner and mode on the source."""
    names = {parent for path in present.paths for parent in ancestors(path)}
    return tuple(_owned(name) for name in sorted(names, key=lambda name: name.count("/")))


def ancestors(path: str) -> tuple[str, ...]:
    """``/a/b`` -> ``/a``: every directory above ``path`` except ``/`` itself, outermost first."""
    words = path.strip("/").split("/")
    return tuple("/" + "/".join(words[:count]) for count in range(1, len(words)))


def is_empty(path: str) -> bool:
    """Whether a directory holds nothing. A fresh file system's ``lost+found`` is nothing."""
    with os.scandir(under_root(path)) as entries:
        return all(entry.name in _NO_CONTENT for entry in entries)


def _matches(path: str) -> list[str]:
    if os.path.lexists(under_root(path)):
        return [path]
    if not _WILD & set(path):
        return []
    return sorted(match[len(root()) :] for match in glob.glob(glob.escape(root()) + path))  # noqa: PTH207 - takes a root apart from a pattern


def _is_tree(spec: SyncSpec, path: str) -> bool:
    there = under_root(path)
    if there.is_symlink() and there.is_dir():
        raise Refusal(
            f"{path} is a symbolic link to a directory on {spec.source}",
            hint=f"name the directory it points to ({there.resolve()}) in file set {spec.name}",
        )
    return there.is_dir()


def _require_mounted(spec: SyncSpec, paths: tuple[str, ...]) -> None:
    for path in paths:
        try:
            # mountpoint(1) knows bind mounts, which os.path.ismount does not.
            asked = subprocess.run(["mountpoint", "-q", path], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except OSError as error:
            raise Refusal(f"cannot tell whether {path} is mounted on {spec.source}: {error}", hint="install util-linux there") from error
        if asked.returncode != 0:
            raise Refusal(
                f"{path} is not mounted on {spec.source}, but must be (file set {spec.name})",
                hint=f"mount it on {spec.source}, then sync again",
            )


def _owned(path: str) -> Owned:
    status = under_root(path).stat()
    return Owned(path, stat.S_IMODE(status.st_mode), user_name(status.st_uid), group_name(status.st_gid))


def user_name(uid: int) -> str:
    """The user's name, or the number where it has none."""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def group_name(gid: int) -> str:
    """The group's name, or the number where it has none."""
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)


def user_number(name: str) -> int:
    """The inverse of :func:`user_name` on another host; -1 (leave it) for a user who is not known here."""
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_uid
    return int(name) if name.isdigit() else -1


def group_number(name: str) -> int:
    """The inverse of :func:`group_name` on another host; -1 (leave it) for a group that is not known here."""
    with suppress(KeyError):
        return grp.getgrnam(name).gr_gid
    return int(name) if name.isdigit() else -1
