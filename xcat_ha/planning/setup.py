"""Making a pair of two management nodes. The way in (ssh keys, host keys) was opened before: see :mod:`xcat_ha.trust`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

from xcat_ha.interfaces import ROLE_SERVICES, Service, StalePointer
from xcat_ha.kept import GUARD_FILE
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.jobs import guard_daemon, sync_jobs
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.serving import stages_to_serve
from xcat_ha.planning.stale import phase_to_mend, sentences, words_of
from xcat_ha.planning.sync import file_lanes
from xcat_ha.planning.terms import received, step_to_store
from xcat_ha.planning.witness import steps_to_inform, steps_to_see
from xcat_ha.planning.xcat_steps import step_to_begin_tenure, step_to_note_services
from xcat_ha.steps import Check, ExitStatus, Phase, Prints, Probe, Stage, Step, Steps, changes, reads, side_by_side

NODE_ID_FILE = "/etc/xcat-ha/node"
"""Holds the id of the node it is on."""

_WRITE = 'umask 077 && mkdir -p "${1%/*}" && cat > "$1.new" && sync -f "$1.new" && mv "$1.new" "$1" && sync -f "$1"'
_SHA256 = 'sha256sum < "$1" 2>/dev/null | cut -d " " -f 1 | grep . || echo none'


def step_to_write_file(name: str, why: str, node: Node, path: str, text: str) -> Step:
    """A small root-only file with exactly this text, put in place as a whole."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Step(
        name=name,
        why=why,
        host=node.id,
        done_when=Check(
            question=f"{path} on {node.id} is as it should be",
            probes=(Probe(node.id, reads("sh", "-c", _SHA256, "sh", path)),),
            rule=Prints(digest),
        ),
        commands=(changes("sh", "-c", _WRITE, "sh", path, stdin=text),),
    )


def plan_setup(  # noqa: PLR0913 - what resume has to know again
    given: PlanningInput, primary: Node, standby: Node, config_text: str, *, boot_id: str = "", stale: Sequence[StalePointer] = ()
) -> Operation:
    """Make ``primary`` and ``standby`` a pair: own addresses, nothing at boot, first copy, scheduled syncs. ``stale`` is mended.

    ``boot_id``: the boot of the primary in which setup began; empty if not known.
    """
    mended = (PhasePlanner("mend-stale", lambda _state: phase_to_mend(given, primary, stale), needs_observation=False),) if stale else ()
    addresses = ", ".join(str(address.ip) for address in given.pair.identity.addresses)
    return Operation(
        name="setup",
        summary=(
            f"{primary.id} keeps the management role; {standby.id} becomes its standby.",
            f"{addresses} becomes the service address: it is taken out of boot-time configuration, and each node keeps its own address.",
            "The role's services are disabled at boot on both nodes, and stopped on the standby.",
            f"The database, credentials and files of {standby.id} are replaced by those of {primary.id}.",
            *(f"Mended: {sentence}" for sentence in sentences(stale)),
        ),
        phases=(
            PhasePlanner("know-each-other", partial(_know_each_other, given, primary, standby, config_text), needs_observation=False),
            PhasePlanner("standby-off", partial(_standby_off, given, standby)),
            PhasePlanner("own-addresses", partial(_own_addresses, given, primary, standby), needs_observation=False, outlives_reboot=False),
            *mended,  # before the services are disabled: makedhcp enables its own again
            PhasePlanner("nothing-at-boot", partial(_nothing_at_boot, given, primary, standby)),
            PhasePlanner("serve-again", partial(_serve_again, given, primary, boot_id), outlives_reboot=False),
            PhasePlanner("first-copy", partial(_first_copy, given, primary, standby), needs_observation=False),
            PhasePlanner("schedule", partial(_schedule, given, primary, standby), needs_observation=False),
        ),
        must_finish=True,
        parameters={"primary": primary.id, "standby": standby.id, "term": given.term.words(), "boot": boot_id, "mend": words_of(stale)},
    )


def _know_each_other(given: PlanningInput, primary: Node, standby: Node, config_text: str, _state: PairState) -> Phase:
    lanes = tuple(
        (
            step_to_write_file("write-node-id", "A node has to know which of the two it is.", node, NODE_ID_FILE, f"{node.id}\n"),
            step_to_write_file("write-config", "Both nodes work by the same configuration.", node, given.pair.source, config_text),
            step_to_store(node, given.term, f"Both nodes remember that {primary.id} has the role."),
        )
        for node in (primary, standby)
    )
    witness = (*steps_to_inform(given.pair, primary, given.term, create=True), *steps_to_see(given.pair, standby, given.term))
    return Phase(name="know-each-other", why="Verbs work the same from either node.", stages=(side_by_side(*lanes), side_by_side(witness)))


def _standby_off(given: PlanningInput, standby: Node, state: PairState) -> Phase:
    services = given.drivers.services
    states = state.nodes[standby.id].services
    stop_xcatd = services.steps_to_stop(standby, (Service.XCATD,), states)
    others = tuple(service for service in ROLE_SERVICES if service is not Service.XCATD)
    return Phase(
        name="standby-off",
        why=f"{standby.id} must not serve: its xcatd would answer, and block the copy of the database.",
        stages=(side_by_side(stop_xcatd), side_by_side(*(services.steps_to_stop(standby, (service,), states) for service in others))),
    )


def _own_addresses(given: PlanningInput, primary: Node, standby: Node, _state: PairState) -> Phase:
    identity = given.pair.identity
    network = given.drivers.identity
    return Phase(
        name="own-addresses",
        why="What moves must not be in any node's boot-time configuration.",
        stages=(
            side_by_side(network.steps_to_make_own(standby, identity)),
            side_by_side((*network.steps_to_make_own(primary, identity), *network.steps_to_acquire(primary, identity))),
            side_by_side((step_to_begin_tenure(given, primary),)),
        ),
    )


def _nothing_at_boot(given: PlanningInput, primary: Node, standby: Node, state: PairState) -> Phase:
    services = given.drivers.services
    lanes = tuple(services.steps_to_disable(node, ROLE_SERVICES, state.nodes[node.id].services) for node in (primary, standby))
    note = (step_to_note_services(primary, state.nodes[primary.id].services),)
    why = "A machine that boots holds only its own name and address."
    return Phase(name="nothing-at-boot", why=why, stages=(side_by_side(*lanes, note),))


def _serve_again(given: PlanningInput, primary: Node, boot_id: str, state: PairState) -> Phase:
    """Without stages, unless the primary has booted since setup began: then what was disabled at boot does not run any more."""
    states = state.nodes[primary.id].services
    stages: tuple[Stage, ...] = ()
    if boot_id and state.nodes[primary.id].boot_id != boot_id:
        # xCAT's commands enable the units they set up.
        disabled = given.drivers.services.steps_to_disable(primary, ROLE_SERVICES, states)
        stages = (*stages_to_serve(given, primary, states), side_by_side(disabled))
    return Phase(name="serve-again", why=f"If {primary.id} booted in the middle, its services are started again.", stages=stages)


def _first_copy(given: PlanningInput, primary: Node, standby: Node, _state: PairState) -> Phase:
    replication = given.drivers.replication
    # Whatever was written on the standby when it was a node of its own can be got back.
    saved = replication.steps_to_save_divergence(standby)
    database = (*saved, *received(replication.steps_to_seed(primary, standby), standby, primary, given.term))
    lanes = (database, *file_lanes(given, primary, standby, given.file_sets))
    return Phase(name="first-copy", why=f"{standby.id} gets everything {primary.id} has.", stages=(side_by_side(*lanes),))


def _guarded(given: PlanningInput, node: Node) -> Steps:
    """The guard is installed, and has looked once; none where the service manager's driver cannot keep one."""
    steps = given.drivers.services.steps_to_keep_running(node, guard_daemon(given.pair, node))
    if not steps:
        return ()
    heard = Step(
        name="hear-guard",
        why="A guard that cannot read its configuration would guard nothing.",
        host=node.id,
        done_when=Check(
            question=f"the guard of {node.id} has looked",
            probes=(Probe(node.id, reads("test", "-e", GUARD_FILE)),),
            rule=ExitStatus(),
            hint=f"run xcat-ha guard on {node.id} and read what it says",
        ),
        commands=(),
        settle_s=30.0,
    )
    return (*steps, heard)


def _schedule(given: PlanningInput, primary: Node, standby: Node, _state: PairState) -> Phase:
    schedule = given.drivers.schedule
    guards = tuple(_guarded(given, node) for node in (primary, standby))
    return Phase(
        name="schedule",
        why="The copy must not grow old; guards see to it that the role is held once.",
        stages=(side_by_side(schedule.steps_to_stop(standby), schedule.steps_to_start(primary, sync_jobs(given.pair, primary)), *guards),),
    )
