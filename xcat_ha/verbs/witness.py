"""Asking the witness, and opening the way to it."""

from __future__ import annotations

from collections.abc import Callable

from xcat_ha import trust
from xcat_ha.errors import RefusedError, UnknownStateError
from xcat_ha.execution import execute_steps, judge
from xcat_ha.kept import term_of
from xcat_ha.models import Node
from xcat_ha.operations import Workshop
from xcat_ha.planning.witness import WitnessWord, checks_of_reach, question_for_witness, witness_node
from xcat_ha.steps import Verdict


def ask_witness(workshop: Workshop) -> WitnessWord | None:
    """What the configured witness remembers; None if there is none. From outside the pair a file cannot be asked."""
    asked = question_for_witness(workshop.pair, workshop.local)
    if asked is None:
        return None
    if not asked.host:
        return WitnessWord(None, "this machine is none of the nodes that see its file")
    answer = workshop.runner.read_many(asked.host, (asked.command,))[0]
    term = term_of(answer)
    trouble = "" if term is not None else (answer.summary if not answer.ok else f"it holds no term: {answer.stdout[:100]!r}")
    return WitnessWord(term, trouble)


def open_way_to_witness(workshop: Workshop, here: Node, there: Node, *, accepted: frozenset[str], ask: Callable[[str], bool]) -> None:
    """Both nodes recognise the witness's host, and may log in there with their own keys. Nothing if the witness is no host.

    The way between the nodes must be open. Done again it changes nothing.

    Raises:
        RefusedError: its host keys are not confirmed, or one of the nodes may not log in.
        UnreachableError: no sshd answers there.
        UnknownStateError: the other node's key cannot be read.
    """
    witness = witness_node(workshop.pair)
    if witness is None:
        return
    trust.confirm_host_keys(witness, accepted, ask)
    trust.open_way(witness, trust.own_public_key())
    execute_steps((trust.step_to_know(there, witness, trust.known_lines(witness)),), workshop.runner)
    theirs = workshop.runner.run(there.id, trust.question_for_public_key())
    if not theirs.ok:
        raise UnknownStateError(f"the key of {there.id} cannot be read: {theirs.summary}", hint="run setup again")
    why = f"{there.id} asks the witness, and tells it when the role has moved."
    execute_steps((trust.step_to_authorise(witness, theirs.stdout.strip(), there, why=why),), workshop.runner)
    for check, answer in zip(checks_of_reach(workshop.pair), judge(workshop.runner, checks_of_reach(workshop.pair)), strict=True):
        if answer.verdict is not Verdict.HOLDS:
            raise RefusedError(
                f"it does not hold that {check.question}: {answer.detail}",
                where=f"{witness.user}@{witness.address}",
                state="the nodes reach each other; nothing else was changed",
                hint=f"{there.id} and {here.id} have to reach its port {witness.ssh_port}, and {witness.user} to log in; then setup again",
            )
