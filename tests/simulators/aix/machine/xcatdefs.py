"""What xCAT has on file about images: from its lsdef on a lab node, from a stanza file below a temporary root."""

from __future__ import annotations

import subprocess

from . import paths

STANZAS = "/var/lib/aixsim/osimages.stanza"
LSDEF = "/opt/xcat/bin/lsdef"
Images = dict[str, dict[str, str]]


def images() -> Images:
    """Every osimage with its attributes."""
    if paths.is_whole_machine():
        done = subprocess.run([LSDEF, "-t", "osimage", "-z"], capture_output=True, text=True, check=False)
        return parse(done.stdout)
    place = paths.at(STANZAS)
    return parse(place.read_text(encoding="utf-8")) if place.exists() else {}


def parse(text: str) -> Images:
    """Stanzas as mkdef -z reads them."""
    found: Images = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        attribute, equals, value = line.strip().partition("=")
        if not line[0].isspace() and line.endswith(":"):
            name = line[:-1]
            found[name] = {}
        elif equals and attribute != "objtype":
            found[name][attribute] = value
    return found
