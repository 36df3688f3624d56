"""Steps and checks on terms."""

from __future__ import annotations

from xcat_ha.models import Node
from xcat_ha.steps import Check, Matches, Prints, Probe, Step, changes, reads
from xcat_ha.term import StoredTerm


def question_for_term(node: Node) -> tuple[str, ...]:
    """Argv that prints the node's term."""
    return (node.python, "-m", "xcat_ha.term", "show")


def step_to_store(node: Node, term: StoredTerm, why: str) -> Step:
    """Store ``term`` on the node, durably. Refused by the node if it has a higher one."""
    yielded = ("--yielded-by", term.yielded_by) if term.yielded_by else ()
    return Step(
        name="store-term",
        why=why,
        host=node.id,
        done_when=Check(
            question=f"{node.id} has stored term {term.counter} of {term.holder}",
            probes=(Probe(node.id, reads(*question_for_term(node))),),
            rule=Prints(term.words()),
            hint="a node with a higher term knows better: xcat-ha status",
        ),
        commands=(changes(node.python, "-m", "xcat_ha.term", "raise", str(term.counter), term.holder, *yielded),),
    )


def accepts_copies_from(target: Node, source: Node, term: StoredTerm) -> Check:
    """The receiver decides: its own term names the sender as holder, or as the one that yielded to the receiver."""
    named = f"{term.counter} {source.id} \\S+" if term.holder == source.id else f"{term.counter} {target.id} {source.id}"
    return Check(
        question=f"{target.id} is standby of {source.id} in term {term.counter}",
        probes=(Probe(target.id, reads(*question_for_term(target))),),
        rule=Matches(rf"^{named}$"),
        hint="somebody else became primary meanwhile: xcat-ha status shows the terms",
    )
