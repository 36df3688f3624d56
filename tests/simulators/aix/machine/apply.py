"""How a change of an attribute reaches the ODM and the kernel, and how a device is configured from the ODM."""

from __future__ import annotations

import contextlib

from . import inet
from .kernel import Kernel, KernelError, find
from .odm import Odm, gateway_of

Changes = list[tuple[str, str]]


def change(odm: Odm, kernel: Kernel, device: str, changes: Changes, *, kept: bool, live: bool) -> None:
    """Make the changes, of valid values. Raises KernelError, with the ODM as it was, when the kernel refuses."""
    if device == "inet0":
        _change_inet0(odm, kernel, changes, kept=kept, live=live)
    else:
        _change_interface(odm, kernel, device, changes, kept=kept, live=live)


def configure(odm: Odm, kernel: Kernel, device: str) -> None:
    """Give the kernel what the ODM holds of a device: what happens at boot."""
    if device == "inet0":
        kernel.set_hostname(odm.value("inet0", "hostname") or "localhost")
        for route in odm.values("inet0", "route"):
            gateway = gateway_of(route)
            if gateway:
                with contextlib.suppress(KernelError):
                    kernel.add_default_route(gateway)
        return
    if odm.value(device, "state") != "up":
        return
    netaddr, prefix = odm.value(device, "netaddr"), _prefix(odm.value(device, "netaddr"), odm.value(device, "netmask"))
    wanted = [(netaddr, prefix)] if netaddr else []
    wanted += [_alias(text) for text in odm.values(device, "alias4")]
    kernel.set_up(device, up=True)
    kernel.set_addresses(device, wanted)


def _change_inet0(odm: Odm, kernel: Kernel, changes: Changes, *, kept: bool, live: bool) -> None:
    for attribute, value in changes:
        if attribute == "delroute" and kept and not odm.drop_value("inet0", "route", value) and not live:
            raise KernelError("0514-031 The attribute has no such value.")
        if live:
            _inet0_live(kernel, attribute, value)
        if kept and attribute == "route":
            odm.add_value("inet0", "route", value)
        elif kept and attribute != "delroute":
            odm.set_value("inet0", attribute, value)


def _inet0_live(kernel: Kernel, attribute: str, value: str) -> None:
    gateway = gateway_of(value)
    if attribute == "hostname":
        kernel.set_hostname(value)
    elif attribute == "route" and gateway:
        # A second one is added, nothing is replaced.
        kernel.add_default_route(gateway)
    elif attribute == "delroute" and gateway:
        kernel.drop_default_route(gateway)


def _change_interface(odm: Odm, kernel: Kernel, device: str, changes: Changes, *, kept: bool, live: bool) -> None:
    stored = {name: odm.value(device, name) for name in ("netaddr", "netmask", "state")}
    wanted = {**stored, **{name: value for name, value in changes if name in stored}}
    if live:
        if {"netaddr", "netmask", "state"} & {name for name, _ in changes}:
            _move(kernel, device, stored["netaddr"], wanted)
        for attribute, value in changes:
            if attribute in {"alias4", "delalias4"}:
                _alias_live(kernel, device, value, gone=attribute == "delalias4")
    if not kept:
        return
    for attribute, value in changes:
        if attribute == "alias4":
            odm.add_value(device, "alias4", value)
        elif attribute == "delalias4":
            odm.drop_value(device, "alias4", value)
        else:
            odm.set_value(device, attribute, value)


def _move(kernel: Kernel, device: str, stored: str, wanted: dict[str, str]) -> None:
    """The interface's address takes the place of the one the ODM knew; what was added by ifconfig stays."""
    state = wanted["state"]
    if state == "detach":
        kernel.detach(device)
        return
    if state == "down":
        kernel.set_up(device, up=False)
    link = find(kernel, device)
    if link is None:
        raise KernelError("The specified interface does not exist.")
    if state != "up" and wanted["netaddr"]:
        return
    others = [pair for pair in link.addresses if pair[0] not in {stored, wanted["netaddr"]}]
    first = [(wanted["netaddr"], _prefix(wanted["netaddr"], wanted["netmask"]))] if wanted["netaddr"] else []
    if state == "up":
        kernel.set_up(device, up=True)
    kernel.set_addresses(device, first + others)


def _alias_live(kernel: Kernel, device: str, value: str, *, gone: bool) -> None:
    link, pair = find(kernel, device), _alias(value)
    if link is None:
        raise KernelError("The specified interface does not exist.")
    others = [one for one in link.addresses if one[0] != pair[0]]
    if gone and len(others) == len(link.addresses):
        raise KernelError("Cannot assign the requested address.")
    kernel.set_addresses(device, others if gone else [*others, pair])


def _alias(text: str) -> tuple[str, int]:
    address, _, mask = text.partition(",")
    return address, inet.prefix_of(mask) or 32


def _prefix(address: str, mask: str) -> int:
    found = inet.prefix_of(mask) if mask else None
    if found is not None:
        return found
    return inet.class_prefix(address) if address else 32
