"""Program of the driver ``linux-images`` on the node: ``python3 -m xcat_ha_drivers.linux_images.node_side VERB …``.

``look`` prints what there is as JSON; ``noted``, ``replayed``, ``genesis``, ``exported`` and ``withdrawn`` print a verdict; ``note`` and
``replay`` change something. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from xcat_ha_drivers.linux_images import nfs, pending
from xcat_ha_drivers.linux_images.look import everything, image_files, images, read_note, remove_note, write_note
from xcat_ha_drivers.linux_images.tables import TablesError, read_site, read_tables, rooted

_GENESIS = "/opt/xcat/share/xcat/netboot/genesis"
_SHOWN = 5


def _look(_given: argparse.Namespace) -> int:
    try:
        data = everything(read_tables())
    except (TablesError, OSError) as error:
        data = {"unknown": str(error)}
    print(json.dumps(data))
    return 0


def _current() -> list[dict[str, Any]]:
    tables = read_tables()
    return images(tables, image_files(tables))


def _note(given: argparse.Namespace) -> int:
    try:
        content = _current()
    except TablesError as error:
        print(f"xcat-ha: what the images are cannot be told, so there is no note: {error}", file=sys.stderr)
        remove_note(given.installdir)
        return 0
    write_note(given.installdir, content)
    return 0


def _noted(given: argparse.Namespace) -> int:
    note = read_note(given.installdir)
    try:
        content = _current()
    except TablesError as error:
        if note is not None:
            return _verdict("the note is an old one")
        print(f"HOLDS: there is no note, because what the images are cannot be told: {error}")
        return 0
    same = note is not None and note.get("images") == content
    return _verdict("" if same else "the note is not what the images are now")


def _replay(given: argparse.Namespace) -> int:
    try:
        pending.replay(given.image, given.nodes.split(","))
    except pending.NotSetError as error:
        print(f"xcat-ha: {error}", file=sys.stderr)
        return 1
    return 0


def _replayed(given: argparse.Namespace) -> int:
    wrong = pending.not_replayed(given.image, given.nodes.split(","))
    return _verdict("; ".join(f"{name}: {why}" for name, why in list(wrong.items())[:_SHOWN]))


def _genesis(given: argparse.Namespace) -> int:
    """The discovery image is there, or its package is not installed, so that there is nothing to make."""
    if not rooted(f"{_GENESIS}/{given.arch}").is_dir():
        print("HOLDS: no package of a discovery image for it is installed")
        return 0
    folder = rooted(f"{(read_site().get('tftpdir') or '/tftpboot').rstrip('/')}/xcat")
    made = [file for file in folder.glob(f"genesis.fs.{given.arch}.*") if file.stat().st_size] if folder.is_dir() else []
    return _verdict("" if made else f"{folder} has no genesis.fs.{given.arch}.*")


def _exported(_given: argparse.Namespace) -> int:
    """Every directory that is configured and exists is exported."""
    if not nfs.is_server():
        print("HOLDS: no NFS server is installed")
        return 0
    exported = nfs.exported()
    missing = [path for path in nfs.configured() if path not in exported and rooted(path).is_dir()]
    return _verdict(f"not exported: {', '.join(missing)}" if missing else "")


def _withdrawn(_given: argparse.Namespace) -> int:
    left = nfs.exported()
    return _verdict(f"still exported: {', '.join(left)}" if left else "")


def _verdict(trouble: str) -> int:
    print(f"FAILS: {trouble}" if trouble else "HOLDS")
    return 0


_VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "look": _look,
    "note": _note,
    "noted": _noted,
    "replay": _replay,
    "replayed": _replayed,
    "genesis": _genesis,
    "exported": _exported,
    "withdrawn": _withdrawn,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; what cannot be known is UNKNOWN."""
    parser = argparse.ArgumentParser(prog="xcat_ha_drivers.linux_images.node_side", description=__doc__)
    words = parser.add_subparsers(dest="verb", required=True)
    for name in _VERBS:
        word = words.add_parser(name)
        if name in {"replay", "replayed"}:
            word.add_argument("image")
            word.add_argument("nodes", help="names, separated by commas")
        if name in {"note", "noted"}:
            word.add_argument("installdir")
        if name == "genesis":
            word.add_argument("arch")
    given = parser.parse_args(argv)
    os.umask(0o077)
    try:
        return _VERBS[given.verb](given)
    except (TablesError, OSError) as error:
        if given.verb in {"note", "replay"}:
            sys.exit(f"xcat-ha: {given.verb}: {error}")
        print(f"UNKNOWN: {error}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
