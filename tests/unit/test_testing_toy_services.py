"""A toy service control that keeps every promise, unless it is told to have a flaw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.unit.test_testing_toys import ToyContract, ToyDriver, check, flawed, spoil
from xcat_ha.interfaces import Service, ServiceControl, ServiceStates, UnitState
from xcat_ha.models import Node
from xcat_ha.steps import Command, Completed, Prints, Step, Steps, changes, reads
from xcat_ha.testing import ServiceControlContract
from xcat_ha.xcat.services import UNIT_CANDIDATES


class ToyServices(ToyDriver[ServiceStates], ServiceControl):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(
            reads("systemctl", "show", "-p", "Id,LoadState,ActiveState,UnitFileState", *(names[0] for names in UNIT_CANDIDATES.values()))
        )

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ServiceStates:
        del node
        blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in answers[0].stdout.split("\n\n")]
        if (
            not answers[0].ok
            or len(blocks) < len(UNIT_CANDIDATES)
            or not all(block.keys() >= {"Id", "LoadState", "ActiveState", "UnitFileState"} for block in blocks)
        ):
            return ServiceStates(known=False, services={})
        states = {}
        for service, block in zip(UNIT_CANDIDATES, blocks, strict=False):
            if block["LoadState"] != "not-found" or flawed("sees-absent-units"):
                running = (block["ActiveState"] == "active") is not flawed("inverts-running")
                states[service] = (UnitState(block["Id"], running, block["UnitFileState"] == "enabled"),)
        return ServiceStates(known=True, services=states)

    def _steps(self, node: Node, verb: str, services: Iterable[Service], states: ServiceStates) -> Steps:
        chosen = [service for service in services if service in states.services or flawed("plans-for-absent")]
        if flawed("reverses-order"):
            chosen.reverse()
        if flawed("touches-all"):
            chosen = list(states.services)
        steps = []
        for service in chosen:
            unit = UNIT_CANDIDATES[service][0]
            names = {
                "stop": ("ActiveState", "ActiveState=inactive"),
                "start": ("ActiveState", "ActiveState=active"),
                "disable": ("UnitFileState", "UnitFileState=disabled"),
            }
            key, text = names[verb]
            done = check(f"{service} is done with", node.id, "systemctl", "show", "-p", key, unit, rule=Prints(text))
            words: tuple[str, ...] = (verb,)
            if flawed("stop-does-nothing") and verb == "stop":
                done = check("it was asked", node.id, "test", "-e", f"/run/asked-{unit}")
                steps.append(
                    Step(f"{verb}-{service}", "It has to be in that state.", node.id, done, (changes("touch", f"/run/asked-{unit}"),))
                )
                continue
            if flawed("disable-stops") and verb == "disable":
                words = ("disable", "--now")
            commands = [changes("systemctl", *words, unit)]
            if flawed("start-enables") and verb == "start":
                commands.append(changes("systemctl", "enable", unit))
            if flawed("disable-is-volatile") and verb == "disable":
                done = check("it was asked", node.id, "test", "-e", f"/var/asked-{unit}")
                commands = [changes("touch", f"/var/asked-{unit}")]
            steps.append(Step(f"{verb}-{service}", "It has to be in that state.", node.id, done, tuple(commands)))
        return spoil(tuple(steps), self.pair) if steps else ()

    def steps_to_stop(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return self._steps(node, "stop", services[1:] if flawed("forgets-first") else services, states)

    def steps_to_start(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return self._steps(node, "start", services, states)

    def steps_to_disable(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        return self._steps(node, "disable", services, states)


class TestToyServices(ToyContract, ServiceControlContract):
    toy = ToyServices
