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


class Nodes:
    """What the tables say of nodes, by node and by group; made once, asked for each of many."""

    def __init__(self, tables: Mapping[str, Iterable[Row]]) -> None:
        """``tables``: those of :data:`TABLES`; one that is not among them could not be read."""
        self._rows = {table: {row.get("node", ""): row for row in rows} for table, rows in tables.items() if table in TABLES}
        self._images = {row.get("imagename", ""): row for row in tables.get("osimage", ())}
        self._unread = [table for table in TABLES if table not in tables]

    def why_not_renewed(self, node: str) -> str:
        """Why ``nodeset`` must not be run for ``node``; empty if it may, with :meth:`image_of`."""
        if self._unread:
            return f"table {self._unread[0]} cannot be read"
        state = self._cell("chain", node, "currstate")
        if not state.startswith((*_EVERY_BOOT, "install ")):
            return f"nothing is to be installed on it (its state is {state or 'none'})"
        status = self._cell("nodelist", node, "status")
        if state.startswith("install ") and status in RUNNING:
            return f"it is to be installed, but its status is {status}: it runs"
        image = self.image_of(node)
        row = self._images.get(image)
        if row is None:
            return f"its image {image or '(none)'} is not defined"
        made = f"{row.get('provmethod')} {row.get('osvers')}-{row.get('osarch')}-{row.get('profile')}"
        if made != state:
            return f"its image {image} would make its state {made}, and it is {state}"
        return "" if self._cell("mac", node, "mac") else "it has no MAC address"

    def image_of(self, node: str) -> str:
        """The image that ``nodetype.provmethod`` names for the node, or for one of its groups."""
        return self._cell("nodetype", node, "provmethod")

    def _cell(self, table: str, node: str, column: str) -> str:
        """A node's value: its own row's, else that of the first of its groups that has one, as xCAT has it."""
        rows = self._rows.get(table, {})
        own = rows.get(node, {}).get(column, "")
        if own or table == "nodelist":
            return own
        groups = self._rows.get("nodelist", {}).get(node, {}).get("groups", "").split(",")
        return next((rows[group][column] for group in groups if rows.get(group, {}).get(column)), "")
