"""The lab's part of the cgroup tree: it holds every process of the lab, so none can be lost."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import LabError
from .process import ProcessId, reap, wait_until

# A node's own root is a child, so that what watches over the node stays outside of it.
SUPERVISORS: Final = "supervisors"
OBSERVER: Final = "observer"
# Inside a node: systemd does not want strangers in its root.
VISITORS: Final = "visitors"


@dataclass(frozen=True)
class CgroupTree:
    """The cgroup v2 directories of one lab."""

    top: Path

    @classmethod
    def of_lab(cls, lab: str) -> CgroupTree:
        """The tree of a lab; LabError if this machine has no cgroup v2."""
        return cls(_cgroup2_mount() / "xcat-ha-lab" / lab)

    def directory(self, name: str) -> Path:
        """The directory ``name`` below the lab's, made if need be."""
        path = self.top / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def visitors(self, node: str) -> Path:
        """Where commands go that are brought into a node from outside."""
        return self.directory(f"{node}/{VISITORS}")

    def processes(self, name: str = "") -> list[ProcessId]:
        """Every living process below ``name``."""
        found = []
        for path in self._directories(self.top / name):
            try:
                pids = (path / "cgroup.procs").read_text().split()
            except OSError:
                continue  # removed meanwhile
            # 0 is a process this /proc does not show.
            found += [process for pid in pids if int(pid) and (process := ProcessId.of(int(pid)))]
        return found

    def kill(self, name: str = "", *, timeout_s: float = 20.0) -> None:
        """End every process below ``name`` and wait until all are gone."""

        def gone() -> bool:
            # Again and again: a process may have had children between reading and killing.
            processes = self.processes(name)
            for process in processes:
                process.kill(signal.SIGKILL)
            reap()
            return not processes

        wait_until(gone, timeout_s=timeout_s, what=f"the processes of {self.top / name} to end")

    def remove(self, name: str = "", *, timeout_s: float = 10.0) -> None:
        """Remove the directories below ``name``, which must hold no process any more."""

        def removed() -> bool:
            for path in self._directories(self.top / name):
                try:
                    path.rmdir()
                except OSError:
                    return False  # the kernel is still letting go of a process
            return True

        wait_until(removed, timeout_s=timeout_s, what=f"{self.top / name} to be empty")
        if not name:
            _remove_if_empty(self.top.parent)

    def _directories(self, top: Path) -> Iterator[Path]:
        # Deepest first: the order in which they can be removed.
        try:
            children = [path for path in top.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return
        for child in children:
            yield from self._directories(child)
        yield top


def _cgroup2_mount() -> Path:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            return Path(before.split()[4])
    raise LabError(
        "this machine has no cgroup v2 file system mounted",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
    )


def _remove_if_empty(path: Path) -> None:
    # It fails if another lab lives there, or if it is gone.
    with contextlib.suppress(OSError):
        path.rmdir()
