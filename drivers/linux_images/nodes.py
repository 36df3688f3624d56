"""Which nodes wait to be installed, which lack their boot file, which hang without their server. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from xcat_ha_drivers.linux_images.tables import Row, Tables, rooted

RUNNING = frozenset({"booted", "alive"})
"""Values of ``nodelist.status`` that say: this node runs."""

_BOOT_FILES = {"grub2": "boot/grub2", "xnba": "xcat/xnba/nodes", "pxe": "pxelinux.cfg"}
"""``noderes.netboot`` -> directory below ``site.tftpdir`` that holds a file per node (facts: xCAT 3.4)."""

_IMAGE_STATES = ("install ", "netboot ", "statelite ")
_HEAD_BYTES = 400


class Waiting(NamedTuple):
    """A node whose installation is pending; ``trouble``: why nothing may be run for it."""

    name: str
    image: str
    state: str
    trouble: str


def served_here(node: Row, tables: Tables) -> bool:
    """Whether this MN serves the node itself, and no service node does."""
    return node.get("servicenode", "") in {"", tables.site.get("master")}


def waiting_nodes(tables: Tables, lacking: Mapping[str, Iterable[str]]) -> list[Waiting]:
    """Nodes that xCAT sends to an installation which has not happened: it sets ``chain.currstate`` to ``boot`` when one has.

    ``lacking``: image -> files it lacks here. A failed ``nodeset`` has already changed the database (facts: xCAT 4.8), so it is not tried
    where it cannot succeed, and never for a node that runs or that it would send to something else than the database says now.
    """
    found = []
    for name, node in sorted(tables.nodes.items()):
        state = node.get("currstate", "")
        if state.startswith("install ") and served_here(node, tables):
            found.append(Waiting(name, node.get("provmethod", ""), state, _trouble(node, tables, lacking)))
    return found


def _trouble(node: Row, tables: Tables, lacking: Mapping[str, Iterable[str]]) -> str:
    image, state = node.get("provmethod", ""), node["currstate"]
    row = tables.osimage.get(image)
    if node.get("status") in RUNNING:
        return f"its status is {node['status']}: it runs"
    if row is None:
        return f"its image {image or '(none)'} is not defined"
    would_be = f"{row.get('provmethod')} {row.get('osvers')}-{row.get('osarch')}-{row.get('profile')}"
    if would_be != state:
        return f"its image {image} would make that {would_be!r}"
    if not node.get("mac"):
        return "it has no MAC address"
    lacks = list(lacking.get(image, ()))
    return f"its image {image} lacks {lacks[0]}" if lacks else ""


def unready_nodes(tables: Tables) -> list[str]:
    """Nodes whose boot file is not there or says something else than ``chain.currstate``; only where that file's place is known."""
    found = []
    for name, node in sorted(tables.nodes.items()):
        state = node.get("currstate", "")
        folder = next((place for kind, place in _BOOT_FILES.items() if node.get("netboot", "").startswith(kind)), None)
        if (
            folder
            and state.startswith(_IMAGE_STATES)
            and served_here(node, tables)
            and not _says(f"{tables.tftpdir}/{folder}/{name}", state)
        ):
            found.append(name)
    return found


def _says(path: str, state: str) -> bool:
    try:
        with rooted(path).open("rb") as file:
            head = file.read(_HEAD_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.lstrip("#").strip() == state for line in head if line.startswith("#"))


def diskless_nodes(tables: Tables) -> dict[str, str]:
    """Nodes whose root file system is on this MN (facts: xCAT 5)."""
    found = {}
    for name, node in sorted(tables.nodes.items()):
        why = _needs_server(node, tables)
        if why and served_here(node, tables):
            found[name] = why
    return found


def _needs_server(node: Row, tables: Tables) -> str:
    method = node.get("provmethod", "")
    row = tables.osimage.get(method, {"provmethod": method})
    kind = tables.nimimage.get(method, {}).get("nimtype", "")
    if row.get("imagetype", "").upper() == "NIM" and kind in {"diskless", "dataless"}:
        return f"AIX {kind}"
    if row.get("provmethod") == "statelite" and row.get("rootfstype", "") in {"", "nfs"}:
        return "statelite, root over NFS"
    return ""
