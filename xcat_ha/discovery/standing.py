"""Where the service address is on the machine that serves now, and what else is there. Pure."""

from __future__ import annotations

import ipaddress

from attrs import frozen

from xcat_ha.discovery.facts import Discovery, Held, ip_address_in
from xcat_ha.errors import RefusedError
from xcat_ha.models import IPAddress, IPInterface

_VIRTUAL = "lo"


@frozen
class Standing:
    """The service address as it is today.

    Attributes:
        service: ``site.master`` with the prefix length of its network; None if that is not known.
        interface: where it is; empty if that is not known.
        dynamic: a DHCP server gave it.
        more: other addresses of its name that are in a network of this interface.
        elsewhere: other addresses of its name that are in none of them.
        own: addresses in the same network on the same interface that may be the machine's own.
        origin: where all this was read.
    """

    service: IPInterface | None = None
    interface: str = ""
    dynamic: bool = False
    more: tuple[IPInterface, ...] = ()
    elsewhere: tuple[IPAddress, ...] = ()
    own: tuple[Held, ...] = ()
    origin: str = ""


def standing_of(discovery: Discovery) -> Standing:
    """Find ``site.master`` among the machine's addresses.

    Raises:
        RefusedError: it is none of them: this is not the management node that serves now.
    """
    if not discovery.site.known or discovery.addresses is None:
        return Standing()
    literal = ip_address_in(discovery.site.master)
    masters = (literal,) if literal is not None else discovery.master_addresses
    if not masters:
        return Standing(origin=f"site.master is {discovery.site.master}, a name that no name service knows here")
    for master in masters:
        for held in discovery.addresses:
            if held.address.ip == master and held.interface != _VIRTUAL:
                return _standing(discovery, held)
    here = ", ".join(str(held.address) for held in discovery.addresses if held.interface != _VIRTUAL) or "none"
    raise RefusedError(
        f"site.master is {discovery.site.master}, which is no address of this machine (it has {here})",
        state="nothing was changed",
        hint="run xcat-ha init on the management node that serves the cluster now",
    )


def _standing(discovery: Discovery, master: Held) -> Standing:
    beside = [held for held in discovery.addresses or () if held.interface == master.interface and held.scope == "global"]
    service = _in_network(master.address.ip, [master, *beside]) or master.address
    others = [address for address in discovery.master_addresses if address.version != service.version]
    more = {address: _in_network(address, beside) for address in others}
    own = [held for held in beside if held.address.version == service.version and held.address.ip in service.network]
    return Standing(
        service=service,
        interface=master.interface,
        dynamic=master.dynamic,
        more=tuple(found for found in more.values() if found is not None),
        elsewhere=tuple(address for address, found in more.items() if found is None),
        own=tuple(held for held in own if held.address.ip not in {service.ip, *discovery.master_addresses}),
        origin=f'site.master (lsdef -t site) is {discovery.site.master}; "ip address" has {master.address} on {master.interface}',
    )


def _in_network(address: IPAddress, held: list[Held]) -> IPInterface | None:
    """The address with the prefix length of the network it is in: a host route (/32, /128), or the wider mask that a service address
    is given, is no network.
    """
    for candidate in held:
        network = candidate.address.network
        if candidate.scope == "global" and network.num_addresses > 2 and address in network:
            return ipaddress.ip_interface(f"{address}/{network.prefixlen}")
    return None
