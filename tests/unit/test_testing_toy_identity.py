"""A toy network identity that keeps every promise, unless it is told to have a flaw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import ClassVar

from tests.unit.test_testing_toys import ToyContract, ToyDriver, check, flawed, spoil
from xcat_ha.interfaces import Holding, NetworkIdentity
from xcat_ha.models import Node, ServiceIdentity
from xcat_ha.steps import Check, Command, Completed, Matches, Prints, Step, Steps, changes, reads
from xcat_ha.testing import Answer, Call, Handler, IdentityContract, SimulatedHost


def store_address(host: SimulatedHost, call: Call) -> Answer:
    """Give the host a further address for each boot."""
    host.stored_addresses = {host.node.interface: (f"{host.node.address}/16", call.words[0])}
    return Answer(0)


class ToyIdentity(ToyDriver[Holding], NetworkIdentity):
    def questions(self, node: Node) -> tuple[Command, ...]:
        return (
            *self.spoilt(reads("ip", "-o", "addr", "show", "dev", node.interface)),
            reads("sh", "-c", "hostname; cat /etc/hostname; cat /etc/toynet 2>/dev/null; echo end"),
        )

    def interpret(self, node: Node, answers: Sequence[Completed]) -> Holding:
        shown, names = answers[0], answers[-1]
        lines = names.stdout.splitlines()
        if not shown.ok or not names.ok or " inet " not in shown.stdout or len(lines) < 3 or lines[-1] != "end":
            return Holding(service_addresses=None)
        held = {word.split("/")[0] for word in shown.stdout.split() if "/" in word and word[0].isdigit()}
        mine = tuple(address.ip for address in self.pair.identity.addresses if str(address.ip) in held)
        stored = tuple(ip_address(line) for line in lines[2:-1] if line[:1].isdigit())
        if flawed("never-persistent"):
            stored = ()
        if flawed("sees-nothing-held"):
            mine = ()
        return Holding(mine, node.address in held, lines[0].split(".")[0], lines[1].split(".")[0], interface_exists=True, persistent=stored)

    def _has(self, node: Node, address: str, *, absent: bool = False) -> Check:
        pattern = rf"inet {address.replace('.', '[.]')}/"
        return check(
            f"{address} is {'not ' if absent else ''}there",
            node.id,
            "ip",
            "-o",
            "addr",
            "show",
            "dev",
            node.interface,
            rule=Matches(pattern, absent=absent),
        )

    def checks(self, node: Node, identity: ServiceIdentity) -> tuple[Check, ...]:
        if flawed("wants-to-be-standby"):
            return tuple(self._has(node, str(one.ip), absent=True) for one in identity.addresses)
        return (self._has(node, node.address),)

    def steps_to_acquire(self, node: Node, identity: ServiceIdentity) -> Steps:
        steps = []
        for one in identity.addresses:
            take = ["ip", "addr", "add", f"{one.ip}/{one.network.prefixlen - 1}", "dev", node.interface, "scope", "link", "noprefixroute"]
            if flawed("listed-last"):
                take = ["ip", "addr", "add", f"{one}", "dev", node.interface]
            commands = [
                changes("arping", "-D", "-I", node.interface, str(one.ip)),
                changes(*take),
                changes("arping", "-U", "-I", node.interface, str(one.ip)),
            ]
            if flawed("takes-in-use"):
                commands = commands[1:]
            if flawed("loses-own"):
                own = (f"{node.address}/16", "dev", node.interface)
                commands += [changes("ip", "addr", "del", *own), changes("ip", "addr", "add", *own)]
            if flawed("stores-address"):
                commands.append(changes("sh", "-c", "echo $1 > /etc/toynet", "sh", str(one.ip)))
            if flawed("enables-address"):
                commands.append(changes("toy-store-address", f"{one}"))
            steps.append(
                Step("take-address", "The node answers at the service address.", node.id, self._has(node, str(one.ip)), tuple(commands))
            )
        named = check("the hostname is the service's", node.id, "hostname", rule=Prints(identity.hostname))
        if not flawed("keeps-own-name"):
            steps.append(
                Step("take-hostname", "The node has the service hostname.", node.id, named, (changes("hostname", identity.hostname),))
            )
        return spoil(tuple(steps), self.pair)

    def steps_to_release(self, node: Node, identity: ServiceIdentity) -> Steps:
        steps = []
        if not flawed("keeps-address"):
            for one in identity.addresses:
                words = (
                    "sh",
                    "-c",
                    'a=$(ip -o addr show dev $2 | grep -o "inet $1/[0-9]*" | cut -c6-); ip addr del $a dev $2',
                    "sh",
                    str(one.ip),
                    node.interface,
                )
                steps.append(
                    Step(
                        "drop-address",
                        "The node does not answer there any more.",
                        node.id,
                        self._has(node, str(one.ip), absent=True),
                        (changes(*words),),
                    )
                )
        own = check("the hostname is its own", node.id, "hostname", rule=Prints(node.name))
        if flawed("release-always-acts"):
            own = check("the hostname is its own", node.id, "test", "-e", "/run/toy-released")
            return (
                Step(
                    "restore-hostname",
                    "The node has its own name again.",
                    node.id,
                    own,
                    (changes("hostname", node.name), changes("touch", "/run/toy-released")),
                ),
                *steps,
            )
        steps.append(Step("restore-hostname", "The node has its own name again.", node.id, own, (changes("hostname", node.name),)))
        return spoil(tuple(steps), self.pair)

    def address_is_free(self, node: Node, identity: ServiceIdentity) -> Check:
        if flawed("always-free"):
            return check("the address is free", node.id, "true")
        return check("the address is free", node.id, "arping", "-D", "-I", node.interface, str(identity.primary_address))

    def steps_to_make_own(self, node: Node, identity: ServiceIdentity) -> Steps:
        del identity
        done = check("it has its own address", node.id, "test", "-e", "/etc/own" if flawed("migrates-always") else "/etc/hostname")
        return (Step("make-own", "The node needs an address of its own.", node.id, done, (changes("touch", "/etc/own"),)),)


class TestToyIdentity(ToyContract, IdentityContract):
    toy = ToyIdentity
    programs: ClassVar[Mapping[str, Handler]] = {"toy-store-address": store_address}
