"""Asking both nodes for the tables and columns of their databases."""

from __future__ import annotations

from xcat_ha.operations import Workshop
from xcat_ha.planning.requirements import Finding
from xcat_ha.planning.schema import schema_finding
from xcat_ha.verbs.basis import ask_both


def schema_findings(workshop: Workshop) -> tuple[Finding, ...]:
    """One finding, or none where the driver cannot tell, or both nodes have one database."""
    replication = workshop.drivers.replication
    answers = ask_both(workshop, replication.question_for_schema)
    if answers is None:
        return ()
    return (schema_finding({node.id: replication.interpret_schema(answers[node.id]) for node in workshop.pair.nodes}),)
