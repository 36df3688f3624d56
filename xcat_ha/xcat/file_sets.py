"""The file sets of every xCAT pair (facts: xCAT 3.1 to 3.3).

What services read (dhcpd.conf, named.conf, conserver.cf, exports …) is in none of them: xCAT makes it anew on the new primary.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from xcat_ha.errors import ConfigError
from xcat_ha.models import FileSet

CONSERVER_CREDENTIALS = "/home/conserver/.xcat"

_NEVER = ("authorized_keys", "*.sqlite", "*.sqlite-journal", "*-journal", "*.lock", "console.lock", "ha_mn", "genesis-*-updated")
"""Each node's own, or alive: keys that let people in, the database, locks and marks."""

_LOOPBACK_LINES = (r"^\s*127\.", r"^\s*::1\s")
"""``127.0.1.1 mnb`` and the like: every node calls itself by its own name."""


def standard_file_sets(
    *, installdir: str, tftpdir: str, xcat_dir: str = "/etc/xcat", root_home: str = "/root", cfgloc_stays_valid: bool
) -> tuple[FileSet, ...]:
    """``credentials``, ``install``, ``tftp`` and ``hosts``.

    Args:
        installdir: ``site.installdir``.
        tftpdir: ``site.tftpdir``.
        xcat_dir: where xCAT's keys are.
        root_home: home directory of root.
        cfgloc_stays_valid: whether the database host named in ``cfgloc`` is right on the other node as well; else cfgloc is not copied.

    Raises:
        ConfigError: one of the directories is no absolute path, or is ``/``.
    """
    for name, path in (("installdir", installdir), ("tftpdir", tftpdir), ("xcat_dir", xcat_dir), ("root_home", root_home)):
        pure = PurePosixPath(path)
        if not pure.is_absolute() or len(pure.parts) < 2 or ".." in pure.parts:
            raise ConfigError(f"{name} is {path!r}, which is no usable directory", hint="set it in xCAT's site table to an absolute path")
    install, tftp = installdir.rstrip("/"), tftpdir.rstrip("/")
    return (
        FileSet(
            name="credentials",
            paths=(
                *(f"{xcat_dir}/{name}" for name in ("ca", "cert", "hostkeys", "sshkeys", "ddns.key")),
                *((f"{xcat_dir}/cfgloc*",) if cfgloc_stays_valid else ()),
                f"{root_home}/.xcat",
                f"{root_home}/.ssh/id_*",
                CONSERVER_CREDENTIALS,
            ),
            excludes=_NEVER,
        ),
        # Owners in root images are those of the image, not of the management node.
        FileSet(name="install", paths=(install,), excludes=(f"{install}/lost+found",), numeric_ids=True),
        FileSet(name="tftp", paths=(tftp,), excludes=(f"{tftp}/lost+found",)),
        FileSet(name="hosts", paths=("/etc/hosts", "/etc/resolv.conf"), keep_lines=_LOOPBACK_LINES),
    )
