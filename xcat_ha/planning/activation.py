"""Taking the role up again on the node whose turn it is: after a reboot in peace, by the guard or by an administrator's word."""

from __future__ import annotations

from functools import partial

from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.serving import phases_to_serve
from xcat_ha.planning.takeover import checks_of_silence
from xcat_ha.planning.terms import term_is
from xcat_ha.steps import Phase, side_by_side
from xcat_ha.xcat.services import xcatd_is_stopped


def plan_activation(given: PlanningInput, node: Node, other: Node, *, why: str, confirmed_down: bool = False) -> Operation:
    """``node``, named holder by its own term, serves again with its own database; nothing is copied and no term is raised.

    ``confirmed_down``: the administrator declared ``other`` down; everything that could contradict that is asked.
    """
    silence = checks_of_silence(given, other, node) if confirmed_down else ()
    declared = (f"You declare that {other.id} is down.",) if confirmed_down else ()
    return Operation(
        name="activate",
        summary=(f"{node.id} takes up the management role it had: {why}.", *declared),
        phases=(
            PhasePlanner("prove-database", partial(_prove, given, node), needs_observation=False),
            *phases_to_serve(given, node, (node,)),
        ),
        requires=(*silence, term_is(node, given.term), xcatd_is_stopped(node)),
        parameters={"node": node.id, "term": given.term.words(), "why": why, "declared": " ".join(declared)},
    )


def _prove(given: PlanningInput, node: Node, _state: PairState) -> Phase:
    steps = given.drivers.replication.steps_to_promote(node, forced=False)
    return Phase(name="prove-database", why="After a power loss the tables are repaired and proven first.", stages=(side_by_side(steps),))
