"""What the answers of every such driver's program on a node have in common. Pure; nothing here raises."""

from __future__ import annotations

import json
from typing import Any

from xcat_ha.interfaces import Contents
from xcat_ha.steps import Completed


def is_not_installed(answer: Completed) -> bool:
    """Whether the node said that it has no such program: xcat-ha is not installed there yet."""
    said = answer.stderr
    return answer.returncode == 127 or (
        answer.returncode is not None and ("No module named" in said or "No such file or directory" in said)
    )


def contents_of(answer: Completed) -> Contents | None:
    """``{"tables": {name: [digest, ...]}, "nodes": [name, ...]}``; None if it is something else."""
    try:
        document: Any = json.loads(answer.stdout) if answer.ok else None
        return Contents({name: frozenset(rows) for name, rows in document["tables"].items()}, frozenset(document["nodes"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
