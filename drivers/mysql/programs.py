"""The configuration of the driver, and its programs on a node as commands and checks."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from attrs import frozen

from xcat_ha.errors import ConfigError
from xcat_ha.models import Node, Pair
from xcat_ha.ssh_command import rsh_words
from xcat_ha.steps import Check, Command, Probe, SaysVerdict, changes, reads
from xcat_ha_drivers.replication.options import word

NODE_SIDE = "xcat_ha_drivers.mysql.node_side"
READ_TIMEOUT_S = 90.0
WORK_TIMEOUT_S = 4 * 3600.0
"""A dump of a database that grew for years (audit log, event log), over a slow line."""

_MODES = ("asynchronous", "semi-synchronous")
_GONE = ("wait", "degrade")


def when_standby_gone(pair: Pair, options: Mapping[str, object]) -> str:
    """``wait`` or ``degrade``; empty for an asynchronous standby.

    Raises:
        ConfigError: the mode is not known, or nobody decided between waiting and losing.
    """
    mode, gone = word(pair, options, "mode", _MODES[0]), word(pair, options, "when_standby_gone")
    if mode not in _MODES:
        raise ConfigError(f"option 'mode' is {mode!r}", where=pair.source, hint=f"use one of: {', '.join(_MODES)}")
    if mode == "asynchronous":
        if gone:
            hint = 'take when_standby_gone out, or set mode = "semi-synchronous"'
            raise ConfigError("option 'when_standby_gone' means nothing without a semi-synchronous standby", where=pair.source, hint=hint)
        return ""
    if gone not in _GONE:
        said = f"is {gone!r}" if gone else "is missing, and there is no default for it"
        hint = '"wait": xCAT stands still while the standby is gone; "degrade": it goes on, and may lose what it writes then'
        raise ConfigError(f"mode is semi-synchronous, and option 'when_standby_gone' {said}", where=pair.source, hint=hint)
    return gone


def server_ids(pair: Pair) -> Mapping[str, int]:
    """What the two servers are told apart by, made of the ids of the nodes: it never changes, and is the same wherever it is computed.

    Raises:
        ConfigError: both nodes get the same.
    """
    found = {node.id: (zlib.crc32(f"xcat-ha {node.id}".encode()) & 0x7FFFFFFF) | 1 for node in pair.nodes}
    if len(set(found.values())) != len(found):
        raise ConfigError("both nodes get the same server id", where=pair.source, hint="change the id of one of the nodes")
    return found


@frozen
class Programs:
    """The driver's programs for one pair. The attributes are what they are told: see :class:`~._places.Given`."""

    pair: Pair
    keep_hours: int
    semi_sync: str
    degrade_after_s: int
    confirm_s: int

    def program(self, node: Node, verb: str, *words: str) -> tuple[str, ...]:
        """A program on the node, with all it is told."""
        other, ids = self.pair.other(node.id), server_ids(self.pair)
        given = {
            "node": node.id,
            "address": node.address,
            "peer": other.id,
            "peer-address": other.address,
            "server-id": str(ids[node.id]),
            "peer-server-id": str(ids[other.id]),
            "service": ",".join(str(address.ip) for address in self.pair.identity.addresses),
            "xcat-dir": self.pair.xcat_dir,
            "keep-hours": str(self.keep_hours),
            "semi-sync": self.semi_sync,
            "degrade-after-s": str(self.degrade_after_s),
            "confirm-s": str(self.confirm_s),
            "rsh": rsh_words(other),
        }
        return (node.python, "-m", NODE_SIDE, verb, *(f"--{name}={value}" for name, value in given.items()), *words)

    def ask(self, node: Node, verb: str, *words: str, timeout_s: float = READ_TIMEOUT_S) -> Probe:
        """A program that reads."""
        return Probe(node.id, reads(*self.program(node, verb, *words), timeout_s=timeout_s))

    def do(self, node: Node, verb: str, *words: str) -> Command:
        """A program that changes."""
        return changes(*self.program(node, verb, *words), timeout_s=WORK_TIMEOUT_S)

    def says(self, node: Node, question: str, verb: str, *words: str, hint: str = "", timeout_s: float = READ_TIMEOUT_S) -> Check:
        """A program that answers a question with a verdict."""
        return Check(question=question, probes=(self.ask(node, verb, *words, timeout_s=timeout_s),), rule=SaysVerdict(), hint=hint)
