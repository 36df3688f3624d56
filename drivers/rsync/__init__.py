"""Driver ``rsync``: file sets pushed from the source with rsync over ssh, text files merged line by line.

The driver class is loaded when it is asked for: ``python3 -m xcat_ha_drivers.rsync.node_side`` imports this package first and needs
nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcat_ha_drivers.rsync.syncer import Rsync

__all__ = ["Rsync"]


def __getattr__(name: str) -> object:
    if name == "Rsync":
        from xcat_ha_drivers.rsync.syncer import Rsync  # noqa: PLC0415 - lazy on purpose, see above

        return Rsync
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
