"""xCAT's default database, one SQLite file per table, copied to the standby as verified generations.

* :class:`SqliteCopy` is the driver; the programs it runs on a node are in :mod:`xcat_ha_drivers.sqlite_copy.node_side`, which needs the
  standard library only. The driver is imported on demand so that those programs start fast.
* What is where (on each node, below ``/var/lib/xcat-ha``):

  ========================================  ===========================================================================
  ``sqlite-copy/outgoing/current/``         the newest snapshot of this node's own tables, with ``manifest.json``
  ``sqlite-copy/outgoing/unsent``           present while a sync takes its snapshot; the next sync begins by removing it
  ``sqlite-copy/generations/NNNNNN-<id>/``  verified copies received from the peer; the highest number is the newest
  ``sqlite-copy/incoming/``                 a copy on its way, nothing to rely on
  ``sqlite-copy/in-place.json``             the marker: what the table files of xCAT's directory are (see below)
  ``sqlite-copy/known.json``                a cache of checksums, never trusted beyond what SQLite's own change counter allows
  ``diverged/<time>-<node>-<id>/``          an old primary's own tables, saved before they were replaced
  ========================================  ===========================================================================

* The id of a copy is a checksum over names, contents, modes and owners of all table files: equal ids are equal databases.
* **The role** a node's database has (:class:`~xcat_ha.interfaces.ReplicaState`) follows from the marker *and* the files:

  ==================  =============================================  ======================================================
  marker              files equal to what the marker names           files differ
  ==================  =============================================  ======================================================
  none                SOURCE (NONE without any table file)           same
  ``applying``        COPY, not healthy: half in place               COPY, not healthy: half in place; run sync or promote
  ``applied``         COPY                                           SOURCE: somebody wrote here
  ``handed-over``     COPY: equal to what the peer took over         SOURCE: it was written after the hand-over
  ``promoted``        SOURCE                                         SOURCE
  ==================  =============================================  ======================================================

  A node on which xcatd runs is SOURCE, unless its tables are half in place. A complete generation that came after the last promotion or
  hand-over (or without any marker) and is not in place yet makes the node a COPY, not healthy: run the seed again, or promote.
* A sync refuses a target whose database is its own (SOURCE); a seed replaces it. A copy that was merely touched on the standby
  (``applied``, files differ) is saved below ``diverged/`` first and then replaced, so that sync heals it.
* To restore a saved copy or a generation by hand: stop xcatd, check it (``sha256sum``, ``manifest.json``), copy its ``*.sqlite`` over
  those of ``/etc/xcat``, and remove every ``*.sqlite-journal`` there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcat_ha_drivers.sqlite_copy.backend import SqliteCopy

__all__ = ["SqliteCopy"]


def __getattr__(name: str) -> Any:
    """Import the driver when it is asked for, not when a node-side program starts."""
    if name == "SqliteCopy":
        from xcat_ha_drivers.sqlite_copy.backend import SqliteCopy as Driver  # noqa: PLC0415  # see above

        return Driver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
