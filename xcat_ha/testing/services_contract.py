"""What every service control promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from xcat_ha.interfaces import ROLE_SERVICES, Service, ServiceControl, ServiceStates
from xcat_ha.steps import Steps
from xcat_ha.testing.driver_contract import Deed, DriverContract
from xcat_ha.testing.site import Site

_TWO = (Service.DNS, Service.DHCP)


class ServiceControlContract(DriverContract[ServiceControl]):
    """Prove a :class:`~xcat_ha.interfaces.ServiceControl`. A site for another service system overrides ``install_service``."""

    absent: ClassVar[Service] = Service.CONSOLE
    """A service that is not installed on the site's nodes."""

    # --- situations

    def installed(self, site: Site, *, running: bool, enabled: bool) -> None:
        """DNS and DHCP are installed on ``first`` in this state; nothing else is."""
        for service in _TWO:
            site.install_service(site.first.id, service, running=running, enabled=enabled)

    def plan(self, site: Site, driver: ServiceControl, verb: str, services: tuple[Service, ...] = _TWO) -> Steps:
        """The steps of a verb, planned from a fresh observation."""
        plans = {"stop": driver.steps_to_stop, "start": driver.steps_to_start, "disable": driver.steps_to_disable}
        return plans[verb](site.first, services, driver.observe(site.first, site.runner))

    def deeds(self) -> tuple[Deed[ServiceControl], ...]:
        """Stop, start, disable."""

        def installed(*, running: bool, enabled: bool) -> Callable[[Site, ServiceControl], None]:
            return lambda site, _driver: self.installed(site, running=running, enabled=enabled)

        def plan(verb: str) -> Callable[[Site, ServiceControl], Steps]:
            return lambda site, driver: self.plan(site, driver, verb)

        def enabled(site: Site, _driver: ServiceControl) -> object:
            # What is not disabled yet when a node loses power runs again when it boots: that is no fault.
            return tuple(site.service_state(site.first.id, service)[1] for service in _TWO)

        return (
            Deed("stop", installed(running=True, enabled=False), plan("stop")),
            Deed("start", installed(running=False, enabled=False), plan("start")),
            Deed("disable", installed(running=False, enabled=True), plan("disable"), enabled),
        )

    def outcome(self, site: Site, driver: ServiceControl) -> object:
        """Whether each runs and is enabled, in truth and as observed."""
        states = driver.observe(site.first, site.runner)
        return tuple((states.running(service), states.enabled(service), site.service_state(site.first.id, service)) for service in _TWO)

    def assert_unknown(self, state: ServiceStates) -> None:
        """No claim."""
        assert not state.known
        for service in Service:
            assert state.running(service) is None
            assert state.enabled(service) is None

    def assert_nothing_good(self, state: ServiceStates) -> None:
        """Neither running nor safely stopped."""
        for service in state.services:
            assert state.running(service) is None, f"garbage was taken for {service} running or not"
            assert state.enabled(service) is None, f"garbage was taken for {service} enabled or not"

    # --- promises

    def test_states_are_observed(self, driver: ServiceControl, site: Site) -> None:
        for running in (True, False):
            for enabled in (True, False):
                site.fresh()
                self.installed(site, running=running, enabled=enabled)
                states = driver.observe(site.first, site.runner)
                assert states.known
                for service in _TWO:
                    assert (states.running(service), states.enabled(service)) == (running, enabled)

    def test_a_service_that_is_not_installed_is_absent(self, driver: ServiceControl, site: Site) -> None:
        self.installed(site, running=True, enabled=False)
        states = driver.observe(site.first, site.runner)
        assert self.absent not in states.services
        assert states.running(self.absent) is False

    def test_what_is_not_installed_yields_no_steps(self, driver: ServiceControl, site: Site) -> None:
        self.installed(site, running=True, enabled=True)
        for verb in ("stop", "start", "disable"):
            assert self.plan(site, driver, verb, (self.absent,)) == ()

    def test_what_is_stopped_does_not_run(self, driver: ServiceControl, site: Site) -> None:
        self.installed(site, running=True, enabled=False)
        site.execute(self.plan(site, driver, "stop"))
        for service in _TWO:
            assert site.service_state(site.first.id, service)[0] is False
            assert driver.observe(site.first, site.runner).running(service) is False

    def test_what_is_started_runs_and_is_not_enabled(self, driver: ServiceControl, site: Site) -> None:
        self.installed(site, running=False, enabled=False)
        site.execute(self.plan(site, driver, "start"))
        for service in _TWO:
            assert site.service_state(site.first.id, service) == (True, False)
            assert driver.observe(site.first, site.runner).running(service) is True

    def test_what_is_disabled_goes_on_running(self, driver: ServiceControl, site: Site) -> None:
        self.installed(site, running=True, enabled=True)
        site.execute(self.plan(site, driver, "disable"))
        for service in _TWO:
            assert site.service_state(site.first.id, service) == (True, False)
            assert driver.observe(site.first, site.runner).enabled(service) is False

    def test_what_is_disabled_does_not_start_at_boot(self, driver: ServiceControl, site: Site) -> None:
        self.installed(site, running=True, enabled=True)
        site.execute(self.plan(site, driver, "disable"))
        site.power_off(site.first.id)
        site.power_on(site.first.id)
        for service in _TWO:
            assert site.service_state(site.first.id, service) == (False, False)

    def test_only_what_is_named_is_touched(self, driver: ServiceControl, site: Site) -> None:
        for verb in ("stop", "disable"):
            site.fresh()
            self.installed(site, running=True, enabled=True)
            site.execute(self.plan(site, driver, verb, (Service.DNS,)))
            assert site.service_state(site.first.id, Service.DHCP) == (True, True)

    def test_the_order_given_is_kept(self, driver: ServiceControl, site: Site) -> None:
        """Whatever the order is: a later service is not touched before an earlier one is done."""
        for services in (_TWO, _TWO[::-1]):
            site.fresh()
            self.installed(site, running=True, enabled=False)
            seen: list[tuple[bool, bool]] = []
            site.runner.after_change = lambda _host, seen=seen, services=services: seen.append(
                (site.service_state(site.first.id, services[0])[0], site.service_state(site.first.id, services[1])[0])
            )
            site.execute(self.plan(site, driver, "stop", services))
            assert (True, False) not in seen, f"{services[1]} was stopped before {services[0]}"

    def test_a_whole_role_is_stopped(self, driver: ServiceControl, site: Site) -> None:
        for service in (Service.XCATD, *_TWO):
            site.install_service(site.first.id, service, running=True, enabled=False)
        site.execute(self.plan(site, driver, "stop", ROLE_SERVICES))
        states = driver.observe(site.first, site.runner)
        assert {service: states.running(service) for service in ROLE_SERVICES} == dict.fromkeys(ROLE_SERVICES, False)
