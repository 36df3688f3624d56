"""What goes wrong with PostgreSQL on a node, in one line."""

from __future__ import annotations

from xcat_ha_drivers.database.errors import DatabaseError


class PostgresError(DatabaseError):
    """A refusal or failure that has to do with PostgreSQL."""
