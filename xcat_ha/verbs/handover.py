"""The planned change of primary."""

from __future__ import annotations

from attrs import evolve

from xcat_ha.errors import RefusedError
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.operations import Prepared, Workshop, prepared
from xcat_ha.planning import PlanningInput
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.images import images_on, sentences_about_clients, sentences_about_images
from xcat_ha.planning.requirements import checks_before_handover
from xcat_ha.verbs.basis import file_sets_of, given_for, online_site, sides, still_primary
from xcat_ha.verbs.images import images_of, with_closing_list
from xcat_ha.verbs.terms import require_in_step


def prepare_handover(workshop: Workshop, *, to: str | None = None, verb: str = "failover") -> Prepared:
    """Move the role to the standby, planned: both nodes alive, nothing lost. ``to``: id of the node that shall have it.

    Raises:
        RefusedError: that node has the role already.
        UnknownStateError: it is not known who is primary.
    """
    state = workshop.observe(images=workshop.drivers.images is not None)
    old, new = sides(workshop, state)
    if to is not None and workshop.pair.node(to).id == old.id:
        raise RefusedError(f"{old.id} is primary already", state="nothing was changed", hint="xcat-ha status shows who is what")
    term = require_in_step(state, old, new)
    site = online_site(workshop, old)
    given = given_for(workshop, verb, site, file_sets_of(workshop.pair, site), term)
    plan = plan_handover(given, old, new, verb=verb)
    operation = evolve(
        plan,
        summary=(*plan.summary, *_what_is_noticed(given, state, old, new)),
        requires=checks_before_handover(workshop.pair, workshop.drivers, old, new),
    )
    there = images_of(state, old)
    before = sorted({mount.client for mount in there.mounts}) if there is not None else []
    return with_closing_list(workshop, prepared(workshop, operation, given, state, why_not=still_primary(old)), new, before)


def _what_is_noticed(given: PlanningInput, state: PairState, old: Node, new: Node) -> tuple[str, ...]:
    """Images that are not complete, and clients that will hang."""
    if given.drivers.images is None:
        return ()
    there, here = images_of(state, old), images_of(state, new)
    report = images_on(new, here, there, given.file_sets)
    return (*sentences_about_images(report, planned=True), *sentences_about_clients(old, new, there, here))
