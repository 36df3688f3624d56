"""Asking both nodes for the tables and columns of their databases."""

from __future__ import annotations

from functools import partial

from xcat_ha._parallel import side_by_side
from xcat_ha.models import Node
from xcat_ha.operations import Workshop
from xcat_ha.planning.requirements import Finding
from xcat_ha.planning.schema import Schema, schema_finding


def schema_findings(workshop: Workshop) -> tuple[Finding, ...]:
    """One finding, or none where the driver cannot tell, or both nodes have one database."""
    replication = workshop.drivers.replication
    if any(replication.question_for_schema(node) is None for node in workshop.pair.nodes):
        return ()
    found: dict[str, Schema | None] = {node.id: None for node in workshop.pair.nodes}

    def ask(node: Node) -> None:
        question = replication.question_for_schema(node)
        if question is not None:
            found[node.id] = replication.interpret_schema(workshop.runner.read_many(node.id, (question,))[0])

    side_by_side([partial(ask, node) for node in workshop.pair.nodes])
    return (schema_finding(found),)
