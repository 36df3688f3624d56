"""What a node is to boot: kernel, initrd, arguments, and the file an installer reads."""

from __future__ import annotations

import dataclasses
import shutil

from . import master, paths
from .objects import Attributes
from .request import Request

WANTED = (
    "ip",
    "mac",
    "netboot",
    "arch",
    "os",
    "profile",
    "provmethod",
    "tftpserver",
    "xcatmaster",
    "nfsserver",
    "serialport",
    "serialspeed",
)

# Where an installer's kernel and initrd lie in a copied distribution.
INSTALLERS = {
    "ubuntu": ("casper/vmlinuz", "casper/initrd"),
    "sle": ("boot/x86_64/loader/linux", "boot/x86_64/loader/initrd"),
    "": ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"),
}


@dataclasses.dataclass(frozen=True)
class Destiny:
    state: str
    node: Attributes
    kernel: str = ""
    initrd: str = ""
    kcmdline: str = ""
    problem: str = ""


def plan(request: Request, name: str, node: Attributes, image: str, known: Attributes) -> Destiny:
    """Also writes the kickstart of an install and copies kernel and initrd to /tftpboot."""
    method = known["provmethod"]
    state = f"{method} {known.get('osvers')}-{known.get('osarch')}-{known.get('profile')}"
    if not node.get("mac"):
        return Destiny(state, node, problem="No MAC address available for this node")
    own = node.get("xcatmaster") or master.XCATMASTER
    address = master.resolve_list(request.database, own, node["ip"])[0]
    target = Target(request.host, name, node, image, known, address)
    made = _install(target) if method == "install" else _netboot(target)
    return dataclasses.replace(made, state=state)


@dataclasses.dataclass(frozen=True)
class Target:
    """A node with its image and the address of its master."""

    host: str
    name: str
    node: Attributes
    image: str
    known: Attributes
    address: str


def _netboot(target: Target) -> Destiny:
    node, image, known, address = target.node, target.image, target.known, target.address
    folder = known.get("rootimgdir") or (f"/install/netboot/{known.get('osvers')}/{known.get('osarch')}/{known.get('profile')}")
    kernel, initrd = f"{folder}/kernel", f"{folder}/initrd-stateless.gz"
    for place, what in ((kernel, "kernel"), (initrd, "initrd")):
        if not paths.at(place).exists():
            return Destiny(
                "",
                node,
                problem=f'Did you run "genimage" before running "packimage"? {what} cannot be found at {place} on {target.host}',
            )
    if not paths.at(f"{folder}/rootimg.cpio.gz").exists():
        return Destiny(
            "",
            node,
            problem=f"No packed image for platform {known.get('osvers')}, architecture"
            f" {known.get('osarch')}, and profile {known.get('profile')} found at {folder},"
            f' please run packimage on {target.host} (e.g.  packimage {image}"',
        )
    boot = f"xcat/osimage/{image}"
    _copy(kernel, f"/tftpboot/{boot}/kernel")
    _copy(initrd, f"/tftpboot/{boot}/initrd-stateless.gz")
    arguments = (
        f"imgurl=http://{address}:80/{folder}/rootimg.cpio.gz XCAT={address}:3001{_console(node)} BOOTIF={node['mac'].partition('|')[0]}"
    )
    return Destiny("", node, f"{boot}/kernel", f"{boot}/initrd-stateless.gz", arguments)


def _install(target: Target) -> Destiny:
    name, node, image, known = target.name, target.node, target.image, target.known
    address = target.address
    folder = known.get("pkgdir", "").partition(",")[0]
    system = next((s for s in INSTALLERS if s and known.get("osvers", "").startswith(s)), "")
    kernel, initrd = (f"{folder}/{file}" for file in INSTALLERS[system])
    if not paths.at(kernel).exists() or not paths.at(initrd).exists():
        return Destiny("", node, problem=f"Install image not found in {folder}")
    template = known.get("template", "")
    if not paths.at(template).exists():
        return Destiny(
            "",
            node,
            problem=f"No {system or 'kickstart'} template exists for {known.get('profile')} in directory {template}",
        )
    answers = paths.at(f"/install/autoinst/{name}")
    answers.parent.mkdir(parents=True, exist_ok=True)
    answers.write_text(
        f"#{image} for {name}\n"
        f"url --url http://{address}:80{folder}\n"
        f"{paths.at(template).read_text()}"
        f"export MASTER_IP={address}\nexport XCATSERVER={address}:3001\n"
        f"wget http://{address}:80/install/postscripts/xcatdsklspost\n"
    )
    boot = f"xcat/osimage/{image}"
    _copy(kernel, f"/tftpboot/{boot}/vmlinuz")
    _copy(initrd, f"/tftpboot/{boot}/initrd.img")
    arguments = (
        f"quiet inst.repo=http://{address}:80{folder}"
        f" inst.ks=http://{address}:80/install/autoinst/{name}"
        f"{_console(node)} BOOTIF={node['mac'].partition('|')[0]} ip=dhcp"
    )
    return Destiny("", node, f"{boot}/vmlinuz", f"{boot}/initrd.img", arguments)


def _console(node: Attributes) -> str:
    if not node.get("serialport"):
        return ""
    return f" console=tty0 console=ttyS{node['serialport']},{node.get('serialspeed', '')}"


def _copy(source: str, target: str) -> None:
    place = paths.at(target)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(paths.at(source), place)
