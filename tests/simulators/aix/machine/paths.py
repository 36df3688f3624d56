"""Where things are: every path hangs below one root, `/` unless AIXSIM_ROOT says otherwise."""

from __future__ import annotations

import os
import pathlib

ROOT_VARIABLE = "AIXSIM_ROOT"

ODM = "/etc/objrepos"
RUN = "/run/aixsim"  # lost when the machine goes off


def root() -> pathlib.Path:
    """The top of the machine's tree."""
    return pathlib.Path(os.environ.get(ROOT_VARIABLE, "/"))


def is_whole_machine() -> bool:
    """True on a lab node; False below a temporary root, where no address, name or process is touched."""
    return root() == pathlib.Path("/")


def at(path: str) -> pathlib.Path:
    """The place of an absolute path below the root."""
    return root() / path.lstrip("/")
