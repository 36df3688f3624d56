"""Driver ``systemd``: the services of the role as systemd units, and the TFTP daemon that is none.

The driver class is loaded when it is asked for: ``python3 -m xcat_ha_drivers.systemd.node_side`` imports this package first and needs
nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcat_ha_drivers.systemd.control import Systemd

__all__ = ["Systemd"]


def __getattr__(name: str) -> object:
    if name == "Systemd":
        from xcat_ha_drivers.systemd.control import Systemd  # noqa: PLC0415 - lazy on purpose, see above

        return Systemd
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
