"""The driver ``aix-src`` keeps its interface's promises on the simulated AIX."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aix_site import AixSite
from xcat_ha.errors import ConfigError, XcatHaError
from xcat_ha.interfaces import Daemon, Service
from xcat_ha.models import Pair
from xcat_ha.testing import ServiceControlContract, Site
from xcat_ha_drivers.aix_src import AixSrc

GUARD = Daemon("guard", ("/opt/xcat-ha/bin/xcat-ha", "guard", "--config", "/etc/xcat-ha/pair.toml"), "watches over the role")


class TestAixSrc(ServiceControlContract):
    def make_driver(self, pair: Pair) -> AixSrc:
        return AixSrc(pair, {})

    def make_site(self) -> AixSite:
        return AixSite()

    def test_the_guard_runs_from_boot_on_and_comes_back(self, driver: AixSrc, site: AixSite) -> None:
        steps = driver.steps_to_keep_running(site.first, GUARD)
        site.execute(steps)
        assert site.aix(site.first.id).aix("lsitab", "xcathaguard").stdout.split(":")[2] == "respawn"
        site.power_off(site.first.id)
        site.power_on(site.first.id)
        site.runner.forget()
        site.execute(steps)
        assert not site.runner.changes

    def test_a_changed_command_replaces_the_entry(self, driver: AixSrc, site: AixSite) -> None:
        site.execute(driver.steps_to_keep_running(site.first, Daemon("guard", ("/opt/old", "guard"), GUARD.why)))
        site.execute(driver.steps_to_keep_running(site.first, GUARD))
        assert "/opt/old" not in site.aix(site.first.id).aix("lsitab", "-a").stdout

    def test_words_the_inittab_would_misread_are_refused(self, driver: AixSrc, site: Site) -> None:
        for word in ("a b", "a:b", "a;reboot", "$(x)", "a\nb", "#x", ""):
            with pytest.raises(ConfigError):
                driver.steps_to_keep_running(site.first, Daemon("guard", ("/opt/x", word), "watches"))

    def test_an_entry_that_does_more_is_left_to_its_administrator(self, driver: AixSrc, site: AixSite) -> None:
        site.install_service(site.first.id, Service.DHCP, running=False, enabled=False)
        site.aix(site.first.id).aix("mkitab", "site:2:once:/opt/site/start; startsrc -s dhcpsd")
        before = site.path(site.first.id, "/etc/inittab").read_text()
        with pytest.raises(XcatHaError):
            site.execute(self.plan(site, driver, "disable", (Service.DHCP,)))
        assert site.path(site.first.id, "/etc/inittab").read_text() == before

    def test_a_group_that_starts_a_service_counts_and_is_not_taken_apart(self, driver: AixSrc, site: AixSite) -> None:
        site.install_service(site.first.id, Service.DNS, running=False, enabled=False)
        path: Path = site.path(site.first.id, "/etc/rc.tcpip")
        path.write_text(path.read_text() + "startsrc -g tcpip\n")
        before = path.read_text()
        assert driver.observe(site.first, site.runner).enabled(Service.DNS) is True
        with pytest.raises(XcatHaError):
            site.execute(self.plan(site, driver, "disable", (Service.DNS,)))
        assert path.read_text() == before

    def test_a_process_that_src_does_not_know_of_is_not_stopped(self, driver: AixSrc, site: AixSite) -> None:
        """Started by hand, it still answers the cluster: stopping must not be called done."""
        site.install_service(site.first.id, Service.DNS, running=False, enabled=False)
        site.aix(site.first.id).machine.spawn(("/usr/sbin/named", "-g"))
        with pytest.raises(XcatHaError):
            site.execute(self.plan(site, driver, "stop", (Service.DNS,)))

    def test_what_lssrc_does_not_say_in_a_known_word_is_unknown(self, driver: AixSrc, site: AixSite) -> None:
        site.install_service(site.first.id, Service.DNS, running=True, enabled=False)
        (answer,) = site.runner.read_many(site.first.id, driver.questions(site.first))
        assert driver.interpret(site.first, [answer]).known
        odd = type(answer)(answer.argv, 0, answer.stdout.replace(" active", " hesitant"))
        assert not driver.interpret(site.first, [odd]).known
