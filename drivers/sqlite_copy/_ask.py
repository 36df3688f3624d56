"""Questions about a node's database. Asking changes nothing."""

from __future__ import annotations

from typing import Any

from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.marker import HANDED_OVER, PROMOTED
from xcat_ha_drivers.database.xcatd import sign_of_xcatd
from xcat_ha_drivers.sqlite_copy._disk import generations
from xcat_ha_drivers.sqlite_copy._generations import newest
from xcat_ha_drivers.sqlite_copy._live import in_place, is_writable
from xcat_ha_drivers.sqlite_copy._tables import journal_of, look, table_paths
from xcat_ha_drivers.sqlite_copy._xcat import database_location, require_sqlite


def observation(xcat_dir: str, wait_s: float) -> dict[str, Any]:
    """Everything the driver wants to know about this node, for JSON. A part that cannot be known carries its reason."""
    engine, directory = database_location()
    answer: dict[str, Any] = {"engine": engine, "directory": directory}
    try:
        answer["xcatd"] = sign_of_xcatd()
        found = in_place(xcat_dir, wait_s)
        answer["kind"], answer["tables"], answer["id"], answer["trouble"] = found.kind, found.tables, found.id, found.trouble
        answer["marker"] = found.marker._asdict() if found.marker else None
        answer["journals"] = [path.name for path in table_paths(xcat_dir) if journal_of(path).exists()]
        answer["generations"] = [path.name for path in generations().paths()]
        last = newest()
        answer["newest"] = (
            {"name": last.path.name, "source": last.manifest.source, "snapshot_time": last.manifest.snapshot_time, "id": last.manifest.id}
            if last
            else None
        )
    except DatabaseError as error:
        answer["error"] = str(error)
    return answer


def received_stamp(xcat_dir: str, wait_s: float, *, or_promoted: bool) -> str:
    """Stamp of the copy in place, if it is complete and untouched; else why there is none.

    ``or_promoted``: also if the node took it over since, and nothing was written (a hand-over that is run again).
    """
    found = in_place(xcat_dir, wait_s)
    if found.marker is not None and (found.kind == "copy" or (or_promoted and found.kind == "own" and found.id == found.marker.id)):
        return found.marker.stamp
    return f"none: the tables in place are {found.kind}"


def why_not_promoted(xcat_dir: str, wait_s: float) -> str:
    """Why the tables in place are not this node's own writable database; empty when they are. Changes nothing."""
    require_sqlite(xcat_dir)
    found = in_place(xcat_dir, wait_s)
    if not found.tables:
        return f"there are no table files in {xcat_dir}"
    if found.kind == "waiting":
        return "a copy was received and is not in place yet"
    if found.marker is not None and found.marker.state != PROMOTED:
        return f"the tables are a copy ({found.marker.state}), not taken over yet"
    for path in table_paths(xcat_dir):
        look(path)
    return "" if is_writable(xcat_dir) else f"{xcat_dir} is not writable"


def why_not_handed_over(xcat_dir: str, wait_s: float) -> str:
    """Why this node's tables are not known as given to the peer; empty when they are. Changes nothing."""
    found = in_place(xcat_dir, wait_s)
    if found.marker is None or found.marker.state != HANDED_OVER:
        return "not noted as handed over"
    return "" if found.kind == "copy" else "the tables have changed since they were handed over"
