"""Where things are: every path hangs below one root, `/` unless a test says otherwise."""

from __future__ import annotations

import os
import pathlib

ROOT_VARIABLE = "XCAT_STANDIN_ROOT"


def root() -> pathlib.Path:
    return pathlib.Path(os.environ.get(ROOT_VARIABLE, "/"))


def is_whole_machine() -> bool:
    """True on a real node; False below a temporary root, where no unit may be touched."""
    return root() == pathlib.Path("/")


def at(path: str) -> pathlib.Path:
    """The place of an absolute path below the root."""
    return root() / path.lstrip("/")


def inside(place: pathlib.Path) -> str:
    """The absolute path that a place has on the node itself."""
    return "/" + str(place.relative_to(root()))


def home() -> pathlib.Path:
    """Root's home: xCAT asks the password file, not the environment."""
    return at("/root")
