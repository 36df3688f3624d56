"""lsattr and odmget: what the ODM holds, whatever the kernel says."""

from __future__ import annotations

import re

from ..box import Box
from .devices import require_device

USAGE = "Usage: lsattr -E [-H] -l Name [-a Attribute]... [-F Format]"


def lsattr(box: Box) -> int:
    """The attributes of a device; -F value shows a value alone, an empty line when unset."""
    flags, rest = box.options("EDOHl:a:F:f:R", USAGE, _spread(box.words))
    given = dict(flags)
    if rest or "l" not in given or "E" not in given:
        raise box.fail(USAGE)
    device = given["l"]
    require_device(box, device)
    kinds = box.odm.kinds(device)
    wanted = [name for flag, value in flags if flag == "a" for name in value.split(",")] or sorted(kinds)
    for name in wanted:
        if name not in kinds:
            raise box.fail(f'lsattr: 0514-528 The "{name}" attribute does not exist in the predefined\n\tdevice configuration database.')
    rows = [(name, value, kinds[name].description, "True") for name in wanted for value in box.odm.values(device, name) or [""]]
    if "F" in given:
        for row in rows:
            box.out(_formatted(given["F"], row))
        return 0
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        box.out(f"{row[0]:<{widths[0]}} {row[1]:<{widths[1]}} {row[2]:<{widths[2]}} {row[3]}")
    return 0


def odmget(box: Box) -> int:
    """The customised attributes that a query matches, in odmget's stanzas."""
    flags, rest = box.options("q:", "usage: odmget [-q criteria] objectclass")
    if rest != ["CuAt"]:
        raise box.fail(f"odmget: Could not open object class {' '.join(rest)}")
    wanted = dict(re.findall(r"(\w+)\s*=\s*'?([\w.-]+)'?", dict(flags).get("q", "")))
    for device, one in sorted(box.odm.devices.read().items()):
        for attribute, value in sorted(one["attributes"].items()):
            for text in value if isinstance(value, list) else [value]:
                if wanted.get("name", device) == device and wanted.get("attribute", attribute) == attribute and text:
                    box.out(_stanza(device, attribute, text))
    return 0


def _stanza(device: str, attribute: str, value: str) -> str:
    fields = {
        "name": f'"{device}"',
        "attribute": f'"{attribute}"',
        "value": f'"{value}"',
        "type": '"R"',
        "generic": '"DU"',
        "rep": '"s"',
        "nls_index": "24",
    }
    return "\nCuAt:\n" + "\n".join(f"\t{name} = {text}" for name, text in fields.items())


def _formatted(text: str, row: tuple[str, str, str, str]) -> str:
    """The columns a format names, with the separators written between their names."""
    columns = dict(zip(("attribute", "value", "description", "user_settable"), row, strict=True))
    return re.sub(r"[a-z_]+", lambda found: columns.get(found[0], found[0]), text)


def _spread(words: list[str]) -> list[str]:
    """-El en1 as -E -l en1: lsattr takes its flags in one word."""
    return [part for word in words for part in (["-E", f"-{word[2:]}"] if re.fullmatch(r"-E[a-zA-Z]+", word) else [word])]
