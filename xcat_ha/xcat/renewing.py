"""For which nodes ``nodeset`` may be run to write their boot files anew. Pure, standard library only.

A node that is told to install would do so at its next boot, so ``nodeset`` never says more than the database says already: the node has
to be waiting for an installation, or to boot over the network every time; its image has to make exactly the state it has; and a node that
runs from its own disk is left alone (facts: xCAT 4.8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xcat_ha.xcat.tables import Row

TABLES = ("nodelist", "chain", "nodetype", "osimage", "mac")
RUNNING = frozenset({"booted", "alive"})
"""Values of ``nodelist.status`` of a node that runs."""
_EVERY_BOOT = ("netboot ", "statelite ")


def why_not_renewed(node: str, tables: Mapping[str, Iterable[Row]]) -> str:
    """Why ``nodeset`` must not be run for ``node``; empty if it may, with :func:`image_of`."""
    state = _cell(tables, "chain", node, "currstate")
    if not state.startswith((*_EVERY_BOOT, "install ")):
        return f"nothing is to be installed on it (its state is {state or 'none'})"
    status = _cell(tables, "nodelist", node, "status")
    if state.startswith("install ") and status in RUNNING:
        return f"it is to be installed, but its status is {status}: it runs"
    image = image_of(node, tables)
    row = next((row for row in tables.get("osimage", ()) if row.get("imagename") == image), None)
    if row is None:
        return f"its image {image or '(none)'} is not defined"
    made = f"{row.get('provmethod')} {row.get('osvers')}-{row.get('osarch')}-{row.get('profile')}"
    if made != state:
        return f"its image {image} would make its state {made}, and it is {state}"
    return "" if _cell(tables, "mac", node, "mac") else "it has no MAC address"


def image_of(node: str, tables: Mapping[str, Iterable[Row]]) -> str:
    """The image that ``nodetype.provmethod`` names for the node, or for one of its groups."""
    return _cell(tables, "nodetype", node, "provmethod")


def _cell(tables: Mapping[str, Iterable[Row]], table: str, node: str, column: str) -> str:
    """A node's value: its own row's, else that of the first of its groups that has one, as xCAT has it."""
    rows = {row.get("node", ""): row.get(column, "") for row in tables.get(table, ())}
    if rows.get(node) or table == "nodelist":
        return rows.get(node, "")
    groups = next((row.get("groups", "") for row in tables.get("nodelist", ()) if row.get("node") == node), "")
    return next((rows[group] for group in groups.split(",") if rows.get(group)), "")
