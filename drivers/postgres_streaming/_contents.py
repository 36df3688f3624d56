"""What xCAT's database holds, read from the running server, or from a private copy of a stopped one."""

from __future__ import annotations

from typing import Any

from xcat_ha_drivers.postgres.contents import digests_of_rows
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_streaming._cluster import Cluster
from xcat_ha_drivers.postgres_streaming._private import reading

_THERE = "SELECT to_jsonb(to_regclass('public.nodelist') IS NOT NULL);"
# xCAT ignores rows whose "disable" is set (Table.pm getAllAttribs).
_RECORD = """SELECT to_jsonb(count(*)) FROM public.nodelist
WHERE node = :'name' AND (disable IS NULL OR lower(disable) IN ('', '0', 'no'));"""
_NODES = "SELECT to_jsonb(node) FROM public.nodelist ORDER BY 1;"


def _has(server: Server, database: str) -> bool:
    names = server.ask("SELECT to_jsonb(datname) FROM pg_database WHERE datallowconn;")
    return database in names


def has_node(cluster: Cluster, name: str) -> bool:
    """Whether an xCAT node of that name is defined.

    Raises:
        PostgresError: the database cannot be read; nothing may be concluded.
    """
    with reading(cluster) as server:
        if not _has(server, cluster.database) or not server.ask(_THERE, database=cluster.database)[0]:
            return False
        return bool(server.ask(_RECORD, database=cluster.database, variables={"name": name})[0])


def contents(cluster: Cluster) -> dict[str, Any]:
    """``{"tables": {name: [digest, ...]}, "nodes": [name, ...]}``; changes nothing.

    Raises:
        PostgresError: the database cannot be read.
    """
    with reading(cluster) as server:
        if not _has(server, cluster.database):
            raise PostgresError(f"there is no database {cluster.database}", hint="look at cfgloc")

        def ask(sql: str) -> list[Any]:
            return server.ask(sql, database=cluster.database, timeout_s=600.0)

        there = ask(_THERE)[0]
        return {"tables": dict(digests_of_rows(ask)), "nodes": ask(_NODES) if there else []}


_SITE_THERE = "SELECT to_jsonb(to_regclass('public.site') IS NOT NULL);"
# As lsdef shows them: rows that are not disabled, one line each.
_SITE = """SELECT jsonb_build_array(key, coalesce(value, '')) FROM public.site
WHERE (disable IS NULL OR lower(disable) IN ('', '0', 'no')) ORDER BY 1;"""


def site_rows(cluster: Cluster) -> list[tuple[str, str]]:
    """Keys and values of xCAT's site table.

    Raises:
        PostgresError: the database cannot be read, or has no such table.
    """
    with reading(cluster) as server:
        if not _has(server, cluster.database) or not server.ask(_SITE_THERE, database=cluster.database)[0]:
            raise PostgresError(f"there is no site table in {cluster.database}", hint="xcat-ha status shows what the database here is")
        rows = server.ask(_SITE, database=cluster.database)
    return [(str(key), " ".join(str(value).split())) for key, value in rows]
