"""Driver ``aix-src``: the services of the role as subsystems of AIX's System Resource Controller.

The driver class is loaded when it is asked for: ``python3 -m xcat_ha_drivers.aix_src.node_side`` imports this package first and needs
nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcat_ha_drivers.aix_src.control import AixSrc

__all__ = ["AixSrc"]


def __getattr__(name: str) -> object:
    if name == "AixSrc":
        from xcat_ha_drivers.aix_src.control import AixSrc  # noqa: PLC0415 - lazy on purpose, see above

        return AixSrc
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
