"""The databases on which the story of ``make demo`` is told: what differs between them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tests.lab import Lab, Layer, Node, Settings, postgres, product


@dataclass(frozen=True)
class Database:
    """A driver with the site it is for.

    Attributes:
        layers: what both machines have installed.
        start_site: makes the site.
        saved_nodes: the xCAT nodes in a database that ``rejoin`` saved, given the path it named.
        of_each_node: patterns of files below /etc/xcat that are each node's own.
        secrets: label -> password of the site beside those of the sample data.
    """

    layers: Callable[[Settings | None], Sequence[Layer]]
    start_site: Callable[[Lab], None]
    saved_nodes: Callable[[Node, str], set[str]]
    of_each_node: tuple[str, ...] = ()
    secrets: Callable[[], Mapping[str, str]] = dict


def _nodes_in_tables(node: Node, saved: str) -> set[str]:
    return set(node.run(("sqlite3", "-readonly", f"{saved}/nodelist.sqlite", "SELECT node FROM nodelist")).stdout.split())


def _nodes_in_dump(node: Node, saved: str) -> set[str]:
    return postgres.nodes_in_dump(node, f"{saved}/database.dump")


DATABASES: Mapping[str, Database] = {
    "sqlite-copy": Database(product.layers, product.start_site, _nodes_in_tables),
    # The table files from before the site moved to PostgreSQL still lie around, and are nobody's business.
    "postgres-dump": Database(
        postgres.layers, partial(postgres.start_site, driver="postgres-dump"), _nodes_in_dump, ("*.sqlite",), postgres.secrets
    ),
    "postgres-streaming": Database(
        postgres.layers, partial(postgres.start_site, driver="postgres-streaming"), _nodes_in_dump, ("*.sqlite",), postgres.secrets
    ),
}
DEFAULT = "sqlite-copy"
