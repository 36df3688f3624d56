"""What is asked of the management node. Nothing here changes anything; the answers are understood in :mod:`xcat_ha.discovery.facts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xcat_ha.steps import Command, reads
from xcat_ha.xcat.commands import LSXCATD, XCAT_VERSION
from xcat_ha.xcat.services import UNIT_CANDIDATES
from xcat_ha.xcat.site import site_question
from xcat_ha.xcat.table_answers import table_question

TABLES = ("servicenode", "noderes", "osimage", "nimimage", "nodetype", "nodelist")

# The password stands behind the second "|" (facts: xCAT 1.1): of the line only these words leave the script.
_CFGLOC = """\
[ -e "$1" ] || { echo absent; exit 0; }
line=$(head -n 1 -- "$1") || exit 3
said() { printf '%s\\n' "$line" | sed -n "$1"; }
said 's/^\\([^:|]*\\):.*/engine=\\1/p'
said 's/^[^|]*[:;]host=\\([^;|]*\\).*/host=\\1/p'
said 's/^SQLite:\\([^|]*\\).*/directory=\\1/p'
[ -z "$(said '/^[^:|]*:/!p')" ] || echo colonless
echo end
"""
_SSHD_PORT = 'PATH=$PATH:/usr/sbin:/sbin; sshd -T | grep -i "^port "'


def first_questions() -> Mapping[str, Command]:
    """Asked in one exchange; name -> command."""
    units = tuple(f"{name}.service" for names in UNIT_CANDIDATES.values() for name in names)
    return {
        "system": reads("uname", "-s"),
        "release": reads("cat", "/etc/os-release"),
        "running-hostname": reads("uname", "-n"),
        "stored-hostname": reads("cat", "/etc/hostname"),
        "addresses": reads("ip", "-j", "address", "show"),
        "sshd": reads("sh", "-c", _SSHD_PORT),
        "units": reads("systemctl", "show", "-p", "Id,LoadState,ActiveState,UnitFileState", "--", *units),
        "site": site_question(),
        "xcatd": reads(LSXCATD, "-a", timeout_s=120),
        "package": reads("sh", "-c", XCAT_VERSION),
        "cfgloc": reads("sh", "-c", _CFGLOC, "sh", "/etc/xcat/cfgloc"),
        **{name: table_question(name) for name in TABLES},
    }


def questions_about(master: str, directories: Sequence[str]) -> Mapping[str, Command]:
    """Asked in a second exchange, once ``site.master`` (an address or a name) and xCAT's directories are known."""
    mounts = {f"mount {path}": reads("findmnt", "-n", "-o", "FSTYPE,SOURCE,TARGET", "-T", path) for path in directories}
    return {"names": names_question(master), **mounts} if master else mounts


def names_question(word: str) -> Command:
    """Names of an address, or of a name: ``hosts`` of nsswitch, ``/etc/hosts`` or DNS."""
    return reads("getent", "hosts", word, timeout_s=20)


def addresses_question(name: str) -> Command:
    """Addresses of a name, both families."""
    return reads("getent", "ahosts", name, timeout_s=20)
