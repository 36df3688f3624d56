"""Saying that administrators are at work on the pair, and what follows for those who do not know."""

from __future__ import annotations

import getpass

from xcat_ha.errors import PausedError, UnknownStateError, UnreachableError
from xcat_ha.maintenance import MAINTENANCE_FILE, Maintenance, printable
from xcat_ha.observation import PairState
from xcat_ha.operations import Prepared, Reach, Workshop, prepared
from xcat_ha.planning.maintenance import plan_maintenance
from xcat_ha.verbs.basis import given_for
from xcat_ha.xcat.site import Site


def prepare_maintenance(workshop: Workshop, *, reason: str = "", until: float | None = None) -> Prepared:
    """Say that work goes on, or (``until`` None) that it has ended, on every node that answers.

    Args:
        workshop: what it works with.
        reason: why, for whoever reads ``status``.
        until: when it is expected to end, in seconds since the epoch.

    Raises:
        UnreachableError: no node answers.
        UnfinishedError: an earlier operation is in the way.
    """
    state = workshop.observe()
    nodes = tuple(node for node in workshop.pair.nodes if node.id not in state.unreachable)
    if not nodes:
        raise UnreachableError("no node answered", state="nothing was changed", hint="xcat-ha status tells why")
    now = round(workshop.clock.now(), 3)
    by = f"{getpass.getuser()} on {workshop.local or 'another machine'}"
    before = state.maintenance
    if until is not None:
        word = Maintenance(on=True, reason=printable(reason), until=round(until, 3), since=now, by=by)
    elif before is not None and not before.on:
        word = before
    else:
        word = Maintenance(on=False, since=now, by=by)
    operation = plan_maintenance(nodes, word, state.unreachable)
    given = given_for(workshop, "maintenance", Site(known=False), ())
    return prepared(workshop, operation, given, state, why_not=lambda _now: "", reach=Reach(frozenset(state.unreachable)))


def refuse_if_paused(state: PairState, now: float) -> None:
    """What is scheduled waits while administrators work.

    Raises:
        PausedError: they do.
        UnknownStateError: that cannot be read.
    """
    word = state.maintenance
    if word is None:
        raise UnknownStateError(
            "it cannot be read whether there is maintenance",
            state="nothing was changed",
            hint=f"look at {MAINTENANCE_FILE} on both nodes; xcat-ha maintenance off writes it anew",
        )
    if word.pauses(now):
        raise PausedError(word.words(now), state="nothing was changed", hint="xcat-ha sync copies now; xcat-ha maintenance off ends it")
