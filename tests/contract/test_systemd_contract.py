"""The driver ``systemd`` keeps its interface's promises on the simulated pair."""

from __future__ import annotations

from xcat_ha.models import Pair
from xcat_ha.testing import ServiceControlContract
from xcat_ha_drivers.systemd import Systemd


class TestSystemd(ServiceControlContract):
    def make_driver(self, pair: Pair) -> Systemd:
        return Systemd(pair, {})
