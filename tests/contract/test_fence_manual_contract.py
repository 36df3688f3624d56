"""The driver ``manual`` keeps its interface's promises on the simulated pair: it never says that a node is fenced."""

from __future__ import annotations

from xcat_ha.models import Pair
from xcat_ha.testing import HandFenceContract
from xcat_ha_drivers.fence_manual import FenceManual


class TestFenceManual(HandFenceContract):
    def make_driver(self, pair: Pair) -> FenceManual:
        return FenceManual(pair, {})
