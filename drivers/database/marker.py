"""The marker beside a database that is kept by copies: what is in place there."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from xcat_ha_drivers.database.generations import stamp_of

HANDED_OVER, PROMOTED = "handed-over", "promoted"


class Marker(NamedTuple):
    """What the database in place is.

    Attributes:
        state: :data:`HANDED_OVER`, :data:`PROMOTED`, or a driver's own word for a copy.
        generation: name of the generation it is; empty when handed over, or promoted without one.
        id: of what it holds.
        peer: id of the node it came from (a copy) or was given to (handed-over).
        snapshot_time: seconds since the epoch; everything committed before is in it.
        newest: number of the newest generation received by then; a higher one came later.
    """

    state: str
    generation: str
    id: str
    peer: str
    snapshot_time: float
    newest: int = 0

    @property
    def stamp(self) -> str:
        """Content and time of the copy in place, as its manifest has it."""
        return stamp_of(self.id, self.snapshot_time)

    @property
    def text(self) -> str:
        """As it is kept."""
        return json.dumps(self._asdict())


def marker_of(text: str, states: Collection[str]) -> Marker:
    """Understand a marker as it is kept.

    Raises:
        ValueError, KeyError, TypeError: it is none, or in another state than one of ``states``.
    """
    document: Any = json.loads(text)
    marker = Marker(**{field: document[field] for field in Marker._fields})
    if marker.state not in states:
        raise ValueError(f"state {marker.state!r}")
    return marker
