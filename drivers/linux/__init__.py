"""Driver ``linux``: the service address as an additional address of an interface, the hostname as a running one.

The driver class is loaded when it is asked for: ``python3 -m xcat_ha_drivers.linux.node_side`` imports this package first and needs
nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcat_ha_drivers.linux.identity import LinuxIdentity

__all__ = ["LinuxIdentity"]


def __getattr__(name: str) -> object:
    if name == "LinuxIdentity":
        from xcat_ha_drivers.linux.identity import LinuxIdentity  # noqa: PLC0415 - lazy on purpose, see above

        return LinuxIdentity
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
