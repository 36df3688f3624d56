"""Driver ``linux-images``: the images of xCAT's tables ``osimage`` and ``linuximage``, on a Linux management node.

The driver class is loaded when it is asked for: ``python3 -m xcat_ha_drivers.linux_images.node_side`` imports this package first and
needs nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcat_ha_drivers.linux_images.provisioner import LinuxImages

__all__ = ["LinuxImages"]


def __getattr__(name: str) -> object:
    if name == "LinuxImages":
        from xcat_ha_drivers.linux_images.provisioner import LinuxImages  # noqa: PLC0415 - lazy on purpose, see above

        return LinuxImages
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
