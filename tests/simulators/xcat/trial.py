"""The stand-in in a temporary root, without root's rights: for unit tests of it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

from .install import DATA
from .standin import cfgloc, commands, engine, net
from .standin.database import Database
from .standin.paths import ROOT_VARIABLE
from .standin.request import OUT, Request
from .standin.settings import Pace

HOSTS = "127.0.0.1 localhost\n10.77.0.11 mn1.lab.example mn1\n"


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


class Trial:
    """A tree with the sample site's database and what else the commands look at."""

    def __init__(self, root: pathlib.Path, *, nodes: bool = True) -> None:
        self.root = root
        self.add("etc/hosts", HOSTS)
        self.add("etc/hostname", "mn1\n")
        self.addresses("10.77.0.11/16")
        self.add("etc/xCATMN", "")
        (root / "etc/xcat").mkdir()
        for file in (DATA / "sqlite").glob("*.sqlite") if nodes else ():
            shutil.copyfile(file, root / "etc/xcat" / file.name)

    def add(self, name: str, text: str) -> None:
        """Write a file."""
        place = self.root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.root / name).read_text()

    def addresses(self, *own: str, interface: str = "en1") -> None:
        """What `ip addr` shows, in this order."""
        lines = ["1: lo: <LOOPBACK,UP>", "    inet 127.0.0.1/8 scope host lo"]
        lines += [f"2: {interface}@if3: <BROADCAST,UP>"]
        lines += [f"    inet {a} scope global {interface}" for a in own]
        self.add(net.ADDR_FILE.lstrip("/"), "\n".join(lines) + "\n")

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The stand-in's paths lead below this root."""
        with mock.patch.dict(os.environ, {ROOT_VARIABLE: str(self.root)}):
            yield

    def run(self, *words: str, stdin: str | None = None, bypass: bool = False, busy: bool = False) -> Answer:
        """Serve a command as the daemon does, in this process and at once."""
        said: dict[str, str] = {}

        def sink(kind: str, text: str) -> None:
            said[kind] = said.get(kind, "") + text

        with self.inside():
            where = cfgloc.resolve()
            request = Request(
                command=words[0],
                args=words[1:],
                database=Database(engine.open_engine(where)),
                sink=sink,
                host="mn1",
                cfgloc=where,
                bypass=bypass,
                stdin=stdin,
                pace=Pace(scale=0),
                others_running=lambda: busy,
            )
            code = commands.run(request)
        return Answer(code, said.get(OUT, ""), said.get("e", ""))
