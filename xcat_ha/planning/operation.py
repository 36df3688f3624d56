"""An operation: phases that are planned one by one, each from what is observed when it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen

from xcat_ha.interfaces import Drivers
from xcat_ha.models import FileSet, Pair
from xcat_ha.observation import PairState
from xcat_ha.steps import Check, Phase, Plan
from xcat_ha.term import NO_TERM, StoredTerm
from xcat_ha.xcat.site import Site


@frozen
class PlanningInput:
    """What does not change while an operation runs.

    Attributes:
        pair: the configuration.
        drivers: its drivers.
        site: xCAT's site table as read when the operation began.
        file_sets: the sets that take part.
        operation_id: name of the operation's journal, unique.
        term: the term in which the operation began; a change of primary raises it.
    """

    pair: Pair
    drivers: Drivers
    site: Site
    file_sets: tuple[FileSet, ...]
    operation_id: str
    term: StoredTerm = NO_TERM


@frozen
class PhasePlanner:
    """How to plan one phase.

    Attributes:
        name: kebab-case, unique within the operation.
        plan: from a fresh observation to the phase.
        needs_observation: False if ``plan`` does not look at the services' state, so that the last observation will do (a hand-over
            should not ask two hosts again between releasing and acquiring an address).
        needs_images: whether ``plan`` looks at images, which are observed only for such phases.
        outlives_reboot: False if a reboot undoes it (addresses, running services): resume looks at such a phase again although it was
            complete, and its steps skip themselves where their effect is still there.
    """

    name: str
    plan: Callable[[PairState], Phase]
    needs_observation: bool = True
    outlives_reboot: bool = True
    needs_images: bool = False


@frozen
class Operation:
    """What a changing verb is going to do.

    Attributes:
        name: the verb.
        summary: sentences shown before the question "go on?".
        phases: in order.
        requires: checks that must HOLD before the first phase; FAILS refuses, UNKNOWN refuses too.
        must_finish: whether stopping in the middle leaves the pair in a state that has to be resumed or abandoned.
        parameters: what was asked, for the journal; no secrets.
    """

    name: str
    summary: tuple[str, ...]
    phases: tuple[PhasePlanner, ...]
    requires: tuple[Check, ...] = ()
    must_finish: bool = False
    parameters: Mapping[str, str] = field(factory=dict)

    def preview(self, state: PairState) -> Plan:
        """All phases as they would be planned from ``state``; each will be planned anew when it begins."""
        return Plan(operation=self.name, summary=self.summary, phases=tuple(planner.plan(state) for planner in self.phases))
