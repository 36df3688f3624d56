"""Bringing the standby's copies up to now."""

from __future__ import annotations

from xcat_ha.models import FileSet, Node
from xcat_ha.observation import PairState
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.terms import received
from xcat_ha.steps import Phase, Steps, side_by_side

DATABASE = "database"
"""Name of the database among the sets of ``xcat-ha sync``."""


def file_lanes(given: PlanningInput, source: Node, target: Node, file_sets: tuple[FileSet, ...]) -> tuple[Steps, ...]:
    """One lane per file set: sets do not depend on each other. The target takes them only in ``given.term``."""
    files = given.drivers.files
    return tuple(received(files.steps_to_sync(source, target, (file_set,)), target, source, given.term) for file_set in file_sets)


def plan_sync(given: PlanningInput, source: Node, target: Node, *, database: bool) -> Operation:
    """Copy what changed from ``source``, the primary, to ``target``."""

    def copy(_state: PairState) -> Phase:
        lanes = file_lanes(given, source, target, given.file_sets)
        if database:
            lanes = (received(given.drivers.replication.steps_to_sync(source, target), target, source, given.term), *lanes)
        return Phase(name="copy", why=f"{target.id} must have what {source.id} has.", stages=(side_by_side(*lanes),))

    names = ([DATABASE] if database else []) + [file_set.name for file_set in given.file_sets]
    return Operation(
        name="sync",
        summary=(f"Copy {', '.join(names)} from {source.id} (primary) to {target.id} (standby).",),
        phases=(PhasePlanner("copy", copy, needs_observation=False),),
        parameters={"source": source.id, "target": target.id, "sets": " ".join(names)},
    )
