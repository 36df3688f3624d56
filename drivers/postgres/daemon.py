"""Whether xcatd is at work on this node, and the unit of the database server.

Facts: xcatd is known by its process titles; its pid file stays behind (xCAT 2.2).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from xcat_ha_drivers.postgres.disk import rooted, write_durably
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import Layout
from xcat_ha_drivers.postgres.server import Server

XCATD_PORT = 3001
START_TIMEOUT_S = 120.0
_LISTEN = "0A"
_AT_BOOT = frozenset({"enabled", "enabled-runtime", "generated", "static", "indirect", "alias"})


def sign_of_xcatd() -> str:
    """What shows that xcatd runs here; empty when nothing does.

    Raises:
        PostgresError: the process table cannot be read, so nothing is known.
    """
    proc = rooted("/proc")
    if not proc.is_dir():
        if proc == Path("/proc"):
            raise PostgresError("/proc is not there, so nobody knows whether xcatd runs", hint="mount /proc")
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
    """A running xcatd is connected to the database: it cannot be renamed, and must not be exchanged under it (facts: More, seen)."""
    if sign := sign_of_xcatd():
        raise PostgresError(f"xcatd runs here ({sign})", hint="stop it: systemctl disable --now xcatd")


def why_not_at_boot(layout: Layout) -> str:
    """Why the server would not start when the node boots; empty when it would."""
    said = _systemctl("is-enabled", layout.unit).strip()
    if said in _AT_BOOT:
        return ""
    return f"{layout.unit} is {said or 'not known to systemd'}"


def start_at_boot(layout: Layout) -> None:
    """Make the server start at boot. Debian's units follow ``start.conf`` of each cluster."""
    start = Path(layout.config_file).with_name("start.conf")
    if layout.unit.startswith("postgresql@") and start.exists():
        write_durably(start, "auto\n", like=start.stat())
        _systemctl("enable", "postgresql.service")
        _systemctl("daemon-reload")
    else:
        _systemctl("enable", layout.unit)


def start(server: Server) -> None:
    """Start the server if it does not answer, and wait until it does.

    Raises:
        ServerDownError: it does not come up.
    """
    if not server.is_up():
        _systemctl("start", server.layout.unit)
        server.await_up(START_TIMEOUT_S)


def restart(server: Server) -> None:
    """Restart the server, and wait until it answers; connections are lost.

    Raises:
        ServerDownError: it does not come up.
    """
    _systemctl("restart", server.layout.unit)
    server.await_up(START_TIMEOUT_S)


def _systemctl(*words: str) -> str:
    """What it prints; whether it worked is read from the effect."""
    try:
        ended = subprocess.run(
            ("systemctl", *words), stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, timeout=START_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PostgresError(f"systemctl {words[0]} did not end ({error})", hint=f"try it: systemctl {' '.join(words)}") from error
    return ended.stdout
