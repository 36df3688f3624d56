"""What xcatd starts beside itself on a management node: TFTP, and DHCP on Debian.

Neither belongs to it afterwards: in.tftpd goes on when xcatd stops.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time

from .. import net, paths, services
from ..database import Database

TFTPD = "/usr/sbin/in.tftpd"
TFTPD_WORDS = [TFTPD, "-v", "-l", "-s", "/tftpboot", "-m", "/etc/tftpmapfile4xcat.conf"]
TFTP_MAP = "/etc/tftpmapfile4xcat.conf"


def take_up(database: Database, environment: dict[str, str]) -> None:
    if environment.get("XCATBYPASS") or environment.get("XCATRELOAD"):
        return
    if not paths.at("/etc/xCATMN").exists() or not paths.is_whole_machine():
        return
    wanted = _servicenode_row(database)
    if wanted.get("tftpserver", "1") in ("1", "yes"):
        restart_tftpd()
    if wanted.get("dhcpserver", "1") in ("1", "yes"):
        services.start("dhcp")


def _servicenode_row(database: Database) -> dict[str, str]:
    """The row of whoever has a name or address of this host; {}: no row, all roles."""
    for row in database.rows("servicenode"):
        name = row["node"] or ""
        if name == net.short_hostname() or net.is_mine(name):
            return {k: v or "0" for k, v in row.items()}
    return {}


def running_tftpds() -> list[int]:
    found = []
    for place in pathlib.Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                if (place / "comm").read_text().strip() == "in.tftpd":
                    found.append(int(place.name))
            except OSError:
                continue
    return found


def restart_tftpd() -> None:
    for pid in running_tftpds():
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
    for _ in range(20):
        if not running_tftpds():
            break
        time.sleep(0.05)
    if not pathlib.Path(TFTPD).exists():
        return
    if not paths.at(TFTP_MAP).exists():
        paths.at(TFTP_MAP).write_text("rg (\\\\) \\/")
    subprocess.run(TFTPD_WORDS, stdin=subprocess.DEVNULL, check=False)
