"""/etc/xcat/cfgloc: which database this node uses."""

from __future__ import annotations

import dataclasses
import os

from . import paths

PATH = "/etc/xcat/cfgloc"


@dataclasses.dataclass(frozen=True)
class Cfgloc:
    text: str = dataclasses.field(repr=False)  # the line, without its newline; it holds the password

    @property
    def engine(self) -> str:
        return self.text.partition(":")[0] if ":" in self.text else "SQLite"

    @property
    def connect(self) -> str:
        return self.text.split("|")[0].partition(":")[2] or self.text.split("|")[0]

    @property
    def user(self) -> str:
        return [*self.text.split("|"), ""][1]

    @property
    def password(self) -> str:
        return [*self.text.split("|", 2), "", ""][2]

    @property
    def directory(self) -> str:
        """The directory of the table files (SQLite only)."""
        return self.connect

    def describe(self) -> list[str]:
        """What `lsxcatd -d` prints; never the password."""
        if self.engine == "SQLite":
            return ["dbengine=SQLite"]
        lines = [f"cfgloc={self.engine}:{self.connect}|{self.user}", f"dbengine={self.engine}"]
        if self.engine == "DB2":
            name = self.connect
            return [*lines, f"dbinstance={name}", f"dbname={name}", "dbloc=/var/lib/db2"]
        parts = dict(p.partition("=")[::2] for p in self.connect.split(";"))
        lines += [f"dbname={parts.get('dbname', '')}", f"dbhost={parts.get('host', '')}"]
        return [*lines, f"dbadmin={self.user}"]


def resolve() -> Cfgloc:
    """Environment, file, /opt/xcat/cfg, /etc/xcat: the first that is there."""
    text = os.environ.get("XCATCFG", "")
    if not text:
        try:
            lines = paths.at(PATH).read_text().split("\n")
            text = lines[0]
        except OSError:
            text = ""
    if not text:
        text = "SQLite:/opt/xcat/cfg" if paths.at("/opt/xcat/cfg").is_dir() else "SQLite:/etc/xcat"
    return Cfgloc(text if ":" in text else "SQLite:" + text)
