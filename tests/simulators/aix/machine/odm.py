"""The ODM: devices, their attributes, and the levels of what is installed. It outlives every reboot."""

from __future__ import annotations

from dataclasses import dataclass

from . import inet, paths
from .store import Data, Store

DEVICES = paths.ODM + "/devices.json"
LEVELS = paths.ODM + "/levels.json"


@dataclass(frozen=True)
class Kind:
    """What an attribute is: its default and its description."""

    default: str
    description: str


# Defaults and descriptions as lsattr shows them of an interface nobody configured.
INTERFACE = {
    "alias4": Kind("", "IPv4 Alias including Subnet Mask"),
    "alias6": Kind("", "IPv6 Alias including Prefix Length"),
    "arp": Kind("on", "Address Resolution Protocol (ARP)"),
    "authority": Kind("", "Authorized Users"),
    "broadcast": Kind("", "Broadcast Address"),
    "monitor": Kind("off", "Enable/Disable monitor attribute"),
    "mtu": Kind("1500", "Maximum IP Packet Size for This Device"),
    "mtu_bypass": Kind("off", "Enable/Disable largesend for virtual Ethernet"),
    "netaddr": Kind("", "Internet Address"),
    "netaddr6": Kind("", "IPv6 Internet Address"),
    "netmask": Kind("", "Subnet Mask"),
    "prefixlen": Kind("", "Prefix Length for IPv6 Internet Address"),
    "remmtu": Kind("576", "Maximum IP Packet Size for REMOTE Networks"),
    "rfc1323": Kind("", "Enable/Disable TCP RFC 1323 Window Scaling"),
    "security": Kind("none", "Security Level"),
    "state": Kind("down", "Current Interface Status"),
    "tcp_mssdflt": Kind("", "Set TCP Maximum Segment Size"),
    "tcp_nodelay": Kind("", "Enable/Disable TCP_NODELAY Option"),
    "tcp_recvspace": Kind("", "Set Socket Buffer Space for Receiving"),
    "tcp_sendspace": Kind("", "Set Socket Buffer Space for Sending"),
    "thread": Kind("off", "Enable/Disable thread attribute"),
}
INET0 = {
    "authm": Kind("65536", "Authentication Methods"),
    "bootup_option": Kind("no", "Use BSD-style Network Configuration"),
    "gateway": Kind("", "Gateway"),
    "hostname": Kind("", "Host Name"),
    "rout6": Kind("", "IPv6 Route"),
    "route": Kind("", "Route"),
}
SEVERAL = {"alias4", "route"}  # attributes of which a device has a list


class Odm:
    """Devices by name. Attribute values are strings; those of SEVERAL are lists of strings."""

    def __init__(self) -> None:
        self.devices = Store(DEVICES, _bare_devices)

    def interfaces(self) -> list[str]:
        """The names of the network interfaces there is hardware for, sorted."""
        return sorted(name for name, one in self.devices.read().items() if name != "inet0" and one["state"] == "Available")

    def kinds(self, device: str) -> dict[str, Kind]:
        """The attributes a device can have."""
        return INET0 if device == "inet0" else INTERFACE

    def exists(self, device: str) -> bool:
        """Whether the device is in the ODM."""
        return device in self.devices.read()

    def values(self, device: str, attribute: str) -> list[str]:
        """The values stored of an attribute: none, one, or of some attributes several."""
        stored = self.devices.read()[device]["attributes"]
        if attribute in SEVERAL:
            return list(stored.get(attribute, []))
        value = stored.get(attribute, self.kinds(device)[attribute].default)
        return [value] if value else []

    def value(self, device: str, attribute: str) -> str:
        """The first value, empty without one."""
        return next(iter(self.values(device, attribute)), "")

    def set_value(self, device: str, attribute: str, value: str) -> None:
        """Store one value."""
        with self.devices.change() as devices:
            devices[device]["attributes"][attribute] = value

    def add_value(self, device: str, attribute: str, value: str) -> None:
        """Append to the list of an attribute unless it is in it."""
        with self.devices.change() as devices:
            known = devices[device]["attributes"].setdefault(attribute, [])
            if value not in known:
                known.append(value)

    def drop_value(self, device: str, attribute: str, value: str) -> bool:
        """Take it out of the list; False if it was not in it."""
        with self.devices.change() as devices:
            known = devices[device]["attributes"].setdefault(attribute, [])
            if value not in known:
                return False
            known.remove(value)
            return True


def _bare_devices() -> Data:
    return {"inet0": {"state": "Available", "attributes": {}}}


def new_machine(name: str, interfaces: list[str], own: str, address: str, mask: str, gateway: str) -> Data:
    """The devices of a machine whose interface ``own`` has an address of its own; raises ValueError for no mask."""
    if inet.prefix_of(mask) is None:
        raise ValueError(mask)
    devices = _bare_devices()
    devices["inet0"]["attributes"] = {"hostname": name, "route": [default_route(gateway)] if gateway else []}
    for interface in interfaces:
        devices[interface] = {"state": "Available", "attributes": {}}
    devices[own]["attributes"] = {"netaddr": address, "netmask": mask, "state": "up"}
    return devices


def default_route(gateway: str) -> str:
    """The ODM's way to say "the rest of the world is behind this machine"."""
    return f"net,-hopcount,0,,0,{gateway}"


def gateway_of(route: str) -> str | None:
    """The gateway of a default route in the ODM's form; None if it is another route, or none at all."""
    fields = route.split(",")
    if len(fields) == 6 and fields[0] == "net" and fields[4] == "0" and inet.is_address(fields[5]):
        return fields[5]
    return None


LEVEL_DEFAULTS: Data = {
    "oslevel": "7100-04-02-1614",
    "build": "7.1.0.0",
    "filesets": {
        "bos.net.tcp.client": ["7.1.4.2", "TCP/IP Client Support"],
        "bos.sysmgt.nim.client": ["7.1.4.2", "Network Install Manager - Client Tools"],
        "bos.sysmgt.nim.master": ["7.1.4.2", "Network Install Manager - Master Tools"],
        "bos.sysmgt.nim.spot": ["7.1.4.0", "Network Install Manager - SPOT"],
        "openssh.base.server": ["6.0.0.6108", "Open Secure Shell Server"],
    },
}


def levels() -> Store:
    """What oslevel and lslpp show."""
    return Store(LEVELS, lambda: {**LEVEL_DEFAULTS, "filesets": dict(LEVEL_DEFAULTS["filesets"])})
