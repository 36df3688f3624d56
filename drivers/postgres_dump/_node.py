"""This node's server and database as the programs here work on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from xcat_ha_drivers.database.generations import number_of, stamp_of
from xcat_ha_drivers.postgres import location, questions
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import find
from xcat_ha_drivers.postgres.location import Credentials
from xcat_ha_drivers.postgres.questions import ServerState
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_dump._places import generations

COPY, HANDED_OVER, PROMOTED = "copy", "handed-over", "promoted"
_MARK = "xcat-ha: "
CLOSED = 0
"""Connection limit of a closed database: only superusers get in."""


class Marker(NamedTuple):
    """What the database in place is; kept as its comment, so that it moves with its name.

    Attributes:
        state: copy, handed-over or promoted.
        generation: directory name below ``generations``; empty when handed over or promoted without one.
        id: of the copy.
        peer: id of the node it came from (copy) or was given to (handed-over).
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
        """As :attr:`Manifest.stamp` of the copy in place."""
        return stamp_of(self.id, self.snapshot_time)

    @property
    def comment(self) -> str:
        """As it is kept."""
        return _MARK + json.dumps(self._asdict())


def marker_of(comment: str) -> Marker | None:
    """The marker in a database's comment; None if it is somebody else's comment, or none.

    Raises:
        PostgresError: it is ours and cannot be understood.
    """
    if not comment.startswith(_MARK):
        return None
    try:
        document: Any = json.loads(comment.removeprefix(_MARK))
        marker = Marker(**{field: document[field] for field in Marker._fields})
        if marker.state not in (COPY, HANDED_OVER, PROMOTED):
            raise ValueError(marker.state)  # noqa: TRY301  # handled with its likes, just below
    except (ValueError, KeyError, TypeError) as error:
        raise PostgresError(
            "the comment on the database is not usable", hint="COMMENT ON DATABASE … IS NULL, then seed this node again"
        ) from error
    return marker


class InPlace(NamedTuple):
    """Marker and database together.

    Attributes:
        kind: ``none``, ``waiting``, ``copy``, ``touched`` or ``own`` (see the package's table).
        marker: as read.
        is_closed: whether only superusers get in.
        state: of the server.
        facts: of the database, as the server has them; empty if it is not there.
    """

    kind: str
    marker: Marker | None
    is_closed: bool
    state: ServerState
    facts: Mapping[str, Any]

    @property
    def is_somebodys(self) -> bool:
        """Whether the database is more than a copy, so that it is saved before a copy takes its place although nobody asked for that."""
        is_copy = self.marker is not None and self.marker.state != PROMOTED and self.is_closed
        return self.kind in ("touched", "waiting") and bool(self.facts) and not is_copy


class Here:
    """What cfgloc names on this node, and the server that is to have it."""

    def __init__(self, xcat_dir: str, data_directory: str = "", credentials: Credentials | None = None) -> None:
        """Find both. ``credentials``: what cfgloc will say, on a node where it does not say so yet.

        Raises:
            PostgresError: cfgloc names another engine, or there is no such server.
        """
        self.xcat_dir = xcat_dir
        self.credentials: Credentials = credentials or location.require_postgres(xcat_dir)
        self.database = self.credentials.location.database
        self.server = Server(find(data_directory=data_directory, port=self.credentials.location.port))

    @property
    def side(self) -> str:
        """Name of the database a copy is restored into."""
        return f"{self.database}_xcat_ha_new"

    @property
    def aside(self) -> str:
        """Name the replaced database has until it is dropped."""
        return f"{self.database}_xcat_ha_old"

    def ask(self, sql: str, **variables: str) -> list[Any]:
        """As :meth:`Server.ask`, in xCAT's database."""
        return self.server.ask(sql, database=self.database, variables=variables, timeout_s=600)

    def in_place(self) -> InPlace:
        """What this node's database is; changes nothing.

        Raises:
            ServerDownError: the server does not answer.
            DatabaseError: it cannot be told.
        """
        state = questions.state_of(self.server)
        facts = state.databases.get(self.database, {})
        marker = marker_of(str(facts["comment"])) if facts else None
        is_closed = bool(facts) and int(facts["limit"]) == CLOSED
        return InPlace(_kind(marker, there=bool(facts), is_closed=is_closed), marker, is_closed, state, facts)


def _kind(marker: Marker | None, *, there: bool, is_closed: bool) -> str:
    if is_pending(marker):
        return "waiting"
    if not there:
        return "none"
    if marker is None or marker.state == PROMOTED:
        return "own"
    if is_closed:
        return "copy"
    return "touched"


def is_pending(marker: Marker | None) -> bool:
    """Whether a complete generation counts instead of the copy in place, because a run died before it was put in place.

    Never instead of a node's own database, which an administrator may have restored by hand, and which then has no marker.
    """
    if marker is None or marker.state == PROMOTED:
        return False
    if marker.state == COPY:
        return bool(marker.generation) and generations().newest_number() > number_of(marker.generation)
    return generations().newest_number() > marker.newest
