"""The unit of the database server: started, restarted, and started at boot."""

from __future__ import annotations

import subprocess
from pathlib import Path

from xcat_ha_drivers.database.disk import write_durably
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import Layout
from xcat_ha_drivers.postgres.server import Server

START_TIMEOUT_S = 120.0
_AT_BOOT = frozenset({"enabled", "enabled-runtime", "generated", "static", "indirect", "alias"})


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
