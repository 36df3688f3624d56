"""The trees beside the database: package files, /install, /tftpboot, modest but as on a site.

They hold what copying gets wrong: hard links, symbolic links, extended
attributes, odd owners and modes inside a root image, an empty folder.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

PACKAGED = {
    "opt/xcat/share/xcat/netboot/rh/compute.rhels9.x86_64.exlist": "./boot*\n./usr/share/doc*\n",
    "opt/xcat/share/xcat/netboot/rh/compute.rhels9.x86_64.postinstall": "#!/bin/sh\nexit 0\n",
    "opt/xcat/share/xcat/install/rocky/compute.tmpl": "#INCLUDE_DEFAULT_PKGLIST#\nreboot\n",
    "opt/xcat/share/xcat/install/ubuntu/compute.tmpl": "#cloud-config\n",
    "opt/xcat/share/xcat/install/sles/compute.tmpl": "<profile/>\n",
    "opt/xcat/share/xcat/netboot/genesis/x86_64/kernel": "genesis kernel\n",
    "opt/xcat/share/xcat/netboot/genesis/x86_64/fs/init": "#!/bin/sh\n",
    "opt/xcat/share/xcat/cons/ipmi": "#!/bin/sh\nexec sleep infinity\n",
    "tftpboot/boot/grub2/grub2.x86_64": "grub2 network boot program\n" * 40,
    "tftpboot/xcat/xnba.kpxe": "xnba bios\n" * 40,
    "tftpboot/xcat/xnba.efi": "xnba uefi\n" * 40,
}
EXECUTABLE = ("postinstall", "cons/ipmi", "fs/init")

DISTRIBUTIONS = {
    "rocky9.5": ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", ".treeinfo"),
    "rocky8.10": ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", ".treeinfo"),
    "rhels9.4.0": ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", ".treeinfo"),
    "ubuntu22.04.4": ("casper/vmlinuz", "casper/initrd", ".disk/info"),
    "sle15.5": ("boot/x86_64/loader/linux", "boot/x86_64/loader/initrd", "content"),
}
PACKAGES = ("bash", "coreutils", "glibc", "kernel-core", "openssh-server", "systemd")
NETBOOT = {"rocky9.5": "compute", "rhels9.4.0": "gpu"}
POSTSCRIPTS = ("syslog", "remoteshell", "syncfiles", "otherpkgs", "setupntp", "confignetwork",
               "mountfs", "setup_gpu", "servicenode", "xcatdsklspost")  # fmt: skip


def write_packaged(root: pathlib.Path) -> None:
    """What the packages bring."""
    for name, text in PACKAGED.items():
        mode = 0o755 if name.endswith(EXECUTABLE) else 0o644
        _file(root / name, text, mode)
    for name in POSTSCRIPTS:
        _file(root / "install/postscripts" / name, f"#!/bin/sh\n# {name}\nexit 0\n", 0o755)


def write_site(root: pathlib.Path) -> None:
    """What a site has made: distributions, images, customisations."""
    install = root / "install"
    for name, files in DISTRIBUTIONS.items():
        _distribution(install / name / "x86_64", name, files)
    for name, profile in NETBOOT.items():
        _netboot(install / "netboot" / name / "x86_64" / profile, name)
    for name in DISTRIBUTIONS:
        custom = install / "custom" / name
        _file(custom / "compute.pkglist", "bash\nopenssh-server\nchrony\n")
        _file(custom / "synclist", "/etc/hosts -> /etc/hosts\n")
        (install / "post/otherpkgs" / name / "x86_64").mkdir(parents=True, exist_ok=True)
    _file(install / "custom/rhels9.4.0/gpu.pkglist", "bash\nnvidia-driver\n")
    _file(install / "custom/ünïcode/name with space.cfg", "kept = yes\n")
    _postscripts(install / "postscripts", root)
    (install / "autoinst").mkdir(exist_ok=True)
    _file(install / "prescripts/setup.sh", "#!/bin/sh\n", 0o755)
    (install / "kits").mkdir(exist_ok=True)
    _boot_files(root / "tftpboot")


def _distribution(place: pathlib.Path, name: str, files: tuple[str, ...]) -> None:
    for file in files:
        _file(place / file, f"{name} {file}\n" * 20)
    for package in PACKAGES:
        _file(place / "Packages" / f"{package}-1.0.x86_64.rpm", f"{name} {package}\n" * 10)
    repeated = place / "AppStream/Packages/bash-1.0.x86_64.rpm"
    repeated.parent.mkdir(parents=True, exist_ok=True)
    _again(repeated)
    os.link(place / "Packages/bash-1.0.x86_64.rpm", repeated)


def _netboot(place: pathlib.Path, name: str) -> None:
    _file(place / "kernel", f"{name} kernel\n" * 40)
    _file(place / "initrd-stateless.gz", f"{name} initrd\n" * 40)
    _file(place / "rootimg.cpio.gz", f"{name} rootimg\n" * 100)
    image = place / "rootimg"
    _file(image / "etc/os-release", f'NAME="{name}"\n')
    _file(image / "etc/shadow", "root:*:19000:0:99999:7:::\n", 0o000)
    _file(image / "usr/bin/ping", "ping\n", 0o755)
    _file(image / "usr/bin/su", "su\n", 0o4755)
    _file(image / "var/lib/chrony/drift", "0.0 0.0\n")
    _own(image / "var/lib/chrony/drift", 996, 993)
    _again(image / "bin")
    (image / "bin").symlink_to("usr/bin")
    _again(image / "usr/bin/ping6")
    os.link(image / "usr/bin/ping", image / "usr/bin/ping6")
    (image / "proc").mkdir(exist_ok=True)
    _attribute(image / "usr/bin/ping", "user.origin", b"xcat-image")
    _access_list(image / "etc/os-release")


def _postscripts(place: pathlib.Path, root: pathlib.Path) -> None:
    _file(place / "_xcat/ca.pem", _read(root / "etc/xcat/cert/ca.pem"))
    _file(place / "ca/ca-cert.pem", _read(root / "etc/xcat/ca/ca-cert.pem"))
    for key in sorted((root / "etc/xcat/hostkeys").glob("*.pub")):
        _file(place / "hostkeys" / key.name, key.read_text())


def _boot_files(place: pathlib.Path) -> None:
    for name, profile in NETBOOT.items():
        folder = place / f"xcat/osimage/{name}-x86_64-netboot-{profile}"
        _file(folder / "kernel", f"{name} kernel\n" * 40)
        _file(folder / "initrd-stateless.gz", f"{name} initrd\n" * 40)
    node = place / "boot/grub2/cn0005"
    _file(node, "#boot\nset timeout=5\n")
    for alias in ("grub.cfg-0A4D0105", "grub.cfg-01-0c-42-a1-00-00-05"):
        _again(node.parent / alias)
        os.link(node, node.parent / alias)
    (place / "pxelinux.cfg").mkdir(exist_ok=True)
    (place / "xcat/xnba/nodes").mkdir(parents=True, exist_ok=True)


def _file(place: pathlib.Path, text: str, mode: int = 0o644) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.chmod(0o600)
    place.write_text(text, encoding="utf-8")
    place.chmod(mode)


def _again(place: pathlib.Path) -> None:
    place.unlink(missing_ok=True)


def _read(place: pathlib.Path) -> str:
    return place.read_text() if place.exists() else ""


def _own(place: pathlib.Path, user: int, group: int) -> None:
    if os.geteuid() == 0:
        os.chown(place, user, group)


def _attribute(place: pathlib.Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(place, name, value)
    except OSError:
        return  # this file system has none


def _access_list(place: pathlib.Path) -> None:
    try:
        subprocess.run(["setfacl", "-m", "u:998:r", str(place)], check=False, capture_output=True)
    except FileNotFoundError:
        return  # no tool, no list
