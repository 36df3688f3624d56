"""What every fence promises."""

from __future__ import annotations

from typing import ClassVar

from xcat_ha.execution import judge
from xcat_ha.interfaces import Fence, PowerState
from xcat_ha.steps import Verdict
from xcat_ha.testing.driver_contract import Deed, DriverContract
from xcat_ha.testing.site import Site


class FenceContract(DriverContract[Fence]):
    """Prove a :class:`~xcat_ha.interfaces.Fence`. The second node fences the first.

    Override :meth:`is_powerless` if your fence takes something else than power away.
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

    def test_a_silent_fence_is_unknown(self, driver: Fence, site: Site) -> None:
        self.holding(site, driver)
        site.cut(site.second.id)
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
