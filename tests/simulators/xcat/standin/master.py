"""`<xcatmaster>` as xCAT resolves it: this node's address that faces the asker."""

from __future__ import annotations

from collections.abc import Sequence

from . import net
from .database import Database

XCATMASTER = "<xcatmaster>"


def facing_or_master(database: Database, peer: str, addresses: Sequence[net.Address] | None = None) -> str:
    """The first own address whose subnet holds the peer; else site.master."""
    own = net.facing(peer, list(addresses) if addresses is not None else None)
    if own:
        return own
    master = database.site("master")
    return net.resolve(master) or master


def resolve_list(
    database: Database,
    text: str,
    peer: str,
    addresses: Sequence[net.Address] | None = None,
) -> list[str]:
    """A comma list of servers with `<xcatmaster>` and names made addresses."""
    found = []
    for word in text.replace(" ", ",").split(","):
        if word == XCATMASTER:
            found.append(facing_or_master(database, peer, addresses))
        elif word:
            found.append(net.resolve(word) or word)
    return found
