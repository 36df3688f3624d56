"""Removing trees that a newer version has replaced, but never one a lab is made of, or may be soon: several source trees share a cache."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from .errors import LabError
from .locks import exclusive
from .settings import Settings
from .state import trees_in_use

log = logging.getLogger(__name__)


def trees_lock(settings: Settings) -> Path:
    """The file that is locked while trees are removed, or taken into use."""
    return settings.root / "trees.lock"


def mark_used(tree: Path) -> None:
    """Note that somebody is about to make a lab of ``tree``."""
    _stamp(tree).touch()


def _stamp(tree: Path) -> Path:
    return tree.with_name(f".{tree.name}.used")


def _used_ago_s(tree: Path) -> float:
    try:
        return time.time() - _stamp(tree).stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def prune(settings: Settings, directory: Path, name: str, *, keep: Path) -> None:
    """Remove the other versions of ``name`` from ``directory``, unless in use or used lately."""
    with exclusive(trees_lock(settings), timeout_s=60, what="a lab to be registered"):
        kept = trees_in_use(settings.run_dir) | {keep}
        for path in directory.glob(f"{name}-*"):
            # The name may be the beginning of another one's.
            is_version = path.name.rpartition("-")[0] == name
            if is_version and path not in kept and _used_ago_s(path) >= settings.keep_s:
                log.info("removing the outdated tree %s", path.name)
                shutil.rmtree(path)
                _stamp(path).unlink(missing_ok=True)


def require_present(trees: Sequence[Path]) -> None:
    """LabError if a tree has been removed since it was built."""
    for tree in trees:
        if not tree.is_dir():
            raise LabError(f"{tree} is gone", "build it again, a newer version replaced it")
