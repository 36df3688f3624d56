"""What makes a server fit for the pair: who gets in, at which addresses it listens, and what cfgloc calls it."""

from __future__ import annotations

from collections.abc import Sequence

from xcat_ha_drivers.postgres import access, location
from xcat_ha_drivers.postgres.location import is_right_host
from xcat_ha_drivers.postgres_dump._ask import BLOCK, listen_settings, rules
from xcat_ha_drivers.postgres_dump._node import Here

_RELOAD = "SELECT to_jsonb(pg_reload_conf());\n"


def set_access(here: Here, addresses: Sequence[str], listen: Sequence[str]) -> None:
    """Put both blocks in, and let the server read them. New addresses to listen at count from its next start."""
    layout = here.server.layout
    access.put_rules(layout, BLOCK, rules(here, addresses))
    access.put_settings(layout, BLOCK, listen_settings(here, listen))
    here.server.ask(_RELOAD)


def why_cfgloc_is_wrong(here: Here, service: str, service_name: str) -> str:
    """Why cfgloc would lead xcatd of this node, which has the service identity, elsewhere; empty when it does not."""
    where = here.credentials.location
    if not is_right_host(where.host, service_addresses=service.split(","), service_name=service_name):
        return f"cfgloc names {where.host}"
    return "" if where.port == here.server.layout.port else f"cfgloc names port {where.port}, the server has {here.server.layout.port}"


def point_cfgloc(here: Here, service: str) -> None:
    """Let cfgloc name the service address (the first of several) and the port of this node's server."""
    line = here.credentials.line(host=service.partition(",")[0], port=here.server.layout.port)
    if location.read_line(here.xcat_dir) != line:
        location.write_line(here.xcat_dir, line)
