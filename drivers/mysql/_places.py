"""Where the node-side programs keep what they know, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from xcat_ha_drivers.database.disk import locked, made, rooted
from xcat_ha_drivers.database.notes import Notes

BASE_DIR = "/var/lib/xcat-ha/mysql"
PASSWORD_FILE = f"{BASE_DIR}/password"
SERVER_DIR = "/var/lib/xcat-ha-mysql"
"""What the server itself has to read: it cannot look below ``/var/lib/xcat-ha``, which is root's alone."""
CERTIFICATE = f"{SERVER_DIR}/server.crt"
DIVERGED_DIR = "/var/lib/xcat-ha/diverged"
PROVED_MARK = "/run/xcat-ha/mysql-proved"
USER = "xcat_ha"
"""Of replication, in the database server."""


class Given(NamedTuple):
    """What the programs are told, the same for every verb.

    Attributes:
        node, address: id and own address of this node.
        peer, peer_address: of the other one.
        server_id, peer_server_id: what replication tells the two servers apart by.
        service: service addresses, the first one first.
        xcat_dir: where cfgloc is.
        keep_hours: how long the binary log is kept, in hours.
        semi_sync: empty, ``wait`` or ``degrade``.
        degrade_after_s: how long a commit waits with ``degrade``.
        rsh: how the other node is reached by ssh, as words.
        confirm_s: a proof of the copy may be that old if nothing was written since.
        over_own: this node's own database may be replaced.
        forced: promote although received transactions cannot be applied.
        as_source: (prepare) this node is the source.
        mark: (prove) leave the mark behind.
        name: an xCAT node name.
    """

    node: str
    address: str = ""
    peer: str = ""
    peer_address: str = ""
    server_id: int = 0
    peer_server_id: int = 0
    service: tuple[str, ...] = ()
    xcat_dir: str = "/etc/xcat"
    keep_hours: int = 72
    semi_sync: str = ""
    degrade_after_s: int = 10
    rsh: str = ""
    confirm_s: float = 60.0
    over_own: bool = False
    forced: bool = False
    as_source: bool = False
    mark: bool = False
    name: str = ""


@contextmanager
def at_work() -> Iterator[None]:
    """Hold this node's lock of the driver."""
    with locked(made(rooted(BASE_DIR)) / "lock"):
        yield


# role, proof, handed-over, seeding, promoted
_NOTES = Notes(BASE_DIR, hint="look at it, and remove it if it is damaged")
read_note, write_note, forget_note = _NOTES.read, _NOTES.write, _NOTES.forget
