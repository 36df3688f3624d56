"""Looking for stale pointers: what still names one node where the service identity should stand."""

from __future__ import annotations

from attrs import frozen

from xcat_ha.interfaces import StalePointer
from xcat_ha.models import Node
from xcat_ha.operations import Workshop
from xcat_ha.planning.requirements import Finding
from xcat_ha.planning.stale import findings_of_cfgloc, findings_of_stale, question_for_cfgloc, question_for_stale
from xcat_ha.xcat.stale import StaleReport, cfgloc_of, report_of


@frozen
class Stale:
    """What was found on the primary. ``backend``: what the replication driver found; None: not known."""

    report: StaleReport
    backend: tuple[StalePointer, ...] | None

    @property
    def pointers(self) -> tuple[StalePointer, ...]:
        """All that are known."""
        return (*self.report.pointers, *(self.backend or ()))


def look_for_stale(workshop: Workshop, primary: Node) -> Stale:
    """Ask the primary's tables, files and database. Changes nothing."""
    pair, replication = workshop.pair, workshop.drivers.replication
    questions = replication.questions_for_stale(primary, pair.identity)
    answer, *others = workshop.runner.read_many(primary.id, (question_for_stale(pair, primary), *questions))
    return Stale(report_of(pair, primary, answer), replication.interpret_stale(primary, others))


def findings_on_stale(workshop: Workshop, primary: Node) -> tuple[Finding, ...]:
    """The questions of ``check`` about stale pointers, on both nodes, with their answers."""
    stale = look_for_stale(workshop, primary)
    standby = workshop.pair.other(primary.id)
    (answer,) = workshop.runner.read_many(standby.id, (question_for_cfgloc(workshop.pair, standby),))
    return (
        *findings_of_stale(workshop.pair, primary, stale.report, stale.backend),
        *findings_of_cfgloc(workshop.pair, standby, cfgloc_of(workshop.pair, standby, "", answer)),
    )
