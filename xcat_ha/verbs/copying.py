"""Bringing the standby up to now, and proving with a record of its own that copies arrive."""

from __future__ import annotations

from collections.abc import Sequence

from xcat_ha.errors import ConfigError
from xcat_ha.execution import execute_steps
from xcat_ha.models import FileSet
from xcat_ha.observation import PairState
from xcat_ha.operations import Prepared, Workshop, prepared
from xcat_ha.planning.sync import DATABASE, plan_sync
from xcat_ha.planning.verify import plan_verify, steps_to_remove_record
from xcat_ha.verbs.basis import file_sets_of, given_for, online_site, sides, still_primary
from xcat_ha.verbs.maintenance import refuse_if_paused
from xcat_ha.verbs.terms import require_in_step
from xcat_ha.xcat.site import Site

FILES = "files"
"""In ``sync``: all file sets, without the database."""


def prepare_sync(workshop: Workshop, sets: Sequence[str] = (), *, scheduled: bool = False) -> Prepared:
    """Bring the standby's copies up to now.

    Args:
        workshop: what it works with.
        sets: names: ``database``, ``files`` for all file sets, or single ones; none of them means everything.
        scheduled: a timer asks for it; it waits while administrators are at work.

    Raises:
        ConfigError: a set is not known.
        PausedError: it is scheduled, and there is maintenance.
        UnknownStateError: it is not known who is primary.
    """
    state = workshop.observe()
    if scheduled:
        refuse_if_paused(state, workshop.clock.now())
    source, target = sides(workshop, state)
    term = require_in_step(state, source, target)
    if set(sets) == {DATABASE}:
        site = Site(known=False)  # only file sets depend on what the site table says
        chosen: tuple[FileSet, ...] = ()
    else:
        site = online_site(workshop, source)
        chosen = _chosen(sets, file_sets_of(workshop.pair, site))
    given = given_for(workshop, "sync", site, chosen, term)
    everything = not sets
    operation = plan_sync(given, source, target, database=everything or DATABASE in sets)

    def why_not(now: PairState) -> str:
        if scheduled:
            refuse_if_paused(now, workshop.clock.now())
        return still_primary(source)(now)

    return prepared(workshop, operation, given, state, why_not=why_not, scheduled=scheduled)


def _chosen(sets: Sequence[str], known: tuple[FileSet, ...]) -> tuple[FileSet, ...]:
    names = {file_set.name for file_set in known}
    for name in sets:
        if name not in {*names, DATABASE, FILES}:
            raise ConfigError(f"no set is called {name!r}", hint=f"known: {DATABASE}, {FILES}, {', '.join(sorted(names))}")
    if not sets or FILES in sets:
        return known
    return tuple(file_set for file_set in known if file_set.name in sets)


def prepare_verify(workshop: Workshop) -> Prepared:
    """The round trip of a test record; see :mod:`xcat_ha.planning.verify`.

    Raises:
        UnknownStateError: it is not known who is primary.
    """
    state = workshop.observe()
    source, target = sides(workshop, state)
    term = require_in_step(state, source, target)
    given = given_for(workshop, "verify", online_site(workshop, source), (), term)
    operation = plan_verify(given, source, target)

    def tidy_up() -> None:
        execute_steps(steps_to_remove_record(source), workshop.runner)

    return prepared(workshop, operation, given, state, why_not=still_primary(source), after_failure=tidy_up)
