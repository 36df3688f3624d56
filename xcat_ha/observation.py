"""What is true of a pair now: everything the drivers and the core can read, one exchange per node. Reading changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from functools import partial

from attrs import frozen

from xcat_ha._parallel import side_by_side
from xcat_ha.errors import UnknownStateError
from xcat_ha.interfaces import Drivers, Holding, ImageStates, ReplicaState, Runner, ScheduleState, Service, ServiceStates, SyncState
from xcat_ha.kept import GuardWord, JournalText, LockState, core_questions, guard_of, journals_of, lock_of, maintenance_of, term_of
from xcat_ha.maintenance import NO_MAINTENANCE, Maintenance
from xcat_ha.models import Node, Pair
from xcat_ha.steps import Completed
from xcat_ha.term import NO_TERM, StoredTerm


class Role(StrEnum):
    """What a node is, as observed."""

    PRIMARY = "primary"
    STANDBY = "standby"
    PARTIAL = "partial"
    """Has some of the role: the address without xcatd, or xcatd without the address."""
    UNKNOWN = "unknown"


@frozen
class NodeState:
    """A node as observed. ``trouble`` says why it did not answer; then everything else is unknown."""

    node: Node
    trouble: str
    clock_offset_s: float | None
    holding: Holding
    replica: ReplicaState
    files: SyncState
    services: ServiceStates
    schedule: ScheduleState
    lock: LockState | None
    journals: tuple[JournalText, ...]
    term: StoredTerm | None = NO_TERM
    """As stored on the node; ``NO_TERM`` if none is, None if it is not known."""
    guard: GuardWord | None = None
    """None: no guard has spoken since the node booted, or it is not known."""
    boot_id: str = ""
    """The kernel's name for the node's present boot; empty if not known."""
    served: frozenset[str] | None = None
    """Services that ran when the node took the role; None: it has none, or it is not known."""
    maintenance: Maintenance | None = NO_MAINTENANCE
    """The last word on it that is stored there; None if it is not known."""
    images: ImageStates | None = None
    """None: not asked."""

    @property
    def reachable(self) -> bool:
        """Whether the node answered."""
        return not self.trouble

    @property
    def role(self) -> Role:
        """What the node is. Silence is UNKNOWN."""
        holds_none = self.holding.holds_none()
        xcatd = self.services.running(Service.XCATD)
        if holds_none is None or xcatd is None:
            return Role.UNKNOWN
        if holds_none:
            return Role.PARTIAL if xcatd else Role.STANDBY
        return Role.PRIMARY if xcatd else Role.PARTIAL


@frozen
class PairState:
    """Both nodes as observed at one time (seconds since the epoch)."""

    nodes: Mapping[str, NodeState]
    observed_at: float

    @property
    def holders(self) -> tuple[str, ...]:
        """Ids of the nodes that are known to have a service address."""
        return tuple(node_id for node_id, state in self.nodes.items() if state.holding.holds_none() is False)

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Ids of the nodes that did not answer."""
        return tuple(node_id for node_id, state in self.nodes.items() if not state.reachable)

    @property
    def primary(self) -> str | None:
        """The node that has the service address, if exactly one is known to have it."""
        return self.holders[0] if len(self.holders) == 1 else None

    @property
    def term(self) -> StoredTerm | None:
        """The highest term that is known; None if none is, or if two nodes of that counter disagree."""
        known = [state.term for state in self.nodes.values() if state.term is not None and state.term.counter > 0]
        if not known or self.conflict:
            return None
        return max(known, key=lambda term: term.counter)

    @property
    def maintenance(self) -> Maintenance | None:
        """The latest word on it; None if no node, or not every node that answers, can tell."""
        known = [state.maintenance for state in self.nodes.values() if state.maintenance is not None]
        if not known or any(state.reachable and state.maintenance is None for state in self.nodes.values()):
            return None
        return max(known, key=lambda word: word.since)

    @property
    def conflict(self) -> bool:
        """Whether both nodes have stored the same counter with different holders: then both stay passive."""
        first, second = (state.term for state in self.nodes.values())
        return first is not None and second is not None and first.counter == second.counter and first.holder != second.holder

    def require_primary(self) -> str:
        """The primary's id.

        Raises:
            UnknownStateError: no node, or both, have the service address, or a node that did not answer may have it.
        """
        if self.primary is not None:
            return self.primary
        if len(self.holders) > 1:
            raise UnknownStateError(
                f"both nodes have the service address ({', '.join(self.holders)})",
                state="two machines answer for the management node",
                hint="stop the role on the wrong one at once: systemctl stop xcatd, and take the address off its interface",
            )
        silent = ", ".join(self.unreachable)
        raise UnknownStateError(
            f"no node is known to have the service address{f'; {silent} did not answer' if silent else ''}",
            hint=f"bring {silent} back" if silent else "if an operation stopped in the middle, xcat-ha resume goes on with it",
        )


def observe(pair: Pair, drivers: Drivers, runner: Runner, now: float, *, images: bool = False) -> PairState:
    """Ask both nodes everything, side by side, one exchange each. ``now``: seconds since the epoch on this machine.

    ``images``: about images too, which reads the definitions of all xCAT nodes and takes seconds.
    """
    found: dict[str, NodeState] = {}
    began_s = time.monotonic()

    def ask(node: Node) -> None:
        found[node.id] = observe_node(node, drivers, runner, now, began_s=began_s, images=images)

    side_by_side([partial(ask, node) for node in pair.nodes])
    return PairState(nodes={node.id: found[node.id] for node in pair.nodes}, observed_at=now)


def observe_node(  # noqa: PLR0913 - two ways to look, both with a default
    node: Node, drivers: Drivers, runner: Runner, now: float, *, began_s: float | None = None, images: bool = False
) -> NodeState:
    """Ask one node everything in one exchange; ``images``: see :func:`observe`.

    ``began_s``: when ``now`` was read, by this process's monotonic clock; just now if None.
    """
    core = core_questions()
    provisioner = drivers.images if images else None
    parts = [
        core,
        drivers.identity.questions(node),
        drivers.replication.questions(node),
        drivers.files.questions(node),
        drivers.services.questions(node),
        drivers.schedule.questions(node),
        provisioner.questions(node) if provisioner is not None else (),
    ]
    began_s = time.monotonic() if began_s is None else began_s
    answers = list(runner.read_many(node.id, [question for part in parts for question in part]))
    took_s = time.monotonic() - began_s
    split: list[list[Completed]] = []
    for part in parts:
        split.append(answers[: len(part)])
        del answers[: len(part)]
    clock, lock, journals, term, guard, boot_id, served, maintenance = split[0]
    return NodeState(
        node=node,
        trouble="" if clock.returncode is not None else clock.summary,
        clock_offset_s=_offset(clock, now, took_s),
        holding=drivers.identity.interpret(node, split[1]),
        replica=drivers.replication.interpret(node, split[2]),
        files=drivers.files.interpret(node, split[3]),
        services=drivers.services.interpret(node, split[4]),
        schedule=drivers.schedule.interpret(node, split[5]),
        lock=lock_of(node, lock),
        journals=journals_of(journals),
        term=term_of(term),
        guard=guard_of(guard),
        boot_id=boot_id.stdout.strip() if boot_id.ok else "",
        served=frozenset(served.stdout.split()) - {"none"} if served.ok else None,
        maintenance=maintenance_of(maintenance),
        images=provisioner.interpret(node, split[6]) if provisioner is not None else None,
    )


def _offset(answer: Completed, now: float, took_s: float) -> float | None:
    """Seconds by which the node's clock is ahead, as far as that is proven: it answered at some moment of an exchange of ``took_s``."""
    try:
        at_most = float(answer.stdout.strip()) - now if answer.ok else None
    except ValueError:
        return None
    if at_most is None:
        return None
    at_least = at_most - took_s
    # A busy machine must not look like one whose clock is wrong.
    return 0.0 if at_least < 0.0 < at_most else min(at_least, at_most, key=abs)
