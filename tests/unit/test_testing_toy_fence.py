"""A toy fence that keeps every promise, unless it is told to have a flaw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import evolve

from tests.unit.test_testing_toys import ToyContract, ToyDriver, check, flawed, spoil
from xcat_ha.interfaces import Fence, PowerState
from xcat_ha.models import Node
from xcat_ha.steps import Check, Command, Completed, ExitStatus, Matches, Step, Steps, changes, reads
from xcat_ha.testing import Answer, Call, FenceContract, HandFenceContract, Handler, SimulatedHost


def toybmc(host: SimulatedHost, call: Call) -> Answer:
    """A power switch that ``host`` has for its peer."""
    if call.words[0] == "off" and not flawed("switch-does-nothing"):
        (host if flawed("fences-itself") else host.peer).power_off()
        host.write("/var/ordered", "off")
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
        if flawed("remembers-the-order"):
            return check("it was switched off", by.id, "test", "-e", "/var/ordered")
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


class ToyHandFence(ToyFence):
    """Asks a person, who never answers here."""

    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return ()

    def interpret(self, node: Node, answers: Sequence[Completed]) -> PowerState:
        del node, answers
        return PowerState(True if flawed("takes-it-for-done") else None)

    def is_fenced(self, node: Node, *, by: Node) -> Check:
        del node
        # Neither 0 nor 1: not known.
        code = "0" if flawed("takes-it-for-done") else "2"
        return check("somebody says so", by.id, "sh", "-c", f"exit {code}")

    def steps_to_fence(self, node: Node, *, by: Node) -> Steps:
        if flawed("leaves-it-out-of-the-plan"):
            return ()
        commands = (changes("touch", "/var/called"),) if flawed("does-something") else ()
        step = Step("call-somebody", "Somebody has to switch it off.", by.id, self.is_fenced(node, by=by), commands)
        if flawed("does-something"):
            step = evolve(step, done_when=check("it was done", by.id, "test", "-e", "/var/called"))
        return spoil((step,), self.pair)


class TestToyHandFence(ToyContract, HandFenceContract):
    toy = ToyHandFence
