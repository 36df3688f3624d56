# ruff: noqa: INP001 - Sphinx reads this file by its path, it is no module of a package
"""How the documentation is built: ``make docs``, or ``sphinx-build -W -b html docs docs/_build/html``. Needs nothing but Sphinx."""

from __future__ import annotations

import configparser
from pathlib import Path

_METADATA = configparser.ConfigParser()
_METADATA.read(Path(__file__).resolve().parent.parent / "setup.cfg", encoding="utf-8")

project = "xcat-ha"
release = _METADATA["metadata"]["version"]
version = release
exclude_patterns = ["_build"]
nitpicky = True
html_theme = "alabaster"
html_theme_options = {"description": _METADATA["metadata"]["description"], "page_width": "72em"}
html_show_copyright = False
