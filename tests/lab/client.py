"""A third machine on the segment that is a client only: a tree and an address, no systemd."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import process, shapes
from .cgroups import CgroupTree
from .disks import Disk
from .network import Network
from .process import ProcessId, in_cgroup, wait_until
from .trees import Chroot, hold_argv

_CGROUP: Final = "client"
# The name of the UTS namespace; then as long as the lab lives.
_STAY: Final = f"echo {shapes.OBSERVER_NAME} >/proc/sys/kernel/hostname && exec sleep infinity"


@dataclass(frozen=True)
class Client:
    """The observer's other face: the nodes' software at the observer's address."""

    network: Network
    disk: Disk
    cgroups: CgroupTree
    directory: Path

    def chroot(self) -> Chroot:
        """The mounted tree, mounted now if it is not.  Its disk lives until reset()."""
        holder = self._holder() or self._start()
        cgroup = self.cgroups.directory(_CGROUP)
        namespaces = ("--mount", "--pid", "--net", "--uts")
        return Chroot.held_by(holder, self.disk.mount_point, namespaces, cgroup)

    def reset(self) -> None:
        """Unmount it and forget what was written."""
        self.cgroups.kill(_CGROUP)
        self._pid_file.unlink(missing_ok=True)
        self.disk.wipe()

    @property
    def _pid_file(self) -> Path:
        return self.directory / "holder.stat"

    def _holder(self) -> ProcessId | None:
        try:
            holder = ProcessId.from_stat(self._pid_file.read_text())
        except FileNotFoundError:
            return None
        return holder if holder.alive else None

    def _start(self) -> ProcessId:
        self.reset()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.disk.create(shapes.client_files(machine_id=uuid.uuid4().hex))
        mount = hold_argv(
            self._pid_file,
            "overlay",
            self.disk.options,
            self.disk.mount_point,
            namespaces=["--uts"],
        )
        argv = self.network.observer_argv([*mount, "sh", "-c", _STAY])
        log = self.directory / "log"
        process.start_detached(in_cgroup(self.cgroups.directory(_CGROUP), argv), log=log)
        wait_until(
            lambda: self._holder() is not None,
            timeout_s=20,
            what=f"the client's tree to be mounted (see {log})",
        )
        return ProcessId.from_stat(self._pid_file.read_text())
