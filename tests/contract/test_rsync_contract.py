"""The driver ``rsync`` keeps its interface's promises on the simulated pair."""

from __future__ import annotations

from xcat_ha.models import Pair
from xcat_ha.testing import FileSyncerContract
from xcat_ha_drivers.rsync import Rsync


class TestRsync(FileSyncerContract):
    def make_driver(self, pair: Pair) -> Rsync:
        return Rsync(pair, {})
