"""Layers: what is installed on top of the base tree once, and kept."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .base import BUILD_LIMIT_S, base_tree, build_lock
from .locks import exclusive
from .pruning import mark_used, prune
from .settings import Settings, require_root, require_tools
from .trees import Chroot, mounted, overlay_options

log = logging.getLogger(__name__)

# Seen inside while a layer is built, so that it can use the network.
_ALWAYS_BOUND: Final = ("/etc/resolv.conf",)


@dataclass(frozen=True)
class Layer:
    """A finished layer and the layers it was built over, all of the same base tree."""

    name: str
    path: Path
    below: tuple[Layer, ...] = ()

    @property
    def trees(self) -> tuple[Path, ...]:
        """This layer's tree and those below it, top first, without the base."""
        trees = [self.path]
        for layer in self.below:
            trees += [tree for tree in layer.trees if tree not in trees]
        return tuple(trees)


def build_layer(
    name: str,
    key: str,
    build: Callable[[Chroot], None],
    *,
    below: Sequence[Layer] = (),
    binds: Sequence[str] = (),
    settings: Settings | None = None,
) -> Layer:
    """The layer ``name`` in the version ``key``, built by ``build`` unless it is in the cache.

    ``key`` has to change whenever what ``build`` does would; the base tree and ``below`` (top
    first) count by themselves.  ``binds``: host paths shown read-only at the same place while
    building.  An older version of the same name is removed unless a lab is made of it, or was about to be in the last ``keep_s``.
    Whatever ``build`` raises is passed on, and leaves nothing behind.
    """
    where = settings or Settings.from_environment()
    base = base_tree(where)
    path = where.root / "layers" / f"{name}-{_digest(key, base, below)}"
    layer = Layer(name, path, tuple(below))
    if path.is_dir():
        mark_used(path)
        return layer
    require_root()
    require_tools()
    with exclusive(build_lock(where), timeout_s=BUILD_LIMIT_S, what="another build to end"):
        if not path.is_dir():
            log.info("building the layer %s", path.name)
            _build(path, build, [*trees_of(below), base], binds)
            mark_used(path)
            prune(where, path.parent, name, keep=path)
    return layer


def trees_of(layers: Sequence[Layer]) -> tuple[Path, ...]:
    """The trees of several layers, top first, each once, without the base."""
    trees: list[Path] = []
    for layer in layers:
        trees += [tree for tree in layer.trees if tree not in trees]
    return tuple(trees)


def _digest(key: str, base: Path, below: Sequence[Layer]) -> str:
    parts = [key, base.name, *(tree.name for tree in trees_of(below))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _build(path: Path, build: Callable[[Chroot], None], lower: Sequence[Path], binds: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # We hold the lock, so whatever else is under construction has been given up.
    for stale in path.parent.glob(".building-*"):
        shutil.rmtree(stale)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=path.parent))
    try:
        upper, work = building / "upper", building / "work"
        upper.mkdir(mode=0o755)
        work.mkdir()
        options = overlay_options(lower, upper, work)
        with mounted("overlay", options, binds=[*_ALWAYS_BOUND, *binds]) as chroot:
            build(chroot)
        os.sync()
        upper.rename(path)
    finally:
        shutil.rmtree(building, ignore_errors=True)
