"""This node's server and database as the programs here work on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from xcat_ha_drivers.database.generations import number_of
from xcat_ha_drivers.database.marker import HANDED_OVER, PROMOTED, Marker, marker_of
from xcat_ha_drivers.postgres import location, questions
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import find
from xcat_ha_drivers.postgres.location import Credentials
from xcat_ha_drivers.postgres.questions import ServerState
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_dump._places import generations

COPY = "copy"
_MARK = "xcat-ha: "
CLOSED = 0
"""Connection limit of a closed database: only superusers get in."""


def comment_of(marker: Marker) -> str:
    """The marker as the comment on the database itself, so that it moves with its name."""
    return _MARK + marker.text


def marker_in(comment: str) -> Marker | None:
    """The marker in a database's comment; None if it is somebody else's comment, or none.

    Raises:
        PostgresError: it is ours and cannot be understood.
    """
    if not comment.startswith(_MARK):
        return None
    try:
        return marker_of(comment.removeprefix(_MARK), (COPY, HANDED_OVER, PROMOTED))
    except (ValueError, KeyError, TypeError) as error:
        raise PostgresError(
            "the comment on the database is not usable", hint="COMMENT ON DATABASE … IS NULL, then seed this node again"
        ) from error


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
        marker = marker_in(str(facts["comment"])) if facts else None
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
