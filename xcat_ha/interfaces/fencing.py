"""Making sure that an old primary cannot hold the role any more."""

from __future__ import annotations

from abc import abstractmethod

from attrs import frozen

from xcat_ha.interfaces._driver import Driver
from xcat_ha.models import Node
from xcat_ha.steps import Check, Steps


@frozen
class PowerState:
    """Whether a node is proven unable to hold the role. ``fenced`` None: unknown, which is not fenced."""

    fenced: bool | None
    detail: str = ""


class Fence(Driver[PowerState]):
    """Fences a node. Silence of the node is never a proof. See :class:`~xcat_ha.interfaces.Driver` for the contract of all steps."""

    @abstractmethod
    def steps_to_fence(self, node: Node, *, by: Node) -> Steps:
        """Take the role's means away from ``node``, acting from ``by``; done only when read back."""

    @abstractmethod
    def is_fenced(self, node: Node, *, by: Node) -> Check:
        """HOLDS only on proof."""
