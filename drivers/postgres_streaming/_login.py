"""xCAT's own way in: cfgloc names the service address, and a user and password that the database here knows.

The roles come with the copy; the password that belongs to them is in the other node's cfgloc, so that is taken over.
"""

from __future__ import annotations

import hashlib
import hmac

from xcat_ha_drivers.postgres import location
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.location import Credentials, is_right_host
from xcat_ha_drivers.postgres_streaming._account import is_verifier_of
from xcat_ha_drivers.postgres_streaming._cluster import Cluster
from xcat_ha_drivers.postgres_streaming._peer import first_line_at_peer
from xcat_ha_drivers.postgres_streaming._places import Given

_STORED = "SELECT to_jsonb(rolpassword) FROM pg_authid WHERE rolname = :'user' AND rolcanlogin;"


def why_no_login(given: Given, cluster: Cluster) -> str:
    """Empty if xcatd would get in with cfgloc as it is, once this node has the role."""
    credentials = location.require_postgres(given.xcat_dir)
    return why_wrong_place(given, cluster) or _why_unknown(credentials, cluster)


def why_wrong_place(given: Given, cluster: Cluster) -> str:
    """Empty if cfgloc leads to whichever node has the role."""
    where = location.require_postgres(given.xcat_dir).location
    if not is_right_host(where.host, service_addresses=given.service, service_name=given.service_name):
        return f"cfgloc names the host {where.host}"
    return "" if where.port == cluster.layout.port else f"cfgloc names port {where.port}, the server has {cluster.layout.port}"


def _why_unknown(credentials: Credentials, cluster: Cluster) -> str:
    user = credentials.location.user
    found = cluster.server.ask(_STORED, variables={"user": user})
    if not found:
        return f"the database has no role {user}"
    return "" if _fits(found[0] or "", user, credentials.password) else f"the password in cfgloc is not that of role {user}"


def _fits(stored: str, user: str, password: str) -> bool:
    """MD5: documentation of pg_authid (``md5`` and the MD5 of password and user name)."""
    if stored.startswith("md5"):
        digest = hashlib.md5((password + user).encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(stored, f"md5{digest}")
    return is_verifier_of(stored, password)


def take_over_login(given: Given, cluster: Cluster) -> None:
    """Fetch the other node's cfgloc, and let it name the service address.

    Raises:
        PostgresError: it cannot be fetched, or does not fit the database either.
    """
    credentials = location.parse(first_line_at_peer(given, f"{given.xcat_dir}/cfgloc"))
    reason = _why_unknown(credentials, cluster)
    if reason:
        raise PostgresError(f"{reason} ({given.peer}'s cfgloc)", hint=f"mend {given.xcat_dir}/cfgloc on {given.peer}")
    location.write_line(given.xcat_dir, credentials.line(host=given.service[0], port=cluster.layout.port))


def point_to_service(given: Given, cluster: Cluster) -> None:
    """Let this node's cfgloc name the service address and the server's port; everything else in it stays."""
    credentials = location.require_postgres(given.xcat_dir)
    location.write_line(given.xcat_dir, credentials.line(host=given.service[0], port=cluster.layout.port))
