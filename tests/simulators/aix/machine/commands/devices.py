"""chdev, mkdev, rmdev, lsdev."""

from __future__ import annotations

from collections.abc import Callable

from .. import apply, inet
from ..box import Box
from ..kernel import KernelError
from ..odm import gateway_of

USAGE = "Usage: chdev -l Name [-a Attribute=Value]... [-f File] [-h] [-p Parent] [-P|-T] [-U] [-q] [-w Location] [-g]"
INET0_METHOD = "/usr/lib/methods/chginet"
INTERFACE_METHOD = "/usr/lib/methods/chgif"
STATES = ("up", "down", "detach")


def chdev(box: Box) -> int:
    """Change attributes: in the ODM and the kernel, with -P only there, with -T only here."""
    flags, rest = box.options("l:a:f:hp:PTUqw:g", USAGE)
    given = dict(flags)
    if rest or "l" not in given or ("P" in given and "T" in given):
        raise box.fail(USAGE)
    device = given["l"]
    require_device(box, device)
    changes = [_change(box, device, value) for flag, value in flags if flag == "a"]
    for attribute, value in changes:
        _check_value(box, device, attribute, value)
    kept, live = "T" not in given, "P" not in given
    try:
        apply.change(box.odm, box.kernel, device, changes, kept=kept, live=live)
    except KernelError as error:
        box.err(f"Method error ({_method(device)}):")
        raise box.fail(f"\t0514-068 Cause not known.\n{error}") from error
    if "q" not in given:
        box.out(f"{device} changed")
    return 0


def mkdev(box: Box) -> int:
    """Configure a device from what the ODM holds of it."""
    flags, _ = box.options("l:c:s:t:a:dSRp:qw:f:h", "Usage: mkdev -l Name")
    device = dict(flags).get("l", "")
    require_device(box, device)
    if device != "inet0":
        with box.odm.devices.change() as devices:
            devices[device]["state"] = "Available"
    try:
        apply.configure(box.odm, box.kernel, device)
    except KernelError as error:
        raise box.fail(f"Method error ({_method(device)}):\n\t0514-068 Cause not known.\n{error}") from error
    box.out(f"{device} Available")
    return 0


def rmdev(box: Box) -> int:
    """Unconfigure a device; with -d forget it."""
    flags, _ = box.options("l:dSRqf:p:h", "Usage: rmdev -l Name [-d|-S]")
    given = dict(flags)
    device = given.get("l", "")
    require_device(box, device)
    if device != "inet0" and device in box.odm.interfaces():
        box.kernel.detach(device)
    with box.odm.devices.change() as devices:
        if "d" in given:
            del devices[device]
        else:
            devices[device]["state"] = "Defined"
    box.out(f"{device} deleted" if "d" in given else f"{device} Defined")
    return 0


def lsdev(box: Box) -> int:
    """List devices."""
    flags, _ = box.options("CPHc:s:t:S:l:F:", "Usage: lsdev -C [-c Class] [-l Name] [-S State]")
    given = dict(flags)
    for name, one in sorted(box.odm.devices.read().items()):
        kind, text = ("tcpip", "Internet Network Extension") if name == "inet0" else ("if", "Standard Ethernet Network Interface")
        if given.get("l", name) == name and given.get("c", kind) == kind and given.get("S", "")[:1] in {"", one["state"][0].lower()}:
            columns = {"name": name, "status": one["state"], "class": kind, "description": text}
            box.out(" ".join(columns.get(c, "") for c in given["F"].split()) if "F" in given else f"{name} {one['state']}  {text}")
    return 0


def require_device(box: Box, device: str) -> None:
    """Stop unless the ODM has the device."""
    if not box.odm.exists(device):
        raise box.fail(
            f"{box.name}: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{device}"
        )


def _method(device: str) -> str:
    return INET0_METHOD if device == "inet0" else INTERFACE_METHOD


def _change(box: Box, device: str, text: str) -> tuple[str, str]:
    attribute, equals, value = text.partition("=")
    known = {*box.odm.kinds(device), *({"delroute"} if device == "inet0" else {"delalias4"})}
    if not equals:
        raise box.fail(USAGE)
    if attribute not in known:
        box.err(f"Method error ({_method(device)}):")
        raise box.fail(f"\t0514-017 The following attributes are not valid for the\n\tspecified device:\n\t{attribute}")
    return attribute, value


def _check_value(box: Box, device: str, attribute: str, value: str) -> None:
    if not _is_valid(attribute, value):
        text = box.odm.kinds(device).get(attribute)
        box.err(f"Method error ({_method(device)}):")
        box.err("\t0514-018 The values specified for the following attributes \n\tare not valid:")
        raise box.fail(f"\t{attribute}\t{text.description if text else attribute}")


def _is_alias(value: str) -> bool:
    address, _, mask = value.partition(",")
    return inet.is_address(address) and inet.prefix_of(mask) is not None


def _is_route(value: str) -> bool:
    return gateway_of(value) is not None or (value.startswith(("net,", "host,")) and value.count(",") == 8)


VALID: dict[str, Callable[[str], bool]] = {
    "hostname": inet.is_hostname,
    "netaddr": lambda value: not value or inet.is_address(value),
    "netmask": lambda value: not value or inet.prefix_of(value) is not None,
    "state": lambda value: value in STATES,
    "alias4": _is_alias,
    "delalias4": _is_alias,
    "route": _is_route,
    "delroute": _is_route,
}


def _is_valid(attribute: str, value: str) -> bool:
    return VALID[attribute](value) if attribute in VALID else len(value) <= 255 and value.isprintable()
