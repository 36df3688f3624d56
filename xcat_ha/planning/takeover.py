"""An unplanned change of primary: only the new node is touched, and only after the old primary is fenced or declared down.

The promise of a declaration by hand rests on an administrator's word, so everything that can contradict it is asked first: see
:func:`checks_of_silence`. None of these refusals has an override.
"""

from __future__ import annotations

import ipaddress
from functools import partial

from attrs import evolve

from xcat_ha.models import IPInterface, Node
from xcat_ha.observation import PairState
from xcat_ha.planning.images import phases_for_images
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.serving import phases_to_serve
from xcat_ha.planning.terms import step_to_store
from xcat_ha.planning.witness import checks_that_it_answers, steps_to_inform
from xcat_ha.steps import Check, Phase, Probe, SaysVerdict, in_order, reads, side_by_side
from xcat_ha.term import StoredTerm
from xcat_ha.xcat.services import xcatd_is_stopped


def term_taken(given: PlanningInput, new: Node) -> StoredTerm:
    """The term of an unplanned change: nobody yielded."""
    return StoredTerm(given.term.counter + 1, new.id)


def plan_takeover(given: PlanningInput, old: Node, new: Node, *, confirmed: bool, announced: str) -> Operation:
    """``new`` takes the role without ``old``.

    Args:
        given: as for every operation; ``given.term`` is the highest term known.
        old: who had the role.
        new: whose copy becomes the database.
        confirmed: the administrator declared ``old`` down; else the fence driver makes sure.
        announced: what will be lost, in one sentence.
    """
    identity = given.pair.identity
    addresses = ", ".join(str(address.ip) for address in identity.addresses)
    word = f"You declare that {old.id} is down and stays down." if confirmed else f"{old.id} is fenced first ({given.pair.fencing.name})."
    fence = () if confirmed else (PhasePlanner("fence", partial(_fence, given, old, new), needs_observation=False),)
    return Operation(
        name="failover",
        summary=(
            f"UNPLANNED: {new.id} takes the management role without {old.id}: {identity.hostname} ({addresses}) and its services.",
            announced,
            word,
        ),
        phases=(
            *fence,
            PhasePlanner("raise-term", partial(_raise_term, given, old, new), needs_observation=False),
            PhasePlanner("promote", partial(_promote, given, new), needs_observation=False),
            *phases_to_serve(given, new, (new,)),
            *phases_for_images(given, new),
        ),
        requires=(
            *(checks_of_silence(given, old, new) if confirmed else ()),
            xcatd_is_stopped(new),
            *checks_that_it_answers(given.pair, new),
        ),
        must_finish=True,
        parameters={
            "old": old.id,
            "new": new.id,
            "term": given.term.words(),
            "unplanned": f"confirmed down: {old.id}" if confirmed else f"fenced by {given.pair.fencing.name}",
            "loss": announced,
        },
    )


def checks_of_silence(given: PlanningInput, old: Node, new: Node) -> tuple[Check, ...]:
    """Nothing contradicts that ``old`` is down, asked from ``new``: no ssh, no answer to ARP/ND, no xcatd."""
    network, identity = given.drivers.identity, given.pair.identity
    own = _own_interface(given, old)
    ports = [f"{old.address},{old.ssh_port}", f"{old.address},{given.site.xcatdport}"]
    ports += [f"{address.ip},{given.site.xcatdport}" for address in identity.addresses]
    hint = f"{old.id} is not down: hand over (xcat-ha failover), or switch it off first"
    silent = Check(
        question=f"nothing answers at {old.id} ({old.address}) by ssh, nor an xcatd there or at the service address",
        probes=(Probe(new.id, reads(new.python, "-m", "xcat_ha.silence", *ports)),),
        rule=SaysVerdict(),
        hint=hint,
    )
    found = [silent, evolve(network.address_is_free(new, identity), hint=hint)]
    if own is not None:
        found.append(evolve(network.address_is_free(new, evolve(identity, addresses=(own,))), hint=hint))
    return tuple(found)


def _own_interface(given: PlanningInput, old: Node) -> IPInterface | None:
    """The old primary's own address in the service address's network; None if it is in another one."""
    address = ipaddress.ip_address(old.address)
    for service in given.pair.identity.addresses:
        if service.version == address.version and address in service.network:
            return ipaddress.ip_interface(f"{address}/{service.network.prefixlen}")
    return None


def _fence(given: PlanningInput, old: Node, new: Node, _state: PairState) -> Phase:
    fence = given.drivers.fence
    steps = fence.steps_to_fence(old, by=new) if fence is not None else ()
    return Phase(name="fence", why=f"{old.id} must be proven unable to hold the role.", stages=(side_by_side(steps),))


def _raise_term(given: PlanningInput, old: Node, new: Node, _state: PairState) -> Phase:
    informed = side_by_side(steps_to_inform(given.pair, new, term_taken(given, new)))
    step = step_to_store(new, term_taken(given, new), f"When {old.id} comes back it must learn that the role has moved.")
    return Phase(name="raise-term", why="The higher term is right, whoever says otherwise later.", stages=(in_order(step), informed))


def _promote(given: PlanningInput, new: Node, _state: PairState) -> Phase:
    steps = given.drivers.replication.steps_to_promote(new, forced=True)
    return Phase(name="promote", why=f"The newest good copy on {new.id} becomes the database.", stages=(side_by_side(steps),))
