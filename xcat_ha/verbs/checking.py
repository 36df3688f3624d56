"""Every question about the pair, with its answer."""

from __future__ import annotations

from attrs import evolve

from xcat_ha.execution import judge
from xcat_ha.kept import lock_of, lock_question
from xcat_ha.lock import holder_question
from xcat_ha.observation import NodeState, PairState
from xcat_ha.operations import Workshop
from xcat_ha.planning.requirements import Finding, checks_of_pair, findings_of_state
from xcat_ha.planning.standing import finding_of_lock, findings_of_guards, findings_of_terms, guard_checks, locks_to_ask_about
from xcat_ha.planning.witness import is_configured, witness_has
from xcat_ha.steps import Check, Prints, Probe, Verdict
from xcat_ha.verbs.images import findings_on_images
from xcat_ha.verbs.schemas import schema_findings
from xcat_ha.verbs.stale import findings_on_stale

_IS_ALIVE = {Verdict.HOLDS: True, Verdict.FAILS: False, Verdict.UNKNOWN: None}


def check_pair(workshop: Workshop) -> tuple[Finding, ...]:
    """What the observation answers, and what has to be asked besides. Changes nothing."""
    pair, drivers = workshop.pair, workshop.drivers
    state = workshop.observe(images=True)
    primary = pair.node(state.primary) if state.primary is not None else None
    questions = (*checks_of_pair(pair, drivers, primary), *guard_checks(pair, drivers, state), *_witness_checks(workshop, state))
    answers = judge(workshop.runner, [check for _, check in questions])
    asked = tuple(Finding(topic, check.question, answer, check.hint) for (topic, check), answer in zip(questions, answers, strict=True))
    standing = (*findings_of_terms(state), *findings_of_guards(pair, state), *_findings_of_locks(workshop, state))
    copies = (*findings_on_images(workshop, state), *schema_findings(workshop))
    stale = findings_on_stale(workshop, primary) if primary is not None else ()
    return (*findings_of_state(pair, state), *standing, *asked, *copies, *stale)


def _witness_checks(workshop: Workshop, state: PairState) -> tuple[tuple[str, Check], ...]:
    """It remembers the pair's term, as each node sees it where that may differ."""
    pair, term = workshop.pair, state.term
    if not is_configured(pair) or term is None:
        return ()
    hint = "if it answers: xcat-ha setup on the primary tells it"
    seers = pair.nodes if pair.witness.file else pair.nodes[:1]
    return tuple(("witness", evolve(witness_has(pair, node, term), hint=hint)) for node in seers)


def _findings_of_locks(workshop: Workshop, state: PairState) -> tuple[Finding, ...]:
    """Its holder is asked for where it runs; only that machine knows whether it lives."""
    alive = {node_id: None if found.lock is None else found.lock.holder_alive for node_id, found in state.nodes.items()}
    for where, holder in locks_to_ask_about(state):
        content = where.lock.content if where.lock is not None else {}
        question = Check("the holder of the lock lives", (Probe(holder.node.id, holder_question(content)),), Prints("alive"))
        (answer,) = judge(workshop.runner, (question,))
        alive[where.node.id] = _IS_ALIVE[answer.verdict]
    found = [_looked_at_again(workshop, node_state, alive[node_id]) for node_id, node_state in state.nodes.items()]
    return tuple(finding_of_lock(node_state, alive[node_state.node.id]) for node_state in found)


def _looked_at_again(workshop: Workshop, found: NodeState, alive: bool | None) -> NodeState:  # noqa: FBT001 - the three answers
    """A holder that ended after its lock was read, and took the lock with it, has left nothing."""
    if alive is not False or found.lock is None:
        return found
    answer = workshop.runner.run(found.node.id, lock_question())
    now = lock_of(found.node, answer)
    return found if not answer.ok or (now is not None and now.content == found.lock.content) else evolve(found, lock=None)
