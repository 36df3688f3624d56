"""Driver ``systemd-timer``: sync jobs as transient timers, gone after a reboot.

The driver class is loaded when it is asked for: ``python3 -m xcat_ha_drivers.systemd_timer.node_side`` imports this package first and
needs nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcat_ha_drivers.systemd_timer.schedule import SystemdTimer

__all__ = ["SystemdTimer"]


def __getattr__(name: str) -> object:
    if name == "SystemdTimer":
        from xcat_ha_drivers.systemd_timer.schedule import SystemdTimer  # noqa: PLC0415 - lazy on purpose, see above

        return SystemdTimer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
