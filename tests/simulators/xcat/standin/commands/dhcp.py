"""makedhcp: dhcpd.conf (-n), reservations (-a, nodes, -d), a look (-q)."""

from __future__ import annotations

import ipaddress
import re
import shutil

from .. import dhcpconf, leases, master, net, options, paths, services
from ..leases import Reservation
from ..objects import Objects
from ..omapi import omapi_key
from ..request import Request

USAGE = (
    "Usage: makedhcp -n [-l|--localonly]\n"
    "       makedhcp -a [-l|--localonly]\n"
    "       makedhcp -a -d [-l|--localonly]\n"
    "       makedhcp -d noderange [-l|--localonly]\n"
    "       makedhcp <noderange> [-s statements] [-l|--localonly]\n"
    "       makedhcp -q <noderange>\n"
    "       makedhcp [-h|--help]"
)
NOT_RUNNING = "dhcp server is not running.  please start the dhcp server."
WANTED = ("ip", "mac", "tftpserver", "xcatmaster", "netboot", "arch")


def makedhcp(request: Request) -> None:
    try:
        chosen, operands = options.parse(request.args, "nadqlhvVs:", ["localonly", "help"])
    except options.BadOptionError:
        chosen, operands = {}, []
    if not operands and not {"n", "a"} & set(chosen):
        request.out(USAGE)
        request.code |= 0 if "h" in chosen else 1
        return
    if request.database.site("externaldhcpservers"):
        return
    if "q" in chosen:
        query(request, operands)
    elif "n" in chosen:
        new(request)
    else:
        names, missing = Objects(request.database).noderange.expand(",".join(operands) or "all")
        if missing:
            request.err(f"Error: Invalid nodes and/or groups in noderange: {','.join(missing)}")
            return
        update(request, names, delete="d" in chosen)
        request.pace.wait_until("makedhcp -a" if "a" in chosen else "makedhcp")


def new(request: Request) -> None:
    services.stop("dhcp")
    place = paths.at(dhcpconf.CONF)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        shutil.move(place, paths.at(dhcpconf.BACKUP))
        request.out(f"Renamed existing dhcp configuration file to  {dhcpconf.BACKUP}")
        request.out()
    text, nics = dhcpconf.write(request.database, request)
    place.write_text(text)
    _tell_defaults(nics)
    request.pace.wait_until("makedhcp -n", 0.6)
    services.enable("dhcp")
    services.restart("dhcp")  # xCAT does not look whether it came up
    request.pace.wait_until("makedhcp -n")


def _tell_defaults(nics: list[str]) -> None:
    """The NICs for Debian's start script."""
    place = paths.at(dhcpconf.DEFAULTS)
    lines = place.read_text().splitlines() if place.exists() else []
    own = f'INTERFACES="{" ".join(nics)}"'
    kept = [line for line in lines if not re.match(r"INTERFACES(v4)?=", line)]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("".join(line + "\n" for line in [*kept, own]))


def update(request: Request, names: list[str], *, delete: bool) -> None:
    """Reserve, or take the reservations away; needs a running dhcpd."""
    if not services.is_active("dhcp"):
        raise request.stop(NOT_RUNNING)
    key = omapi_key(request.database)
    if delete:
        leases.change([], names, key)
        _note_definitions([], names)
        return
    found = reservations(request, names)
    leases.change(found, [], key)
    _note_definitions([r.name for r in found], [])


def reservations(request: Request, names: list[str]) -> list[Reservation]:
    """Of nodes with a MAC and an address in a local subnet; the others are passed over."""
    objects = Objects(request.database).nodes(names, WANTED)
    addresses = net.local_addresses()
    local = [a.network for a in addresses if not a.address.startswith("127.")]
    found = []
    for name in names:
        values = objects[name]
        mac = first_mac(values.get("mac", ""))
        # A node without a MAC address is passed over before anybody looks its name up.
        address = (values.get("ip") or net.resolve(name)) if mac else ""
        if not mac or not address:
            continue
        if not any(ipaddress.IPv4Address(address) in network for network in local):
            continue
        server = values.get("tftpserver") or values.get("xcatmaster") or master.XCATMASTER
        next_server = master.resolve_list(request.database, server, address, addresses)
        boot = f"/boot/grub2/grub2-{name}" if values.get("netboot") == "grub2" else ""
        found.append(Reservation(name, mac, address, next_server[0], boot))
    return found


def first_mac(text: str) -> str:
    mac = text.partition("|")[0].partition("!")[0]
    return mac if re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", mac) else ""


def _note_definitions(put: list[str], drop: list[str]) -> None:
    """The comments in dhcpd.conf that say where a host is defined."""
    place = paths.at(dhcpconf.CONF)
    text = place.read_text() if place.exists() else ""
    noted = dict.fromkeys(re.findall(r"^#definition for host (\S+) aka", text, re.MULTILINE))
    noted |= dict.fromkeys(put)
    for name in drop:
        noted.pop(name, None)
    lines = [x for x in text.splitlines() if not x.startswith("#definition for host ")]
    lines += [
        f"#definition for host {n} aka host {n} can be found in the dhcpd.leases file (typically /var/lib/dhcpd/dhcpd.leases)"
        for n in noted
    ]
    place.write_text("".join(line + "\n" for line in lines))


def query(request: Request, operands: list[str]) -> None:
    names, missing = Objects(request.database).noderange.expand(",".join(operands))
    if missing:
        request.err(f"Error: Invalid nodes and/or groups in noderange: {','.join(missing)}")
        return
    reserved = leases.read()
    for name in names:
        if name in reserved:
            address, mac = reserved[name]
            request.out(f"{name}: ip-address = {address}, hardware-address = {mac}")
