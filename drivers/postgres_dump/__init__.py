"""XCAT's database in PostgreSQL, copied to the standby as verified dumps: the standby's server runs, its xcatd does not.

* :class:`PostgresDump` is the driver; the programs it runs on a node are in :mod:`xcat_ha_drivers.postgres_dump.node_side`, which needs the
  standard library only.
* What is where (on each node, below ``/var/lib/xcat-ha``):

  ==========================================  =========================================================================
  ``postgres-dump/outgoing/current/``         the newest snapshot of this node's own database: ``database.dump`` (pg_dump's custom
                                              format), ``access.json`` (roles with their hashed passwords, cfgloc), ``manifest.json``
  ``postgres-dump/outgoing/unsent``           present while a sync takes its snapshot; the next sync begins by removing it
  ``postgres-dump/generations/NNNNNN-<id>/``  verified copies received from the peer, the same three files; the last 7 are kept
  ``postgres-dump/incoming/``                 a copy on its way, nothing to rely on
  ``diverged/<time>-<node>-<id>/``            an old primary's own database, saved and proven restorable before it was replaced
  ==========================================  =========================================================================

* The id of a copy is a checksum over all rows, the schema, owners, grants, roles and cfgloc: equal ids are equal databases.
* A copy is restored into a database of its own beside the one in place, compared with the manifest table by table, and takes its name in
  one transaction. Whatever happens before leaves the old copy; there is no moment in which half of one is in place.
* **The role** a node's database has follows from the marker, which is the comment on the database itself (so that it moves with the name),
  and from whether the database is closed (``CONNECTION LIMIT 0``: only a superuser gets in, neither xCAT nor its commands):

  ==================  =============================================  ======================================================
  marker              closed                                         open
  ==================  =============================================  ======================================================
  none                SOURCE: handed over, rejoined, or superseded   SOURCE (NONE without a database)
  ``copy``            COPY                                           SOURCE: somebody opened it
  ``handed-over``     COPY: equal to what the peer took over         SOURCE: somebody opened it
  ``promoted``        SOURCE: as above                               SOURCE
  ==================  =============================================  ======================================================

  A complete generation that is newer than the copy in place (a run died between proving it and the exchange) makes the COPY not healthy:
  run the sync again, or promote.
* A sync refuses a target whose database is its own; a seed replaces it. A copy that was opened on the standby is saved below ``diverged/``
  first and then replaced, so that sync heals it.
* To restore a generation or a saved database by hand: check ``sha256sum database.dump`` against ``manifest.json``, then
  ``createdb -T template0 NAME`` and ``pg_restore -d NAME < database.dump`` as the server's owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcat_ha_drivers.postgres_dump.backend import PostgresDump

__all__ = ["PostgresDump"]


def __getattr__(name: str) -> Any:
    """Import the driver when it is asked for, not when a node-side program starts."""
    if name == "PostgresDump":
        from xcat_ha_drivers.postgres_dump.backend import PostgresDump as Driver  # noqa: PLC0415  # see above

        return Driver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
