"""Whether xcatd is at work on this node.

Facts: xcatd is known by its process titles; its pid file stays behind (xCAT 2.2).
"""

from __future__ import annotations

from pathlib import Path

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.database.errors import DatabaseError

XCATD_PORT = 3001
_LISTEN = "0A"


def sign_of_xcatd() -> str:
    """What shows that xcatd runs here; empty when nothing does.

    Raises:
        DatabaseError: the process table cannot be read, so nothing is known.
    """
    proc = rooted("/proc")
    if not proc.is_dir():
        if proc == Path("/proc"):
            raise DatabaseError("/proc is not there, so nobody knows whether xcatd runs", hint="mount /proc")
        return ""
    for entry in proc.iterdir():
        if entry.name.isdigit():
            words = _words(entry / "cmdline")
            if words.startswith((b"xcatd: ", b"xcatd SSL: ")) or b"/sbin/xcatd\0" in words:
                return f"process {entry.name} is {words.split(bytes(1))[0].decode(errors='replace')}"
    if any(_listens(proc / "net" / name) for name in ("tcp", "tcp6")):
        return f"something listens on TCP port {XCATD_PORT}"
    return ""


def _words(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended
        return b""


def _listens(path: Path) -> bool:
    for line in _words(path).decode().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == XCATD_PORT:
            return True
    return False


def refuse_if_xcatd_runs() -> None:
    """A database is never exchanged under a running xcatd.

    It would go on with the old files of SQLite and fail to write (facts: xCAT 1.2); to a server it is connected, and a database that
    somebody is connected to cannot be renamed (facts: More, seen).
    """
    if sign := sign_of_xcatd():
        raise DatabaseError(f"xcatd runs here ({sign})", hint="stop it: systemctl disable --now xcatd")
