"""The program a node's supervisor is: ``python3 -m tests.lab.supervise DESCRIPTION``."""

from __future__ import annotations

import sys

from .power import supply

if __name__ == "__main__":
    sys.exit(supply(sys.argv[1]))
