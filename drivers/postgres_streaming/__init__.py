"""xCAT's PostgreSQL, kept on the standby as a physical streaming copy.

* :class:`PostgresStreaming` is the driver; the programs it runs on a node are in :mod:`xcat_ha_drivers.postgres_streaming.node_side`, which
  needs the standard library only. The driver is imported on demand so that those programs start fast.
* PostgreSQL 13 or newer, the same major version on both nodes.
* What is where, on each node:

  ===================================================  ================================================================================
  ``/var/lib/xcat-ha-postgres/passfile``               password of the replication role ``xcat_ha``, generated (0600, the server owner's)
  ``/var/lib/xcat-ha-postgres/server.{key,crt}``       made if the server had no TLS
  ``/var/lib/xcat-ha/postgres-streaming/*.json``       notes: ``proof``, ``standby``, ``handed-over``, ``promoted``
  ``/var/lib/xcat-ha/diverged/<time>-<node>-<id>/``    an old primary's own database, saved before it was replaced
  ``<data directory>.xcat-ha-new``                     a base backup on its way, nothing to rely on
  ``<data directory>.xcat-ha-previous``                the replaced data directory, until the new one streams
  ``/run/xcat-ha/postgres-own``                        since this boot it is certain that the database is this node's own
  ``/etc/systemd/system/<unit>.d/xcat-ha.conf``        after a boot the server starts by itself as a standby only
  ===================================================  ================================================================================

* **Not writable**: an old primary that comes back has no ``standby.signal`` and no mark in ``/run``, so systemd does not start its server.
  It is started when it is this node's turn (by the guard, by ``activate``), or when it has become a standby.
* **The role** is what PostgreSQL says: in recovery it is a COPY, else SOURCE (NONE without xCAT's database).
* A sync refuses a target whose database is its own; a seed saves it first, whoever calls, and then replaces it.
* While an operation of ``promote`` is the last word, nothing waits for the other node: a synchronous standby is required again when it
  streams (by ``rejoin`` or ``sync``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcat_ha_drivers.postgres_streaming.backend import PostgresStreaming

__all__ = ["PostgresStreaming"]


def __getattr__(name: str) -> Any:
    """Import the driver when it is asked for, not when a node-side program starts."""
    if name == "PostgresStreaming":
        from xcat_ha_drivers.postgres_streaming.backend import PostgresStreaming as Driver  # noqa: PLC0415  # see above

        return Driver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
