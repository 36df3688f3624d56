"""The simulated AIX in a temporary root, without root's rights: for unit tests of it, and of what is written for AIX.

aix = Trial(tmp_path)               aixmn1, 9.114.47.103/26 on en1, gateway 9.114.47.126
aix.run("lsattr", "-E", "-l", "en1", "-a", "netaddr", "-F", "value")
aix.programs()                      a folder of real programs for PATH; they need aix.environment
aix.reboot()
"""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

from . import install
from .machine import boot, commands, kernel
from .machine.paths import ROOT_VARIABLE
from .machine.store import Store


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


class Trial:
    """An AIX machine below a folder."""

    def __init__(self, root: pathlib.Path, name: str = "aixmn1", address: str = "9.114.47.103") -> None:
        self.root = root
        install.provision(root, name, address, mask="255.255.255.192", gateway="9.114.47.126", interfaces=("en0", "en1"))
        self.reboot()

    @property
    def environment(self) -> dict[str, str]:
        """What a program started for this machine needs in its environment."""
        return {ROOT_VARIABLE: str(self.root), "PATH": f"{self.root}/opt/aixsim/bin:/usr/bin:/bin"}

    def programs(self) -> pathlib.Path:
        """Install the commands as programs below the root, at AIX's places too; the folder that has them all."""
        install.install(self.root)
        folder = self.root / "opt/aixsim/bin"
        for name in ("lsdef", "ping"):
            (folder / name).symlink_to("aixsim")
        return folder

    @contextlib.contextmanager
    def inside(self, **settings: str) -> Iterator[None]:
        """The simulator's paths lead below this root; settings are AIXSIM_... variables."""
        extra = {f"AIXSIM_{name.upper()}": value for name, value in settings.items()}
        with mock.patch.dict(os.environ, {ROOT_VARIABLE: str(self.root), "AIXSIM_TIME_SCALE": "0", **extra}):
            yield

    def run(self, *words: str, stdin: str = "", **settings: str) -> Answer:
        """Run one command in this process."""
        out, err = io.StringIO(), io.StringIO()
        with self.inside(**settings):
            code = commands.run(pathlib.PurePath(words[0]).name, words[1:], out, err, io.StringIO(stdin))
        return Answer(code, out.getvalue(), err.getvalue())

    def ok(self, *words: str, stdin: str = "", **settings: str) -> str:
        """Run one command that has to succeed; what it printed."""
        done = self.run(*words, stdin=stdin, **settings)
        assert done.code == 0, f"{words}: {done}"
        return done.out

    def reboot(self) -> None:
        """Lose what runs, and boot from what is stored."""
        shutil.rmtree(self.root / "run/aixsim", ignore_errors=True)
        with self.inside():
            boot.configure()

    def neighbour(self, address: str, mac: str = "6e:87:70:00:40:03") -> None:
        """Another machine of the segment has this address."""
        with self.inside(), Store(kernel.SEGMENT).change() as segment:
            segment[address] = mac

    def add(self, name: str, text: str = "") -> None:
        """Write a file."""
        place = self.root / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.root / name.lstrip("/")).read_text(encoding="utf-8")
