"""nim, lsnim, niminit, nimconfig, nim_master_setup and NIM's own methods m_mkspot, m_backup_db, m_restore_db."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

from .. import paths, settings
from ..box import Box, Stop
from ..nim import database as db
from ..nim import define as defining
from ..nim import master, operations, show
from ..nim.errors import BAD_OPERATION, CONFIGURED_ALREADY, NO_SUCH_FILE, NimError, missing
from ..odm import levels
from ..src import Src
from .files import mkitab

USAGE = "usage: nim {-o Operation | -Fo Operation} [-t Type] [-a Attribute=Value]... {ObjectName}"
NIMCLIENT_ENTRY = "nimsh:2:wait:/usr/bin/startsrc -g nimclient >/dev/console 2>&1"


def nim(box: Box) -> int:
    """Run one operation."""
    flags, names = box.options("Fo:t:a:", USAGE)
    given = dict(flags)
    if "o" not in given or len(names) != 1:
        raise box.fail(USAGE, BAD_OPERATION)
    try:
        _operate(box, given["o"], given.get("t", ""), _pairs(flags), names[0], force="F" in given)
    except NimError as error:
        raise refused(box, error) from error
    return 0


def _operate(box: Box, operation: str, type_name: str, pairs: list[tuple[str, str]], name: str, *, force: bool) -> None:
    db.read()
    if operation == "define":
        defining.define(name, type_name, pairs, box.out)
    elif operation == "unconfig":
        if name != db.MASTER:
            raise NimError(BAD_OPERATION, "nim", f'the "unconfig" operation is not valid for "{name}"')
        master.unconfigure()
    elif operation in operations.INSTALLING:
        operations.install(operation, name, pairs, force)
    elif operation in operations.OPERATIONS:
        operations.OPERATIONS[operation](name, pairs, force, box.out)
    else:
        raise NimError(BAD_OPERATION, "nim", f'"{operation}" is not a valid NIM operation')


def m_mkspot(box: Box) -> int:
    """Register a SPOT whose tree is there (source=no), or install one; quiet when it went well."""
    flags, names = box.options("oa:", "usage: m_mkspot -o -a server=... -a location=... -a source=... name")
    pairs = _pairs(flags)
    try:
        if len(names) != 1:
            raise missing("name", "m_mkspot")
        db.read()
        defining.define(names[0], "spot", pairs, lambda line: None if dict(pairs).get("source") == "no" else box.out(line))
    except NimError as error:
        raise refused(box, error) from error
    return 0


def m_backup_db(box: Box) -> int:
    """Save the database."""
    return _with_file(box, master.backup)


def m_restore_db(box: Box) -> int:
    """Restore it."""
    return _with_file(box, master.restore)


def _with_file(box: Box, act: Callable[[str], None]) -> int:
    if len(box.words) != 1:
        raise box.fail(f"usage: {box.name} file")
    try:
        act(box.words[0])
    except NimError as error:
        raise refused(box, error) from error
    return 0


def lsnim(box: Box) -> int:
    """Show objects."""
    flags, names = box.options("lc:t:a:A:ZqPOS:gL", "usage: lsnim [-l] [-c Class] [-t Type] [-a Attribute] [-Z] [name]")
    given = dict(flags)
    try:
        _list(box, given, names)
    except NimError as error:
        raise refused(box, error) from error
    return 0


def _list(box: Box, given: dict[str, str], names: list[str]) -> None:
    name = names[0] if names else ""
    if "q" in given:
        show.objects()
        rest = [word for word in names if word not in {"define", "-t"}]
        show.define_needs(rest[-1] if rest else given.get("t", ""), box.out)
    elif "P" in given:
        show.types(given.get("c", ""), box.out)
    elif "A" in given:
        show.next_free(given["A"], name, box.out)
    else:
        shown = show.chosen(given.get("c", ""), given.get("t", ""), name)
        if "a" in given:
            show.columns(shown, given["a"], box.out, colons="Z" in given)
        elif "l" in given:
            show.long(shown, box.out)
        else:
            show.plain(shown, box.out)


def nimconfig(box: Box) -> int:
    """Make this machine a master; -r: write niminfo anew."""
    flags, _ = box.options("a:rc", "usage: nimconfig -a pif_name=<Pif> -a netname=<Name> [-r]")
    values = dict(_pairs(flags))
    try:
        if "r" in dict(flags):
            db.read()
            master.write_niminfo(box.kernel, box.odm)
        else:
            network = _needed(values, "netname", "nimconfig")
            defining.refuse_name({}, network)
            master.configure(box.kernel, box.odm, values.get("pif_name", ""), network)
    except NimError as error:
        raise refused(box, error) from error
    return 0


def nim_master_setup(box: Box) -> int:
    """Install the master's fileset from the device if need be, then configure; no resources are made here."""
    flags, _ = box.options("a:BFLcv", "Usage: nim_master_setup [-a mk_resource={yes|no}] [-a device=...] [-B] [-F] [-L] [-v]")
    try:
        _set_up(box, dict(_pairs(flags)))
    except NimError as error:
        raise refused(box, error) from error
    box.out("Network Install Manager master is configured.")
    return 0


def _set_up(box: Box, values: dict[str, str]) -> None:
    if db.configured():
        raise NimError(CONFIGURED_ALREADY, "nim_master_setup", "this machine is already configured as a NIM master")
    if values.get("mk_resource", "yes") != "no":
        raise NimError(BAD_OPERATION, "nim_master_setup", "this simulation makes no resources: mk_resource=no")
    _install_fileset(values.get("device", "/dev/cd0"))
    interface = next((link.name for link in box.kernel.links() if link.up and link.addresses), "")
    settings.take("master")
    master.configure(box.kernel, box.odm, interface, "master_net")


def _needed(values: dict[str, str], attribute: str, method: str) -> str:
    if not values.get(attribute):
        raise missing(attribute, method)
    return values[attribute]


def _install_fileset(device: str) -> None:
    installed = levels()
    if master.FILESET in installed.read()["filesets"]:
        return
    place = paths.at(device)
    if not place.exists() or not any(place.rglob(f"{master.FILESET}*")):
        raise NimError(NO_SUCH_FILE, "nim_master_setup", f'the file or directory "{device}" does not exist or holds no {master.FILESET}')
    with installed.change() as data:
        data["filesets"][master.FILESET] = ["7.1.4.2", "Network Install Manager - Master Tools"]


def niminit(box: Box) -> int:
    """Make this machine a client of a master, or its alternate; the master's own database is not told from here."""
    flags, _ = box.options("a:", "usage: niminit -a name=<Name> -a pif_name=<Pif> -a master=<Hostname>")
    values = dict(_pairs(flags))
    try:
        for needed in ("name", "pif_name", "master"):
            _needed(values, needed, "niminit")
        defining.refuse_name({}, values["name"])
        if values.get("is_alternate") != "yes":
            _refuse_master()
    except NimError as error:
        raise refused(box, error) from error
    role = "alternate_master" if values.get("is_alternate") == "yes" else "standalone"
    fields = {"NIM_NAME": values["name"], "NIM_HOSTNAME": box.kernel.hostname(), "NIM_CONFIGURATION": role}
    master.write_exports({**fields, "NIM_MASTER_HOSTNAME": values["master"], "NIM_MASTER_PORT": "1058", "NIM_SHELL": '"nimsh"'})
    with contextlib.suppress(Stop):  # it may be there already
        mkitab(Box("mkitab", [NIMCLIENT_ENTRY], io.StringIO(), io.StringIO(), box.stdin))
    box.out(f"{NIMCLIENT_ENTRY}\n0513-077 Subsystem has been changed.")
    pid = Src().start("nimsh")
    if pid is not None:
        box.out(f"0513-059 The nimsh Subsystem has been started. Subsystem PID is {pid}.")
    return 0


def _refuse_master() -> None:
    if db.configured():
        raise NimError(CONFIGURED_ALREADY, "niminit", "this machine is already configured as a NIM master")


def refused(box: Box, error: NimError) -> Stop:
    """Print a refusal; what is returned ends the command with its code."""
    return box.fail(error.lines(db.MASTER), error.code)


def _pairs(flags: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """-a name=value, in the order given."""
    return [(name, value) for flag, text in flags if flag == "a" for name, _, value in [text.partition("=")]]
