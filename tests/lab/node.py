"""One machine of the lab: power, commands, its disk as files."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from . import power, process
from .cgroups import SUPERVISORS, VISITORS, CgroupTree
from .disks import Disk, create_node_disk
from .errors import LabError
from .network import Network
from .process import Completed, ProcessId, in_cgroup, wait_until
from .shapes import NodeSpec
from .state import NodeFiles
from .trees import PROJECT, environment_argv

BOOT_LIMIT_S: Final = 60.0
POWER_OFF_LIMIT_S: Final = 60.0
_SUPERVISE: Final = f"{__package__}.supervise"
_READY: Final = ("running", "degraded")


@dataclass(frozen=True)
class Node:
    """A machine with systemd, a network card and a disk, on or off."""

    spec: NodeSpec
    network: Network
    disk: Disk
    cgroups: CgroupTree
    files: NodeFiles

    @property
    def id(self) -> str:
        """The node's name in the lab."""
        return self.spec.id

    @property
    def init(self) -> ProcessId | None:
        """The node's process 1 as the host sees it, None while the node is off."""
        return self.files.read_process(self.files.init)

    @property
    def is_on(self) -> bool:
        """Whether the node has power (booting and shutting down included)."""
        return self._supervisor is not None or self.init is not None

    @property
    def root(self) -> Path:
        """The node's files as the host sees them; do not resolve this path.

        While the node is on: everything, through /proc/PID/root, which resolves to the *host's*
        root; absolute symbolic links inside also lead to the host.  While it is off: only what
        the node has written (see Disk.upper).
        """
        init = self.init
        return Path(f"/proc/{init.pid}/root") if init else self.disk.upper

    # ---- commands

    def argv(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The host command line that runs ``argv`` in the node as root; LabError if it is off."""
        init = self.init
        if init is None:
            raise LabError(f"{self.id} is off", f"python3 -m tests.lab boot {self.id}")
        everything = ["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        enter = ["nsenter", "-t", str(init.pid), *everything, "--"]
        command = [*enter, *environment_argv(env), *argv]
        return in_cgroup(self.cgroups.visitors(self.id), command)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | None = None,  # noqa: A002 - the name it has in subprocess.run()
        timeout_s: float = 60.0,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command in the node as root, to its end.

        Raises LabError if the node is off, CommandTimedOutError, and CommandFailedError if ``check``.
        """
        done = process.run(self.argv(argv, env), input=input, timeout_s=timeout_s, check=check)
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = subprocess.PIPE,
        stderr: int | IO[bytes] | None = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command in the node as root, in a process group of its own (see stop_group)."""
        return subprocess.Popen(self.argv(argv, env), stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)

    # ---- power

    def boot(self, *, wait: bool = True) -> None:
        """Switch the node on; with ``wait``, return when its services have been started."""
        if self.is_on:
            raise LabError(f"{self.id} is on already")
        self.files.directory.mkdir(parents=True, exist_ok=True)
        self.files.init.unlink(missing_ok=True)
        self.files.on.touch()
        text = power.description(self.spec, self.network, self.disk, self.cgroups)
        argv = [sys.executable, "-m", _SUPERVISE, text]
        supervisor = process.start_detached(
            in_cgroup(self.cgroups.directory(SUPERVISORS), argv),
            log=self.files.log,
            cwd=PROJECT,
        )
        self.files.supervisor.write_text(supervisor)
        if wait:
            self.wait_ready()

    def wait_ready(self, *, timeout_s: float = BOOT_LIMIT_S) -> None:
        """Wait until systemd says that the boot is over, whether or not every unit is well."""

        def ready() -> bool:
            if not self.is_on:
                raise LabError(f"{self.id} went off while booting:\n{self.console_tail()}")
            if not (self.root / "run/systemd/private").exists():
                return False
            state = self.run(["systemctl", "is-system-running"], check=False)
            return state.stdout.strip() in _READY

        wait_until(ready, timeout_s=timeout_s, what=f"{self.id} to boot", interval_s=0.1)

    def kill(self) -> None:
        """Power loss: the cable goes dead, every process ends without a word.  Idempotent.

        What the node's programs had written but not synced is *not* lost, as on a real machine
        it might be: the page cache is this machine's.
        """
        self.files.on.unlink(missing_ok=True)
        self.network.unplug(self.id)
        self._end_init()

    def poweroff(self, *, timeout_s: float = POWER_OFF_LIMIT_S) -> None:
        """An orderly shutdown; CommandTimedOutError if the node does not get there."""
        # First: what follows must not be taken for a reboot.
        self.files.on.unlink(missing_ok=True)
        self.run(["systemctl", "poweroff"], check=False)
        self._wait_off(timeout_s)

    def reboot(self, *, timeout_s: float = POWER_OFF_LIMIT_S) -> None:
        """An orderly reboot, as "systemctl reboot" in the node; returns when it is up again."""
        before = self.init

        def booted() -> bool:
            self._wake_visitors()
            return self.init not in (None, before)

        self.run(["systemctl", "reboot"], check=False)
        wait_until(booted, timeout_s=timeout_s, what=f"{self.id}: reboot")
        self.wait_ready()

    def reset(self) -> None:
        """Make it the machine nobody has logged in to yet; leaves it off."""
        self.kill()
        create_node_disk(self.disk, self.spec)

    def console_tail(self, limit: int = 2000) -> str:
        """The last characters of what the supervisor and process 1 printed."""
        try:
            return self.files.log.read_text(errors="replace")[-limit:]
        except FileNotFoundError:
            return ""

    # ---- small file systems

    def tmpfs(self, path: str, size_bytes: int) -> None:
        """Mount a small, empty file system at ``path`` (made if need be); see remove_tmpfs()."""
        self.run(["mkdir", "-p", path])
        options = f"size={size_bytes},mode=755"
        self.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path])

    def remove_tmpfs(self, path: str) -> None:
        """Undo tmpfs(): what was at ``path`` before is seen again."""
        self.run(["umount", "--lazy", path])

    # ---- private

    @property
    def _supervisor(self) -> ProcessId | None:
        return self.files.read_process(self.files.supervisor)

    def _end_init(self) -> None:
        # Again until the supervisor is gone too: it might have been about to boot the node.
        def gone() -> bool:
            init = self.init
            if init:
                init.kill()
                self.network.remove_cable(self.id)
            process.reap()
            return not self.is_on

        wait_until(gone, timeout_s=POWER_OFF_LIMIT_S, what=f"{self.id} to be off")

    def _wait_off(self, timeout_s: float) -> None:
        def off() -> bool:
            self._wake_visitors()
            process.reap()
            return not self.is_on

        wait_until(off, timeout_s=timeout_s, what=f"{self.id} to shut down")

    def _wake_visitors(self) -> None:
        """See to it that a command brought in from outside does not keep a shutdown from ending.

        Before it kills all that is left, systemd stops it (SIGSTOP); nsenter then stops itself too, never collects the command, and the
        kernel waits for that before it ends the node's pid namespace.
        """
        for visitor in self.cgroups.processes(f"{self.id}/{VISITORS}"):
            visitor.kill(signal.SIGCONT)


def stop_group(started: subprocess.Popen[bytes]) -> None:
    """End what Node.popen() started, including what it became inside the node."""
    process.kill_group(started)
    started.wait()
