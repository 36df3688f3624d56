"""The driver ``cron`` keeps its interface's promises on the simulated AIX, and on the simulated Linux with a crontab."""

from __future__ import annotations

import pytest

from tests.aix_site import AixSite
from xcat_ha.errors import ConfigError, XcatHaError
from xcat_ha.interfaces import Job
from xcat_ha.models import Pair
from xcat_ha.testing import Answer, Call, ScheduleContract, SimulatedHost, SimulatedSite, Site
from xcat_ha.testing.machine import Process
from xcat_ha_drivers.cron import Cron

PROGRAM = "xcat_ha_drivers.cron.node_side"
CRONTAB = {"linux": "/var/spool/cron/crontabs/root", "aix": "/var/spool/cron/crontabs/root"}
OTHERS = "# site's own\n0 3 * * * /opt/site/backup % with a percent sign\n"


def _crontab(host: SimulatedHost, call: Call) -> Answer:
    """Linux's, as far as it is used."""
    place = host.path(CRONTAB["linux"])
    if call.words == ("-l",):
        return Answer(0, place.read_text()) if place.exists() else Answer(1, stderr="no crontab for root\n")
    if call.words != ("-",):
        return Answer(1, stderr="usage\n")
    host.write(CRONTAB["linux"], call.stdin, 0o600)
    return Answer(0)


class LinuxSite(SimulatedSite):
    """Linux with cron: its daemon, its crontab, and a boot id of each boot's own."""

    def __init__(self) -> None:
        super().__init__()
        for host in self.simulated.hosts.values():
            host.handle("crontab", _crontab, eats_stdin=True)

    def fresh(self) -> None:
        super().fresh()
        for node in self.pair.nodes:
            self._booted(node.id)

    def power_on(self, node_id: str) -> None:
        super().power_on(node_id)
        self._booted(node_id)

    def _booted(self, node_id: str) -> None:
        host = self.host(node_id)
        host.machine.processes[4_000_000] = Process(("/usr/sbin/cron", "-f"))
        host.machine.sysctl["kernel.random.boot_id"] = f"boot-{host.machine.boots}"
        host.show()


class _Cron(ScheduleContract):
    def make_driver(self, pair: Pair) -> Cron:
        return Cron(pair, {})

    def run_now(self, site: Site, name: str) -> None:
        done = site.command(site.first.id, site.first.python, "-m", PROGRAM, "run", name)
        assert done.ok, done.summary

    def crontab(self, site: Site) -> str:
        path = site.path(site.first.id, CRONTAB["aix"])
        return path.read_text() if path.exists() else ""

    def write_crontab(self, site: Site, text: str) -> None:
        path = site.path(site.first.id, CRONTAB["aix"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def tick(self, site: Site) -> None:
        """Call what cron calls, word by word."""
        (line,) = [line for line in self.crontab(site).splitlines() if "node_side tick" in line]
        words = line.split(None, 5)[5].split(" >")[0].split()
        assert words[0] == site.first.python
        assert site.command(site.first.id, *words).ok

    def test_what_others_wrote_stays_as_it_is(self, driver: Cron, site: Site) -> None:
        self.write_crontab(site, OTHERS)
        self.scheduled(site, driver)
        assert self.crontab(site).startswith(OTHERS)
        site.execute(driver.steps_to_stop(site.first))
        assert self.crontab(site) == OTHERS

    def test_cron_is_asked_in_words_every_cron_knows(self, driver: Cron, site: Site) -> None:
        """No steps (``*/5``), no names of days, no variables, no ``%``."""
        jobs = (Job("sync-database", ("/usr/bin/true",), 300, "Copy it."), Job("sync-files", ("/usr/bin/true", "50%"), 3600, "Copy them."))
        site.execute(driver.steps_to_start(site.first, jobs))
        (line,) = [line for line in self.crontab(site).splitlines() if not line.startswith("#")]
        assert line.startswith("0,5,10,15,20,25,30,35,40,45,50,55 * * * * /")
        assert "%" not in line

    def test_due_jobs_run_one_after_the_other_and_not_again_at_once(self, driver: Cron, site: Site) -> None:
        self.scheduled(site, driver)
        self.tick(site)
        first = {name: job.last_run for name, job in driver.observe(site.first, site.runner).jobs.items()}
        assert None not in first.values()
        self.tick(site)
        assert {name: job.last_run for name, job in driver.observe(site.first, site.runner).jobs.items()} == first

    def test_after_a_boot_cron_calls_and_nothing_runs(self, driver: Cron, site: Site) -> None:
        self.scheduled(site, driver)
        site.power_off(site.first.id)
        site.power_on(site.first.id)
        self.tick(site)
        assert not site.path(site.first.id, "/srv/other").exists()

    def test_without_a_cron_daemon_nothing_is_called_scheduled(self, driver: Cron, site: SimulatedSite) -> None:
        del site.host(site.first.id).machine.processes[4_000_000]
        with pytest.raises(XcatHaError):
            self.scheduled(site, driver)
        assert self.active(site, driver, site.first.id) == frozenset()

    def test_a_crontab_that_cannot_be_read_is_not_replaced(self, driver: Cron, site: SimulatedSite) -> None:
        self.write_crontab(site, OTHERS)
        host = site.host(site.first.id)
        handler = host._handlers["crontab"]
        refused = Answer(1, stderr="crontab: cannot open it: Input/output error\n")
        host.handle("crontab", lambda at, call: refused if call.words == ("-l",) else handler(at, call), eats_stdin=True)
        try:
            with pytest.raises(XcatHaError):
                self.scheduled(site, driver)
        finally:
            host.handle("crontab", handler, eats_stdin=True)
        assert self.crontab(site) == OTHERS

    def test_marks_that_are_not_a_pair_are_left_to_the_administrator(self, driver: Cron, site: Site) -> None:
        self.scheduled(site, driver)
        spoilt = "".join(line for line in self.crontab(site).splitlines(keepends=True) if "xcat-ha: end" not in line)
        self.write_crontab(site, spoilt)
        with pytest.raises(XcatHaError):
            site.execute(driver.steps_to_stop(site.first))
        assert self.crontab(site) == spoilt

    @pytest.mark.parametrize(
        ("name", "argv", "every_s"),
        [("Sync It", ("/x",), 60), ("sync", ("x",), 60), ("sync", (), 60), ("sync", ("/x",), 59), ("sync;reboot", ("/x",), 60)],
    )
    def test_what_cron_cannot_do_is_refused(self, driver: Cron, site: Site, name: str, argv: tuple[str, ...], every_s: int) -> None:
        with pytest.raises(ConfigError):
            driver.steps_to_start(site.first, (Job(name, argv, every_s, "why"),))


class TestCronOnAix(_Cron):
    def make_site(self) -> AixSite:
        return AixSite()


class TestCronOnLinux(_Cron):
    def make_site(self) -> LinuxSite:
        return LinuxSite()
