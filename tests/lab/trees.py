"""A directory tree made the root of commands: chroots for building and for a client machine."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import LabError
from .process import Completed, ProcessId, in_cgroup, run, wait_until

HERE: Final = Path(__file__).resolve().parent
# Where "python3 -m tests.lab" works.
PROJECT: Final = HERE.parents[1]
ENVIRONMENT: Final[Mapping[str, str]] = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "USER": "root",
}


def environment_argv(extra: Mapping[str, str] | None = None) -> list[str]:
    """The prefix that gives a command a login's environment and nothing of the caller's."""
    merged = {**ENVIRONMENT, **(extra or {})}
    return ["env", "-i", *(f"{name}={value}" for name, value in merged.items())]


def overlay_options(lower: Sequence[Path], upper: Path, work: Path, *, like_a_disk: bool = False) -> str:
    """The options of an overlay mount; ``lower`` is ordered from top to bottom.

    ``like_a_disk``: also what a plain file system can do (directories can be renamed, hard links
    stay linked when written to), and no second mount of the same upper.
    """
    plain = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    return plain + (",index=on,redirect_dir=on" if like_a_disk else "")


@dataclass(frozen=True)
class Chroot:
    """A mounted tree in which commands can be run.

    ``path`` is the tree as seen from the host: read and write below it, but do not resolve it
    (it goes through /proc/PID/root, which resolves to the host's own root).
    """

    path: Path
    holder: ProcessId
    mount_point: Path
    namespaces: tuple[str, ...] = ("--mount", "--pid")
    cgroup: Path | None = None

    @classmethod
    def held_by(
        cls,
        holder: ProcessId,
        mount_point: Path,
        namespaces: tuple[str, ...] = ("--mount", "--pid"),
        cgroup: Path | None = None,
    ) -> Chroot:
        """The tree that the process ``holder`` has mounted in its namespaces."""
        path = Path(f"/proc/{holder.pid}/root{mount_point}")
        return cls(path, holder, mount_point, namespaces, cgroup)

    def argv(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The host command line that runs ``argv`` inside."""
        enter = ["nsenter", "--target", str(self.holder.pid), *self.namespaces, "--"]
        command = [*enter, "chroot", str(self.mount_point), *environment_argv(env), *argv]
        return in_cgroup(self.cgroup, command) if self.cgroup else command

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | None = None,  # noqa: A002 - the name it has in subprocess.run()
        timeout_s: float = 600.0,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command inside, as root; errors as process.run()."""
        done = run(self.argv(argv, env), input=input, timeout_s=timeout_s, check=check)
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


def hold_argv(
    pid_file: Path,
    kind: str,
    source: str,
    mount_point: Path,
    *,
    binds: Sequence[str] = (),
    namespaces: Sequence[str] = (),
) -> list[str]:
    """The command line, but for the command that keeps it, of a tree mounted on its own."""
    script = [str(HERE / "chroot_hold.sh"), str(pid_file), kind, source, str(mount_point)]
    unshare = ["unshare", "--mount", "--pid", *namespaces, "--fork", "--kill-child"]
    return [*unshare, "sh", *script, ":".join(binds)]


@contextmanager
def mounted(kind: str, source: str, *, binds: Sequence[str] = ()) -> Iterator[Chroot]:
    """Mount a tree for the duration of the block.

    ``kind`` and ``source``: "overlay" and mount options, or "bind" and a directory.
    The mount lives in a namespace that ends with this process, even if that is killed.
    """
    with tempfile.TemporaryDirectory(prefix="lab-tree-") as name:
        mount_point, pid_file = Path(name, "root"), Path(name, "pid")
        mount_point.mkdir()
        # "cat" ends when the other end of its standard input is gone, which is us.
        argv = [*hold_argv(pid_file, kind, source, mount_point, binds=binds), "cat"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                yield held(pid_file, mount_point, process)
            finally:
                process.kill()


def held(pid_file: Path, mount_point: Path, process: subprocess.Popen[bytes]) -> Chroot:
    """Wait until the holder has mounted everything; LabError if it gives up."""
    wait_until(
        lambda: pid_file.exists() or process.poll() is not None,
        timeout_s=30,
        what=f"the tree at {mount_point}",
    )
    if not pid_file.exists():
        said = process.stderr.read().decode(errors="replace") if process.stderr else ""
        raise LabError(f"cannot mount a tree at {mount_point}: {said.strip()}")
    holder = ProcessId.from_stat(pid_file.read_text())
    return Chroot.held_by(holder, mount_point)
