"""The driver ``systemd-timer`` keeps its interface's promises on the simulated pair."""

from __future__ import annotations

from xcat_ha.models import Pair
from xcat_ha.testing import ScheduleContract, Site
from xcat_ha_drivers.systemd_timer import SystemdTimer


class TestSystemdTimer(ScheduleContract):
    def make_driver(self, pair: Pair) -> SystemdTimer:
        return SystemdTimer(pair, {})

    def run_now(self, site: Site, name: str) -> None:
        site.command(site.first.id, "systemctl", "start", f"xcat-ha-{name}.service")
