"""What an instance and its databases have on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from . import cfg, paths
from .log import ORIGIN, LogStream, Position
from .messages import SqlError

STANDARD, PRIMARY, STANDBY = "STANDARD", "PRIMARY", "STANDBY"
VERSIONS = {"97": "9.7.2", "11": "11.5.9"}


def write_json(path: pathlib.Path, value: Any) -> None:
    """All or nothing, and on disk."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@dataclasses.dataclass
class State:
    """A database's own control file."""

    name: str
    seed: str
    role: str = STANDARD
    rollforward: str = "NO"  # NO, DATABASE
    backup_pending: bool = False
    restoring: bool = False  # a restore that did not end
    must_recover: bool = False  # given up as primary in disconnected peer
    online_end: int = 0  # an online backup is whole from this LSN on
    worked: bool = False  # ROLLFORWARD ran, but not to its end
    cfg: cfg.Config = dataclasses.field(default_factory=lambda: dict(cfg.DEFAULTS))

    @property
    def pending(self) -> bool:
        return self.rollforward != "NO"

    @property
    def circular(self) -> bool:
        return self.cfg["LOGARCHMETH1"] == "OFF"


class Folder:
    """A database's directory."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.rows = place / "rows.sqlite"
        self.log = place / "log"

    def read(self) -> State:
        return State(**json.loads((self.place / "state.json").read_text()))

    def write(self, state: State) -> None:
        write_json(self.place / "state.json", dataclasses.asdict(state))

    def create(self, state: State, base: Position) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        LogStream.create(self.log, base)
        self.rows.unlink(missing_ok=True)
        self.write(state)


class Instance:
    """~/sqllib and the databases of one instance."""

    def __init__(self, name: str, home: pathlib.Path) -> None:
        self.name = name
        self.home = home
        self.sqllib = home / "sqllib"
        self.run = self.sqllib / "sim"
        found = json.loads((self.sqllib / "instance.json").read_text())
        self.flavour: str = found["flavour"]

    @staticmethod
    def of_environment() -> Instance:
        """The instance that DB2INSTANCE names. Raises SQL1390C."""
        name = os.environ.get("DB2INSTANCE", "")
        return Instance.named(name)

    @staticmethod
    def named(name: str) -> Instance:
        home = paths.home_of(name) if name else None
        if home is None or not (home / "sqllib/instance.json").is_file():
            raise SqlError("SQL1390C")
        return Instance(name, home)

    @property
    def server(self) -> str:
        return f"DB2/LINUXX8664 {VERSIONS[self.flavour]}"

    @property
    def ipc(self) -> pathlib.Path:
        return self.run / "ipc"

    def setting(self, name: str) -> str:
        """A database manager parameter."""
        return str(self.settings().get(name, ""))

    def settings(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.sqllib / "instance.json").read_text())["dbm"]
        return found

    def change_setting(self, name: str, value: str) -> None:
        whole = json.loads((self.sqllib / "instance.json").read_text())
        whole["dbm"][name] = value
        write_json(self.sqllib / "instance.json", whole)

    def registry(self) -> dict[str, str]:
        """The instance's registry variables (db2set)."""
        try:
            lines = (self.sqllib / "profile.env").read_text().splitlines()
        except OSError:
            return {}
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def directory(self) -> dict[str, dict[str, str]]:
        """The database directory: alias -> entry."""
        try:
            found: dict[str, dict[str, str]] = json.loads((self.sqllib / "sqldbdir.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def write_directory(self, entries: dict[str, dict[str, str]]) -> None:
        write_json(self.sqllib / "sqldbdir.json", entries)

    def entry(self, alias: str) -> dict[str, str]:
        entries = self.directory()
        if alias.upper() not in entries:
            raise SqlError("SQL1013N", db=alias.upper())
        return entries[alias.upper()]

    def folder_of(self, alias: str) -> Folder:
        return Folder(self.home / self.name / "NODE0000" / alias.upper())

    def folder(self, alias: str) -> Folder:
        """The directory of a database that is catalogued. Raises SQL1013N."""
        self.entry(alias)
        return self.folder_of(alias)

    def catalogue(self, alias: str) -> None:
        entries = self.directory()
        entries.setdefault(alias.upper(), {"name": alias.upper(), "path": "/" + str(self.home.relative_to(paths.root()))})
        self.write_directory(entries)

    def create_database(self, name: str) -> None:
        if name.upper() in self.directory():
            raise SqlError("SQL1005N", db=name.upper())
        seed = os.urandom(8).hex()
        self.folder_of(name).create(State(name.upper(), seed), Position(ORIGIN, seed))
        self.catalogue(name)

    def diag(self, database: str, message: str) -> None:
        """A line of db2diag.log."""
        folder = self.sqllib / "db2dump"
        now = time.strftime("%Y-%m-%d-%H.%M.%S")
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            with (folder / "db2diag.log").open("a") as file:
                file.write(f"{now} PID {os.getpid()} INSTANCE: {self.name} DB: {database}\nMESSAGE : {message}\n\n")

    @contextlib.contextmanager
    def starting_or_stopping(self) -> Iterator[None]:
        """Only one at a time. Raises SQL6036N."""
        with (self.run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise SqlError("SQL6036N") from error
            yield
