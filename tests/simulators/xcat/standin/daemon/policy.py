"""Who may do what: table `policy`, judged by the name in the client's certificate."""

from __future__ import annotations

from ..database import Database


def _order(priority: str) -> tuple[float, str]:
    try:
        return float(priority), priority
    except ValueError:
        return float("inf"), priority


def is_allowed(database: Database, name: str, command: str) -> bool:
    for row in sorted(database.rows("policy"), key=lambda r: _order(r["priority"] or "")):
        if row["name"] and row["name"] not in ("*", name):
            continue
        commands = (row["commands"] or "").split(",")
        if row["commands"] and command not in commands and "*" not in commands:
            continue
        if not row["name"] and not row["commands"]:
            continue
        rule = (row["rule"] or "").lower()
        return rule in ("allow", "accept", "trusted")
    return False
