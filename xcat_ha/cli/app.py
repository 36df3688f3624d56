"""The command line: every verb is a function of the library first; here it is parsed and rendered."""

from __future__ import annotations

from xcat_ha.cli import describing, keeping, moving, reading, unfinished
from xcat_ha.cli.verb import XcatHa

_VERBS = (describing, reading, keeping, moving, unfinished)
"""Importing them adds their verbs to the application."""


def main() -> None:
    """Entry point of ``xcat-ha``."""
    XcatHa.run()
