"""The driver ``linux`` keeps its interface's promises on the simulated pair."""

from __future__ import annotations

from xcat_ha.models import Pair
from xcat_ha.testing import IdentityContract
from xcat_ha_drivers.linux import LinuxIdentity


class TestLinuxIdentity(IdentityContract):
    def make_driver(self, pair: Pair) -> LinuxIdentity:
        return LinuxIdentity(pair, {})
