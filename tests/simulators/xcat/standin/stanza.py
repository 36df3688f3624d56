"""Stanza files: what `lsdef -z` writes and `mkdef -z` reads."""

from __future__ import annotations

from .objects import Attributes


def parse(text: str) -> list[tuple[str, str, Attributes]]:
    """(object type, name, attributes) in order; type '' when the stanza has none."""
    found: list[tuple[str, str, Attributes]] = []
    name = ""
    kind = ""
    values: Attributes = {}
    for line in [*text.splitlines(), "end-of-file:"]:
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if bare.endswith(":") and not line[0].isspace():
            if name:
                found.append((kind, name, values))
            name, kind, values = bare[:-1], "", {}
            continue
        attribute, _, value = bare.partition("=")
        if attribute.strip() == "objtype":
            kind = value.strip()
        else:
            # A quote at either end goes, as in the real thing, even if it is the value's own.
            values[attribute.strip()] = value.strip().removeprefix('"').removesuffix('"').strip()
    return found
