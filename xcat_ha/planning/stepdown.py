"""Giving the role up on one node, with nobody's help: the guard's answer to a higher term, and what fencing by ssh runs on a node.

The node's own term is left as it is: with the lower term it accepts no copies, so what it has and the other lacks stays until
``rejoin`` has saved it.
"""

from __future__ import annotations

from functools import partial

from xcat_ha.interfaces import ROLE_SERVICES, Service
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.steps import Phase, side_by_side


def plan_step_down(given: PlanningInput, node: Node, why: str) -> Operation:
    """Release identity and services of ``node``. Other nodes are not touched."""
    return Operation(
        name="step-down",
        summary=(f"{node.id} gives the management role up: {why}",),
        phases=(
            PhasePlanner("stop", partial(phase_to_stop, given, node)),
            PhasePlanner("disable", partial(_disable, given, node), needs_observation=False),
        ),
        parameters={"node": node.id, "why": why},
    )


def phase_to_stop(given: PlanningInput, node: Node, state: PairState) -> Phase:
    """The address goes first: clients must not reach a primary that is none any more, whatever its services take to stop."""
    services, states = given.drivers.services, state.nodes[node.id].services
    stops = [services.steps_to_stop(node, (service,), states) for service in ROLE_SERVICES if service is not Service.XCATD]
    xcatd = services.steps_to_stop(node, (Service.XCATD,), states)
    return Phase(
        name="stop",
        why=f"{node.id} must hold nothing of the role.",
        stages=(
            side_by_side(given.drivers.identity.steps_to_release(node, given.pair.identity), xcatd),
            # xcatd starts others again (DHCP, TFTP), so these are stopped after it.
            side_by_side(*stops, given.drivers.schedule.steps_to_stop(node)),
        ),
    )


def _disable(given: PlanningInput, node: Node, state: PairState) -> Phase:
    steps = given.drivers.services.steps_to_disable(node, ROLE_SERVICES, state.nodes[node.id].services)
    return Phase(name="disable", why="Nothing of the role may start by itself at boot.", stages=(side_by_side(steps),))
