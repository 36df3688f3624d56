"""oslevel, lslpp."""

from __future__ import annotations

from ..box import Box
from ..odm import levels

HEADER = f"  Fileset                      Level  State      Description\n  {'-' * 76}"


def oslevel(box: Box) -> int:
    """-s: level, technology level, service pack, build; -r: the first two; nothing: the version."""
    flags, _ = box.options("srqgl:", "Usage: oslevel [-s | -r]")
    letters = {flag for flag, _ in flags}
    full = str(levels().read()["oslevel"])
    box.out(full if "s" in letters else "-".join(full.split("-")[:2]) if "r" in letters else str(levels().read()["build"]))
    return 0


def lslpp(box: Box) -> int:
    """-l: a table; -Lcq: a line with colons per fileset."""
    flags, names = box.options("lLcqhwdfpiaeI", "usage: lslpp {-l | -L | -h} [-c] [-q] [fileset...]")
    letters = {flag for flag, _ in flags}
    known = levels().read()["filesets"]
    chosen = [name for name in sorted(known) if not names or any(_matches(name, wanted) for wanted in names if wanted != "all")]
    chosen = sorted(known) if names == ["all"] else chosen
    missing = [wanted for wanted in names if wanted != "all" and not any(_matches(name, wanted) for name in known)]
    colons = "c" in letters
    if chosen and not colons:
        box.out(f"{HEADER}\nPath: /usr/lib/objrepos")
    for name in chosen:
        level, text = known[name]
        if colons:
            box.out(f"{name.rpartition('.')[0]}:{name}:{level}: : :C: :{text}: : : : : : :0:0:/:")
        else:
            box.out(f"  {name:<26} {level:>9}  COMMITTED  {text}")
    for wanted in missing:
        box.err(f"lslpp: 0504-132  Fileset {wanted} not installed.\n")
    return 1 if missing else 0


def _matches(name: str, wanted: str) -> bool:
    return name == wanted or (wanted.endswith("*") and name.startswith(wanted[:-1]))
