"""What every network identity driver promises."""

from __future__ import annotations

from typing import ClassVar

import pytest
from attrs import evolve

from xcat_ha.execution import judge
from xcat_ha.interfaces import Holding, NetworkIdentity
from xcat_ha.models import IdentityMode, ServiceIdentity
from xcat_ha.steps import Check, Steps, Verdict
from xcat_ha.testing.driver_contract import Deed, DriverContract
from xcat_ha.testing.site import Site


def _short(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


class IdentityContract(DriverContract[NetworkIdentity]):
    """Prove a :class:`~xcat_ha.interfaces.NetworkIdentity`. ``modes`` are the identity modes your driver serves."""

    modes: ClassVar[tuple[IdentityMode, ...]] = tuple(IdentityMode)

    # --- situations

    def holding(self, site: Site, driver: NetworkIdentity) -> None:
        """``first`` holds the service identity."""
        site.execute(driver.steps_to_acquire(site.first, site.pair.identity))

    def deeds(self) -> tuple[Deed[NetworkIdentity], ...]:
        """Acquire and release."""

        def nothing(site: Site, driver: NetworkIdentity) -> None:
            del site, driver

        return (
            Deed("acquire", nothing, lambda site, driver: driver.steps_to_acquire(site.first, site.pair.identity)),
            Deed("release", self.holding, lambda site, driver: driver.steps_to_release(site.first, site.pair.identity)),
        )

    def outcome(self, site: Site, driver: NetworkIdentity) -> object:
        """What both nodes hold, and in which order."""
        nodes = site.pair.nodes
        return tuple((driver.observe(node, site.runner), site.addresses(node.id), _short(site.hostname(node.id))) for node in nodes)

    def assert_unknown(self, state: Holding) -> None:
        """No claim."""
        assert state == Holding(service_addresses=None), f"claims something although nothing is known: {state}"

    def assert_nothing_good(self, state: Holding) -> None:
        """Nothing is held and nothing is free."""
        assert state.service_addresses is None, "garbage was taken for a list of addresses"
        assert state.own_address is None
        assert state.persistent is None, "garbage was taken for a boot configuration without the service address"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that wants an ``identity`` once in every mode the driver serves."""
        super().pytest_generate_tests(metafunc)
        if "mode" in metafunc.fixturenames:
            metafunc.parametrize("mode", self.modes, ids=str)

    @pytest.fixture
    def identity(self, mode: IdentityMode, site: Site) -> ServiceIdentity:
        """The service identity in a mode."""
        return evolve(site.pair.identity, mode=mode)

    def check(self, site: Site, check: Check) -> Verdict:
        """Ask a check."""
        (judgement,) = judge(site.runner, (check,))
        return judgement.verdict

    # --- promises

    def test_who_acquires_holds_everything(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        before = driver.observe(site.first, site.runner)
        assert before.holds_none() is True
        site.execute(driver.steps_to_acquire(site.first, identity))
        holding = driver.observe(site.first, site.runner)
        assert holding.holds_all(identity) is True
        assert holding.own_address is True
        assert holding.hostname == _short(identity.hostname) == _short(site.hostname(site.first.id))
        assert holding.stored_hostname == _short(site.first.name)
        assert {str(address.ip) for address in identity.addresses} <= set(site.addresses(site.first.id))

    def test_in_mode_replace_the_service_address_is_listed_first(
        self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity
    ) -> None:
        """Because xCAT takes the first address of the interface for its own; in the other mode the order is the driver's choice."""
        site.execute(driver.steps_to_acquire(site.first, identity))
        if identity.mode is IdentityMode.REPLACE:
            assert site.addresses(site.first.id)[0] == str(identity.primary_address)

    def test_what_check_asks_of_a_node_holds_on_a_clean_one_whoever_has_the_role(
        self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity
    ) -> None:
        checks = [check for node in site.pair.nodes for check in driver.checks(node, identity)]
        assert [self.check(site, check) for check in checks] == [Verdict.HOLDS] * len(checks)
        site.execute(driver.steps_to_acquire(site.first, identity))
        assert [self.check(site, check) for check in checks] == [Verdict.HOLDS] * len(checks)

    def test_who_releases_holds_nothing(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        before = (site.addresses(site.first.id), site.hostname(site.first.id))
        site.execute(driver.steps_to_acquire(site.first, identity))
        site.execute(driver.steps_to_release(site.first, identity))
        holding = driver.observe(site.first, site.runner)
        assert holding.holds_none() is True
        assert holding.own_address is True
        assert holding.hostname == _short(site.first.name)
        assert (site.addresses(site.first.id), site.hostname(site.first.id)) == before

    def test_the_other_node_can_have_it_next(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        site.execute(driver.steps_to_acquire(site.first, identity))
        site.execute(driver.steps_to_release(site.first, identity))
        site.execute(driver.steps_to_acquire(site.second, identity))
        assert driver.observe(site.second, site.runner).holds_all(identity) is True
        assert driver.observe(site.first, site.runner).holds_none() is True

    def test_the_own_address_is_never_lost(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        """Not for a moment: it is how the node is reached."""
        lost: list[str] = []

        def look(host: str) -> None:
            if site.first.address not in site.addresses(site.first.id):
                lost.append(host)

        site.runner.after_change = look
        site.execute(driver.steps_to_acquire(site.first, identity))
        site.execute(driver.steps_to_release(site.first, identity))
        assert not lost

    def test_an_address_somebody_answers_for_is_not_taken(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        site.add_address(site.second.id, str(identity.addresses[0]))
        before = (site.addresses(site.first.id), site.hostname(site.first.id))
        self.refusal(site, driver.steps_to_acquire(site.first, identity))
        assert (site.addresses(site.first.id), site.hostname(site.first.id)) == before
        assert driver.observe(site.first, site.runner).holds_none() is True

    def test_a_free_address_is_told_from_one_in_use(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        check = driver.address_is_free(site.first, identity)
        assert self.check(site, check) is Verdict.HOLDS
        site.add_address(site.second.id, str(identity.addresses[0]))
        assert self.check(site, check) is Verdict.FAILS
        site.cut(site.first.id)
        assert self.check(site, check) is Verdict.UNKNOWN

    def test_nothing_survives_a_reboot(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        site.execute(driver.steps_to_acquire(site.first, identity))
        assert driver.observe(site.first, site.runner).persistent == ()
        site.power_off(site.first.id)
        site.power_on(site.first.id)
        holding = driver.observe(site.first, site.runner)
        assert holding.holds_none() is True
        assert holding.own_address is True
        assert holding.hostname == _short(site.first.name)

    def test_nothing_is_written_that_survives_a_reboot(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        before = self._lasting(site)
        site.execute(driver.steps_to_acquire(site.first, identity))
        assert self._lasting(site) == before
        site.execute(driver.steps_to_release(site.first, identity))
        assert self._lasting(site) == before

    def _lasting(self, site: Site) -> dict[str, object]:
        return {name: entry for name, entry in site.entries(site.first.id, "/etc").items() if entry.kind != "directory"}

    def test_releasing_what_is_not_held_is_done_already(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        self._nothing_to_do(site, driver.steps_to_release(site.first, identity))

    def test_a_node_with_its_own_address_needs_no_migration(self, driver: NetworkIdentity, site: Site, identity: ServiceIdentity) -> None:
        self._nothing_to_do(site, driver.steps_to_make_own(site.first, identity))

    def _nothing_to_do(self, site: Site, steps: Steps) -> None:
        site.runner.forget()
        site.execute(steps)
        assert not site.runner.changes
