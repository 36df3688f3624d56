#!/opt/xcat-ha/bin/python3
# ruff: noqa: T201 - a program of its own, which prints
"""For a monitoring system: who is primary, what would be lost if it died now, what is wrong.

    watch_pair.py [CONFIGURATION]

Exit status: 0 all is well, 1 something is wrong, 2 it cannot be told.
"""

from __future__ import annotations

import sys

import xcat_ha


def main(arguments: list[str]) -> int:
    """Ask both nodes once and report."""
    try:
        with xcat_ha.load(*arguments[:1], read_only=True) as pair:
            status = pair.status()
    except xcat_ha.XcatHaError as error:
        print(f"UNKNOWN: {error.what} ({error.hint})")
        return 2
    loss = "an unknown amount" if status.would_lose_s is None else f"what was written in the last {status.would_lose_s:.0f} s"
    print(f"pair {status.pair}: primary is {status.primary or 'nobody or not known'}; it would take {loss} with it")
    for problem in status.problems:
        print(f"{'UNKNOWN' if problem.unknown else 'PROBLEM'}: {problem.what} ({problem.hint})")
    return {xcat_ha.ExitCode.DONE: 0, xcat_ha.ExitCode.FAILED: 1}.get(status.exit_code, 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
