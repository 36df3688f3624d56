"""Which of the pair's nodes this machine is."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

from xcat_ha.models import Pair
from xcat_ha.planning.setup import NODE_ID_FILE


def local_node_id(pair: Pair) -> str:
    """Which of the pair's nodes this machine is; empty if it is none.

    ``/etc/xcat-ha/node`` says so once setup has run; before that, whoever has a node's own address or name, or, on a site with a
    single MN, the service address (that is then the preferred node).
    """
    try:
        stored = Path(NODE_ID_FILE).read_text(encoding="ascii").strip()
    except OSError:
        stored = ""
    if stored in {node.id for node in pair.nodes}:
        return stored
    here = _local_addresses()
    for node in pair.nodes:
        if node.address in here:
            return node.id
    for node in pair.nodes:
        if node.name.partition(".")[0] == socket.gethostname().partition(".")[0]:
            return node.id
    return pair.preferred if any(str(address.ip) in here for address in pair.identity.addresses) else ""


def _local_addresses() -> frozenset[str]:
    try:
        shown = subprocess.run(("ip", "-j", "addr"), capture_output=True, text=True, timeout=10, check=False).stdout
        links = json.loads(shown)
        return frozenset(str(address["local"]) for link in links for address in link.get("addr_info", []) if "local" in address)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return frozenset()
