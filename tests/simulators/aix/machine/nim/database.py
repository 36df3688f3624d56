"""NIM's objects, in the ODM: they outlive a boot, and so does what an interrupted operation left of one."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from .. import paths, settings
from ..store import Data, LockedError, Store
from .errors import LOCKED, NOT_CONFIGURED, NimError, absent

PATH = paths.ODM + "/nim.json"
NIMINFO = "/etc/niminfo"
MASTER = "master"

READY = "ready for use"
UNAVAILABLE = "unavailable for use"
VERIFYING = "verification is being performed"
CLIENT_READY = "ready for a NIM operation"

Object = dict[str, Any]  # class, type, attrs: list of [name, value], in the order lsnim shows them


def store() -> Store:
    """The database file."""
    return Store(PATH)


def configured() -> bool:
    """Whether this machine is a NIM master."""
    return bool(store().read().get("objects"))


def read() -> dict[str, Object]:
    """All objects; NimError when the machine is no master."""
    objects: dict[str, Object] = store().read().get("objects", {})
    if not objects:
        raise NimError(NOT_CONFIGURED, "nim", "NIM has not been configured on this machine as a master.")
    return objects


@contextlib.contextmanager
def changing() -> Iterator[dict[str, Object]]:
    """Change objects alone; NimError when another NIM command does not let go of the database."""
    try:
        with store().change(settings.number("nim_lock_wait_s")) as data:
            objects = data.setdefault("objects", {})
            if not objects:
                raise NimError(NOT_CONFIGURED, "nim", "NIM has not been configured on this machine as a master.")
            yield objects
    except LockedError as error:
        raise NimError(LOCKED, "nim", "the NIM database is locked by another NIM command") from error


def replace(objects: dict[str, Object]) -> None:
    """Put a whole database in place."""
    with store().change() as data:
        data["objects"] = objects


def need(objects: dict[str, Object], name: str) -> Object:
    """The object of this name."""
    if name not in objects:
        raise absent(name)
    return objects[name]


def new(kind: str, type_name: str, attributes: list[list[str]]) -> Object:
    """An object of class ``kind``."""
    return {"class": kind, "type": type_name, "attrs": attributes}


def get(one: Object, attribute: str) -> str:
    """An attribute's first value; empty without one."""
    return next((value for name, value in one["attrs"] if name == attribute), "")


def put(one: Object, attribute: str, value: str) -> None:
    """Set an attribute, at its place or at the end."""
    for pair in one["attrs"]:
        if pair[0] == attribute:
            pair[1] = value
            return
    one["attrs"].append([attribute, value])


def add(one: Object, attribute: str, value: str) -> None:
    """One more value."""
    one["attrs"].append([attribute, value])


def drop(one: Object, attribute: str) -> None:
    """No value any more."""
    one["attrs"] = [pair for pair in one["attrs"] if pair[0] != attribute]


def count(one: Object, step: int) -> None:
    """Change how often it is allocated."""
    put(one, "alloc_count", str(max(0, int(get(one, "alloc_count") or 0) + step)))


def allocations(one: Object, objects: dict[str, Object]) -> list[str]:
    """The resources that a machine has allocated."""
    return [
        value
        for name, value in one["attrs"]
        if value in objects and objects[value]["class"] == "resources" and name == objects[value]["type"]
    ]


def refuse_locked(one: Object, name: str) -> None:
    """NimError while another process works on the object."""
    holder = get(one, "locked")
    if holder and holder != str(os.getpid()) and pathlib.Path(f"/proc/{holder}").exists():
        raise NimError(LOCKED, "nim", f'the object "{name}" is locked by the process {holder}')


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold an object for as long as the work on it takes."""
    with changing() as objects:
        one = need(objects, name)
        refuse_locked(one, name)
        put(one, "locked", str(os.getpid()))
    try:
        yield
    finally:
        with contextlib.suppress(NimError), changing() as objects:
            if name in objects:
                drop(objects[name], "locked")


def backup_text() -> Data:
    """The database and niminfo, for m_backup_db."""
    place = paths.at(NIMINFO)
    return {"objects": read(), "niminfo": place.read_text(encoding="utf-8") if place.exists() else ""}
