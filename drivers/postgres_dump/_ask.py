"""Questions about a node's database and the way to it. Asking changes nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.xcatd import sign_of_xcatd
from xcat_ha_drivers.postgres import access, contents, location, questions
from xcat_ha_drivers.postgres.location import LOOPBACK
from xcat_ha_drivers.postgres.questions import LoginAnswer, listens, try_login
from xcat_ha_drivers.postgres_dump._node import Here
from xcat_ha_drivers.postgres_dump._places import newest

BLOCK = "postgres-dump"
"""Name of our blocks in PostgreSQL's files."""

# xCAT ignores rows whose "disable" is set (Table.pm getAllAttribs).
_NODE = """
SELECT to_jsonb(count(*)) FROM public.nodelist WHERE node = :'name' AND (disable IS NULL OR lower(disable) IN ('', '0', 'no'));
"""
_SITE = """
SELECT jsonb_build_array(key, value) FROM public.site WHERE disable IS NULL OR lower(disable) IN ('', '0', 'no') ORDER BY key;
"""
_NODES = "SELECT to_jsonb(node) FROM public.nodelist ORDER BY node;\n"
_LOADED = "SELECT to_jsonb(extract(epoch FROM pg_conf_load_time()));\n"
_HAS_TABLE = "SELECT to_jsonb(to_regclass(:'name') IS NOT NULL);\n"


def observation(xcat_dir: str, data_directory: str) -> dict[str, Any]:
    """Everything the driver wants to know about this node, for JSON. A part that cannot be known carries its reason."""
    answer: dict[str, Any] = {"engine": "", "error": ""}
    try:
        where = location.read(xcat_dir).location
        answer["engine"] = where.engine
        if where.engine != location.ENGINE:
            return answer
        here = Here(xcat_dir, data_directory)
        answer |= {"database": where.database, "unit": here.server.layout.unit, "xcatd": sign_of_xcatd()}
        found = here.in_place()
        answer |= {"kind": found.kind, "is_closed": found.is_closed, "marker": found.marker._asdict() if found.marker else None}
        answer |= {"version": found.state.version, "hba_errors": found.state.hba_errors, "size_bytes": found.facts.get("bytes", 0)}
        last = newest()
        answer["newest"] = (
            {"name": last.path.name, "source": last.manifest.source, "time": last.manifest.snapshot_time, "id": last.manifest.id}
            if last
            else None
        )
        login = _login(here, closed=found.is_closed) if found.facts else None
        answer["login"] = login._asdict() if login is not None else None
    except DatabaseError as error:
        answer["error"] = f"{error.what}; {error.hint}"
    return answer


def _login(here: Here, *, closed: bool) -> LoginAnswer | None:
    """As xCAT would: where cfgloc says if that is this machine now, else on its loopback; None if the server does not listen there yet."""
    port = here.server.layout.port
    if not closed and is_here(here.credentials.location.host):
        return try_login(here.credentials, here.server.layout)
    if not listens("127.0.0.1", port):
        return None
    return try_login(here.credentials, here.server.layout, host="127.0.0.1", port=port)


def is_here(host: str) -> bool:
    """Whether an address or name is this machine's now."""
    if host in LOOPBACK:
        return True
    try:
        family, _type, _protocol, _name, address = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)[0]
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as trial:
            trial.bind(address)
    except OSError:
        return False
    return True


def has_node(here: Here, name: str) -> bool:
    """Whether an xCAT node of that name is defined in the database in place.

    Raises:
        PostgresError: it cannot be read; nothing may be concluded.
    """
    found = here.in_place()
    if not found.facts or here.ask(_HAS_TABLE, name="public.nodelist") != [True]:
        return False
    return bool(here.ask(_NODE, name=name)[0])


def site_lines(here: Here, keys: Sequence[str]) -> str:
    """Rows of xCAT's site table as ``lsdef -t site -c`` prints them."""
    rows = here.ask(_SITE)
    return "\n".join(f"clustersite: {key}={value}" for key, value in rows if key in keys and value is not None)


def contents_json(here: Here) -> str:
    """``{"tables": {name: [digest, ...]}, "nodes": [name, ...]}``."""
    found = here.in_place()
    tables = contents.digests_of_rows(here.ask) if found.facts else {}
    nodes = here.ask(_NODES) if "nodelist" in tables else []
    return json.dumps({"tables": tables, "nodes": sorted(map(str, nodes))})


def rules(here: Here, addresses: Sequence[str]) -> tuple[access.Rule, ...]:
    """Lines of pg_hba.conf with which xCAT's login works from these addresses.

    The method ``md5`` lets roles in whose password is stored as MD5, and uses SCRAM for all others (PostgreSQL: Password Authentication).
    """
    where = here.credentials.location
    return access.rules_for(where.database, where.user, (*addresses, "127.0.0.1", "::1"), method=access.LEGACY_METHOD)


def why_access_is_wrong(here: Here, addresses: Sequence[str], listen: Sequence[str]) -> str:
    """Why not everybody who has to gets in; empty when all do. A server that does not run is to be started first."""
    layout = here.server.layout
    if not access.has_rules(layout, BLOCK, rules(here, addresses)):
        return f"{layout.hba_file} lacks lines"
    if not access.has_settings(layout, BLOCK, listen_settings(here, listen)):
        return f"{layout.config_file} does not name every address"
    loaded = float(here.server.ask(_LOADED)[0])
    return "" if loaded >= access.changed_at(layout) else "the server has not read its files again"


def listen_settings(here: Here, listen: Sequence[str]) -> dict[str, str]:
    """Our block of postgresql.conf; empty when the server listens everywhere anyway."""
    value = access.listen_addresses(here.server.layout, BLOCK, listen)
    return {} if value == "*" else {"listen_addresses": value}


def why_not_listening(here: Here, address: str) -> str:
    """Why nobody gets through to the server at an address of this node; empty when they do."""
    if here.credentials.location.host in LOOPBACK:
        return ""
    port = here.server.layout.port
    return "" if listens(address, port) else f"nobody listens at {address} port {port}"


def why_no_login(here: Here) -> str:
    """Why xCAT's own login does not work as cfgloc says; empty when it does."""
    answer = try_login(here.credentials, here.server.layout)
    return "" if answer.login is questions.Login.WORKS else f"xCAT cannot log in: {answer.detail} (asked by {answer.by})"
