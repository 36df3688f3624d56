"""A driver that lacks part of its interface."""

from __future__ import annotations

from collections.abc import Sequence

from xcat_ha.interfaces import Fence, PowerState
from xcat_ha.models import Node
from xcat_ha.steps import Command, Completed


class HalfAFence(Fence):
    """It observes; it does not fence."""

    def questions(self, node: Node) -> tuple[Command, ...]:
        """Nothing."""
        del node
        return ()

    def interpret(self, node: Node, answers: Sequence[Completed]) -> PowerState:
        """Nothing is known."""
        del node, answers
        return PowerState(fenced=None)
