"""The driver ``linux-images`` keeps its interface's promises on the simulated pair.

xCAT is four small programs here; what the real commands print is proven against the stand-in in ``tests/unit/test_linux_images.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from xcat_ha.models import OsImage, Pair
from xcat_ha.testing import Answer, Call, ImagesContract, SimulatedHost, SimulatedSite, Site
from xcat_ha_drivers.linux_images import LinuxImages

_DATABASE = "/etc/xcat/contract.json"
_TEMPLATE = "/opt/xcat/share/xcat/install/rocky/compute.tmpl"


def _row(image: OsImage) -> dict[str, str]:
    return {"provmethod": image.provmethod, "osvers": image.osvers, "osarch": image.arch, "profile": "compute"}


def _state(image: OsImage) -> str:
    return f"install {image.osvers}-{image.arch}-compute"


def _images(host: SimulatedHost) -> list[OsImage]:
    place = host.path(_DATABASE)
    found = json.loads(place.read_text()) if place.exists() else []
    return [OsImage(one["name"], one["provmethod"], one["osvers"], one["arch"], tuple(one["nodes"])) for one in found]


def tabdump(host: SimulatedHost, call: Call) -> Answer:
    """Header with a hash, then quoted rows."""
    tables = {"site": '#key,value,comments,disable\n"master","10.77.0.11",,\n', "nimimage": "#imagename,nimtype,comments,disable\n"}
    columns = (
        ("imagename", "provmethod", "osvers", "osarch", "profile") if call.words[0] == "osimage" else ("imagename", "template", "pkgdir")
    )
    text = "#" + ",".join((*columns, "comments", "disable")) + "\n"
    for image in _images(host):
        row = {"imagename": image.name, **_row(image), "template": _TEMPLATE, "pkgdir": f"/install/{image.osvers}/{image.arch}"}
        text += ",".join(f'"{row[column]}"' for column in columns) + ",,\n"
    return Answer(0, tables.get(call.words[0], text))


def lsdef(host: SimulatedHost, call: Call) -> Answer:
    """Every node waits to be installed with its image."""
    del call
    lines = []
    for image in _images(host):
        for name in image.nodes:
            values = {"provmethod": image.name, "currstate": _state(image), "mac": "0c:42:a1:00:00:01", "netboot": "grub2", "status": ""}
            lines += [f"{name}: {attribute}={value}\n" for attribute, value in values.items()]
    return Answer(0, "".join(lines))


def nodeset(host: SimulatedHost, call: Call) -> Answer:
    """Write, or show, a node's boot file."""
    lines = []
    for name in call.words[0].split(","):
        place = host.path(f"/tftpboot/boot/grub2/{name}")
        if call.words[1] != "stat":
            image = next(image for image in _images(host) if name in image.nodes)
            host.write(f"/tftpboot/boot/grub2/{name}", f"#{_state(image)}\n")
        lines.append(f"{name}: {place.read_text()[1:].strip() if place.exists() else 'offline'}\n")
    return Answer(0, "".join(lines))


class TestLinuxImages(ImagesContract):
    images = (
        OsImage("rocky9-x86_64-install-compute", "install", "rocky9", "x86_64", ("cn1", "cn2")),
        OsImage("rocky8-x86_64-install-compute", "install", "rocky8", "x86_64", ("cn3",)),
    )

    def make_driver(self, pair: Pair) -> LinuxImages:
        return LinuxImages(pair, {})

    def make_site(self) -> Site:
        site = SimulatedSite()
        for host in site.simulated.hosts.values():
            for program in (tabdump, lsdef, nodeset):
                host.handle(program.__name__, program)
        return site

    def define(self, site: Site, node_id: str, images: Iterable[OsImage]) -> None:
        place = site.path(node_id, _DATABASE)
        place.parent.mkdir(parents=True, exist_ok=True)
        shape = ("name", "provmethod", "osvers", "arch", "nodes")
        place.write_text(json.dumps([{key: getattr(image, key) for key in shape} for image in images]))
        for name in ("sbin/tabdump", "bin/lsdef", "sbin/nodeset"):
            program = site.path(node_id, f"/opt/xcat/{name}")
            program.parent.mkdir(parents=True, exist_ok=True)
            program.symlink_to(Path(site.pair.node(node_id).bin_dir) / program.name)

    def put_files(self, site: Site, node_id: str, image: OsImage) -> None:
        folder = f"/install/{image.osvers}/{image.arch}/images/pxeboot"
        for name in (f"{folder}/vmlinuz", f"{folder}/initrd.img", _TEMPLATE):
            place = site.path(node_id, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{name}\n")

    def remove_file(self, site: Site, node_id: str, image: OsImage) -> str:
        gone = f"/install/{image.osvers}/{image.arch}/images/pxeboot/vmlinuz"
        site.path(node_id, gone).unlink()
        return gone

    def is_served(self, site: Site, node_id: str, image: OsImage) -> bool:
        places = [site.path(node_id, f"/tftpboot/boot/grub2/{name}") for name in image.nodes]
        return all(place.exists() and place.read_text() == f"#{_state(image)}\n" for place in places)
