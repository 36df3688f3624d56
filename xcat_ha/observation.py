"""What is true of a pair now: everything the drivers and the core can read, one exchange per node. Reading changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from enum import StrEnum
from functools import partial

from attrs import frozen

from xcat_ha._parallel import side_by_side
from xcat_ha.errors import UnknownStateError
from xcat_ha.interfaces import Drivers, Holding, ImageStates, ReplicaState, Runner, ScheduleState, Service, ServiceStates, SyncState
from xcat_ha.maintenance import MAINTENANCE_FILE, NO_MAINTENANCE, Maintenance
from xcat_ha.models import RUN_DIR, STATE_DIR, Node, Pair
from xcat_ha.steps import Command, Completed, reads
from xcat_ha.term import NO_TERM, TERM_FILE, StoredTerm

_SHOWN_JOURNALS = 50
GUARD_FILE = f"{RUN_DIR}/guard.json"
"""What the guard last found; gone with a reboot."""
SERVED_FILE = f"{RUN_DIR}/served"
"""Names of the services that ran when the node took the role; gone with a reboot, as the role is."""

SHOW_SCRIPT = '[ -e "$1" ] || { echo none; exit 0; }; cat "$1"'
"""Prints the file ``$1``, or ``none`` if it is not there."""

# The newest journals with the lines that matter: the first, the first step that began, the last, which may be half written.
_JOURNALS = """\
cd "$1" 2>/dev/null || exit 0
ls -1r | grep '\\.jsonl$' | head -n "$2" | while IFS= read -r name; do
  printf 'journal %s\\n' "$name"
  head -n 1 -- "$name"
  grep -m 1 '"state": "started"' -- "$name"
  tail -n 1 -- "$name"
  echo
done
"""
# The second line tells whether the holder's process still lives, which counts only on the node that the holder names.
_LOCK = """\
cat "$1" 2>/dev/null || exit 0
field() { sed -n "s/.*\\"$1\\": \\"\\{0,1\\}\\([^\\",}]*\\).*/\\1/p" "$2"; }
[ "$(cat /proc/sys/kernel/random/boot_id)" = "$(field boot_id "$1")" ] || { echo dead; exit 0; }
stat=$(cat "/proc/$(field pid "$1")/stat" 2>/dev/null) || { echo dead; exit 0; }
set -- "$(field start_ticks "$1")" ${stat##*) }
[ "$1" = "${21}" ] && echo alive || echo dead
"""


class Role(StrEnum):
    """What a node is, as observed."""

    PRIMARY = "primary"
    STANDBY = "standby"
    PARTIAL = "partial"
    """Has some of the role: the address without xcatd, or xcatd without the address."""
    UNKNOWN = "unknown"


@frozen
class JournalText:
    """A journal found on a node: its name, and the lines of it that matter."""

    name: str
    text: str


@frozen
class LockState:
    """The pair's lock as found on a node.

    Attributes:
        content: what the holder wrote of itself (id, operation, node, host, pid, user, since).
        holder_alive: whether its process lives; None when it runs on another machine.
    """

    content: Mapping[str, object]
    holder_alive: bool | None


@frozen
class GuardWord:
    """What the guard of a node says.

    Attributes:
        state: ``active`` (has the role), ``standby``, ``passive`` (could have the role and must not take it) or ``busy``.
        why: the reason, for an administrator.
        hint: what to do; empty if there is nothing to do.
        checked: when it last looked, as seconds since the epoch on that node.
    """

    state: str
    why: str
    hint: str
    checked: float


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


def lock_question() -> Command:
    """Prints the node's lock, and whether its holder lives."""
    return reads("sh", "-c", _LOCK, "sh", f"{RUN_DIR}/lock.json")


def question_for_term() -> Command:
    """Prints what the node's term file holds, or ``none``: a mere ``cat``, because the guard asks every few seconds."""
    return reads("sh", "-c", SHOW_SCRIPT, "sh", TERM_FILE, timeout_s=10)


def core_questions() -> tuple[Command, ...]:
    """What the core itself asks of a node, before the drivers' questions."""
    return (
        reads("date", "+%s.%N"),
        lock_question(),
        reads("sh", "-c", _JOURNALS, "sh", f"{STATE_DIR}/journal", str(_SHOWN_JOURNALS)),
        question_for_term(),
        reads("sh", "-c", SHOW_SCRIPT, "sh", GUARD_FILE),
        reads("cat", "/proc/sys/kernel/random/boot_id"),
        reads("sh", "-c", SHOW_SCRIPT, "sh", SERVED_FILE),
        reads("sh", "-c", SHOW_SCRIPT, "sh", MAINTENANCE_FILE),
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
        journals=_journals(journals),
        term=term_of(term),
        guard=_guard(guard),
        boot_id=boot_id.stdout.strip() if boot_id.ok else "",
        served=frozenset(served.stdout.split()) - {"none"} if served.ok else None,
        maintenance=_maintenance(maintenance),
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


def lock_of(node: Node, answer: Completed) -> LockState | None:
    """The lock, None if there is no lock; an unreadable one still counts as a lock."""
    lines = answer.stdout.strip().splitlines()
    if not answer.ok or not lines:
        return None
    try:
        content = json.loads(lines[0])
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return LockState(content={"operation": "an unreadable lock"}, holder_alive=None)
    return LockState(content=content, holder_alive=lines[-1] == "alive" if content.get("node") == node.id else None)


def term_of(answer: Completed) -> StoredTerm | None:
    """The term in an answer to a ``cat``; None when there is no answer or it cannot be understood."""
    if not answer.ok:
        return None
    return NO_TERM if answer.stdout.strip() == "none" else StoredTerm.from_text(answer.stdout)


def _maintenance(answer: Completed) -> Maintenance | None:
    if not answer.ok:
        return None
    return NO_MAINTENANCE if answer.stdout.strip() == "none" else Maintenance.from_text(answer.stdout)


def _guard(answer: Completed) -> GuardWord | None:
    try:
        data = json.loads(answer.stdout) if answer.ok else None
    except ValueError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("checked"), int | float):
        return None
    return GuardWord(str(data.get("state", "")), str(data.get("why", "")), str(data.get("hint", "")), float(data["checked"]))


def _journals(answer: Completed) -> tuple[JournalText, ...]:
    found: list[JournalText] = []
    for block in ("\n" + answer.stdout).split("\njournal ")[1:]:
        name, _, text = block.partition("\n")
        found.append(JournalText(name.removesuffix(".jsonl"), text))
    return tuple(found)
