"""Driver ``ssh``: the node itself, over ssh, stops and disables the role, and the same connection reads that back.

This works while the machine and its sshd are well and only xCAT is not. A node that does not answer, or falls silent in the middle, is
not fenced: nobody knows what it does. Its guard keeps it from taking the role back at its next boot.
"""

from __future__ import annotations

from collections.abc import Sequence

from xcat_ha.interfaces import Fence, PowerState
from xcat_ha.models import Node
from xcat_ha.steps import Check, Command, Completed, Judgement, Probe, SaysVerdict, Step, Steps, Verdict, changes, reads

_STEP_DOWN_S = 900.0
"""Stopping xcatd and a console server may take minutes."""


class FenceSsh(Fence):
    """Runs ``xcat-ha step-down`` on the node and believes only what it reads back."""

    def questions(self, node: Node) -> tuple[Command, ...]:
        """One: does the node hold anything of the role, or start it at boot?"""
        return (self._verify(node),)

    def interpret(self, node: Node, answers: Sequence[Completed]) -> PowerState:
        """Fenced only if the node itself says that it holds nothing."""
        judged = (
            SaysVerdict(names=node.id).judge(answers)
            if answers[0].returncode is not None
            else Judgement(Verdict.UNKNOWN, answers[0].summary)
        )
        known = {Verdict.HOLDS: True, Verdict.FAILS: False, Verdict.UNKNOWN: None}
        return PowerState(fenced=known[judged.verdict], detail=judged.detail)

    def steps_to_fence(self, node: Node, *, by: Node) -> Steps:
        """One step on the node itself."""
        step_down = (f"{node.bin_dir}/xcat-ha", "step-down", "--config", self.pair.source, "--yes")
        return (
            Step(
                name="step-down",
                why=f"{node.id} must not serve any more, now or after a reboot, before {by.id} does.",
                host=node.id,
                done_when=self.is_fenced(node, by=by),
                commands=(changes(*step_down, timeout_s=_STEP_DOWN_S),),
                settle_s=5.0,
            ),
        )

    def is_fenced(self, node: Node, *, by: Node) -> Check:
        """Asked of the node; its silence is UNKNOWN."""
        del by
        return Check(
            question=f"{node.id} holds nothing of the role and starts nothing of it at boot",
            probes=(Probe(node.id, self._verify(node)),),
            rule=SaysVerdict(names=node.id),
            hint=f"switch {node.id} off, then: xcat-ha failover --confirm-down {node.id}",
        )

    def _verify(self, node: Node) -> Command:
        return reads(f"{node.bin_dir}/xcat-ha", "step-down", "--config", self.pair.source, "--verify", timeout_s=120)
