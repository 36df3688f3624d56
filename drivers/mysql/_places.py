"""Where the node-side programs keep what they know, and what they are told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from xcat_ha_drivers.database.disk import locked, made, rooted, sync_directory, write_durably
from xcat_ha_drivers.database.errors import DatabaseError

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


def read_note(name: str) -> Mapping[str, Any] | None:
    """A note of an earlier run (``role``, ``proof``, ``handed-over``, ``seeding``, ``promoted``); None if there is none.

    Raises:
        DatabaseError: it is there and cannot be read; what it says may be what keeps the data safe.
    """
    path = rooted(BASE_DIR) / f"{name}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unusable(path) from error
    if not isinstance(found, dict):
        raise _unusable(path)
    return found


def _unusable(path: Path) -> DatabaseError:
    return DatabaseError(f"the note {path} is not usable", hint="look at it, and remove it if it is damaged")


def write_note(name: str, **facts: object) -> None:
    """Keep a note, durably."""
    write_durably(made(rooted(BASE_DIR)) / f"{name}.json", json.dumps(facts))


def forget_note(name: str) -> None:
    """Remove a note; harmless if there is none."""
    path = rooted(BASE_DIR) / f"{name}.json"
    if path.exists():
        path.unlink()
        sync_directory(path.parent)


def set_mark(path: str) -> None:
    """Make a mark that the next boot removes."""
    place = rooted(path)
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    place.touch(mode=0o644)


def is_marked(path: str) -> bool:
    """Whether a mark is there."""
    return rooted(path).exists()


def clear_mark(path: str) -> None:
    """Remove a mark."""
    rooted(path).unlink(missing_ok=True)
