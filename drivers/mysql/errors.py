"""What goes wrong with MariaDB or MySQL on a node, in one line."""

from __future__ import annotations

from xcat_ha_drivers.database.errors import DatabaseError


class MysqlError(DatabaseError):
    """A refusal or failure that has to do with the database server."""


class ServerDownError(MysqlError):
    """The server did not answer."""
