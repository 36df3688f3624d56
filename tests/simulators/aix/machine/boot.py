"""What happens when the machine comes up: the network from the ODM and nothing else, then what the inittab says."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from types import FrameType

from . import apply, exports, inittab, paths
from .kernel import FileKernel, Kernel, KernelError, LinuxKernel
from .odm import Odm

RESPAWN_PAUSE_S = 1.0


def configure() -> None:
    """cfgmgr: every interface the ODM has up gets its stored address, inet0 its name and routes."""
    odm = Odm()
    kernel: Kernel = LinuxKernel(odm.interfaces) if paths.is_whole_machine() else FileKernel(odm.interfaces)
    for name in odm.interfaces():
        with contextlib.suppress(KernelError):
            apply.configure(odm, kernel, name)
    apply.configure(odm, kernel, "inet0")
    exports.forget_all()


class Init:
    """Runs the inittab; SIGHUP (telinit q) makes it look for changes."""

    def __init__(self) -> None:
        self._respawned: dict[inittab.Entry, subprocess.Popen[bytes]] = {}
        self._begun: set[inittab.Entry] = set()
        self._again = True
        self._over = False

    def run(self) -> None:
        """Until SIGTERM."""
        signal.signal(signal.SIGHUP, self._look_again)
        signal.signal(signal.SIGTERM, self._end)
        while not self._over:
            if self._again:
                self._again = False
                self._start_new()
            self._keep_alive()
            time.sleep(RESPAWN_PAUSE_S)

    def _look_again(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._again = True

    def _end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._over = True

    def _start_new(self) -> None:
        entries = [one for one in inittab.entries() if one.at_boot and one.name not in inittab.NOT_RUN]
        for entry in entries:
            if entry in self._begun:
                continue
            self._begun.add(entry)
            if entry.action in {"wait", "bootwait", "sysinit"}:
                started(entry).wait()
            elif entry.action in {"once", "boot"}:
                started(entry)
        for entry in [one for one in self._respawned if one not in entries]:
            self._respawned.pop(entry).terminate()

    def _keep_alive(self) -> None:
        for entry in inittab.entries():
            if entry.action == "respawn" and entry.at_boot and entry.name not in inittab.NOT_RUN:
                running = self._respawned.get(entry)
                if running is None or running.poll() is not None:
                    self._respawned[entry] = started(entry)


def started(entry: inittab.Entry) -> subprocess.Popen[bytes]:
    """An entry's command, as init runs it: by the shell."""
    out = subprocess.DEVNULL
    return subprocess.Popen(
        ["/bin/sh", "-c", entry.command], stdin=out, stdout=out, stderr=out, start_new_session=True, env=dict(os.environ)
    )
