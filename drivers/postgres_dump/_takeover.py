"""Which database becomes the writable one of a new primary, and the marker that says so."""

from __future__ import annotations

from xcat_ha_drivers.database.marker import HANDED_OVER, PROMOTED, Marker
from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
from xcat_ha_drivers.postgres import contents, location
from xcat_ha_drivers.postgres.daemon import start
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres_dump._apply import Hands, await_unused, put_in_place, set_marker
from xcat_ha_drivers.postgres_dump._diverged import save
from xcat_ha_drivers.postgres_dump._node import Here, InPlace
from xcat_ha_drivers.postgres_dump._places import generations, newest
from xcat_ha_drivers.postgres_dump._snapshot import current_snapshot

OPEN = -1
_CLOSE = 'ALTER DATABASE :"name" CONNECTION LIMIT 0;\n'


def promote(node: str, here: Here, hands: Hands) -> str:
    """Make the newest copy (or, where the database is this node's own, that) the writable database; returns what was done.

    The server is started if it does not run.

    Raises:
        DatabaseError: xcatd runs, there is nothing to promote, or the database cannot be read.
    """
    refuse_if_xcatd_runs()
    start(here.server)
    marker = _chosen(node, here, here.in_place(), hands)
    contents.look(here.ask)  # every row can be read, or it raises
    set_marker(here, marker._replace(state=PROMOTED, newest=generations().newest_number()), limit=OPEN)
    return f"promoted {marker.generation or marker.id or here.database}"


def _chosen(node: str, here: Here, found: InPlace, hands: Hands) -> Marker:
    """Put the right database in place and return the marker to set."""
    marker, generation = found.marker, newest()
    was_primary = marker is None or marker.state in (PROMOTED, HANDED_OVER)
    is_own = bool(found.facts) and was_primary and found.kind != "waiting"
    if generation is None or is_own:
        # Generations received before a node was primary are history: what is in place came later.
        if not found.facts:
            raise PostgresError(f"there is neither a copy nor a database {here.database}", hint="seed this node, or restore a copy by hand")
        return marker or Marker(PROMOTED, "", "", node, 0.0)
    if found.is_somebodys:
        save(node, here, hands)
    put_in_place(here, generation, found, hands)
    manifest = generation.manifest
    return Marker(PROMOTED, generation.path.name, manifest.id, manifest.source, manifest.snapshot_time)


def close(here: Here, *, wait_s: float) -> None:
    """Before the last snapshot, and before a database is saved and replaced: nobody but us gets in any more, and whoever was in is out.

    Raises:
        PostgresError: somebody is still connected after ``wait_s`` seconds.
    """
    shut(here)
    await_unused(here, wait_s)


def shut(here: Here) -> None:
    """Nobody but the server's owner gets in any more; whoever is in stays in.

    Raises:
        DatabaseError: xcatd runs, or there is no database.
    """
    refuse_if_xcatd_runs()
    found = here.in_place()
    if not found.facts:
        raise PostgresError(f"there is no database {here.database} here", hint="xcat-ha status")
    if not found.is_closed:
        here.server.ask(_CLOSE, variables={"name": here.database})


def note_handed_over(here: Here, peer: str) -> None:
    """Note that the peer took over exactly what is in place here: from now on this database is a copy.

    Raises:
        DatabaseError: xcatd runs, or the database is not that of the snapshot that was handed over.
    """
    refuse_if_xcatd_runs()
    snapshot, found = current_snapshot(), here.in_place()
    if snapshot is None or not found.is_closed or contents.look(here.ask) != snapshot.contents:
        raise PostgresError("the database is not that of the last snapshot", hint="run the hand-over again")
    set_marker(here, Marker(HANDED_OVER, "", snapshot.id, peer, snapshot.snapshot_time, generations().newest_number()))


def received_stamp(xcat_dir: str, data_directory: str, *, or_promoted: bool) -> str:
    """Stamp of the copy in place; else why there is none.

    ``or_promoted``: also if the node took it over (a hand-over that is run again).
    """
    engine = location.read(xcat_dir).location.engine
    if engine != location.ENGINE:
        return f"none: cfgloc names {engine}"
    found = Here(xcat_dir, data_directory).in_place()
    promoted = or_promoted and found.kind == "own" and found.marker is not None and bool(found.marker.id)
    if found.marker is not None and (found.kind == "copy" or promoted):
        return found.marker.stamp
    return f"none: the database in place is {found.kind}"


def why_not_promoted(here: Here) -> str:
    """Why the database in place is not this node's own writable one; empty when it is. Changes nothing."""
    location.require_postgres(here.xcat_dir)
    found = here.in_place()
    if not found.facts:
        return f"there is no database {here.database}"
    if found.kind == "waiting":
        return "a copy was received and is not in place yet"
    if found.marker is not None and found.marker.state != PROMOTED:
        return f"the database is a copy ({found.marker.state}), not taken over yet"
    if found.is_closed:
        return "the database is closed"
    return "the server is a physical standby" if found.state.in_recovery else ""


def why_not_handed_over(here: Here) -> str:
    """Why this node's database is not known as given to the peer; empty when it is. Changes nothing."""
    found = here.in_place()
    if found.marker is None or found.marker.state != HANDED_OVER:
        return "not noted as handed over"
    return "" if found.is_closed else "the database was opened since it was handed over"
