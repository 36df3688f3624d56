"""Where the lab keeps its things, and whether this machine can run it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import LabError

ROOT_VARIABLE: Final = "XCAT_HA_LAB_ROOT"
NAME_VARIABLE: Final = "XCAT_HA_LAB_NAME"
MIRROR_VARIABLE: Final = "XCAT_HA_LAB_MIRROR"

# Command -> Debian package.  curl, gpg and the like are debootstrap's own dependencies.
_NEEDED: Final = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "pivot_root": "util-linux",
}
_NEEDED_TO_BUILD: Final = {"debootstrap": "debootstrap", "setpriv": "util-linux"}


@dataclass(frozen=True)
class Settings:
    """The places of one lab.

    ``root`` holds what is kept (base tree, layers, the disks of the nodes) and must not lie on an
    overlay file system; ``run_dir`` holds what ends with the machine (process ids, flags, logs);
    ``keep_s``: how long, in seconds, an outdated tree is kept after its last use.
    """

    root: Path
    run_dir: Path
    name: str
    keep_s: float = 3 * 3600.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the XCAT_HA_LAB_* variables; LabError if the lab's name cannot be used."""
        env = os.environ if environ is None else environ
        name = env.get(NAME_VARIABLE, "xha")
        # The name is part of network interface names, which are 15 characters at most.
        if not re.fullmatch(r"[a-z][a-z0-9]{0,7}", name):
            raise LabError(
                f"{NAME_VARIABLE}={name!r} cannot be a lab's name",
                "1 to 8 lower-case letters and digits, beginning with a letter",
            )
        root = Path(env.get(ROOT_VARIABLE, "/var/cache/xcat-ha-lab"))
        if not root.is_absolute() or re.search(r"[:,\\\s]", str(root)):
            raise LabError(
                f"{ROOT_VARIABLE}={str(root)!r} cannot be used",
                "an absolute path without colon, comma, backslash or white space",
            )
        return cls(root=root, run_dir=Path("/run/xcat-ha-lab"), name=name)

    @property
    def lab_run_dir(self) -> Path:
        """Run-time state of this lab."""
        return self.run_dir / self.name

    @property
    def lab_disks(self) -> Path:
        """The disks of this lab's nodes."""
        return self.root / "labs" / self.name


def require_root() -> None:
    """LabError unless this process may do anything."""
    if os.geteuid() != 0:
        raise LabError(
            "the lab needs root: it makes namespaces, mounts and network interfaces",
            "run the same command as root",
        )


def require_tools(*, to_build: bool = False) -> None:
    """LabError, naming every missing command and its package, unless all are there."""
    needed = {**_NEEDED, **(_NEEDED_TO_BUILD if to_build else {})}
    missing = {tool: package for tool, package in needed.items() if not shutil.which(tool)}
    if missing:
        raise LabError(
            f"this machine lacks: {', '.join(sorted(missing))}",
            f"apt-get install {' '.join(sorted(set(missing.values())))}",
        )
