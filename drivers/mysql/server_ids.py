"""What the two servers are told apart by in each other's log."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from xcat_ha.errors import ConfigError
from xcat_ha.models import Pair


def server_ids(pair: Pair) -> Mapping[str, int]:
    """What the two servers are told apart by, made of the ids of the nodes: it never changes, and is the same wherever it is computed.

    Raises:
        ConfigError: both nodes get the same.
    """
    found = {node.id: (zlib.crc32(f"xcat-ha {node.id}".encode()) & 0x7FFFFFFF) | 1 for node in pair.nodes}
    if len(set(found.values())) != len(found):
        raise ConfigError("both nodes get the same server id", where=pair.source, hint="change the id of one of the nodes")
    return found
