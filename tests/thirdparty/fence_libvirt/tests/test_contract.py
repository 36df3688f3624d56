"""The driver keeps the contract that xcat-ha publishes; virsh is a program that the simulated hosts are taught."""

from __future__ import annotations

import pytest
from xcat_ha_fence_libvirt import FenceLibvirt

from xcat_ha.errors import ConfigError
from xcat_ha.models import Pair
from xcat_ha.steps import Completed
from xcat_ha.testing import Answer, Call, FenceContract, SimulatedHost, SimulatedSite, example_pair

URI = "qemu+ssh://hv1/system"


class TestFenceLibvirt(FenceContract):
    """All that a fence promises, on two simulated hosts."""

    def make_driver(self, pair: Pair) -> FenceLibvirt:
        return FenceLibvirt(pair, {"uri": URI, "domains": {"mna": "vm-a", "mnb": "vm-b"}})

    def make_site(self) -> SimulatedSite:
        site = SimulatedSite()
        machines = {"vm-a": "mna", "vm-b": "mnb"}

        def virsh(_host: SimulatedHost, call: Call) -> Answer:
            flags, (verb, _, name) = call.words[:3], call.words[3:]
            assert flags == ("-q", "-c", URI)
            if verb == "destroy":
                site.power_off(machines[name])
                return Answer(0)
            return Answer(0, "shut off\n" if site.is_off(machines[name]) else "running\n")

        for host in site.simulated.hosts.values():
            host.handle("virsh", virsh)
        return site


@pytest.mark.parametrize(
    ("said", "fenced"),
    [("shut off", True), ("running", False), ("in shutdown", False), ("crashed", None), ("ausgeschaltet", None), ("", None)],
)
def test_only_shut_off_is_off(said: str, fenced: bool | None) -> None:
    driver = FenceLibvirt(example_pair(), {"uri": URI})
    assert driver.interpret(driver.pair.nodes[0], [Completed(("virsh",), 0, f"{said}\n")]).fenced is fenced


@pytest.mark.parametrize("options", [{}, {"uri": "hv1"}, {"uri": URI, "domains": {"nobody": "vm"}}, {"uri": URI, "domains": "vm-a"}])
def test_options_that_mean_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as refusal:
        FenceLibvirt(example_pair(), options)
    assert refusal.value.hint
