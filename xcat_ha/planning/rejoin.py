"""An old primary comes back as standby: what only it has is saved and named, and only then replaced."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attrs import frozen

from xcat_ha._listed import listed
from xcat_ha.interfaces import Contents
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.stepdown import phase_to_stop
from xcat_ha.planning.terms import received, step_to_store
from xcat_ha.steps import Phase, in_order, side_by_side


@frozen
class Divergence:
    """What the old primary's database has and the new one's lacks.

    Attributes:
        only_there: xCAT node definitions that only the old primary has.
        differing: tables whose rows differ, with the number of rows that only the old primary has.
    """

    only_there: tuple[str, ...]
    differing: Mapping[str, int]

    @property
    def words(self) -> str:
        """One sentence for the administrator."""
        if not self.differing and not self.only_there:
            return "its database holds nothing that the primary's lacks"
        rows = sum(self.differing.values())
        nodes = f"{len(self.only_there)} node definitions ({listed(self.only_there)})" if self.only_there else "no node definition"
        return f"{rows} rows in {len(self.differing)} tables ({', '.join(sorted(self.differing))}) are only there, among them {nodes}"


def divergence(left: Contents, primary: Contents) -> Divergence:
    """What ``left`` has and ``primary`` lacks."""
    differing = {}
    for table, rows in left.tables.items():
        only = len(rows - primary.tables.get(table, frozenset()))
        if only:
            differing[table] = only
    return Divergence(tuple(sorted(left.nodes - primary.nodes)), differing)


def plan_rejoin(given: PlanningInput, primary: Node, returned: Node, lost: str) -> Operation:
    """``returned`` becomes the standby of ``primary``. ``given.term`` is the primary's. ``lost``: what only the returned node has."""
    return Operation(
        name="rejoin",
        summary=(
            f"{returned.id} becomes the standby of {primary.id}; its database is replaced, and then its files, as xcat-ha sync files does.",
            f"What only {returned.id} has: {lost}.",
            f"Its database is first saved, as a verified copy that can be restored, on {returned.id} itself.",
        ),
        phases=(
            PhasePlanner("stop", partial(phase_to_stop, given, returned)),
            PhasePlanner("save", partial(_save, given, returned), needs_observation=False),
            PhasePlanner("accept-term", partial(_accept_term, given, primary, returned), needs_observation=False),
            PhasePlanner("seed", partial(_seed, given, primary, returned), needs_observation=False),
        ),
        must_finish=True,
        parameters={"primary": primary.id, "returned": returned.id, "term": given.term.words(), "lost": lost},
    )


def _save(given: PlanningInput, returned: Node, _state: PairState) -> Phase:
    steps = given.drivers.replication.steps_to_save_divergence(returned)
    return Phase(name="save", why=f"Nothing that was written on {returned.id} is discarded unsaved.", stages=(side_by_side(steps),))


def _accept_term(given: PlanningInput, primary: Node, returned: Node, _state: PairState) -> Phase:
    step = step_to_store(returned, given.term, f"From now on {returned.id} takes copies from {primary.id}.")
    return Phase(name="accept-term", why=f"{returned.id} acknowledges who is primary.", stages=(in_order(step),))


def _seed(given: PlanningInput, primary: Node, returned: Node, _state: PairState) -> Phase:
    """Not the files: an old primary may have many that the new one lacks, and the delete guard's refusal must not cost it the copy."""
    database = received(given.drivers.replication.steps_to_seed(primary, returned), returned, primary, given.term)
    return Phase(name="seed", why=f"{returned.id} gets {primary.id}'s database.", stages=(side_by_side(database),))
