"""The disks of the nodes: what a node has written, apart from the trees it is made of."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import shapes
from .shapes import NodeSpec
from .trees import overlay_options


@dataclass(frozen=True)
class Disk:
    """One machine's disk.  It survives everything but wipe()."""

    directory: Path
    trees: Sequence[Path]

    @property
    def upper(self) -> Path:
        """What differs from the trees, as files (an overlay's upper directory)."""
        return self.directory / "upper"

    @property
    def mount_point(self) -> Path:
        """An empty directory, on which the node mounts its root in its own namespace."""
        return self.directory / "root"

    @property
    def options(self) -> str:
        """The options of the overlay mount."""
        return overlay_options(self.trees, self.upper, self.directory / "work", like_a_disk=True)

    def create(self, files: dict[str, str]) -> None:
        """Make a pristine disk that holds ``files`` (path relative to the root -> text)."""
        self.wipe()
        for path in (self.upper, self.directory / "work", self.mount_point):
            path.mkdir(parents=True)
        # The mode of the root directory is the upper's.
        self.upper.chmod(0o755)
        for name, text in files.items():
            self._parents(Path(name).parent)
            (self.upper / name).write_text(text)
            (self.upper / name).chmod(0o644)

    def wipe(self) -> None:
        """Remove everything; the node must be off."""
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def _parents(self, relative: Path) -> None:
        # A directory in the upper hides the mode and owner of the one below, so copy them.
        for parent in reversed([relative, *relative.parents]):
            target = self.upper / parent
            if target.exists():
                continue
            target.mkdir()
            for tree in self.trees:
                if (tree / parent).is_dir():
                    known = (tree / parent).stat()
                    os.chown(target, known.st_uid, known.st_gid)
                    target.chmod(known.st_mode & 0o7777)
                    break


def create_node_disk(disk: Disk, spec: NodeSpec) -> None:
    """A pristine disk for a node: the machine nobody has logged in to yet."""
    disk.create(shapes.files(spec, machine_id=uuid.uuid4().hex))
