"""Driver ``cron``: sync jobs by the crontab of root, on AIX and Linux.

The driver class is loaded when it is asked for: ``python3 -m xcat_ha_drivers.cron.node_side`` imports this package first and needs
nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcat_ha_drivers.cron.schedule import Cron

__all__ = ["Cron"]


def __getattr__(name: str) -> object:
    if name == "Cron":
        from xcat_ha_drivers.cron.schedule import Cron  # noqa: PLC0415 - lazy on purpose, see above

        return Cron
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
