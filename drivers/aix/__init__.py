"""Driver ``aix``: the service identity on AIX, as an alias address and a running host name that nothing stores.

The driver class is loaded when it is asked for: ``python3 -m xcat_ha_drivers.aix.node_side`` imports this package first and needs
nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcat_ha_drivers.aix.identity import AixIdentity

__all__ = ["AixIdentity"]


def __getattr__(name: str) -> object:
    if name == "AixIdentity":
        from xcat_ha_drivers.aix.identity import AixIdentity  # noqa: PLC0415 - lazy on purpose, see above

        return AixIdentity
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
