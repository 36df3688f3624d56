"""The driver ``ssh`` keeps its interface's promises on the simulated pair.

What it runs on the node, ``xcat-ha step-down``, is the real operation with the real drivers; only the command line around it is not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from attrs import define, evolve, field

from xcat_ha.errors import XcatHaError
from xcat_ha.interfaces import ROLE_SERVICES, Drivers, Fence, OutputSink, Runner, Service
from xcat_ha.journal import Beginning, Journal, new_operation_id
from xcat_ha.models import DEFAULT_BIN_DIR, Pair
from xcat_ha.operations import Workshop, run_operation
from xcat_ha.planning import PlanningInput
from xcat_ha.planning.stepdown import plan_step_down
from xcat_ha.steps import Command, Completed, Effect, Verdict
from xcat_ha.testing import Answer, Call, FenceContract, SimulatedClock, SimulatedHost, SimulatedSite, Site
from xcat_ha.verbs.stepdown import has_nothing
from xcat_ha.xcat.site import Site as SiteTable
from xcat_ha_drivers.fence_ssh import FenceSsh
from xcat_ha_drivers.linux import LinuxIdentity
from xcat_ha_drivers.rsync import Rsync
from xcat_ha_drivers.sqlite_copy import SqliteCopy
from xcat_ha_drivers.systemd import Systemd
from xcat_ha_drivers.systemd_timer import SystemdTimer


@define
class OnHost(Runner):
    """What the program on the node runs its commands with. ``dies_after``: it is killed behind so many changing commands."""

    host: SimulatedHost
    dies_after: int = 0
    changed: int = 0
    turn: threading.Lock = field(factory=threading.Lock)

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        with self.turn:
            done = self.host.execute(command)
            self.changed += command.effect is Effect.CHANGES
            if command.effect is Effect.CHANGES and self.changed == self.dies_after:
                raise KilledError
        return done

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        return tuple(self.run(host, command) for command in commands)


class KilledError(Exception):
    """The program on the node was killed."""


DIES_AFTER: list[int] = []
"""If not empty: behind which changing command the next step-down is killed."""


def step_down(host: SimulatedHost, pair: Pair, call: Call) -> Answer:
    """``xcat-ha step-down [--verify]``."""
    runner = OnHost(host, dies_after=DIES_AFTER.pop() if DIES_AFTER and "--verify" not in call.words else 0)
    drivers = Drivers(SqliteCopy(pair, {}), Rsync(pair, {}), LinuxIdentity(pair, {}), Systemd(pair, {}), SystemdTimer(pair, {}))
    workshop = Workshop(pair, drivers, runner, host.node.id, SimulatedClock())
    if "--verify" in call.words:
        return Answer(0, f"{has_nothing(workshop, host.node)}\n")
    workshop = workshop.without(frozenset({host.peer.node.id}))
    given = PlanningInput(pair, drivers, SiteTable(known=False), (), new_operation_id("step-down", workshop.clock))
    operation = plan_step_down(given, host.node, "fenced")
    beginning = Beginning("step-down", {}, must_finish=False, host=host.node.id, user="root")
    journal = Journal.begin(given.operation_id, beginning, workshop.clock, host.path("/var/lib/xcat-ha/journal"))
    try:
        run_operation(workshop, operation, journal)
    except KilledError:
        return Answer(137)
    except XcatHaError as error:
        return Answer(int(error.exit_code), stderr=f"xcat-ha: {error}\n")
    return Answer(0, "done\n")


class TestFenceSsh(FenceContract):
    reaches_silent_nodes = False

    def make_driver(self, pair: Pair) -> FenceSsh:
        return FenceSsh(pair, {})

    def make_site(self) -> SimulatedSite:
        site = SimulatedSite()
        hosts = site.pair
        # Called by its path on a real node, the program is one of the host's simulated ones.
        first, second = (evolve(node, bin_dir=DEFAULT_BIN_DIR) for node in hosts.nodes)
        site.pair = evolve(hosts, nodes=(first, second))
        for host in site.simulated.hosts.values():
            host.handle("xcat-ha", lambda host, call: step_down(host, hosts, call))
        return site

    def holding(self, site: Site, driver: Fence) -> None:
        super().holding(site, driver)
        site.install_service(site.first.id, Service.DHCP, running=True, enabled=True)

    def is_powerless(self, site: Site) -> bool:
        """Nothing of the role is on it, and nothing of it would start at boot."""
        first = site.first.id
        address = str(site.pair.identity.primary_address)
        dhcp = site.service_state(first, Service.DHCP)
        return address not in site.addresses(first) and not any(dhcp) and ":3001" not in site.command(first, "ss", "-Hltn").stdout

    def silence_fence(self, site: Site) -> None:
        """It is the node itself that tells."""
        site.cut(site.first.id)

    def test_it_is_fenced_only_when_all_of_the_role_is_gone(self, driver: FenceSsh, site: Site) -> None:
        for service in ROLE_SERVICES:
            site.fresh()
            if service is Service.XCATD:
                site.start_xcatd(site.first.id)
            else:
                site.install_service(site.first.id, service, running=True, enabled=False)
            assert driver.observe(site.first, site.runner).fenced is False, service
        site.fresh()
        site.install_service(site.first.id, Service.DNS, running=False, enabled=True)
        assert driver.observe(site.first, site.runner).fenced is False, "it would come back with the next boot"
        site.fresh()
        assert driver.observe(site.first, site.runner).fenced is True

    def test_killed_in_the_middle_it_is_not_fenced_and_the_next_order_ends_it(self, driver: FenceSsh, site: Site) -> None:
        for moment in range(1, 20):
            site.fresh()
            self.holding(site, driver)
            steps = driver.steps_to_fence(site.first, by=site.second)
            DIES_AFTER.append(moment)
            if self.goes_through(site, steps):
                assert moment > 3, "the role has more than three parts"
                assert self.is_powerless(site)
                break
            assert (self.verdict(site, driver) is Verdict.HOLDS) is self.is_powerless(site)
            site.execute(steps)
            assert self.is_powerless(site)
        else:
            pytest.fail("stepping down does not end")
        DIES_AFTER.clear()

    def test_a_node_without_the_program_is_not_fenced(self, driver: FenceSsh, site: SimulatedSite) -> None:
        """Its answer is no verdict."""
        self.holding(site, driver)
        broken = evolve(site.first, bin_dir="/opt/elsewhere")
        site.host(site.first.id).handle("xcat-ha", lambda host, call: Answer(127, stderr="not found"))
        try:
            assert driver.observe(broken, site.runner).fenced is None
            with pytest.raises(XcatHaError):
                site.execute(driver.steps_to_fence(broken, by=site.second))
        finally:
            site.host(site.first.id).handle("xcat-ha", lambda host, call: step_down(host, site.simulated.config, call))
