"""What kind of cluster it is: service nodes, kinds of images, nodes that need the management node alive (facts: xCAT 5). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from xcat_ha._listed import listed
from xcat_ha.discovery.facts import Discovery

Rows = Sequence[Mapping[str, str]]
STATELITE_NFS = "statelite with NFS root"
AIX_DISKLESS = "AIX diskless"
HANGING = (STATELITE_NFS, AIX_DISKLESS)
"""Kinds of image whose nodes hang while no management node serves them (unless a service node does)."""
_MANY = 8


def cluster_lines(discovery: Discovery, own_names: frozenset[str]) -> tuple[str, ...]:
    """Sentences about the cluster; what could not be read is said to be not known. ``own_names``: of the management node itself."""
    nodes, service_nodes, kinds = (discovery.tables.get("nodelist"), service_nodes_of(discovery, own_names), kinds_of(discovery))
    found = [f"nodes: {'NOT KNOWN (tabdump nodelist did not answer)' if nodes is None else len(nodes)}"]
    if service_nodes is None:
        found.append("service nodes: NOT KNOWN (tabdump servicenode or noderes did not answer)")
    else:
        found.append(f"service nodes: {few(service_nodes) or 'none'} (tables servicenode and noderes)")
    if kinds is None:
        return (*found, "cluster type: NOT KNOWN (tabdump osimage did not answer)")
    words = "; ".join(f"{kind}: {few(images)}" for kind, images in sorted(kinds.items()))
    found.append(f"cluster type: {'AIX' if any('AIX' in kind for kind in kinds) else 'Linux'}; images: {words or 'none'} (table osimage)")
    found += [f"{kind} nodes: {few(users)}" for kind in HANGING if (users := users_of(discovery, kinds.get(kind, ())))]
    return tuple(found)


def service_nodes_of(discovery: Discovery, own_names: frozenset[str]) -> tuple[str, ...] | None:
    """Service nodes that are defined, the management node itself left out; None if that cannot be told."""
    defined, resources = discovery.tables.get("servicenode"), discovery.tables.get("noderes")
    if defined is None or resources is None:
        return None
    names = [row.get("node", "") for row in defined]
    for row in resources:
        names += re.split(r"[,\s]+", row.get("servicenode", ""))
    return tuple(sorted({name for name in names if name and name not in own_names and name.partition(".")[0] not in own_names}))


def kinds_of(discovery: Discovery) -> Mapping[str, tuple[str, ...]] | None:
    """Kind of image -> names of the images of that kind; None if that cannot be told."""
    images, nim = discovery.tables.get("osimage"), discovery.tables.get("nimimage")
    if images is None:
        return None
    types = {row.get("imagename", ""): row.get("nimtype", "") for row in nim or ()}
    found: dict[str, list[str]] = {}
    for row in images:
        name = row.get("imagename", "")
        found.setdefault(_kind(row, types.get(name, "")), []).append(name)
    return {kind: tuple(sorted(names)) for kind, names in found.items()}


def _kind(row: Mapping[str, str], nimtype: str) -> str:
    if nimtype or row.get("imagetype") == "NIM":
        return AIX_DISKLESS if nimtype in {"diskless", "dataless"} else "AIX diskful"
    method = row.get("provmethod", "")
    if method == "statelite":
        return "statelite in memory" if row.get("rootfstype") == "ramdisk" else STATELITE_NFS
    return {"install": "diskful", "netboot": "stateless", "sysclone": "diskful"}.get(method, method or "of no method")


def users_of(discovery: Discovery, images: Sequence[str]) -> tuple[str, ...]:
    """Nodes and groups that are to be provisioned with one of these images."""
    rows = discovery.tables.get("nodetype") or ()
    return tuple(sorted(row.get("node", "") for row in rows if row.get("provmethod", "") in images)) if images else ()


def few(names: Sequence[str]) -> str:
    """As a comment or a warning names them."""
    return listed(names, _MANY)
