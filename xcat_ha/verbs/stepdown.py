"""Giving the role up at once, and proving that nothing of it is left."""

from __future__ import annotations

from xcat_ha.interfaces import ROLE_SERVICES
from xcat_ha.models import Node
from xcat_ha.observation import observe_node
from xcat_ha.operations import Result, Workshop, begin_journal, run_operation
from xcat_ha.planning.stepdown import plan_step_down
from xcat_ha.verbs.basis import given_for
from xcat_ha.xcat.site import Site


def step_down(workshop: Workshop, node: Node, why: str) -> Result:
    """``node`` gives the role up, asking nobody. It takes no lock: it must not wait for whoever holds one.

    Raises:
        XcatHaError: a step failed; the rest of the role may still be held.
    """
    alone = workshop.without(frozenset({workshop.pair.other(node.id).id}))
    given = given_for(workshop, "step-down", Site(known=False), ())
    operation = plan_step_down(given, node, why)
    return run_operation(alone, operation, begin_journal(alone, operation, given.operation_id))


def has_nothing(workshop: Workshop, node: Node) -> str:
    """``HOLDS: ID …``, ``FAILS: why`` or ``UNKNOWN: why``: ``node`` holds nothing of the role, and none of it starts at boot."""
    here = observe_node(node, workshop.drivers, workshop.runner, workshop.clock.now())
    holds_none = here.holding.holds_none()
    running = {str(service): here.services.running(service) for service in ROLE_SERVICES}
    enabled = {str(service): here.services.enabled(service) for service in ROLE_SERVICES}
    if holds_none is False:
        return "FAILS: it has a service address"
    for words, answers in (("runs", running), ("starts at boot", enabled)):
        found = [name for name, answer in answers.items() if answer]
        if found:
            return f"FAILS: {', '.join(found)} {words}"
    known = holds_none is not None and None not in {*running.values(), *enabled.values()}
    return f"HOLDS: {node.id} holds nothing of the role" if known else "UNKNOWN: not all of it could be read"
