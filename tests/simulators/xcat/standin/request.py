"""One request: what was asked, by whom, and where the answer goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from .cfgloc import Cfgloc
from .database import Database
from .settings import Pace

OUT = "o"
ERR = "e"
Sink = Callable[[str, str], None]


class CommandError(Exception):
    """The command ends here; everything there is to say has been said."""


@dataclasses.dataclass
class Request:
    command: str
    args: Sequence[str]
    database: Database
    sink: Sink
    host: str  # the name this node had when the daemon started
    cfgloc: Cfgloc
    bypass: bool = False
    stdin: str | None = None
    cwd: str = "/"
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pace: Pace = dataclasses.field(default_factory=Pace)
    others_running: Callable[[], bool] = lambda: False
    code: int = 0

    @property
    def tag(self) -> str:
        return "" if self.bypass else f"[{self.host}]: "

    def out(self, line: str = "") -> None:
        self.sink(OUT, line + "\n")

    def raw(self, text: str) -> None:
        self.sink(OUT, text)

    def err(self, line: str, code: int = 1) -> None:
        """A line on stderr, as it is."""
        self.sink(ERR, line + "\n")
        self.code |= code

    def error(self, text: str, code: int = 1) -> None:
        """An error message that ends nothing."""
        self.err(f"Error: {self.tag}{text}", code)

    def warning(self, text: str) -> None:
        self.err(f"Warning: {self.tag}{text}", 0)

    def node_error(self, node: str, text: str) -> None:
        self.err(f"{node}: {self.tag}Error: {text}")

    def stop(self, text: str, code: int = 1) -> CommandError:
        """`raise request.stop(...)`: an error that ends the command."""
        self.error(text, code)
        return CommandError(text)
