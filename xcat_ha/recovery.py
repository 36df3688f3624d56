"""What is done when a primary died: taking over without it, taking up one's own role again, coming back as standby, giving up.

Functions on a :class:`~xcat_ha.operations.Workshop`; :class:`~xcat_ha.pair.ManagedPair` has them as methods.
"""

from __future__ import annotations

import time
from functools import partial

from xcat_ha.errors import RefusedError, UnknownStateError, UnreachableError
from xcat_ha.interfaces import ROLE_SERVICES, ReplicaRole
from xcat_ha.journal import new_operation_id
from xcat_ha.models import FileSet, Node, Pair
from xcat_ha.observation import NodeState, PairState, Role, observe_node
from xcat_ha.operations import BOTH, Prepared, Reach, Result, Workshop, begin_journal, prepared, run_operation, unfinished
from xcat_ha.planning import Operation, PlanningInput
from xcat_ha.planning.activation import plan_activation
from xcat_ha.planning.rejoin import divergence, plan_rejoin
from xcat_ha.planning.stepdown import plan_step_down
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.term import NO_TERM, StoredTerm
from xcat_ha.xcat.file_sets import standard_file_sets
from xcat_ha.xcat.site import Site, interpret_site, offline_site_question, site_question


def file_sets_of(pair: Pair, site: Site) -> tuple[FileSet, ...]:
    """The standard sets and the site's own."""
    # cfgloc holds an address only for network databases; whether it stays valid is their backend's business, not a file set's.
    standard = standard_file_sets(installdir=site.installdir, tftpdir=site.tftpdir, xcat_dir=pair.xcat_dir, cfgloc_stays_valid=False)
    return (*standard, *pair.file_sets)


def offline_site(workshop: Workshop, node: Node) -> Site:
    """XCAT's site table as the node's own copy holds it; its xcatd does not run.

    Raises:
        UnknownStateError: the copy does not give it.
    """
    question = workshop.drivers.replication.question_for_site(node) or offline_site_question()
    site = interpret_site(workshop.runner.read_many(node.id, (question,))[0])
    if not site.known:
        raise UnknownStateError(
            f"the copy of xCAT's database on {node.id} does not give its site table ({site.detail})",
            state="nothing was changed",
            hint=f"look at xcat-ha status for that database; a generation can be put in place by hand, see {node.id}'s /var/lib/xcat-ha",
        )
    return site


def refuse_conflict(state: PairState) -> None:
    """Equal counters with different holders: nobody knows who is right, and nothing proceeds.

    Raises:
        RefusedError: that is so.
    """
    if state.conflict:
        both = "; ".join(f"{node_id}: {node_state.term.words()}" for node_id, node_state in state.nodes.items() if node_state.term)
        raise RefusedError(
            f"the nodes disagree about whose turn it is ({both})",
            state="nothing was changed; both stay passive",
            hint="switch the wrong one off, then xcat-ha failover --confirm-down it on the right one",
        )


def term_of_primary(state: PairState, primary: Node) -> StoredTerm:
    """The term in which ``primary`` works.

    Raises:
        RefusedError: no term is stored, or the terms say that it should not have the role.
        UnknownStateError: its term cannot be read.
    """
    refuse_conflict(state)
    term = state.nodes[primary.id].term
    if term is None:
        raise UnknownStateError(
            f"the term stored on {primary.id} cannot be read", hint=f"look at /var/lib/xcat-ha/term.json on {primary.id}"
        )
    if term.counter == 0:
        raise RefusedError("no term is stored yet", state="nothing was changed", hint=f"run xcat-ha setup on {primary.id}")
    if primary.id not in {term.holder, term.yielded_by}:
        raise RefusedError(
            f"{primary.id} has the service address, but by term {term.counter} the role is {term.holder}'s",
            state="nothing was changed",
            hint="xcat-ha status shows both terms",
        )
    for node_state in state.nodes.values():
        if node_state.term is not None and node_state.term.counter > term.counter:
            raise RefusedError(
                f"{node_state.node.id} has term {node_state.term.counter}, above {primary.id}'s {term.counter}",
                state="nothing was changed",
                hint=f"{primary.id}'s role has moved: its guard steps down; xcat-ha status tells more",
            )
    return term


def require_in_step(state: PairState, primary: Node, standby: Node) -> StoredTerm:
    """The primary's term, which the standby must share, else it takes no copies.

    Raises:
        RefusedError: the standby has another one.
        UnknownStateError, UnreachableError: one of them cannot be read.
    """
    term = term_of_primary(state, primary)
    other = state.nodes[standby.id]
    if not other.reachable:
        raise UnreachableError(f"{standby.id} did not answer: {other.trouble}", state="nothing was changed", hint="xcat-ha status")
    if other.term is None:
        raise UnknownStateError(f"the term stored on {standby.id} cannot be read", hint="look at /var/lib/xcat-ha/term.json there")
    if other.term[:2] != term[:2]:
        raise RefusedError(
            f"{standby.id} has term {other.term.words()}, {primary.id} has {term.words()}: it takes no copies",
            state="nothing was changed",
            hint="xcat-ha rejoin: what only it has is saved first",
        )
    return term


# Taking over


def prepare_takeover(workshop: Workshop, old: Node, *, confirmed: bool, allow_data_loss: bool) -> Prepared:
    """The other node takes the role without ``old``.

    Args:
        workshop: what it works with.
        old: the node that is down (``confirmed``) or will be fenced.
        confirmed: the administrator says that it is down.
        allow_data_loss: go on although the copy is older than ``max_loss_s``, or of unknown age.

    Raises:
        RefusedError: ``old`` answers, the new node has the role already, or more would be lost than is allowed.
        UnknownStateError, UnreachableError: the new node does not answer, or what would be lost is not known.
    """
    new = workshop.pair.other(old.id)
    if workshop.local == old.id:
        raise RefusedError(f"this is {old.id} itself", state="nothing was changed", hint=f"run it on {new.id}")
    state = workshop.observe()
    refuse_conflict_unless_down(state, old)
    there, here = state.nodes[old.id], state.nodes[new.id]
    _require_able(state, old, new, confirmed=confirmed)
    announced = _loss(workshop, here, there, allow_data_loss=allow_data_loss)
    site = offline_site(workshop, new)
    term = _highest(state)
    given = PlanningInput(workshop.pair, workshop.drivers, site, (), new_operation_id("failover", workshop.clock), term)
    operation = plan_takeover(given, old, new, confirmed=confirmed, announced=announced)
    down = frozenset({old.id})

    def why_not(now: PairState) -> str:
        if now.nodes[new.id].role is not Role.STANDBY:
            return f"{new.id} was standby when this was planned; now it is {now.nodes[new.id].role}"
        return "" if now.nodes[new.id].term in {here.term, None} else f"the term of {new.id} was raised meanwhile"

    return prepared(workshop, operation, given, state, why_not=why_not, reach=Reach(down, down) if confirmed else Reach(down=down))


def refuse_conflict_unless_down(state: PairState, down: Node) -> None:
    """A conflict is in the way only if both nodes of it are up."""
    if state.nodes[down.id].reachable:
        refuse_conflict(state)


def _require_able(state: PairState, old: Node, new: Node, *, confirmed: bool) -> None:
    there, here = state.nodes[old.id], state.nodes[new.id]
    if confirmed and there.reachable:
        raise RefusedError(
            f"{old.id} answers ssh: it is not down",
            state="nothing was changed",
            hint="hand over: xcat-ha failover; or switch it off first",
        )
    if not here.reachable:
        raise UnreachableError(f"{new.id} did not answer: {here.trouble}", state="nothing was changed", hint=f"run it on {new.id}")
    if here.role is Role.PRIMARY:
        raise RefusedError(f"{new.id} has the role already", state="nothing was changed", hint="xcat-ha status shows who is what")
    if here.term == NO_TERM:
        raise RefusedError(f"no term is stored on {new.id}: it was never made a standby", state="nothing was changed", hint="xcat-ha setup")
    if here.replica.role is ReplicaRole.SOURCE and here.term is not None and here.term.holder == new.id:
        raise RefusedError(
            f"the role is {new.id}'s already, by term {here.term.counter}; it only does not serve",
            state="nothing was changed",
            hint=f"xcat-ha activate --confirm-down {old.id}",
        )


def _highest(state: PairState) -> StoredTerm:
    known = [node_state.term for node_state in state.nodes.values() if node_state.term is not None]
    return max(known, key=lambda term: term.counter, default=NO_TERM)


def _loss(workshop: Workshop, here: NodeState, there: NodeState, *, allow_data_loss: bool) -> str:
    """What will be lost, in a sentence.

    Raises:
        RefusedError: it is too much, or not known, and that was not allowed.
    """
    replica, limit_s = here.replica, workshop.pair.max_loss_s
    last = replica.last_good
    if replica.role is ReplicaRole.SOURCE:
        return f"The database on {here.node.id} is its own already; nothing that a hand-over has completed is lost."
    age_s = None if last is None else max(workshop.clock.now() - last, 0.0)
    if last is None or age_s is None:
        words = f"The age of the copy on {here.node.id} is NOT KNOWN ({replica.detail}): what will be lost is not known."
    else:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last))
        words = (
            f"What was written after {moment} ({last:.3f}), {age_s:.0f} s ago, IS LOST; everything before is in the copy "
            f"(generation {replica.generation or 'unnamed'})."
        )
    words += _files_behind(here, workshop.clock.now())
    if age_s is None or age_s > limit_s:
        why = f"That is more than max_loss_s = {limit_s} s allows"
    elif replica.healthy is False:
        why = f"But that copy is not known to be good: {replica.detail}"
    else:
        return words
    if not allow_data_loss:
        raise RefusedError(
            f"{words} {why}", state="nothing was changed", hint=f"bring {there.node.id} back, or accept the loss with --allow-data-loss"
        )
    return words if age_s is None else f"{words} {why}."


def _files_behind(here: NodeState, now: float) -> str:
    sets = sorted(here.files.sets.items())
    shown = [f"{name} {'never' if found.last_sync is None else f'{now - found.last_sync:.0f} s ago'}" for name, found in sets]
    return f" Files were last copied: {', '.join(shown)}." if shown else ""


# Taking up again


def prepare_activation(workshop: Workshop, node: Node, *, confirmed_down: bool, why: str) -> Prepared:
    """``node``, whose turn it is by its own term, takes the role up again.

    ``confirmed_down``: the other node was declared down, and is neither asked nor touched; else it must answer.

    Raises:
        RefusedError: it is not this node's turn, or the other node answers although it was declared down.
        UnknownStateError: the node's state is not known.
    """
    other = workshop.pair.other(node.id)
    state = workshop.observe()
    here, there = state.nodes[node.id], state.nodes[other.id]
    if confirmed_down and there.reachable:
        hint = "the guard starts the role by itself when the other node does not contradict: xcat-ha status"
        raise RefusedError(f"{other.id} answers ssh: it is not down", state="nothing was changed", hint=hint)
    if not here.reachable or here.term is None:
        raise UnknownStateError(f"the term of {node.id} is not known", state="nothing was changed", hint=f"run it on {node.id}")
    if here.term.holder != node.id:
        raise RefusedError(
            f"by term {here.term.counter} the role is {here.term.holder or 'nobody'}'s, not {node.id}'s",
            state="nothing was changed",
            hint=f"if {here.term.holder or other.id} is lost: xcat-ha failover --confirm-down {here.term.holder or other.id}",
        )
    if here.role is Role.PRIMARY:
        raise RefusedError(f"{node.id} has the role already", state="nothing was changed", hint="xcat-ha status shows who is what")
    if here.replica.role is not ReplicaRole.SOURCE:
        raise RefusedError(
            f"the database on {node.id} is not its own: {here.replica.detail}", state="nothing was changed", hint="xcat-ha resume"
        )
    given = PlanningInput(
        workshop.pair, workshop.drivers, offline_site(workshop, node), (), new_operation_id("activate", workshop.clock), here.term
    )
    operation = plan_activation(given, node, other, why=why, confirmed_down=confirmed_down)
    silent = frozenset() if there.reachable else frozenset({other.id})

    def why_not(now: PairState) -> str:
        return "" if now.nodes[node.id].role in {Role.STANDBY, Role.PARTIAL} else f"{node.id} is {now.nodes[node.id].role} now"

    reach = Reach(silent, silent if confirmed_down else frozenset())
    return prepared(workshop, operation, given, state, why_not=why_not, reach=reach)


# Giving up


def step_down(workshop: Workshop, node: Node, why: str) -> Result:
    """``node`` gives the role up, asking nobody. It takes no lock: it must not wait for whoever holds one.

    Raises:
        XcatHaError: a step failed; the rest of the role may still be held.
    """
    alone = workshop.without(frozenset({workshop.pair.other(node.id).id}))
    given = PlanningInput(workshop.pair, workshop.drivers, Site(known=False), (), new_operation_id("step-down", workshop.clock))
    operation = plan_step_down(given, node, why)
    return run_operation(alone, operation, begin_journal(alone, operation, given.operation_id))


def has_nothing(workshop: Workshop, node: Node) -> str:
    """``HOLDS``, ``FAILS: why`` or ``UNKNOWN: why``: ``node`` holds nothing of the role, and none of it starts at boot."""
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
    return "HOLDS" if known else "UNKNOWN: not all of it could be read"


# Coming back


def prepare_rejoin(workshop: Workshop) -> Prepared:
    """The node without the role becomes the standby of the primary, whatever it was.

    Raises:
        RefusedError: it is in step already, or holds something of the role.
        UnknownStateError, UnreachableError: it is not known who is primary, or a node does not answer.
    """
    state = workshop.observe()
    primary = workshop.pair.node(state.require_primary())
    returned = workshop.pair.other(primary.id)
    term = term_of_primary(state, primary)
    there = state.nodes[returned.id]
    if not there.reachable:
        raise UnreachableError(f"{returned.id} did not answer: {there.trouble}", state="nothing was changed", hint="bring it up first")
    if there.role is not Role.STANDBY:
        raise RefusedError(
            f"{returned.id} is {there.role}: it still holds something of the role",
            state="nothing was changed",
            hint=f"its guard steps down within seconds; else run xcat-ha step-down on {returned.id}",
        )
    if there.term == term and there.replica.role is ReplicaRole.COPY and there.replica.healthy:
        raise RefusedError(f"{returned.id} is in step already", state="nothing was changed", hint="xcat-ha sync brings it up to now")
    site = interpret_site(workshop.runner.read_many(primary.id, (site_question(),))[0])
    if not site.known:
        raise UnknownStateError(
            f"xcatd on {primary.id} does not answer ({site.detail})", hint=f"look at systemctl status xcatd on {primary.id}"
        )
    lost = _divergence_words(workshop, primary, returned)
    operation_id = new_operation_id("rejoin", workshop.clock)
    given = PlanningInput(workshop.pair, workshop.drivers, site, file_sets_of(workshop.pair, site), operation_id, term)
    operation = plan_rejoin(given, primary, returned, lost)
    return prepared(workshop, operation, given, state, why_not=partial(_why_not_rejoin, primary, returned), reach=BOTH)


def _why_not_rejoin(primary: Node, returned: Node, now: PairState) -> str:
    if now.primary != primary.id:
        return f"{primary.id} was primary when this was planned; now it is {now.primary or 'not known who is'}"
    return "" if now.nodes[returned.id].role is Role.STANDBY else f"{returned.id} is {now.nodes[returned.id].role} now"


def _divergence_words(workshop: Workshop, primary: Node, returned: Node) -> str:
    replication = workshop.drivers.replication
    found = []
    for node in (returned, primary):
        question = replication.question_for_contents(node)
        answer = workshop.runner.read_many(node.id, (question,))[0] if question is not None else None
        found.append(replication.interpret_contents(answer) if answer is not None else None)
    theirs, ours = found
    if theirs is None or ours is None:
        return "not known, because the databases cannot be compared; the saved copy has all of it"
    return divergence(theirs, ours).words


def words_of_unfinished(state: PairState) -> str:
    """The unfinished operation in words; empty if there is none."""
    record = unfinished(state)
    return f"the {record.operation} of {record.id}" if record is not None else ""


def plan_again(record_operation: str, parameters: dict[str, str], given: PlanningInput) -> Operation | None:
    """The operations of this module, planned again for ``resume``; None if it is none of them."""
    pair = given.pair
    if record_operation == "failover" and "unplanned" in parameters:
        old, new = pair.node(parameters["old"]), pair.node(parameters["new"])
        confirmed = parameters["unplanned"].startswith("confirmed")
        return plan_takeover(given, old, new, confirmed=confirmed, announced=parameters.get("loss", ""))
    if record_operation == "rejoin":
        primary, returned = pair.node(parameters["primary"]), pair.node(parameters["returned"])
        return plan_rejoin(given, primary, returned, parameters.get("lost", ""))
    return None


def words_of_state(state: PairState) -> str:
    """The state that an abandoned operation leaves, for its journal and its administrator."""
    found = []
    for node_id, node_state in state.nodes.items():
        if not node_state.reachable:
            found.append(f"{node_id} does not answer")
            continue
        term = "unreadable" if node_state.term is None else node_state.term.words()
        database = "unknown" if node_state.replica.role is None else str(node_state.replica.role)
        found.append(f"{node_id} is {node_state.role}, term {term}, database: {database}")
    return "given up as it stood: " + "; ".join(found)
