"""The program of such a driver on a node, as commands and checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from xcat_ha.models import Node, Pair
from xcat_ha.ssh_command import rsh_words
from xcat_ha.steps import Check, Command, Probe, SaysVerdict, changes, reads

READ_TIMEOUT_S = 90.0
WORK_TIMEOUT_S = 4 * 3600.0
"""A copy of a database that grew for years (audit log, event log), over a slow line."""


@frozen
class Programs:
    """The driver's programs for one pair, as commands and checks.

    Attributes:
        pair: the configuration.
        node_side: module of the program on a node.
        own: what the driver's program on that node is told besides who is who, by name.
    """

    pair: Pair
    node_side: str
    own: Callable[[Node], Mapping[str, object]]

    def program(self, node: Node, verb: str, *words: str) -> tuple[str, ...]:
        """A program on the node, with all it is told."""
        other = self.pair.other(node.id)
        given = {
            "node": node.id,
            "address": node.address,
            "peer": other.id,
            "peer-address": other.address,
            "service": ",".join(str(address.ip) for address in self.pair.identity.addresses),
            "xcat-dir": self.pair.xcat_dir,
            **self.own(node),
            "rsh": rsh_words(other),
        }
        return (node.python, "-m", self.node_side, verb, *(f"--{name}={value}" for name, value in given.items()), *words)

    def ask(self, node: Node, verb: str, *words: str, timeout_s: float = READ_TIMEOUT_S) -> Probe:
        """A program that reads."""
        return Probe(node.id, reads(*self.program(node, verb, *words), timeout_s=timeout_s))

    def do(self, node: Node, verb: str, *words: str) -> Command:
        """A program that changes."""
        return changes(*self.program(node, verb, *words), timeout_s=WORK_TIMEOUT_S)

    def says(self, node: Node, question: str, verb: str, *words: str, hint: str = "", timeout_s: float = READ_TIMEOUT_S) -> Check:
        """A program that answers a question with a verdict."""
        return Check(question=question, probes=(self.ask(node, verb, *words, timeout_s=timeout_s),), rule=SaysVerdict(), hint=hint)
