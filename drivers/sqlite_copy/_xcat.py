"""What the node's xCAT says about its database, and whether somebody has it open.

Facts: xCAT resolves its database as ``XCATCFG``, else the first line of ``/etc/xcat/cfgloc``, else ``/opt/xcat/cfg`` if that directory
exists, else ``/etc/xcat``; a value without ``:`` is a directory of SQLite files (``Table.pm`` get_xcatcfg).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.sqlite_copy._disk import CopyError

CFGLOC = "/etc/xcat/cfgloc"
ENVIRONMENT_FILE = "/etc/sysconfig/xcat"
OLD_DIR = "/opt/xcat/cfg"
DEFAULT_DIR = "/etc/xcat"


def database_location() -> tuple[str, str]:
    """Engine and directory of this node's xCAT database (directory empty unless the engine is SQLite).

    Raises:
        CopyError: a file that says it is there and cannot be read.
    """
    value = _environment_setting() or _first_line(CFGLOC)
    if value:
        engine, colon, rest = value.partition(":")
        if not colon:
            return "SQLite", value
        return engine, rest.split("|")[0] if engine == "SQLite" else ""
    return "SQLite", OLD_DIR if rooted(OLD_DIR).is_dir() else DEFAULT_DIR


def _first_line(path: str) -> str:
    return _text(path).partition("\n")[0]


def _text(path: str) -> str:
    """Empty if there is no such file."""
    try:
        return rooted(path).read_text(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise CopyError(f"{path} cannot be read ({error.strerror})", hint="look at that file: it says which database xCAT uses") from error


def _environment_setting() -> str:
    lines = _text(ENVIRONMENT_FILE).splitlines()
    values = [line.strip().partition("=")[2].strip("\"'") for line in lines if line.strip().startswith("XCATCFG=")]
    return values[-1] if values else ""


def require_sqlite(xcat_dir: str) -> None:
    """Refuse unless xCAT keeps its database as SQLite files in ``xcat_dir``."""
    engine, directory = database_location()
    if engine != "SQLite":
        raise CopyError(
            f"{CFGLOC} names the database engine {engine!r}, not SQLite",
            hint=f"choose the replication driver for {engine} in the configuration, or correct {CFGLOC}",
        )
    if Path(os.path.normpath(directory)) != Path(os.path.normpath(xcat_dir)):
        raise CopyError(
            f"xCAT keeps its tables in {directory}, the configuration says {xcat_dir}",
            hint=f"set xcat_dir to {directory}",
        )


def wait_until_unused(xcat_dir: str, wait_s: float) -> None:
    """Refuse to replace table files that a process has open (a command with XCATBYPASS, a shell): its journal would hit the new file."""
    deadline = time.monotonic() + wait_s
    while user := _user_of(rooted(xcat_dir)):
        if time.monotonic() >= deadline:
            raise CopyError(f"a table file is in use: {user}", hint="end that process, then run it again")
        time.sleep(0.2)


def _user_of(directory: Path) -> str:
    real = str(directory.resolve()) + "/"
    proc = rooted("/proc")
    for process in proc.iterdir() if proc.is_dir() else ():
        if not process.name.isdigit() or process.name == str(os.getpid()):
            continue
        try:
            opened = [os.readlink(link) for link in (process / "fd").iterdir()]  # noqa: PTH115  # three times faster than Path.readlink
        except OSError:  # it has ended, or is not ours to see
            continue
        for target in opened:
            if target.startswith(real) and ".sqlite" in target:
                return f"process {process.name} has {target} open"
    return ""
