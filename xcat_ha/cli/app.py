"""The command line: every verb is a function of the library first; here it is parsed and rendered."""

from __future__ import annotations

import sys

from xcat_ha.cli import describing, keeping, moving, reading, unfinished
from xcat_ha.cli.verb import XcatHa
from xcat_ha.errors import InterruptedOperationError

_VERBS = (describing, reading, keeping, moving, unfinished)
"""Importing them adds their verbs to the application."""


def main() -> None:
    """Entry point of ``xcat-ha``."""
    try:
        XcatHa.run()
    except InterruptedOperationError as error:
        print(f"xcat-ha: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(int(error.exit_code))
