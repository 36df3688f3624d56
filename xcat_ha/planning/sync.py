"""Bringing the standby's copies up to now."""

from __future__ import annotations

from xcat_ha.models import FileSet, Node
from xcat_ha.observation import PairState
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.terms import received
from xcat_ha.steps import Phase, Steps, side_by_side

DATABASE = "database"
"""Name of the database among the sets of ``xcat-ha sync``."""


def file_lanes(
    given: PlanningInput, source: Node, target: Node, file_sets: tuple[FileSet, ...], *, note_images: bool = True
) -> tuple[Steps, ...]:
    """One lane per file set: sets do not depend on each other. The target takes them only in ``given.term``.

    ``note_images``: what the images of ``source`` are is written down before the set that holds them is copied, and goes with it.
    """
    files, images = given.drivers.files, given.drivers.images

    def lane(file_set: FileSet) -> Steps:
        installdir = given.site.installdir.rstrip("/")
        note = images.steps_to_note(source, installdir) if note_images and images is not None and installdir in file_set.paths else ()
        return (*note, *received(files.steps_to_sync(source, target, (file_set,)), target, source, given.term))

    return tuple(lane(file_set) for file_set in file_sets)


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
