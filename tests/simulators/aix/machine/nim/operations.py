"""The other operations: check, change, remove, reset, deallocate, the installing ones, unconfig, sync, takeover."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from .. import exports, paths, settings
from . import database as db
from .database import Object
from .define import Attributes, Say
from .errors import (
    ALLOCATED,
    BAD_OPERATION,
    CANNOT_ALLOCATE,
    COMMAND_FAILED,
    MACHINE_BUSY,
    MISSING_ATTRIBUTE,
    NO_SUCH_FILE,
    NimError,
    bad_value,
)
from .kinds import KINDS

Operation = Callable[[str, Attributes, bool, Say], None]
SPOT_BOOT_IMAGE = "/tftpboot/{}.chrp.64.ent"
INSTALLING = {
    "bos_inst": ("standalone", "BOS installation has been enabled"),
    "dkls_init": ("diskless", "diskless resource initialization has been performed"),
    "dtls_init": ("dataless", "dataless resource initialization has been performed"),
}


def check(name: str, given: Attributes, force: bool, say: Say) -> None:
    """Make a SPOT's boot images anew; look whether a resource's files are there."""
    del given, force, say
    one = db.need(db.read(), name)
    location = paths.at(db.get(one, "location") or "/")
    with db.locked(name):
        settings.take("check")
        if one["class"] == "resources" and not location.exists():
            raise NimError(NO_SUCH_FILE, "m_chkspot", f'the file or directory "{db.get(one, "location")}" does not exist')
        if one["type"] == "spot":
            kernel = location / "lib/boot/unix_64"
            if not kernel.is_file():
                raise NimError(
                    NO_SUCH_FILE, "m_chkspot", f'the file or directory "{db.get(one, "location")}/lib/boot/unix_64" does not exist'
                )
            image = paths.at(SPOT_BOOT_IMAGE.format(name))
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(kernel.read_bytes())
        with db.changing() as objects:
            if one["class"] == "resources":
                db.put(objects[name], "Rstate", db.READY)
                db.put(objects[name], "prev_state", db.VERIFYING if one["type"] == "spot" else db.READY)


def change(name: str, given: Attributes, force: bool, say: Say) -> None:
    """Set attributes; where a resource lies cannot be changed."""
    del force, say
    with db.changing() as objects:
        one = db.need(objects, name)
        db.refuse_locked(one, name)
        for attribute, value in given:
            if attribute in {"location", "server", "type"} and one["class"] == "resources":
                raise NimError(BAD_OPERATION, "m_chattr", f'the "{attribute}" attribute cannot be changed')
            if "\n" in value or len(value) > 1023:
                raise bad_value(attribute, value, "m_chattr")
            db.put(one, attribute, value)


def remove(name: str, given: Attributes, force: bool, say: Say) -> None:
    """Forget an object. The files of an lpp_source stay; the tree of a SPOT goes."""
    del given, force, say
    with db.changing() as objects:
        one = db.need(objects, name)
        db.refuse_locked(one, name)
        if one["type"] == "master":
            raise NimError(BAD_OPERATION, "m_rmmac", 'the "remove" operation is not valid for the master')
        if int(db.get(one, "alloc_count") or 0):
            raise NimError(ALLOCATED, "m_rmpdir", f'the "{name}" resource is currently allocated for client use')
        if one["class"] == "machines" and db.allocations(one, objects):
            raise NimError(MACHINE_BUSY, "m_rmmac", f'unable to remove "{name}" because resources have been allocated to it')
        del objects[name]
    if one["type"] == "spot":
        shutil.rmtree(paths.at(db.get(one, "location")).parent, ignore_errors=True)


def install(operation: str, name: str, given: Attributes, force: bool) -> None:
    """bos_inst, dkls_init, dtls_init: allocate what is named, export it, and wait for the client to boot."""
    type_name, state = INSTALLING[operation]
    with db.changing() as objects:
        client = db.need(objects, name)
        db.refuse_locked(client, name)
        if client["type"] != type_name:
            raise NimError(BAD_OPERATION, "nim", f'the "{operation}" operation is not valid for "{client["type"]}" objects')
        if db.get(client, "Cstate") != db.CLIENT_READY and not force:
            raise NimError(MACHINE_BUSY, "nim", f'"{name}" is in the state "{db.get(client, "Cstate")}"')
        if "spot" not in dict(given):
            raise NimError(MISSING_ATTRIBUTE, f"m_{operation}", 'the "spot" attribute is required for this operation')
        wanted = [(type_, one) for type_, value in given if type_ in KINDS for one in value.split(",")]
        held = db.allocations(client, objects)
        for type_, resource in wanted:
            _refuse_resource(objects, type_, resource)
        for _, resource in wanted:
            if resource not in held:
                _allocate(objects, client, name, resource)
        db.put(client, "prev_state", db.get(client, "Cstate"))
        db.put(client, "Cstate", state)


def _refuse_resource(objects: dict[str, Object], type_name: str, name: str) -> None:
    one = db.need(objects, name)
    if one["type"] != type_name:
        raise bad_value(type_name, name, "m_alloc")
    db.refuse_locked(one, name)
    if db.get(one, "Rstate") != db.READY:
        raise NimError(CANNOT_ALLOCATE, "m_alloc", f'Unable to allocate the "{name}" resource: it is not {db.READY}')


def _allocate(objects: dict[str, Object], client: Object, name: str, resource: str) -> None:
    one = objects[resource]
    location = db.get(one, "location")
    other = exports.clash(location)
    if other or not paths.at(location).exists():
        why = f"parent-directory or sub-directory ({other}) already exported" if other else "No such file or directory"
        text = f'An unexpected result was returned by the "/usr/sbin/exportfs" command:\n   exportfs: 1831-190 {location}: {why}'
        raise NimError(COMMAND_FAILED, "m_alloc", text)
    for path in (exports.EXPORTS, exports.XTAB):
        rows = exports.read(path)
        known = rows.get(location, "").partition("root=")[2].partition(",")[0].split(":")
        clients = ":".join([*(c for c in known if c and c != name), name])
        exports.write(path, {**rows, location: f"-ro,root={clients},access={clients}"})
    if one["type"] == "root":
        (paths.at(location) / name).mkdir(exist_ok=True)
    db.add(client, one["type"], resource)
    db.count(one, 1)


def reset(name: str, given: Attributes, force: bool, say: Say) -> None:
    """Back to "ready"; what is allocated stays."""
    del given, force, say
    with db.changing() as objects:
        one = db.need(objects, name)
        db.refuse_locked(one, name)
        if one["class"] == "machines":
            db.put(one, "Cstate", db.CLIENT_READY)
        db.drop(one, "locked")


def deallocate(name: str, given: Attributes, force: bool, say: Say) -> None:
    """Give back what is named, or with subclass=all everything."""
    del say
    with db.changing() as objects:
        client = db.need(objects, name)
        if db.get(client, "Cstate") != db.CLIENT_READY and not force:
            raise NimError(MACHINE_BUSY, "m_dealloc", f'"{name}" is in the state "{db.get(client, "Cstate")}"')
        held = db.allocations(client, objects)
        gone = held if dict(given).get("subclass") == "all" else [one for _, value in given for one in value.split(",") if one in held]
        client["attrs"] = [pair for pair in client["attrs"] if pair[1] not in gone or pair[0] not in KINDS]
        for resource in gone:
            db.count(objects[resource], -1)
            _unexport(db.get(objects[resource], "location"), name)


def _unexport(location: str, name: str) -> None:
    for path in (exports.EXPORTS, exports.XTAB):
        rows = exports.read(path)
        clients = [c for c in rows.get(location, "").partition("root=")[2].partition(",")[0].split(":") if c and c != name]
        rows.pop(location, None)
        left = ":".join(clients)
        exports.write(path, {**rows, location: f"-ro,root={left},access={left}"} if clients else rows)


def showres(name: str, given: Attributes, force: bool, say: Say) -> None:
    """The filesets of an lpp_source or a SPOT."""
    del given, force
    one = db.need(db.read(), name)
    if one["type"] not in {"lpp_source", "spot"} or db.get(one, "Rstate") != db.READY:
        raise NimError(CANNOT_ALLOCATE, "m_showres", f'Unable to allocate the "{name}" resource to master.')
    for file in sorted(paths.at(db.get(one, "location")).rglob("*")):
        if file.is_file():
            say(f"  {file.relative_to(paths.at(db.get(one, 'location')))}")


def sync(name: str, given: Attributes, force: bool, say: Say) -> None:
    """Send the database to the alternate master; the first time only by force."""
    del given
    objects = db.read()
    one = db.need(objects, name)
    if one["type"] != "alternate_master":
        raise NimError(BAD_OPERATION, "nim", f'the "sync" operation is not valid for "{one["type"]}" objects')
    if not force and not db.get(one, "sync_done"):
        raise NimError(MACHINE_BUSY, "c_sync", f'"{name}" has a NIM database of its own; use the force flag to overwrite it')
    with db.locked(db.MASTER):
        say(f"Saving the NIM database for {name} ...")
        settings.take("sync")
        with db.changing() as changed:
            db.put(changed[name], "sync_done", "yes")
    say("Synchronization completed.")


def takeover(name: str, given: Attributes, force: bool, say: Say) -> None:
    """Only a master that has been set up as the other one's alternate can take over from it."""
    del given, force, say
    one = db.need(db.read(), name)
    if one["type"] != "alternate_master":
        raise NimError(BAD_OPERATION, "nim", f'the "takeover" operation is not valid for "{one["type"]}" objects')
    with db.changing() as objects:
        db.put(objects[db.MASTER], "master_of", name)


OPERATIONS: dict[str, Operation] = {
    "check": check,
    "change": change,
    "remove": remove,
    "reset": reset,
    "deallocate": deallocate,
    "showres": showres,
    "sync": sync,
    "takeover": takeover,
}
