"""Driver ``manual``: nothing of this program can make sure that a node is down; an administrator says so.

His word is ``xcat-ha failover --confirm-down ID``. That verb does not go through this driver: what could contradict the word is asked by
the core, and nothing overrides the answer. Everything here therefore says "unknown".
"""

from __future__ import annotations

from collections.abc import Sequence

from xcat_ha.interfaces import Fence, PowerState
from xcat_ha.models import Node
from xcat_ha.steps import Check, Command, Completed, Probe, SaysVerdict, Step, Steps, reads

_HINT = "switch it off yourself, then: xcat-ha failover --confirm-down"


class FenceManual(Fence):
    """Never fenced by itself."""

    def questions(self, node: Node) -> tuple[Command, ...]:
        """There is nobody to ask."""
        del node
        return ()

    def interpret(self, node: Node, answers: Sequence[Completed]) -> PowerState:
        """Not known."""
        del node, answers
        return PowerState(fenced=None, detail="only an administrator can tell")

    def steps_to_fence(self, node: Node, *, by: Node) -> Steps:
        """One step that cannot be done."""
        return (
            Step(name="fence-by-hand", why=f"Somebody has to switch {node.id} off.", host=by.id, done_when=_unknown(node, by), commands=()),
        )

    def is_fenced(self, node: Node, *, by: Node) -> Check:
        """UNKNOWN, always."""
        return _unknown(node, by)


def _unknown(node: Node, by: Node) -> Check:
    return Check(
        question=f"{node.id} is switched off",
        probes=(Probe(by.id, reads("echo", "UNKNOWN: only an administrator can tell")),),
        rule=SaysVerdict(),
        hint=_HINT,
    )
