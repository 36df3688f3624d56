"""What one sync is about, as words on a command line. Standard library only: used by the driver and by its program on the node."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

RECEIPTS_DIR = "/var/lib/xcat-ha/files"
"""Where a node keeps one ``<set>.json`` per file set it has received."""


class SyncSpec(NamedTuple):
    """One file set from one node to another. Names of fields are those of ``FileSet`` and ``Node`` where they mean the same.

    ``rsh`` is the value of rsync's ``-e``; ``target_python`` has xcat-ha on the target; ``io_timeout_s`` ends a silent connection;
    ``bandwidth_kib_s`` 0 means no limit.
    """

    name: str
    paths: tuple[str, ...]
    source: str
    target: str
    target_name: str
    target_address: str
    target_python: str
    rsh: str
    excludes: tuple[str, ...] = ()
    keep_lines: tuple[str, ...] = ()
    delete: bool = True
    max_delete_pct: float = 10.0
    must_be_mounted: bool = False
    numeric_ids: bool = False
    io_timeout_s: int = 120
    bandwidth_kib_s: int = 0

    @property
    def ssh_destination(self) -> str:
        """The target for ssh."""
        return f"root@{self.target_address}"

    @property
    def rsync_destination(self) -> str:
        """The target's root directory for rsync; the far side enters it before rsync starts."""
        host = f"[{self.target_address}]" if ":" in self.target_address else self.target_address
        return f"root@{host}:."


_REPEATED = {"paths": "path", "excludes": "exclude", "keep_lines": "keep-line"}


def to_words(spec: SyncSpec) -> tuple[str, ...]:
    """``--option=value`` words; a value may hold anything but NUL. Fields that have their default are left out."""
    words: list[str] = []
    for field, value in spec._asdict().items():
        option = _REPEATED.get(field, field).replace("_", "-")
        if field in _REPEATED:
            words += [f"--{option}={item}" for item in value]
        elif field == "delete":
            words += [] if value else ["--no-delete"]
        elif value is True:
            words.append(f"--{option}")
        elif value != SyncSpec._field_defaults.get(field):
            words.append(f"--{option}={value}")
    return tuple(words)


def from_words(words: Sequence[str]) -> SyncSpec:
    """The inverse of :func:`to_words`; ends the process with status 2 if a word is not known."""
    parser = argparse.ArgumentParser(prog="node_side", allow_abbrev=False)
    for field in SyncSpec._fields:
        _add(parser, field)
    values: dict[str, Any] = vars(parser.parse_args(list(words)))
    for field in _REPEATED:
        values[field] = tuple(values[field])
    return SyncSpec(**values)


def _add(parser: argparse.ArgumentParser, field: str) -> None:
    option = "--" + _REPEATED.get(field, field).replace("_", "-")
    default = SyncSpec._field_defaults.get(field)
    if field in _REPEATED:
        parser.add_argument(option, dest=field, action="append", default=[])
    elif field == "delete":
        parser.add_argument("--no-delete", dest=field, action="store_false")
    elif isinstance(default, bool):
        parser.add_argument(option, dest=field, action="store_true")
    elif default is None:
        parser.add_argument(option, dest=field, required=True)
    else:
        parser.add_argument(option, dest=field, type=type(default), default=default)
