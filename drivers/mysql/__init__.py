"""xCAT's MariaDB or MySQL, kept on the standby by GTID replication.

* :class:`Mysql` is the driver; the programs it runs on a node are in :mod:`xcat_ha_drivers.mysql.node_side`, which needs the standard
  library only. The driver is imported on demand so that those programs start fast.
* MariaDB 10.5 or newer, or MySQL 8.0.26 or newer, the same kind on both nodes, the same port. **MySQL itself was never run with this
  driver**: its words come from its manual.
* What is where, on each node:

  ==============================================  =====================================================================================
  ``/var/lib/xcat-ha/mysql/password``             of the replication account ``xcat_ha``, generated (0600)
  ``/var/lib/xcat-ha/mysql/*.json``               notes: ``role``, ``proof``, ``handed-over``, ``promoted``, ``seeding``, ``standby``
  ``/var/lib/xcat-ha-mysql/server.{key,crt}``     certificate of the server, ``peer.crt`` the other node's (0600, the server owner's)
  ``/var/lib/xcat-ha/diverged/<time>-<node>-…/``  an old primary's own database, saved before it was replaced
  ``zz-xcat-ha.cnf``                              settings, in the directory from which the server reads option files
  databases ``xcat_ha_new``, ``xcat_ha_old``      a dump being proven; what it replaced, until the new copy follows
  ==============================================  =====================================================================================

* **Not writable**: both servers start with ``read_only``. ``promote`` makes the one of the role's node writable, and its guard keeps it so.
  On MariaDB ``root`` can write all the same; what it writes on a standby is found by its GTID.
* **The role** is what the server says: one that follows is a COPY, else SOURCE (NONE without xCAT's database, or while a seed did not end).
* A sync refuses a target whose database is its own, or holds transactions the source lacks; a seed saves it first, whoever calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcat_ha_drivers.mysql.backend import Mysql

__all__ = ["Mysql"]


def __getattr__(name: str) -> Any:
    """Import the driver when it is asked for, not when a node-side program starts."""
    if name == "Mysql":
        from xcat_ha_drivers.mysql.backend import Mysql as Driver  # noqa: PLC0415  # see above

        return Driver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
