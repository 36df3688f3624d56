"""Puts the simulated AIX into the tree of a lab node, which becomes one of "AIX personality".

    install(root)                                   the commands, the boot unit, PATH for ssh
    provision(root, name, address, mask=, gateway=) the machine's own ODM: what it has at every boot

Both write files only: nothing is started.
"""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Sequence

from .machine import commands, inittab, odm, src

HERE = pathlib.Path(__file__).parent
BIN = "opt/aixsim/bin"
SEARCH_PATH = f"/{BIN}:/opt/xcat/bin:/opt/xcat/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Also at the places where AIX has them; only what Linux has no program of its own for, or none that its boot needs.
USR_SBIN = (
    *("mktcpip", "chdev", "mkdev", "rmdev", "lsdev", "lsattr", "ifconfig", "arp", "exportfs", "lsitab", "mkitab", "chitab", "rmitab"),
    *commands.FAMILIES["daemons"].split(),
    *("nim", "lsnim", "niminit", "nimconfig", "nim_master_setup", "lsvg", "varyonvg", "varyoffvg", "mvdir"),
)
USR_BIN = (
    *("odmget", "errpt", "startsrc", "stopsrc", "lssrc", "refresh", "mkssys", "chssys", "rmssys", "oslevel", "lslpp"),
    *("netstat", "hostname", "hostent", "host"),
)
METHODS = "usr/lpp/bos.sysmgt/nim/methods"
NIM_METHODS = ("m_mkspot", "m_backup_db", "m_restore_db")
# No commands of AIX's: parts of the simulator that run as processes of their own.
OWN = ("announce", "srcstop", "init")
# Beside the commands of the xCAT stand-in, whose lsdef is the real one.
XCATS = ("nimnodeset", "mkdsklsnode")

MASKED = ("networking.service", "named.service", "isc-dhcp-server.service", "conserver-server.service", "xcatd.service", "apache2.service")


def install(root: pathlib.Path) -> None:
    """Commands, boot unit, PATH."""
    target = root / "opt/aixsim/lib/machine"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(HERE / "machine", target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    folder = root / BIN
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "files/aixsim", folder / "aixsim")
    (folder / "aixsim").chmod(0o755)
    for name in commands.MODULES:
        if name not in (*OWN, "lsdef", "ping"):
            _link(folder / name, "aixsim")
    for place, names in (("usr/sbin", USR_SBIN), ("usr/bin", USR_BIN), (METHODS, NIM_METHODS), ("opt/xcat/sbin", XCATS)):
        (root / place).mkdir(parents=True, exist_ok=True)
        for name in names:
            _link(root / place / name, f"{'../' * len(pathlib.PurePath(place).parts)}{BIN}/{name}")
    _write(root, "etc/rc.tcpip", "#!/bin/sh\nstartsrc -s inetd\n")
    _write(root, "etc/rc.nfs", "#!/bin/sh\nstartsrc -g nfs\n")
    for name in ("rc.tcpip", "rc.nfs"):
        (root / "etc" / name).chmod(0o755)
    _boot_files(root)


def provision(
    root: pathlib.Path, name: str, address: str, *, mask: str, gateway: str = "", interface: str = "en1", interfaces: Sequence[str] = ()
) -> None:
    """The ODM of a machine with this name and address of its own, its inittab, and a hosts file if there is none.

    ``interfaces``: all it has, if there are more.
    """
    devices = odm.new_machine(name, sorted({interface, *interfaces}), interface, address, mask, gateway)
    _json(root, odm.DEVICES, devices)
    _json(root, odm.LEVELS, odm.LEVEL_DEFAULTS)
    _json(root, src.SUBSYSTEMS, src.standard([*src.STANDARD]))
    _write(root, inittab.PATH, inittab.STANDARD)
    if not (root / "etc/hosts").exists():
        _write(root, "etc/hosts", f"127.0.0.1\tloopback localhost\n{address}\t{name}\n")


def _boot_files(root: pathlib.Path) -> None:
    units = "etc/systemd/system"
    _write(root, f"{units}/aixsim-init.service", (HERE / "files/aixsim-init.service").read_text(encoding="ascii"))
    _link(_made(root / units / "multi-user.target.wants/aixsim-init.service"), f"/{units}/aixsim-init.service")
    for unit in MASKED:
        _link(root / units / unit, "/dev/null")
    _write(root, "etc/tmpfiles.d/aixsim.conf", "L /dev/console - - - - null\n")
    _write(root, "etc/ssh/sshd_config.d/aixsim.conf", f"SetEnv PATH={SEARCH_PATH}\n")
    _write(root, "etc/profile.d/aixsim.sh", f"export PATH={SEARCH_PATH}\n")
    _write(root, "etc/environment", f"PATH={SEARCH_PATH}\n")


def _json(root: pathlib.Path, path: str, data: object) -> None:
    _write(root, path, json.dumps(data, indent=1))


def _write(root: pathlib.Path, path: str, text: str) -> None:
    _made(root / path.lstrip("/")).write_text(text, encoding="utf-8")


def _made(place: pathlib.Path) -> pathlib.Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _link(place: pathlib.Path, to: str) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(to)
