"""Steps and checks on terms."""

from __future__ import annotations

import re

from attrs import evolve

from xcat_ha.kept import question_for_term
from xcat_ha.models import Node
from xcat_ha.steps import Check, Matches, Prints, Probe, Step, Steps, changes
from xcat_ha.term import StoredTerm


def term_is(node: Node, term: StoredTerm) -> Check:
    """The node has stored exactly this term."""
    return Check(
        question=f"{node.id} has stored term {term.counter} of {term.holder}",
        probes=(Probe(node.id, question_for_term()),),
        rule=Prints(term.text()),
        hint="a node with a higher term knows better: xcat-ha status",
    )


def step_to_store(node: Node, term: StoredTerm, why: str) -> Step:
    """Store ``term`` on the node, durably. Refused by the node if it has a higher one."""
    yielded = ("--yielded-by", term.yielded_by) if term.yielded_by else ()
    return Step(
        name="store-term",
        why=why,
        host=node.id,
        done_when=term_is(node, term),
        commands=(changes(node.python, "-m", "xcat_ha.term", "raise", str(term.counter), term.holder, *yielded),),
    )


def accepts_copies_from(target: Node, source: Node, term: StoredTerm) -> Check:
    """The receiver decides: its own term names the sender as holder, or as the one that yielded to the receiver.

    ``term`` is that of the operation; the target must have stored exactly its counter.
    """
    if term.holder == source.id:
        named = f'"holder": {_quoted(source.id)}'
    else:
        named = f'"holder": {_quoted(target.id)}, "yielded_by": {_quoted(source.id)}'
    return Check(
        question=f"{target.id} is standby of {source.id} in term {term.counter}",
        probes=(Probe(target.id, question_for_term()),),
        rule=Matches(rf'^\{{"counter": {term.counter}, {named}[,}}]'),
        hint="the terms differ (xcat-ha status): an old primary comes back with xcat-ha rejoin",
    )


def received(steps: Steps, target: Node, source: Node, term: StoredTerm) -> Steps:
    """The same steps; those that change the target do so only while it accepts copies from the source."""
    accepts = accepts_copies_from(target, source, term)
    return tuple(evolve(step, only_if=(accepts, *step.only_if)) if step.commands else step for step in steps)


def _quoted(word: str) -> str:
    return f'"{re.escape(word)}"'
