"""Which xcat-ha this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def own_version(otherwise: str = "unknown") -> str:
    """The version of the installed package; ``otherwise`` if it runs from a tree that is not installed."""
    try:
        return version("xcat-ha")
    except PackageNotFoundError:
        return otherwise
