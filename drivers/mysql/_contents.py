"""What xCAT's database holds, byte for byte: texts are compared in the column's own character set, never converted."""
# ruff: noqa: S608  # names come from cfgloc (checked) or the server's catalogue, values as hexadecimal literals

from __future__ import annotations

import hashlib
from typing import Any

from xcat_ha_drivers.mysql import _location
from xcat_ha_drivers.mysql._places import Given
from xcat_ha_drivers.mysql._server import Server, literal
from xcat_ha_drivers.mysql.errors import MysqlError

DATABASE = "xcatdb"
"""The name mysqlsetup gives (facts: xCAT 1.1); for a node whose cfgloc does not lead to MariaDB or MySQL yet."""
_LIMIT_S = 600.0


def database_of(given: Given) -> str:
    """Name of xCAT's database."""
    try:
        return _location.read(given.xcat_dir).database
    except MysqlError:
        return DATABASE


def has_table(server: Server, database: str, table: str) -> bool:
    """Whether it is there."""
    query = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {};"
    return server.value(query.format(literal(database), literal(table))) != "0"


def has_database(server: Server, database: str) -> bool:
    """Whether there is an xCAT database of that name: one with tables."""
    return server.value(f"SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {literal(database)};") != "0"


def foreign_databases(server: Server, database: str) -> list[str]:
    """Databases that are neither the server's own nor xCAT's. Replication would take them along."""
    return server.values(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema',"
        f" 'performance_schema', 'test', {literal(database)}) AND SCHEMA_NAME NOT LIKE 'xcat\\_ha\\_%' ORDER BY 1;"
    )


def columns(server: Server, database: str) -> dict[str, list[str]]:
    """Table -> its columns, sorted."""
    rows = server.rows(
        f"SELECT TABLE_NAME AS t, COLUMN_NAME AS c FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {literal(database)} ORDER BY 1, 2;"
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(str(row["t"]), []).append(str(row["c"]))
    return found


def has_node(server: Server, database: str, name: str) -> bool:
    """Whether an xCAT node of that name is defined. xCAT ignores rows whose "disable" is set (Table.pm getAllAttribs)."""
    if not has_table(server, database, "nodelist"):
        return False
    query = (
        f"SELECT COUNT(*) FROM `{database}`.nodelist WHERE CAST(node AS BINARY) = X'{name.encode('utf-8', 'surrogateescape').hex()}'"
        " AND (disable IS NULL OR LOWER(disable) IN ('', '0', 'no'));"
    )
    return server.value(query) != "0"


def contents(server: Server, database: str) -> dict[str, Any]:
    """``{"tables": {name: [digest, ...]}, "nodes": [name, ...]}``, of one moment; changes nothing.

    Raises:
        MysqlError: there is no such database, or it cannot be read.
    """
    found = columns(server, database)
    if not found:
        raise MysqlError(f"there is no database {database}", hint="look at cfgloc")
    parts = []
    for table, names in found.items():
        row = ", ',', ".join(f"IFNULL(HEX(`{name}`), '-')" for name in names)
        parts.append(f"SELECT {literal(table)} AS t, CONCAT({row}) AS r FROM `{database}`.`{table}`")
    rows = server.rows(" UNION ALL ".join(parts) + ";", timeout_s=_LIMIT_S)
    tables: dict[str, list[str]] = {table: [] for table in found}
    for line in rows:
        tables[str(line["t"])].append(hashlib.sha256(str(line["r"]).encode("ascii")).hexdigest())
    nodes = server.values(f"SELECT node FROM `{database}`.nodelist ORDER BY 1;") if "nodelist" in found else []
    return {"tables": {table: sorted(digests) for table, digests in tables.items()}, "nodes": nodes}


def site_lines(server: Server, database: str) -> str:
    """Rows of xCAT's site table as ``lsdef -t site -c`` prints them.

    Raises:
        MysqlError: there is no such table.
    """
    if not has_table(server, database, "site"):
        raise MysqlError(f"there is no site table in {database}", hint="xcat-ha status shows what the database here is")
    rows = server.rows(
        f"SELECT `key` AS k, IFNULL(value, '') AS v FROM `{database}`.site"
        " WHERE (disable IS NULL OR LOWER(disable) IN ('', '0', 'no')) ORDER BY 1;"
    )
    return "\n".join(f"clustersite: {row['k']}={' '.join(str(row['v']).split())}" for row in rows)
