"""Generated files that name a host: boot files, kickstarts, the DHCP configuration. Standard library only.

Reading is bounded: so many files, so much of each, text only. What was not read is said, and is not "fine".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from xcat_ha.xcat.pointing import DHCP_FILES, GENERATED, NETS
from xcat_ha.xcat.tables import ROOT
from xcat_ha.xcat.words import around, found_word

MOST_FILES = 100_000
MOST_BYTES = 262_144
_SNIFFED_BYTES = 1024
_SUFFIXES = (".uefi", ".elilo", ".pxelinux", ".pre", ".post", ".partfile", ".conf", ".ipl")
_PREFIXES = ("mypostscript.", "grub2-")


class Found(NamedTuple):
    """A file that names one of the words.

    Attributes:
        path: absolute path on the node.
        kind: ``nodeset``, ``mknb`` or ``dhcp``: what writes it.
        line: number of the first line with a word.
        text: the part of that line around the word.
        word: the word.
        names: names of the file, which may be one of several hard links.
    """

    path: str
    kind: str
    line: int
    text: str
    word: str
    names: tuple[str, ...]


class Look(NamedTuple):
    """All files that name a word, and what could not be read: place -> why."""

    found: tuple[Found, ...]
    troubles: Mapping[str, str]


def look(pattern: re.Pattern[str], tftpdir: str, installdir: str, *, dhcp: bool) -> Look:
    """Read all generated files; with ``dhcp`` the configuration of the DHCP server too."""
    troubles: dict[str, str] = {}
    files: dict[tuple[int, int], tuple[Path, str, list[str]]] = {}
    number = 0
    for directory, kind in _directories(tftpdir, installdir):
        for path in _files(directory, troubles):
            number += 1
            if number > MOST_FILES:
                troubles[f"/{directory.relative_to(ROOT)}"] = f"more than {MOST_FILES} files; not all were read"
                break
            status = path.stat(follow_symlinks=False)
            _, _, names = files.setdefault((status.st_dev, status.st_ino), (path, kind, []))
            names.append(path.name)
    servers = [path for name in DHCP_FILES if dhcp and (path := ROOT / name).is_file()]
    wanted = [*files.values(), *((path, "dhcp", [path.name]) for path in servers)]
    found = [one for path, kind, names in wanted if (one := _first(path, kind, tuple(sorted(names)), pattern, troubles))]
    return Look(tuple(sorted(found)), troubles)


def _directories(tftpdir: str, installdir: str) -> Iterator[tuple[Path, str]]:
    for name in GENERATED:
        yield ROOT / tftpdir.strip("/") / name, "mknb" if name == NETS else "nodeset"
    yield ROOT / installdir.strip("/") / "autoinst", "nodeset"


def _files(directory: Path, troubles: dict[str, str]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        troubles[f"/{directory.relative_to(ROOT)}"] = str(error.strerror)
        return
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            yield directory / entry.name


def _first(path: Path, kind: str, names: tuple[str, ...], pattern: re.Pattern[str], troubles: dict[str, str]) -> Found | None:
    shown = f"/{path.relative_to(ROOT)}"
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None  # nodeset of somebody else has just taken it away
    except OSError as error:
        troubles[shown] = str(error.strerror)
        return None
    if b"\0" in data[:_SNIFFED_BYTES]:
        return None
    for number, line in enumerate(data[:MOST_BYTES].decode("utf-8", "replace").splitlines(), start=1):
        word = None if line.lstrip().startswith("#") else pattern.search(line)
        if word:
            return Found(shown, kind, number, around(line, *word.span()), found_word(word.group()), names)
    if len(data) > MOST_BYTES:
        troubles[shown] = f"only its first {MOST_BYTES} bytes were read"
    return None


def node_of(names: tuple[str, ...], nodes: frozenset[str]) -> str:
    """The xCAT node that a generated file is for; empty if none."""
    for name in names:
        for prefix in ("", *_PREFIXES):
            for suffix in ("", *_SUFFIXES):
                bare = name.removeprefix(prefix).removesuffix(suffix)
                if bare in nodes:
                    return bare
    return ""
