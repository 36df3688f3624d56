"""nim -o define, and m_mkspot: what is checked, what is made, how long it takes."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from .. import paths, settings
from . import database as db
from .database import Object
from .errors import BAD_TYPE, INTERRUPTED, LOCATION_TAKEN, NO_SUCH_FILE, NOT_UNIQUE, NimError, absent, bad_value, missing
from .kinds import DIRECTORY, FILE, FILLED_DIRECTORY, FRESH_DIRECTORY, KINDS, MACHINES, NETWORKS, OPTIONAL, PARENT, Kind

NAME_LENGTH = 39
Say = Callable[[str], None]
Attributes = list[tuple[str, str]]

# What a built SPOT consists of here: enough to tell a whole one from half of one.
SPOT_FILES = ("lib/objrepos/lpp", "lpp/bos/inst_root/etc/filesystems", "sbin/rc.boot", "lib/boot/unix_64")


def define(name: str, type_name: str, given: Attributes, say: Say) -> None:
    """Make an object. Raises NimError, with nothing made, unless everything is in order."""
    if type_name in KINDS:
        _resource(name, type_name, given, say)
    elif type_name in NETWORKS or type_name in MACHINES:
        with db.changing() as objects:
            refuse_name(objects, name)
            _refuse_busy_master(objects)
            kind = "networks" if type_name in NETWORKS else "machines"
            objects[name] = db.new(kind, type_name, _network_or_machine(type_name, given, objects))
    else:
        raise NimError(BAD_TYPE, "nim", f'"{type_name}" is not a valid NIM object type')


def _network_or_machine(type_name: str, given: Attributes, objects: dict[str, Object]) -> list[list[str]]:
    values = dict(given)
    for attribute, value in given:
        _refuse_text(attribute, value, "m_mkmac")
    if type_name in NETWORKS:
        for needed in ("net_addr", "snm"):
            if needed not in values:
                raise missing(needed, "m_mknet")
        return [["Nstate", "ready for use"], ["prev_state", "ready for use"], *([a, v] for a, v in given)]
    if not any(re.fullmatch(r"if\d?", attribute) for attribute in values):
        raise missing("if", "m_mkmac")
    network = next((name for name, one in objects.items() if one["class"] == "networks"), "master_net")
    shown = [[a, v.replace("find_net", network)] for a, v in given if a != "net_definition"]
    state = [["Cstate", db.CLIENT_READY], ["prev_state", db.CLIENT_READY], ["Mstate", "not running"]]
    return [["connect", "nimsh"], ["platform", "chrp"], *shown, *state]


def _resource(name: str, type_name: str, given: Attributes, say: Say) -> None:
    kind, values = KINDS[type_name], dict(given)
    for needed in kind.required:
        if not values.get(needed):
            raise missing(needed, kind.method)
    for attribute, value in given:
        if attribute not in {*kind.required, *OPTIONAL, *dict(kind.extra)}:
            raise NimError(BAD_TYPE, kind.method, f'the "{attribute}" attribute does not belong to this operation')
        _refuse_text(attribute, value, kind.method)
    location = _location(name, kind, values)
    with db.changing() as objects:
        refuse_name(objects, name)
        _refuse_busy_master(objects)
        _refuse_references(objects, kind, values)
        _refuse_location(objects, location, kind)
        builds = _check_place(location, kind, values)
        objects[name] = _fresh(type_name, kind, values, location)
    if builds:
        _build(name, location, values["source"], say)
        return
    if type_name == "spot":
        with db.changing() as objects:
            db.put(objects[name], "prev_state", db.VERIFYING)
    elif kind.place in {DIRECTORY, FRESH_DIRECTORY}:
        paths.at(location).mkdir(exist_ok=True)
        if kind.place == FRESH_DIRECTORY:
            (paths.at(location) / "etc").mkdir()


def _location(name: str, kind: Kind, values: dict[str, str]) -> str:
    location = values["location"].rstrip("/") or "/"
    if not location.startswith("/") or ".." in location.split("/"):
        raise bad_value("location", values["location"], kind.method)
    return f"{location}/{name}/usr" if kind.place == PARENT else location


def refuse_name(objects: dict[str, Object], name: str) -> None:
    """NimError for what is no name of a NIM object, or one that is taken."""
    if not re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{NAME_LENGTH - 1}}}", name):
        raise bad_value("name", name, "nim")
    if name in objects:
        raise NimError(NOT_UNIQUE, "m_mkobj", f'the object name "{name}" must be unique')


def _refuse_text(attribute: str, value: str, method: str) -> None:
    """Values go through NIM's shell scripts, so it takes no quotes, no signs of the shell, no line breaks."""
    spaced = attribute in {"comments", "net_definition", "net_settings1"} or re.fullmatch(r"(if|routing|cable_type)\d*", attribute)
    if len(value) > 1023 or re.search(r"[\n\r'\"`$;&|<>()\\*?]", value) or (" " in value and not spaced):
        raise bad_value(attribute, value, method)


def _refuse_busy_master(objects: dict[str, Object]) -> None:
    db.refuse_locked(objects[db.MASTER], db.MASTER)


def _refuse_references(objects: dict[str, Object], kind: Kind, values: dict[str, str]) -> None:
    if values["server"] not in objects:
        raise absent(values["server"])
    if objects[values["server"]]["class"] != "machines":
        raise bad_value("server", values["server"], kind.method)
    spot = values.get("spot")
    if spot:
        one = db.need(objects, spot)
        if one["type"] != "spot":
            raise bad_value("spot", spot, kind.method)
        db.refuse_locked(one, spot)
        if db.get(one, "Rstate") != db.READY:
            raise bad_value("spot", spot, kind.method)


def _refuse_location(objects: dict[str, Object], location: str, kind: Kind) -> None:
    """NFS cannot export a directory and one above or below it."""
    for one in objects.values():
        other = db.get(one, "location")
        if one["class"] == "resources" and other and (_within(location, other) or _within(other, location)):
            text = f'a resource already exists on "master" at location\n        "{other}"; '
            text += f'due to NFS export restrictions, the new location "{location}" may not be used'
            raise NimError(LOCATION_TAKEN, kind.method, text)


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}/")


def _check_place(location: str, kind: Kind, values: dict[str, str]) -> bool:
    """NimError unless the files are as the type needs them; whether a SPOT is to be built."""
    place = paths.at(location)
    source = values.get("source", "no")
    if kind.place == PARENT:
        if source == "no" and not (place.is_dir() and any(place.iterdir())):
            raise _no_file(location, kind.method)
        if not place.parent.parent.is_dir():
            raise _no_file(str(values["location"]), kind.method)
        return source != "no"
    if kind.place == FILLED_DIRECTORY and source != "no" and not place.exists():
        return _copy(source, location, kind.method)
    whole = {
        FILE: place.is_file(),
        FILLED_DIRECTORY: place.is_dir() and any(place.iterdir()),
        DIRECTORY: place.parent.is_dir() and not place.is_file(),
        FRESH_DIRECTORY: place.parent.is_dir(),
    }[kind.place]
    if not whole:
        raise _no_file(location, kind.method)
    if kind.place == FRESH_DIRECTORY and place.exists():
        raise NimError(LOCATION_TAKEN, kind.method, f'the directory "{location}" exists already and may not be used')
    return False


def _copy(source: str, location: str, method: str) -> bool:
    """Fill an lpp_source from a directory: nothing is built later, so False."""
    if not source.startswith("/") or not paths.at(source).is_dir():
        raise _no_file(source, method)
    settings.take("lpp_source")
    shutil.copytree(paths.at(source), paths.at(location))
    return False


def _no_file(path: str, method: str) -> NimError:
    return NimError(NO_SUCH_FILE, method, f'the file or directory "{path}" does not exist')


def _fresh(type_name: str, kind: Kind, values: dict[str, str], location: str) -> Object:
    attributes = [["arch", "power"]] if type_name in {"lpp_source", "spot"} else []
    if type_name == "spot":
        attributes = [["plat_defined", "chrp"], *attributes, ["bos_license", "yes"]]
    building = type_name == "spot" and values.get("source", "no") != "no"
    attributes += [["Rstate", db.UNAVAILABLE if building else db.READY], ["prev_state", db.UNAVAILABLE], ["location", location]]
    if type_name == "spot":
        attributes += [["version", "7"], ["release", "1"], ["mod", "4"], ["oslevel_r", "7100-04"]]
    if type_name == "lpp_source":
        attributes.append(["simages", "yes"])
    attributes += [[name, values.get(name, default)] for name, default in kind.extra]
    attributes += [[name, values[name]] for name in ("spot", "nfs_vers", "nfs_sec", "comments") if name in values]
    attributes += [["alloc_count", "0"], ["server", values["server"]]]
    if type_name == "spot":
        attributes += [["if_supported", "chrp.64 ent"], ["Rstate_result", "success"]]
    if building:
        attributes.append(["locked", str(os.getpid())])
    return db.new("resources", type_name, attributes)


def _build(name: str, location: str, source: str, say: Say) -> None:
    """Install a SPOT: it stays unavailable when the work is interrupted, and so do the files that were made by then."""
    try:
        with db.changing() as objects:
            origin = db.need(objects, source)
            if origin["type"] != "lpp_source":
                raise bad_value("source", source, "m_mkspot")
    except NimError:
        with db.changing() as objects:
            del objects[name]
        raise
    before = [(number, signal.signal(number, _interrupted)) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    try:
        say(f' Creating SPOT in "{location.removesuffix(f"/{name}/usr")}" on machine "master" from "{source}" ...\n')
        say(" Restoring files from BOS image.  This may take several minutes ...\n")
        for number, file in enumerate(SPOT_FILES):
            settings.take("spot", 1 / len(SPOT_FILES))
            place = paths.at(location) / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{name} {file}\n", encoding="utf-8")
            if number == 0:
                say(" Installing filesets ...\n")
        with db.changing() as objects:
            one = objects[name]
            db.put(one, "Rstate", db.READY)
            db.put(one, "prev_state", db.VERIFYING)
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        with db.changing() as objects:
            db.drop(objects[name], "locked")


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise NimError(INTERRUPTED, "m_mkspot", f"the operation was interrupted by signal {number}")
