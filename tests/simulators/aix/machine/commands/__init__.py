"""The commands, one module per family; a command's module is loaded when it is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import TextIO

from ..box import Box, Stop

# Module -> the commands in it: a function of the command's name, which returns the exit code or None for 0.
FAMILIES = {
    "devices": "chdev mkdev rmdev lsdev",
    "attributes": "lsattr odmget",
    "identity": "mktcpip hostname hostent host uname",
    "interfaces": "ifconfig netstat arp errpt ping announce",
    "subsystems": "startsrc stopsrc refresh lssrc mkssys chssys rmssys srcstop",
    "levels": "oslevel lslpp",
    "files": "exportfs mvdir crontab lsitab mkitab chitab rmitab telinit init systemctl",
    "nim": "nim lsnim niminit nimconfig nim_master_setup m_mkspot m_backup_db m_restore_db",
    "xcat": "nimnodeset mkdsklsnode lsdef",
    "daemons": "inetd xntpd snmpd nfsd rpc.mountd biod nimesis nimsh",
    "volumes": "lsvg varyonvg varyoffvg mount umount",
}
MODULES = {command: module for module, words in FAMILIES.items() for command in words.split()}


def run(
    name: str,
    words: Sequence[str],
    out: TextIO = sys.stdout,
    err: TextIO = sys.stderr,
    stdin: TextIO = sys.stdin,
) -> int:
    """Run one command of AIX's; its exit code."""
    if name not in MODULES:
        err.write(f"ksh: {name}: not found.\n")
        return 127
    module = importlib.import_module(f".{MODULES[name]}", __package__)
    try:
        code: int | None = getattr(module, name.replace(".", "_"))(Box(name, words, out, err, stdin))
    except Stop as stop:
        return stop.code
    return code or 0
