"""Who held something, from when to when: intervals, overlaps and gaps.  Pure; times in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, order=True)
class Change:
    """At ``time_s`` the node began (``held``) or ceased to hold the thing in question."""

    time_s: float
    node: str
    held: bool


@dataclass(frozen=True, order=True)
class Interval:
    """From ``start_s`` to ``end_s`` these nodes held the thing: one, several or none."""

    start_s: float
    end_s: float
    nodes: tuple[str, ...]

    @property
    def length_s(self) -> float:
        """Its duration in seconds."""
        return self.end_s - self.start_s


def holdings(changes: Iterable[Change], end_s: float) -> list[Interval]:
    """The intervals held by each node, by beginning; what is open at ``end_s`` ends there.

    A change that changes nothing (held already) is ignored.
    """
    since: dict[str, float] = {}
    found = []
    for change in sorted(changes, key=lambda change: change.time_s):
        if change.held:
            since.setdefault(change.node, change.time_s)
        elif change.node in since:
            found.append(Interval(since.pop(change.node), change.time_s, (change.node,)))
    found += [Interval(start_s, end_s, (node,)) for node, start_s in since.items()]
    return sorted(found)


def overlaps(held: Sequence[Interval]) -> list[Interval]:
    """The intervals in which two or more nodes held the thing at once."""
    return [part for part in _parts(held) if len(part.nodes) > 1]


def gaps(held: Sequence[Interval], start_s: float, end_s: float) -> list[Interval]:
    """The intervals between ``start_s`` and ``end_s`` in which nobody held the thing."""
    found, at_s = [], start_s
    for interval in sorted(held):
        if interval.start_s > at_s:
            found.append(Interval(at_s, min(interval.start_s, end_s), ()))
        at_s = max(at_s, interval.end_s)
        if at_s >= end_s:
            break
    if at_s < end_s:
        found.append(Interval(at_s, end_s, ()))
    return [gap for gap in found if gap.length_s > 0]


def _parts(held: Sequence[Interval]) -> list[Interval]:
    """Time cut at every beginning and end, with all who held the thing in each part."""
    times = sorted({time_s for one in held for time_s in (one.start_s, one.end_s)})
    parts: list[Interval] = []
    for start_s, end_s in pairwise(times):
        nodes = {node for one in held if one.start_s <= start_s and one.end_s >= end_s for node in one.nodes}
        last = parts[-1] if parts else None
        if last and last.end_s == start_s and set(last.nodes) == nodes:
            parts[-1] = Interval(last.start_s, end_s, last.nodes)
        else:
            parts.append(Interval(start_s, end_s, tuple(sorted(nodes))))
    return parts
