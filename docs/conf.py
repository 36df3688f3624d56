# ruff: noqa: INP001 - Sphinx reads this file by its path, it is no module of a package
"""How the documentation is built: ``make docs``, or ``sphinx-build -W -b html docs docs/_build/html``.

Needs pytest, too: the API reference is made of docstrings.
"""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_METADATA = configparser.ConfigParser()
_METADATA.read(_HERE.parent / "setup.cfg", encoding="utf-8")

project = "xcat-ha"
release = _METADATA["metadata"]["version"]
version = release
exclude_patterns = ["_build"]
nitpicky = True
html_theme = "alabaster"
html_theme_options = {"description": _METADATA["metadata"]["description"], "page_width": "72em"}
html_show_copyright = False

# The API reference and the list of refusals are read from the sources.
sys.path[:0] = [str(_HERE / "_ext"), str(_HERE.parent)]
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "refusals"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_use_ivar = True
napoleon_use_rtype = False
# Docstrings name internal modules, too, which are not in the reference; every other kind of reference has to be right.
nitpick_ignore_regex = [("py:.*", ".*")]
