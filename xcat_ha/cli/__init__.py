"""The command line: parse, call the library, render; nothing else."""

from xcat_ha.cli.app import main

__all__ = ["main"]
