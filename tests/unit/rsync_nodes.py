"""Two nodes for tests of the driver ``rsync``: two directory trees, and a remote shell that enters the second one on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xcat_ha_drivers.rsync.spec import SyncSpec, to_words

_RSH = """\
#!/bin/sh
# As ssh: options, a destination, and words that the far side's shell reads.
while [ "$1" = -l ]; do shift 2; done
shift
[ ! -e {link_down} ] || {{ echo "ssh: connect to host mnb port 22: No route to host" >&2; exit 255; }}
cd {home} && XCAT_HA_ROOT={root} exec sh -c "$*"
"""
_MOUNTPOINT = """\
#!/bin/sh
grep -qxF -- "$2" {mounts}
"""


class TwoNodes:
    """``source`` and ``target`` are the roots of ``mna`` and ``mnb``."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.source, self.target = base / "mna", base / "mnb"
        self.programs = base / "bin"
        self._link_down, self._mounts = base / "link-down", base / "mounts"
        for path in (self.source, self.target, self.programs):
            path.mkdir()
        self._mounts.touch()
        self._program("rsh", _RSH.format(link_down=self._link_down, root=self.target, home=base))
        self._program("mountpoint", _MOUNTPOINT.format(mounts=self._mounts))

    def spec(self, *paths: str, **fields: Any) -> SyncSpec:
        """A file set called ``things`` from mna to mnb."""
        return SyncSpec(
            name="things", paths=paths, source="mna", target="mnb", target_name="mnb", target_address="10.77.0.22",
            target_python=sys.executable, rsh=str(self.programs / "rsh"),
        )._replace(**fields)  # fmt: skip

    def check(self, spec: SyncSpec) -> str:
        """What the check says: ``HOLDS…``, ``FAILS…`` or ``UNKNOWN…``."""
        return self.run("check", spec, must_succeed=True).stdout.strip().splitlines()[-1]

    def push(self, spec: SyncSpec) -> str:
        """Sync; what it says of it."""
        return self.run("push", spec, must_succeed=True).stdout.strip().splitlines()[-1]

    def refusal(self, spec: SyncSpec) -> str:
        """Sync, which must fail; what it says of that."""
        done = self.run("push", spec)
        assert done.returncode == 1, done
        assert "\nstate: " in done.stderr, done.stderr
        assert "\nhint: " in done.stderr, done.stderr
        return done.stderr

    def run(self, verb: str, spec: SyncSpec, *, must_succeed: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the program of the node on the source."""
        done = subprocess.run(
            self.argv(verb, spec), env=self.environment, capture_output=True, text=True, errors="surrogateescape", check=False, timeout=120
        )
        if must_succeed:
            assert done.returncode == 0, done
        return done

    def argv(self, verb: str, spec: SyncSpec) -> list[str]:
        """The program of the node with its words."""
        return [sys.executable, "-m", "xcat_ha_drivers.rsync.node_side", verb, *to_words(spec)]

    @property
    def environment(self) -> Mapping[str, str]:
        """That of the source."""
        paths = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
        return {"PATH": f"{self.programs}:{os.environ['PATH']}", "XCAT_HA_ROOT": str(self.source), "PYTHONPATH": paths}

    def mount(self, path: str) -> None:
        """Make ``path`` a mount point on the source."""
        with self._mounts.open("a") as file:
            file.write(f"{path}\n")

    def cut(self) -> None:
        """No way from mna to mnb any more."""
        self._link_down.touch()

    def shadow(self, name: str, script: str) -> None:
        """Put a program before the real one of that name, on both nodes."""
        self._program(name, script)

    def _program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(script)
        path.chmod(0o755)


def write(path: Path, text: str = "x\n", mode: int = 0o644) -> Path:
    """A file with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def tree(root: Path) -> dict[str, str]:
    """Every path below ``root`` with what it is: content of files, target of links, ``/`` for directories."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found[name] = f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_bytes().decode("latin-1")
    return found
