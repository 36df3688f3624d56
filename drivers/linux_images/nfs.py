"""What this node exports over NFS and who has it mounted. Standard library only.

Sources: exportfs(8), exports(5), and nfsd(7): ``/var/lib/nfs/etab`` is the table of exports in effect, ``/var/lib/nfs/rmtab`` remembers who
mounted with version 3 (and may remember clients that are gone), ``/proc/fs/nfsd/clients`` shows clients of version 4.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from typing import NamedTuple

from xcat_ha_drivers.linux_images.tables import rooted

ETAB = "/var/lib/nfs/etab"
RMTAB = "/var/lib/nfs/rmtab"
CLIENTS = "/proc/fs/nfsd/clients"
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mounted(NamedTuple):
    """A client, and the directory where the server tells."""

    client: str
    path: str


def is_server() -> bool:
    """Whether the programs of an NFS server are installed."""
    return any(rooted(f"{folder}/exportfs").exists() for folder in ("/usr/sbin", "/sbin")) or shutil.which("exportfs") is not None


def exported() -> list[str]:
    """Directories that are exported now.

    Raises:
        OSError: the table is there and cannot be read.
    """
    return _directories(_text(ETAB))


def configured() -> list[str]:
    """Directories that ``/etc/exports`` and ``/etc/exports.d/*.exports`` name. Errors as :func:`exported`."""
    texts = [_text("/etc/exports")]
    with suppress(FileNotFoundError):  # most nodes have no such directory
        texts += [_text(f"/etc/exports.d/{file.name}") for file in rooted("/etc/exports.d").iterdir() if file.name.endswith(".exports")]
    return sorted({directory for text in texts for directory in _directories(text)})


def _directories(text: str) -> list[str]:
    """First words of the lines, with quotes and octal blanks resolved."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = re.match(r'\s*(?:"([^"]+)"|(\S+))', line)
        name = (words.group(1) or words.group(2)) if words else ""
        if name.startswith("/"):
            found.append(_OCTAL.sub(lambda octal: chr(int(octal.group(1), 8)), name))
    return sorted(set(found))


def mounts() -> list[Mounted]:
    """Who has something mounted.

    Raises:
        OSError: a table is there and cannot be read.
    """
    found = {Mounted(client, path) for client, path in _rmtab()}
    for text in _client_infos():
        address = re.search(r'^address:\s*"?([^"\n]+?)"?\s*$', text, re.MULTILINE)
        name = re.search(r'^name:\s*"?([^"\n]*?)"?\s*$', text, re.MULTILINE)
        if address:
            words = name.group(1).split() if name else []
            found.add(Mounted(f"{_without_port(address.group(1))}" + (f" ({words[-1]})" if words else ""), ""))
    return sorted(found)


def _client_infos() -> list[str]:
    infos: list[str] = []
    with suppress(FileNotFoundError):  # older kernels do not tell
        for entry in rooted(CLIENTS).iterdir():
            with suppress(OSError):  # the client has just gone
                infos.append(_text(f"{CLIENTS}/{entry.name}/info"))
    return infos


def _rmtab() -> list[tuple[str, str]]:
    """``client:path:0x00000001`` lines; a count of zero means unmounted."""
    found = []
    for line in _text(RMTAB).splitlines():
        parts = re.fullmatch(r"(.+?):(/.*):0x([0-9a-fA-F]+)", line.strip())
        if parts and int(parts.group(3), 16):
            found.append((parts.group(1), parts.group(2)))
    return found


def _without_port(address: str) -> str:
    """``10.77.1.5:893`` and ``[fd77::5]:893`` without the port."""
    found = re.fullmatch(r"\[(.+)\]:\d+|([\d.]+):\d+", address)
    return (found.group(1) or found.group(2)) if found else address


def _text(path: str) -> str:
    """Empty if there is no such file. One that cannot be read raises: what is not known is not "nothing"."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return rooted(path).read_text(encoding="utf-8", errors="replace")
    return ""
