"""All that the driver can tell of this node, as plain data for JSON. Standard library only."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from xcat_ha_drivers.linux_images import nfs
from xcat_ha_drivers.linux_images.files import Found, files_of, foreign
from xcat_ha_drivers.linux_images.nodes import Waiting, diskless_nodes, unready_nodes, waiting_nodes
from xcat_ha_drivers.linux_images.tables import Tables, rooted

NOTE = ".xcat-ha-images.json"
"""Below ``site.installdir``: it is copied with the images it tells of, by whatever copies them."""
_HTTP_LIMIT_S = 5.0


def everything(tables: Tables) -> dict[str, Any]:
    """The whole answer of ``look``."""
    files = image_files(tables)
    return {
        "images": images(tables, files),
        "note": read_note(tables.installdir),
        "waiting": [one._asdict() for one in waiting(tables, files)],
        "unready": unready_nodes(tables),
        "diskless": diskless_nodes(tables),
        "mounts": [one._asdict() for one in nfs.mounts()],
        "exports": nfs.exported() if nfs.is_server() else None,
        "configured_exports": nfs.configured(),
        "http_trouble": http_trouble(tables, files),
    }


def image_files(tables: Tables) -> dict[str, list[Found]]:
    """Files by image, of those this driver serves."""
    return {name: files_of(name, tables) for name in sorted(tables.osimage) if not foreign(tables.osimage[name])}


def waiting(tables: Tables, files: Mapping[str, Sequence[Found]]) -> list[Waiting]:
    """Nodes that wait to be installed."""
    return waiting_nodes(tables, {name: [one.path for one in found if one.lacking] for name, found in files.items()})


def images(tables: Tables, files: Mapping[str, Sequence[Found]]) -> list[dict[str, Any]]:
    """The images of the database with what is there of each."""
    found = []
    for name, row in sorted(tables.osimage.items()):
        facts = {"provmethod": row.get("provmethod", ""), "osvers": row.get("osvers", ""), "arch": row.get("osarch", "")}
        shown = [{**one._asdict(), "lacking": one.lacking} for one in files.get(name, ())]
        found.append({"name": name, **facts, "files": shown, "unknown": foreign(row)})
    return found


def read_note(installdir: str) -> dict[str, Any] | None:
    """What was noted of the primary's images; None if nothing usable was."""
    try:
        data = json.loads(rooted(f"{installdir}/{NOTE}").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def write_note(installdir: str, content: Sequence[dict[str, Any]]) -> None:
    """Note it, as a whole or not at all."""
    place = rooted(f"{installdir}/{NOTE}")
    new = place.with_name(f"{place.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"noted_at": time.time(), "images": content}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(place)


def remove_note(installdir: str) -> None:
    """No note rather than an old one that would be taken for a new one."""
    rooted(f"{installdir}/{NOTE}").unlink(missing_ok=True)


def http_trouble(tables: Tables, files: Mapping[str, Sequence[Found]]) -> str | None:
    """Why the HTTP server here does not give out a file of an image; empty if it does, None if no image has a file to ask for.

    Nodes load ``http://MN:80/install/…`` (facts: what ``nodeset`` writes); ``site.httpport`` may say another port.
    """
    root = f"{tables.installdir}/"
    served = (one.path for found in files.values() for one in found if one.size and not one.directory and one.path.startswith(root))
    path = next(served, None)
    if path is None:
        return None
    port = tables.site.get("httpport") or "80"
    url = f"http://127.0.0.1:{port}{urllib.request.pathname2url(path)}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_HTTP_LIMIT_S):
            return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        code = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        return f"{url}: {code}{reason}"
