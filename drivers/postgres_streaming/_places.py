"""Where the node-side programs keep what they know, and what they are told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import locked, made, rooted, sync_directory, write_durably
from xcat_ha_drivers.database.notes import Notes
from xcat_ha_drivers.postgres.layout import Layout

BASE_DIR = "/var/lib/xcat-ha/postgres-streaming"
OWNER_DIR = "/var/lib/xcat-ha-postgres"
"""What the server itself has to read: it cannot look below ``/var/lib/xcat-ha``, which is root's alone."""
PASSFILE = f"{OWNER_DIR}/passfile"
OWN_MARK = "/run/xcat-ha/postgres-own"
"""Since this boot it is certain that the database here is this node's own, so its server may run writable."""
PROVED_MARK = "/run/xcat-ha/postgres-proved"
ROLE = "xcat_ha"
"""Of replication, in the database server."""


class Given(NamedTuple):
    """What the programs are told, the same for every verb.

    Attributes:
        node: id of this node.
        address: its own.
        peer: id of the other node.
        peer_address: the other node's own.
        service: service addresses, the first one first.
        service_name: the service hostname.
        xcat_dir: where cfgloc is.
        data_directory: empty: the only server of this node.
        slot_mib: how much write-ahead log is kept for a standby that is away, in MiB.
        synchronous: empty, ``wait`` or ``degrade``.
        degrade_after_s: how long a standby may be away before ``degrade`` gives it up.
        rsh: how the other node is reached by ssh, as words.
        confirm_s: a proof of the copy may be that old if nothing was written since.
        over_own: this node's own database may be replaced.
        as_source: (prepare) this node is the source.
        mark: (prove) leave the mark behind.
        name: an xCAT node name.
    """

    node: str
    address: str = ""
    peer: str = ""
    peer_address: str = ""
    service: tuple[str, ...] = ()
    service_name: str = ""
    xcat_dir: str = "/etc/xcat"
    data_directory: str = ""
    slot_mib: int = 1024
    synchronous: str = ""
    degrade_after_s: int = 10
    rsh: str = ""
    confirm_s: float = 60.0
    over_own: bool = False
    as_source: bool = False
    mark: bool = False
    name: str = ""

    @property
    def own_slot(self) -> str:
        """Name of this node as a standby: of its slot on the other node, and of its connection."""
        return slot_of(self.node)

    @property
    def peer_slot(self) -> str:
        """The other node's."""
        return slot_of(self.peer)


def slot_of(node_id: str) -> str:
    """Slots are named by lower-case letters, digits and underscores only; node ids by letters, digits and dashes."""
    return f"xcat_ha_{node_id.replace('-', '_')}"


@contextmanager
def at_work() -> Iterator[None]:
    """Hold this node's lock of the driver."""
    with locked(made(rooted(BASE_DIR)) / "lock"):
        yield


# proof, handed-over, promoted, standby, limits
_NOTES = Notes(BASE_DIR, hint="remove it, then run the sync, which writes what is missing anew")
read_note, write_note, forget_note = _NOTES.read, _NOTES.write, _NOTES.forget


def owner_directory(layout: Layout) -> Path:
    """The server owner's own directory, made if need be (0700)."""
    place = rooted(OWNER_DIR)
    if not place.is_dir():
        place.mkdir(mode=0o700)
        sync_directory(place.parent)
    status = place.stat()
    if os.geteuid() == 0 and (status.st_uid, status.st_gid) != (layout.uid, layout.gid):
        os.chown(place, layout.uid, layout.gid)
    place.chmod(0o700)
    return place


def write_for_owner(path: Path, text: str, layout: Layout) -> None:
    """A file that only root and the server's owner can read (0600, the owner's)."""
    write_durably(path, text)
    if os.geteuid() == 0:
        os.chown(path, layout.uid, layout.gid)
