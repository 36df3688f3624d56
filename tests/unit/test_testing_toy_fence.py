"""A toy fence that keeps every promise, unless it is told to have a flaw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from tests.unit.test_testing_toys import ToyContract, ToyDriver, check, flawed, spoil
from xcat_ha.interfaces import Fence, PowerState
from xcat_ha.models import Node
from xcat_ha.steps import Check, Command, Completed, ExitStatus, Matches, Step, Steps, changes, reads
from xcat_ha.testing import Answer, Call, FenceContract, Handler, SimulatedHost


def toybmc(host: SimulatedHost, call: Call) -> Answer:
    """A power switch that ``host`` has for its peer."""
    if call.words[0] == "off" and not flawed("switch-does-nothing"):
        (host if flawed("fences-itself") else host.peer).power_off()
    return Answer(0, "Chassis Power is on\n" if host.peer.machine.powered and not flawed("always-off") else "Chassis Power is off\n")


class ToyFence(ToyDriver[PowerState], Fence):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("toybmc", "status"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> PowerState:
        del node
        off = answers[0].ok and answers[0].stdout.strip() == "Chassis Power is off"
        on = answers[0].ok and answers[0].stdout.strip() == "Chassis Power is on"
        return PowerState(True if off else False if on else None)

    def is_fenced(self, node: Node, *, by: Node) -> Check:
        if flawed("silence-is-fenced"):
            return check("it is silent", by.id, "ping", "-c", "1", node.address, rule=ExitStatus(holds=(1,), fails=(0,)))
        if flawed("silence-of-fence-is-off"):
            return check("it is off", node.id, "false")
        return check("its power is off", by.id, "toybmc", "status", rule=Matches("is off$"))

    def steps_to_fence(self, node: Node, *, by: Node) -> Steps:
        only_if = (check("it answers", node.id, "true"),) if flawed("needs-an-answer") else ()
        step = Step(
            "switch-off",
            "It must not hold the role any more.",
            by.id,
            self.is_fenced(node, by=by),
            (changes("toybmc", "off"),),
            only_if=only_if,
        )
        return spoil((step,), self.pair)


class TestToyFence(ToyContract, FenceContract):
    toy = ToyFence
    programs: ClassVar[Mapping[str, Handler]] = {"toybmc": toybmc}
