"""Text files of which some lines are each node's own. Pure, standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

HOSTS = "/etc/hosts"


class OwnName(NamedTuple):
    """How a node calls itself, and its own address."""

    name: str
    address: str

    @property
    def forms(self) -> tuple[str, ...]:
        """The full name if it has one, and the bare one."""
        bare = self.name.split(".")[0]
        return (self.name,) if bare == self.name else (self.name, bare)


class _Parts(NamedTuple):
    """The source's lines before and after the place of the own ones, and the target's own ones."""

    before: list[str]
    own: list[str]
    after: list[str]

    @property
    def lines(self) -> list[str]:
        return [*self.before, *self.own, *self.after]


def _parts(source: Sequence[str], target: Sequence[str], keep: Sequence[str]) -> _Parts:
    patterns = [re.compile(pattern) for pattern in keep]

    def is_own(line: str) -> bool:
        return any(pattern.search(line) for pattern in patterns)

    first = next((place for place, line in enumerate(source) if is_own(line)), 0)
    before, after = ([line for line in part if not is_own(line)] for part in (source[:first], source[first:]))
    return _Parts(before, [line for line in target if is_own(line)], after)


def merge(source: Sequence[str], target: Sequence[str], keep: Sequence[str]) -> list[str]:
    """The source's lines, with the target's own ones (those that match a pattern of ``keep``) where the source's own ones are."""
    return _parts(source, target, keep).lines


def merge_hosts(source: Sequence[str], target: Sequence[str], keep: Sequence[str], own: OwnName) -> list[str]:
    """Like :func:`merge` for a hosts file, which must always name ``localhost`` and the node itself.

    Names of itself that the target had and the merged lines lack come with the target's own lines; a node that is named nowhere gets
    a line of its own address.
    """
    parts = _parts(source, target, keep)
    if not _names(parts.lines, "localhost"):
        parts.own.insert(0, next((line for line in target if _names([line], "localhost")), "127.0.0.1 localhost"))
    lines = parts.lines
    for form in own.forms:
        if not _names(lines, form):
            lines += [line for line in target if _names([line], form) and line not in lines]
    if not any(_names(lines, form) for form in own.forms):
        lines.append(f"{own.address} {' '.join(own.forms)}")
    return lines


def _names(lines: Sequence[str], name: str) -> bool:
    return any(name in line.split("#")[0].split()[1:] for line in lines)


def says_something(lines: Sequence[str]) -> bool:
    """Whether anything but comments and blanks is there."""
    return any(line.split("#")[0].strip() for line in lines)
