"""What is remembered about a running lab between processes, as files below its run directory."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .process import ProcessId
from .settings import Settings


@dataclass(frozen=True)
class LabState:
    """The facts that make a lab: its shape, and the trees its nodes are made of, top first."""

    shape: str
    trees: tuple[Path, ...]

    def save(self, settings: Settings) -> None:
        """Write it down; from now on the lab exists."""
        path = _lab_file(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"shape": self.shape, "trees": [str(t) for t in self.trees]}))
        new.replace(path)

    @classmethod
    def load(cls, settings: Settings) -> LabState | None:
        """The state of the lab of these settings, None if there is no such lab."""
        return _read(_lab_file(settings))


def forget(settings: Settings) -> None:
    """Remove the run-time state of a lab."""
    shutil.rmtree(settings.lab_run_dir, ignore_errors=True)


def trees_in_use(run_dir: Path) -> set[Path]:
    """Every tree some lab on this machine is made of."""
    states = (_read(path) for path in run_dir.glob("*/lab.json"))
    return {tree for state in states if state for tree in state.trees}


@dataclass(frozen=True)
class NodeFiles:
    """The run-time files of one node."""

    directory: Path

    @property
    def init(self) -> Path:
        """The line of /proc of the node's process 1, written by itself."""
        return self.directory / "init.stat"

    @property
    def supervisor(self) -> Path:
        """The line of /proc of the process that watches the node."""
        return self.directory / "supervisor.stat"

    @property
    def on(self) -> Path:
        """Exists while the node has power: a reboot from inside is followed by a boot."""
        return self.directory / "on"

    @property
    def cut(self) -> Path:
        """Exists while the node's cable is unplugged."""
        return self.directory / "cut"

    @property
    def apart(self) -> Path:
        """Exists while the node cannot reach the other nodes, only the observer."""
        return self.directory / "apart"

    @property
    def log(self) -> Path:
        """What the supervisor and the node's process 1 print."""
        return self.directory / "console.log"

    def read_process(self, path: Path) -> ProcessId | None:
        """The living process whose line of /proc is in ``path``, None if there is none."""
        try:
            process = ProcessId.from_stat(path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return process if process.alive else None


def _lab_file(settings: Settings) -> Path:
    return settings.lab_run_dir / "lab.json"


def _read(path: Path) -> LabState | None:
    try:
        data = json.loads(path.read_text())
        return LabState(str(data["shape"]), tuple(Path(tree) for tree in data["trees"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise LabError(f"{path} is damaged", "python3 -m tests.lab down") from None
