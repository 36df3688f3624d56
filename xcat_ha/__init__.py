"""A highly available management node for xCAT clusters.

>>> import xcat_ha
>>> with xcat_ha.load("/etc/xcat-ha/pair.toml") as pair:   # doctest: +SKIP
...     print(pair.status().primary)

Names are imported when they are first used, so that programs which need only a part (those that run on a node, ``--help``) start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcat_ha.errors import ExitCode, XcatHaError
    from xcat_ha.execution import Observer
    from xcat_ha.models import Pair
    from xcat_ha.operations import Prepared, Result
    from xcat_ha.pair import ManagedPair, load
    from xcat_ha.planning.requirements import Finding
    from xcat_ha.status import Status

_HOMES = {
    "ExitCode": "xcat_ha.errors",
    "Finding": "xcat_ha.planning.requirements",
    "ManagedPair": "xcat_ha.pair",
    "Observer": "xcat_ha.execution",
    "Pair": "xcat_ha.models",
    "Prepared": "xcat_ha.operations",
    "Result": "xcat_ha.operations",
    "Status": "xcat_ha.status",
    "XcatHaError": "xcat_ha.errors",
    "load": "xcat_ha.pair",
}

__all__ = ["ExitCode", "Finding", "ManagedPair", "Observer", "Pair", "Prepared", "Result", "Status", "XcatHaError", "load"]


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'xcat_ha' has no attribute {name!r}") from None
    return getattr(importlib.import_module(home), name)
