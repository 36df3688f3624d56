"""Positions in MariaDB's replication: ``domain-server-sequence``, one for each domain, separated by commas. Pure.

Facts: MariaDB's knowledge base, "Global Transaction ID". With ``gtid_strict_mode`` sequence numbers only grow within a domain, so a
transaction is told by its server and number. ``gtid_binlog_state`` names the last one of every server that ever wrote to the binary log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_GTID = re.compile(r"(\d+)-(\d+)-(\d+)")

Position = dict[tuple[int, int], int]
"""(domain, server id) -> the last sequence number."""


def position_of(text: str) -> Position:
    """Understand what the server prints; empty text is no transaction at all.

    Raises:
        ValueError: it is something else.
    """
    found: Position = {}
    for word in (part.strip() for part in text.split(",")):
        if not word:
            continue
        match = _GTID.fullmatch(word)
        if match is None:
            raise ValueError(f"no GTID: {word[:60]!r}")
        domain, server, number = (int(part) for part in match.groups())
        found[domain, server] = max(number, found.get((domain, server), 0))
    return found


def merged(positions: Iterable[Position]) -> Position:
    """The last number of every server in any of them."""
    together: Position = {}
    for position in positions:
        for who, number in position.items():
            together[who] = max(number, together.get(who, 0))
    return together


def errant(have: Position, known: Position) -> list[str]:
    """Transactions of ``have`` that are not in the history ``known``: the last one of each server that wrote them."""
    return [f"{who[0]}-{who[1]}-{number}" for who, number in sorted(have.items()) if number > known.get(who, 0)]


def has_all(have: Position, wanted: Position) -> bool:
    """Whether a server that is at ``have`` is as far as ``wanted``, domain by domain. Both are current positions of one history."""
    reached: dict[int, int] = {}
    for (domain, _), number in have.items():
        reached[domain] = max(number, reached.get(domain, 0))
    return all(number <= reached.get(domain, 0) for (domain, _), number in wanted.items())
