"""Making a machine a NIM master, and no master; niminfo; saving and restoring the database."""

from __future__ import annotations

import ipaddress
import json

from .. import inittab, paths, settings
from ..kernel import Kernel, Link
from ..odm import Odm, gateway_of, levels
from ..src import Src
from . import database as db
from .database import Object
from .errors import CONFIGURED_ALREADY, MACHINE_BUSY, NO_SUCH_FILE, NimError, bad_value, missing

INITTAB_ENTRY = "nim:2:wait:/usr/bin/startsrc -g nim >/dev/console 2>&1"
FILESET = "bos.sysmgt.nim.master"


def configure(kernel: Kernel, odm: Odm, interface: str, network: str) -> None:
    """nimconfig: the network, the master, and the resources it always has. NimError if this is a master already."""
    if db.configured():
        raise NimError(CONFIGURED_ALREADY, "nimconfig", "this machine is already configured as a NIM master")
    if FILESET not in levels().read()["filesets"]:
        raise NimError(NO_SUCH_FILE, "nimconfig", f"the fileset {FILESET} is not installed")
    link = _link(kernel, interface)
    address, prefix = link.addresses[0]
    gateways = [gateway for route in odm.values("inet0", "route") if (gateway := gateway_of(route))]
    net = ipaddress.IPv4Interface(f"{address}/{prefix}").network
    routing = [["routing1", f"default {gateways[0]}"]] if gateways else []
    state = [["Nstate", "ready for use"], ["prev_state", "information is missing from this object's definition"]]
    objects: dict[str, Object] = {
        "master": db.new("machines", "master", _master_attributes(kernel.hostname(), network, link)),
        "boot": db.new("resources", "boot", _standing("/tftpboot", "represents the network boot resource")),
        "nim_script": db.new(
            "resources", "nim_script", _standing("/export/nim/scripts", "directory containing customization scripts created by NIM")
        ),
        network: db.new("networks", "ent", [*state, ["net_addr", str(net.network_address)], ["snm", str(net.netmask)], *routing]),
    }
    db.replace(objects)
    write_niminfo(kernel, odm)
    if not any(one.name == "nim" for one in inittab.entries()):
        inittab.write([*inittab.lines(), INITTAB_ENTRY])
    if "nimesis" in Src().names():
        Src().start("nimesis")


def _link(kernel: Kernel, interface: str) -> Link:
    if not interface:
        raise missing("pif_name", "nimconfig")
    link = next((one for one in kernel.links() if one.name == interface), None)
    if link is None or not link.addresses:
        raise bad_value("pif_name", interface, "nimconfig")
    return link


def _master_attributes(hostname: str, network: str, link: Link) -> list[list[str]]:
    mac = link.mac.replace(":", "").upper()
    state = [["Cstate", db.CLIENT_READY], ["prev_state", db.CLIENT_READY], ["Mstate", "currently running"]]
    serves = [["serves", "boot"], ["serves", "nim_script"]]
    ports = [["master_port", "1058"], ["registration_port", "1059"], ["reserved", "yes"]]
    return [
        ["platform", "chrp"],
        ["netboot_kernel", "64"],
        ["if1", f"{network} {hostname} {mac}"],
        ["cable_type1", "N/A"],
        *state,
        *serves,
        *ports,
    ]


def _standing(location: str, comments: str) -> list[list[str]]:
    state = [["Rstate", db.READY], ["prev_state", db.UNAVAILABLE], ["location", location], ["alloc_count", "0"]]
    return [["comments", comments], *state, ["server", "master"], ["reserved", "yes"]]


def write_niminfo(kernel: Kernel, odm: Odm) -> None:
    """The file that says whose master this is: by the name the machine has now."""
    name = kernel.hostname()
    address = next((one for link in kernel.links() for one, _ in link.addresses), "127.0.0.1")
    gateways = [gateway for route in odm.values("inet0", "route") if (gateway := gateway_of(route))]
    values = {
        "NIM_NAME": "master",
        "NIM_HOSTNAME": name,
        "NIM_CONFIGURATION": "master",
        "NIM_MASTER_HOSTNAME": name,
        "NIM_MASTER_PORT": "1058",
        "NIM_REGISTRATION_PORT": "1059",
        "NIM_SHELL": '"nimsh"',
        "NIM_MASTERID": "00F6050A4C00",
        "NIM_BOS_IMAGE": "/SPOT/usr/sys/inst.images/installp/ppc/bos",
        "NIM_BOS_FORMAT": "rte",
        "NIM_HOSTS": f'" {address}:{name} "',
        "NIM_MOUNTS": '""',
        "ROUTES": f'" {"".join(f"default:0:{gateway} " for gateway in gateways)}"',
    }
    write_exports(values)


def write_exports(values: dict[str, str]) -> None:
    """The file as shell text."""
    head = (
        "#------------------ Network Install Manager ---------------\n"
        "# warning - this file contains NIM configuration information\n"
        "#       and should only be updated by NIM\n"
    )
    paths.at(db.NIMINFO).write_text(head + "".join(f"export {name}={value}\n" for name, value in values.items()), encoding="utf-8")


def unconfigure() -> None:
    """No master any more: refused while a client has something allocated."""
    with db.locked(db.MASTER):
        objects = db.read()
        for name, one in objects.items():
            if one["class"] == "machines" and db.allocations(one, objects):
                raise NimError(MACHINE_BUSY, "m_unconfig", f'"{name}" has resources allocated')
    db.store().forget()
    paths.at(db.NIMINFO).unlink(missing_ok=True)
    inittab.write([line for line in inittab.lines() if not line.startswith("nim:")])
    Src().request_stop("nimesis")


def backup(path: str) -> None:
    """m_backup_db: the database and niminfo in one file."""
    if not path.startswith("/"):
        raise bad_value("file", path, "m_backup_db")
    text = json.dumps(db.backup_text())
    if not paths.at(path).parent.is_dir():
        raise NimError(NO_SUCH_FILE, "m_backup_db", f'the file or directory "{path}" does not exist')
    paths.at(path).write_text(text, encoding="utf-8")


def restore(path: str) -> None:
    """m_restore_db: everything as it was saved, the old master's name included. Refused on a machine that is a master."""
    place = paths.at(path)
    if not place.is_file():
        raise NimError(NO_SUCH_FILE, "m_restore_db", f'the file or directory "{path}" does not exist')
    if db.configured():
        raise NimError(CONFIGURED_ALREADY, "m_restore_db", "this machine is already configured as a NIM master")
    settings.take("master")
    saved = json.loads(place.read_text(encoding="utf-8"))
    db.replace(saved["objects"])
    paths.at(db.NIMINFO).write_text(saved["niminfo"], encoding="utf-8")
