"""Making two nodes a pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from xcat_ha import trust
from xcat_ha.config import read_text
from xcat_ha.errors import RefusedError, UnknownStateError, UnreachableError
from xcat_ha.execution import execute_steps
from xcat_ha.interfaces import StalePointer
from xcat_ha.models import Node, Pair
from xcat_ha.operations import Prepared, Workshop, prepared
from xcat_ha.planning.requirements import checks_before_setup
from xcat_ha.planning.setup import plan_setup
from xcat_ha.planning.stale import mendable
from xcat_ha.verbs.basis import file_sets_of, given_for, online_site, still_primary
from xcat_ha.verbs.stale import look_for_stale
from xcat_ha.verbs.terms import refuse_conflict, term_for_setup
from xcat_ha.verbs.witness import open_way_to_witness
from xcat_ha.xcat.site import Site


def mend_nothing(pointers: Sequence[StalePointer]) -> bool:
    """Leave stale pointers as they are."""
    del pointers
    return False


def prepare_setup(workshop: Workshop, mend: Callable[[Sequence[StalePointer]], bool] = mend_nothing) -> Prepared:
    """Make the two nodes a pair. The way to the other node must be open: see :meth:`open_way`.

    ``mend`` is shown all stale pointers if some of them can be mended, and says whether to do it.

    Raises:
        RefusedError: ``site.master`` is not the service address (and not to be mended), or xcatd does not answer on the primary-to-be.
        UnknownStateError: a node did not answer, or both have the service address.
    """
    state = workshop.observe()
    if state.unreachable:
        raise UnreachableError(f"{', '.join(state.unreachable)} did not answer", hint="open the way first: see xcat-ha setup --help")
    primary = workshop.pair.node(state.require_primary())
    standby = workshop.pair.other(primary.id)
    site = online_site(workshop, primary)
    refuse_conflict(state)
    pointers = _to_mend(workshop, primary, mend)
    site = _mended_site(site, pointers)
    _require_master(workshop.pair, site)
    given = given_for(workshop, "setup", site, file_sets_of(workshop.pair, site), term_for_setup(state, primary))
    config_text = read_text(workshop.pair.source)
    requires = checks_before_setup(workshop.pair, workshop.drivers, primary, standby)
    plan = plan_setup(given, primary, standby, config_text, boot_id=state.nodes[primary.id].boot_id, stale=pointers)
    operation = evolve(plan, requires=requires)
    return prepared(workshop, operation, given, state, why_not=still_primary(primary))


def _to_mend(workshop: Workshop, primary: Node, mend: Callable[[Sequence[StalePointer]], bool]) -> tuple[StalePointer, ...]:
    """What is going to be mended. What could not be looked at is none of it: ``check`` says so."""
    pointers = look_for_stale(workshop, primary).pointers
    able = mendable(pointers)
    return able if able and mend(pointers) else ()


def _mended_site(site: Site, pointers: Sequence[StalePointer]) -> Site:
    master = next((one.wanted for one in pointers if one.place == "table site" and one.item == "master"), site.master)
    return evolve(site, master=master)


def _require_master(pair: Pair, site: Site) -> None:
    identity = pair.identity
    allowed = {str(address.ip) for address in identity.addresses} | {identity.hostname, f"{identity.hostname}.{site.domain}"}
    if site.master not in allowed:
        raise RefusedError(
            f"site.master is {site.master}, but the service identity is {identity.hostname} ({', '.join(sorted(allowed))})",
            where=pair.source,
            state="nothing was changed",
            hint=f"make {site.master} the service address in [service], and give its machine another address of its own; "
            "if the pair exists already and site.master was changed since: xcat-ha setup --mend-stale",
        )


def open_way(workshop: Workshop, *, accepted: frozenset[str], ask: Callable[[str], bool]) -> None:
    """Make ssh work both ways between this node and the other, and from both to the witness, with xcat-ha's own keys.

    Args:
        workshop: what it works with.
        accepted: fingerprints (``SHA256:…``) of the other node's and the witness's host keys that the administrator vouches for.
        ask: shows host keys and asks whether they are right.

    Raises:
        RefusedError: this machine is none of the pair's nodes, keys are not confirmed, or there is no way in.
        UnreachableError: no sshd answers on the other node.
    """
    if not workshop.local:
        raise RefusedError("setup has to run on one of the two nodes", hint="run it on the management node that serves now")
    here, there = workshop.pair.node(workshop.local), workshop.pair.other(workshop.local)
    public_key = trust.own_public_key()
    trust.confirm_host_keys(there, accepted, ask)
    trust.open_way(there, public_key)
    host_keys = trust.this_machines_host_keys()
    execute_steps(trust.steps_to_trust_back(here, there, host_keys), workshop.runner)
    theirs = workshop.runner.run(there.id, trust.question_for_public_key())
    if not theirs.ok:
        raise UnknownStateError(f"the key of {there.id} cannot be read: {theirs.summary}", hint="run setup again")
    execute_steps((trust.step_to_authorise(here, theirs.stdout.strip(), there),), workshop.runner)
    open_way_to_witness(workshop, here, there, accepted=accepted, ask=ask)
