"""/tftpboot/boot/grub2: one file per node, hard links to it by address and MAC."""

from __future__ import annotations

import os
import pathlib

from . import master, paths
from .destiny import Destiny
from .request import Request

GRUB2 = "/tftpboot/boot/grub2"
NO_FILE = "offline"  # a node without a boot file


def _folder() -> pathlib.Path:
    return paths.at(GRUB2)


def state_of(name: str) -> str:
    """The first line of the boot file says what it boots."""
    try:
        with (_folder() / name).open() as file:
            return file.readline().rstrip("\n").removeprefix("#")
    except OSError:
        return NO_FILE


def write(request: Request, name: str, state: Destiny) -> str:
    """'' when written, else what is wrong."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    _remove_with_links(folder / name)
    node = state.node
    if state.state != "offline":
        text = f"#{state.state}\nset timeout=5\n"
        if state.kernel:
            server = node.get("tftpserver") or node.get("xcatmaster") or master.XCATMASTER
            address = master.resolve_list(request.database, server, node["ip"])[0]
            text += _menu(state, address)
        (folder / name).write_text(text)
    program = f"{GRUB2}/grub2.{node.get('arch', '')}"
    if not node.get("arch"):
        return "No archictecture defined in nodetype table for the node."
    if not paths.at(program).exists():
        return f'CommandError grub2 configuration for this node, "{program}" does not exits.'
    _link_program(folder, name, state)
    _link_aliases(folder, name, state)
    return ""


def _menu(state: Destiny, address: str) -> str:
    return (
        'set default="xCAT OS Deployment"\nmenuentry "xCAT OS Deployment" {\n'
        "    insmod http\n    insmod tftp\n"
        f"    set root=tftp,{address}\n"
        "    echo Loading Install kernel ...\n"
        f"    linux /{state.kernel} {state.kcmdline}\n"
        "    echo Loading initial ramdisk ...\n"
        f"    initrd /{state.initrd}\n}}"
    )


def _remove_with_links(place: pathlib.Path) -> None:
    try:
        inode = place.stat().st_ino
    except OSError:
        return
    for other in place.parent.iterdir():
        if other.stat(follow_symlinks=False).st_ino == inode:
            other.unlink()


def _link_program(folder: pathlib.Path, name: str, state: Destiny) -> None:
    link = folder / f"grub2-{name}"
    if state.state in ("offline", "boot"):
        link.unlink(missing_ok=True)
    elif not link.is_symlink():
        link.symlink_to(f"grub2.{state.node['arch']}")


def _link_aliases(folder: pathlib.Path, name: str, state: Destiny) -> None:
    octets = [int(o) for o in state.node["ip"].split(".")]
    aliases = ["grub.cfg-" + "".join(f"{o:02X}" for o in octets)]
    mac = state.node.get("mac", "").partition("|")[0].partition("!")[0]
    if mac:
        aliases.append("grub.cfg-01-" + mac.lower().replace(":", "-"))
    for alias in aliases:
        (folder / alias).unlink(missing_ok=True)
        if state.state != "offline":
            os.link(folder / name, folder / alias)
