"""lsnim: what NIM knows."""

from __future__ import annotations

from collections.abc import Callable

from . import database as db
from .database import Object
from .errors import NOT_CONFIGURED, NimError, absent, bad_value
from .kinds import KINDS, MACHINES, NETWORKS, OPTIONAL

Say = Callable[[str], None]
ATTRIBUTES_OF_DEFINE = {"spot": ["source"], "lpp_source": ["source"]}


def objects() -> dict[str, Object]:
    """The database, for lsnim."""
    if not db.configured():
        raise NimError(NOT_CONFIGURED, "lsnim", "NIM has not been configured on this machine as a master.")
    return db.read()


def chosen(kind: str, type_name: str, name: str) -> dict[str, Object]:
    """The objects of a class, a type, or of one name. With a class and the name of a machine: what it has allocated."""
    known = objects()
    if name and name not in known:
        raise absent(name, "lsnim")
    if name and kind == "resources" and known[name]["class"] == "machines":
        return {one: known[one] for one in db.allocations(known[name], known)}
    if kind and kind not in {"machines", "networks", "resources", "groups"}:
        raise bad_value("class", kind, "lsnim")
    if type_name and type_name not in {*KINDS, *MACHINES, *NETWORKS, "boot", "nim_script"}:
        raise bad_value("type", type_name, "lsnim")
    fits = {one: data for one, data in known.items() if kind in {"", data["class"]} and type_name in {"", data["type"]}}
    return {one: data for one, data in fits.items() if name in {"", one}}


def plain(shown: dict[str, Object], say: Say) -> None:
    """A line per object."""
    width = max([21, *(len(name) + 1 for name in shown)])
    for name, one in shown.items():
        say(f"{name:<{width}} {one['class']:<15} {one['type']}")


def long(shown: dict[str, Object], say: Say) -> None:
    """A stanza per object."""
    for name, one in shown.items():
        rows = [["class", one["class"]], ["type", one["type"]], *one["attrs"]]
        width = max(len(attribute) for attribute, _ in rows)
        say(f"{name}:")
        for attribute, value in rows:
            say(f"   {attribute:<{width}} = {value}")


def columns(shown: dict[str, Object], attribute: str, say: Say, *, colons: bool) -> None:
    """One attribute of each object."""
    if colons:
        say(f"#name:{attribute}:")
    for name, one in shown.items():
        values = [value for known, value in one["attrs"] if known == attribute]
        if colons and values:
            say(f"{name}:{values[0]}:")
        elif values:
            say(f"{name}:")
            for value in values:
                say(f"   {attribute} = {value}")


def next_free(attribute: str, name: str, say: Say) -> None:
    """The next index of a numbered attribute."""
    known = objects()
    if name not in known:
        raise absent(name, "lsnim")
    used = [
        known_name for known_name, _ in known[name]["attrs"] if known_name.startswith(attribute) and known_name[len(attribute) :].isdigit()
    ]
    say(str(max([int(one[len(attribute) :]) for one in used], default=0) + 1))


def define_needs(type_name: str, say: Say) -> None:
    """What a definition of this type takes."""
    if type_name not in KINDS:
        raise bad_value("type", type_name, "lsnim")
    kind = KINDS[type_name]
    say("the following attributes are required:")
    for attribute in kind.required:
        say(f"\t-a {attribute}=<value>")
    say("the following attributes are optional:")
    for attribute in sorted({*OPTIONAL, *(name for name, _ in kind.extra)} - set(kind.required)):
        say(f"\t-a {attribute}=<value>")


def types(kind: str, say: Say) -> None:
    """The types of a class with their descriptions."""
    table = {name: one.description for name, one in KINDS.items()} if kind == "resources" else MACHINES
    width = max(len(name) for name in table)
    for name in sorted(table):
        say(f"{name:<{width}} = {table[name]}")
