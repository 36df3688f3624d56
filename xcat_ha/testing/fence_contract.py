"""What every fence promises."""

from __future__ import annotations

from typing import ClassVar

import pytest

from xcat_ha.errors import XcatHaError
from xcat_ha.execution import judge
from xcat_ha.interfaces import Fence, PowerState
from xcat_ha.planfile import steps_to_json
from xcat_ha.steps import Verdict
from xcat_ha.testing._contract_parts import digests
from xcat_ha.testing.driver_contract import Deed, DriverContract
from xcat_ha.testing.site import Site


class FenceContract(DriverContract[Fence]):
    """Prove a :class:`~xcat_ha.interfaces.Fence`. The second node fences the first.

    Override :meth:`is_powerless` if your fence takes something else than power away, and :meth:`silence_fence` if it is not the second
    node that asks it. A fence that cannot act by itself, because a person has to, is proven with :class:`HandFenceContract`.
    """

    reaches_silent_nodes: ClassVar[bool] = True
    """Whether the fence works on a node that the runner cannot reach (a power switch or BMC does, ssh does not)."""

    # --- situations

    def deeds(self) -> tuple[Deed[Fence], ...]:
        """Fence a node that holds the role."""
        return (Deed("fence", self.holding, lambda site, driver: driver.steps_to_fence(site.first, by=site.second)),)

    def holding(self, site: Site, driver: Fence) -> None:
        """``first`` has the service address and a running xcatd."""
        del driver
        site.add_address(site.first.id, str(site.pair.identity.addresses[0]))
        site.start_xcatd(site.first.id)

    def is_powerless(self, site: Site) -> bool:
        """The truth: the first node cannot hold the role any more."""
        first = site.first.id
        return site.is_off(first) or str(site.pair.identity.primary_address) not in site.addresses(first)

    def silence_fence(self, site: Site) -> None:
        """Whoever tells whether the first node is fenced does not answer any more: by default the second node, which asks the fence."""
        site.cut(site.second.id)

    def outcome(self, site: Site, driver: Fence) -> object:
        """Whether the node is fenced, by the driver's word and in truth."""
        return self.verdict(site, driver), self.is_powerless(site)

    def assert_unknown(self, state: PowerState) -> None:
        """No claim."""
        assert state.fenced is None

    def assert_nothing_good(self, state: PowerState) -> None:
        """Not fenced."""
        assert state.fenced is not True, "garbage was taken for a proof of fencing"

    def verdict(self, site: Site, driver: Fence) -> Verdict:
        """What the driver's check says now."""
        (judgement,) = judge(site.runner, (driver.is_fenced(site.first, by=site.second),))
        return judgement.verdict

    # --- promises

    def test_a_node_that_holds_the_role_is_not_fenced(self, driver: Fence, site: Site) -> None:
        self.holding(site, driver)
        assert self.verdict(site, driver) is not Verdict.HOLDS

    def test_silence_is_no_proof(self, driver: Fence, site: Site) -> None:
        """Cut off from everything, the node may well go on working."""
        self.holding(site, driver)
        site.cut(site.first.id)
        site.cut_link()
        assert self.verdict(site, driver) is not Verdict.HOLDS

    def test_an_order_followed_by_silence_is_no_proof(self, driver: Fence, site: Site) -> None:
        """The order was taken, nothing came of it, and the node is not heard of again: it may well serve on."""
        self.holding(site, driver)
        steps = driver.steps_to_fence(site.first, by=site.second)

        def fall_silent(_host: str) -> None:
            site.cut(site.first.id)
            site.cut_link()

        site.runner.pretend_changes = True
        site.runner.after_change = fall_silent
        with pytest.raises(XcatHaError) as stop:
            site.execute(steps)
        assert stop.value.hint, "an error without a hint"
        assert self.verdict(site, driver) is not Verdict.HOLDS

    def test_a_node_that_is_switched_on_again_is_not_taken_for_powerless(self, driver: Fence, site: Site) -> None:
        """What was proven once is asked again: the check reads the state now."""
        self.holding(site, driver)
        if self.goes_through(site, driver.steps_to_fence(site.first, by=site.second)):
            site.power_on(site.first.id)
            self.holding(site, driver)
        assert self.verdict(site, driver) is not Verdict.HOLDS

    def test_a_silent_fence_is_unknown(self, driver: Fence, site: Site) -> None:
        self.holding(site, driver)
        self.silence_fence(site)
        assert self.verdict(site, driver) is Verdict.UNKNOWN

    def test_whoever_is_fenced_is_powerless(self, driver: Fence, site: Site) -> None:
        self.holding(site, driver)
        site.execute(driver.steps_to_fence(site.first, by=site.second))
        assert self.verdict(site, driver) is Verdict.HOLDS
        assert self.is_powerless(site)

    def test_a_silent_node_is_fenced_or_the_steps_fail(self, driver: Fence, site: Site) -> None:
        self.holding(site, driver)
        site.cut(site.first.id)
        if self.goes_through(site, driver.steps_to_fence(site.first, by=site.second)):
            assert self.is_powerless(site)
        else:
            assert not self.reaches_silent_nodes, "a silent node could not be fenced"
            assert self.verdict(site, driver) is not Verdict.HOLDS

    def test_whoever_fences_keeps_running(self, driver: Fence, site: Site) -> None:
        self.holding(site, driver)
        site.execute(driver.steps_to_fence(site.first, by=site.second))
        assert not site.is_off(site.second.id)
        assert site.second.address in site.addresses(site.second.id)


class HandFenceContract(FenceContract):
    """Prove a :class:`~xcat_ha.interfaces.Fence` that cannot act by itself, because a person has to.

    It has steps, so that a plan can be shown; they always stop with a hint, and nothing was changed. It never says "fenced".
    """

    reaches_silent_nodes = False

    def test_there_is_something_to_do(self, driver: Fence, site: Site, deed: Deed[Fence]) -> None:
        """What is to be done is said, and left to a person."""
        self.arrange(site, driver, deed)
        steps = deed.steps(site, driver)
        assert steps, "no steps: a plan would show nothing, and fencing would count as done"
        self.refusal(site, steps)
        assert not site.runner.changes

    def test_a_second_run_changes_nothing(self, driver: Fence, site: Site, deed: Deed[Fence]) -> None:
        self.arrange(site, driver, deed)
        before = digests(site)
        for _ in range(2):
            self.refusal(site, deed.steps(site, driver))
        assert digests(site) == before

    def test_it_ends_the_same_when_its_caller_dies_in_the_middle(self, driver: Fence, site: Site, deed: Deed[Fence]) -> None:
        """There is no middle."""
        self.arrange(site, driver, deed)
        assert not [command for step in deed.steps(site, driver) for command in (*step.commands, *step.cleanup)]

    def test_it_ends_the_same_when_a_node_loses_power_in_the_middle(self, driver: Fence, site: Site, deed: Deed[Fence]) -> None:
        """A node that really is off: it is still a person who says so."""
        self.arrange(site, driver, deed)
        site.power_off(site.first.id)
        self.refusal(site, deed.steps(site, driver))
        assert self.verdict(site, driver) is Verdict.UNKNOWN

    def test_no_secret_is_in_a_command(self, driver: Fence, site: Site, deed: Deed[Fence]) -> None:
        self.arrange(site, driver, deed)
        planned = steps_to_json(deed.steps(site, driver))
        assert not [secret for secret in site.secrets if secret in planned]

    def test_whoever_is_fenced_is_powerless(self, driver: Fence, site: Site) -> None:
        """It is never said."""
        self.holding(site, driver)
        self.refusal(site, driver.steps_to_fence(site.first, by=site.second))
        assert self.verdict(site, driver) is Verdict.UNKNOWN
        assert driver.observe(site.first, site.runner).fenced is None

    def test_whoever_fences_keeps_running(self, driver: Fence, site: Site) -> None:
        self.holding(site, driver)
        self.refusal(site, driver.steps_to_fence(site.first, by=site.second))
        assert not site.is_off(site.second.id)
        assert site.second.address in site.addresses(site.second.id)
