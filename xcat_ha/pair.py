"""A pair in the hands of a program: every verb of the command line is a method here.

>>> pair = xcat_ha.load("/etc/xcat-ha/pair.toml")      # doctest: +SKIP
>>> pair.status().primary                              # doctest: +SKIP
'mna'
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from xcat_ha._parallel import side_by_side
from xcat_ha.clock import Clock, SystemClock
from xcat_ha.config import load_pair
from xcat_ha.errors import RefusedError, UnreachableError
from xcat_ha.execution import Observer, SilentObserver, never
from xcat_ha.guard import Guard, decide_idle
from xcat_ha.history import records
from xcat_ha.interfaces import Drivers, Runner, StalePointer
from xcat_ha.journal import Record
from xcat_ha.local_node import local_node_id
from xcat_ha.models import COMMANDS_LOCK, CONFIG_PATH, Node, Pair
from xcat_ha.observation import PairState
from xcat_ha.operations import Prepared, Result, Workshop
from xcat_ha.planning.images import NodeImages
from xcat_ha.planning.requirements import Finding
from xcat_ha.planning.turns import Turn
from xcat_ha.planning.witness import WitnessWord, witness_node
from xcat_ha.registry import load_drivers
from xcat_ha.runners import LocalRunner, ReadOnlyRunner, RoutingRunner, SshRunner
from xcat_ha.status import Status, report_status
from xcat_ha.verbs import stale
from xcat_ha.verbs.activation import prepare_activation
from xcat_ha.verbs.checking import check_pair
from xcat_ha.verbs.copying import prepare_sync, prepare_verify
from xcat_ha.verbs.export import write_runbook
from xcat_ha.verbs.handover import prepare_handover
from xcat_ha.verbs.images import look_at_images
from xcat_ha.verbs.maintenance import prepare_maintenance
from xcat_ha.verbs.rejoin import prepare_rejoin
from xcat_ha.verbs.resume import abandon, prepare_resume
from xcat_ha.verbs.setup import mend_nothing, open_way, prepare_setup
from xcat_ha.verbs.stepdown import has_nothing, step_down
from xcat_ha.verbs.takeover import prepare_takeover
from xcat_ha.verbs.witness import ask_witness


class ManagedPair:
    """A configured pair with its drivers and a way to both nodes. A context manager; ``close`` gives connections back."""

    def __init__(self, workshop: Workshop) -> None:
        """Use :func:`load`."""
        self._workshop = workshop

    @property
    def pair(self) -> Pair:
        """The configuration."""
        return self._workshop.pair

    @property
    def drivers(self) -> Drivers:
        """The drivers the configuration chose."""
        return self._workshop.drivers

    def __enter__(self) -> Self:
        """The pair itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close connections."""
        self.close()

    def close(self) -> None:
        """Close connections. Safe to call twice."""
        self._workshop.runner.close()

    # Reading

    def observe(self) -> PairState:
        """Everything the drivers and the core can read, of both nodes. Changes nothing."""
        return self._workshop.observe()

    def has_nothing_of_the_role(self) -> str:
        """``HOLDS: ID …`` if this node holds nothing of the role and none of it starts at boot, else ``FAILS: why`` or ``UNKNOWN: why``.

        Raises:
            RefusedError: this machine is none of the pair's nodes.
        """
        return has_nothing(self._workshop, self._this_node())

    def status(self) -> Status:
        """Who is what, what would be lost now, what is wrong. Changes nothing; a silent node is reported, not an error."""
        found: dict[str, WitnessWord | None] = {}
        seen: list[PairState] = []
        # Side by side: a witness that does not answer must not double the wait for a node that does not.
        side_by_side([lambda: seen.append(self._workshop.observe()), lambda: found.update(word=ask_witness(self._workshop))])
        return report_status(self.pair, seen[0], found["word"])

    def check(self) -> tuple[Finding, ...]:
        """Every question about the pair with its answer. Changes nothing."""
        return check_pair(self._workshop)

    def images(self) -> tuple[NodeImages, ...]:
        """What each image of the database lacks on the standby now. Changes nothing; what is not known is reported, not an error."""
        return look_at_images(self._workshop)

    def stale(self) -> tuple[StalePointer, ...]:
        """What still names one node where the service identity should stand, on the primary; see :mod:`xcat_ha.xcat.stale`.

        Raises:
            UnknownStateError: who is primary is not known.
        """
        primary = self.pair.node(self._workshop.observe().require_primary())
        return stale.look_for_stale(self._workshop, primary).pointers

    def history(self) -> tuple[Record, ...]:
        """The newest operations recorded on both nodes, newest first.

        Raises:
            UnreachableError: no node answered.
        """
        state = self._workshop.observe()
        if len(state.unreachable) == len(state.nodes):
            raise UnreachableError("no node answered", hint="xcat-ha status tells why")
        return records(state)

    # Changing

    def prepare_sync(self, sets: Sequence[str] = (), *, scheduled: bool = False) -> Prepared:
        """Bring the standby's copies up to now; see :func:`xcat_ha.verbs.copying.prepare_sync`."""
        return prepare_sync(self._workshop, sets, scheduled=scheduled)

    def prepare_maintenance(self, *, reason: str = "", until: float | None = None) -> Prepared:
        """Say that administrators are at work, or (``until`` None) no more; see :mod:`xcat_ha.verbs.maintenance`."""
        return prepare_maintenance(self._workshop, reason=reason, until=until)

    def prepare_verify(self) -> Prepared:
        """The round trip of a test record; see :mod:`xcat_ha.planning.verify`."""
        return prepare_verify(self._workshop)

    def prepare_failover(self, *, to: str | None = None) -> Prepared:
        """Move the role to the standby, planned: see :func:`xcat_ha.verbs.handover.prepare_handover`."""
        return prepare_handover(self._workshop, to=to)

    def prepare_failback(self) -> Prepared:
        """Move the role back to the preferred node; see :func:`xcat_ha.verbs.handover.prepare_handover`."""
        return prepare_handover(self._workshop, to=self.pair.preferred, verb="failback")

    def prepare_takeover(self, *, down: str, confirmed: bool = True, allow_data_loss: bool = False, for_later: bool = False) -> Prepared:
        """The other node takes the role without ``down``: unplanned, and what was not copied is lost.

        Args:
            down: id of the node that is down.
            confirmed: the caller declares it down; else the configured fence makes sure.
            allow_data_loss: go on although the copy is older than ``max_loss_s``, of unknown age, or not known to be good.
            for_later: only to write a runbook for the day when the node is down: that it answers now is not refused.

        Raises:
            RefusedError: that node answers, or more would be lost than is allowed. There is no override for the first.
            UnknownStateError, UnreachableError: the other node's state is not known.
        """
        node = self.pair.node(down)
        if not confirmed and self.pair.fencing.name == "manual":
            raise RefusedError(
                "the fence driver is manual: only your word can say that a node is down",
                where=self.pair.source,
                state="nothing was changed",
                hint=f"xcat-ha failover --confirm-down {node.id}, or choose another driver in [fencing]",
            )
        return prepare_takeover(self._workshop, node, confirmed=confirmed, allow_data_loss=allow_data_loss, for_later=for_later)

    def prepare_activation(self, *, confirmed_down: str | None = None) -> Prepared:
        """This node, whose turn it is by its own term, takes the role up again; see :func:`xcat_ha.verbs.activation.prepare_activation`.

        Raises:
            RefusedError: this machine is none of the pair's nodes, it is not its turn, or the node declared down answers.
            UnknownStateError: its state is not known.
        """
        node = self._this_node()
        if confirmed_down is not None:
            if self.pair.node(confirmed_down).id == node.id:
                raise RefusedError(
                    f"this is {node.id} itself", state="nothing was changed", hint=f"name the other: {self.pair.other(node.id).id}"
                )
            why = f"{confirmed_down} was declared down"
            return prepare_activation(self._workshop, node, confirmed_down=True, why=why)
        decision = decide_idle(self._workshop, node)
        if decision.turn is not Turn.TAKE:
            raise RefusedError(decision.why, state="nothing was changed", hint=decision.hint or "xcat-ha status shows who is what")
        return prepare_activation(self._workshop, node, confirmed_down=False, why=decision.why)

    def prepare_rejoin(self) -> Prepared:
        """The node without the role, an old primary perhaps, becomes the standby; see :func:`xcat_ha.verbs.rejoin.prepare_rejoin`."""
        return prepare_rejoin(self._workshop)

    def step_down(self, why: str) -> Result:
        """This node gives the role up at once, asking nobody.

        Raises:
            RefusedError: this machine is none of the pair's nodes.
        """
        return step_down(self._workshop, self._this_node(), why)

    def guard(self) -> Guard:
        """The guard of this node, see :mod:`xcat_ha.guard`.

        Raises:
            RefusedError: this machine is none of the pair's nodes.
        """
        return Guard(self._workshop, self._this_node())

    def _this_node(self) -> Node:
        if not self._workshop.local:
            raise RefusedError(
                "this machine is none of the pair's nodes", state="nothing was changed", hint="run it on the node it is about"
            )
        return self.pair.node(self._workshop.local)

    def open_way(self, *, accepted: frozenset[str], ask: Callable[[str], bool]) -> None:
        """Make ssh work both ways between this node and the other, and to the witness; see :func:`xcat_ha.verbs.setup.open_way`."""
        open_way(self._workshop, accepted=accepted, ask=ask)

    def prepare_setup(self, *, mend: Callable[[Sequence[StalePointer]], bool] = mend_nothing) -> Prepared:
        """Make the two nodes a pair; see :func:`xcat_ha.verbs.setup.prepare_setup`. The way to the other node must be open.

        ``mend``: is shown what still names one node where the service identity should stand (if anything can be mended) and says
        whether to mend it; by default nothing is.
        """
        return prepare_setup(self._workshop, mend)

    def write_runbook(self, prepared: Prepared, path: Path) -> None:
        """Write what was prepared as a shell script that does it without xcat-ha; see :func:`xcat_ha.verbs.export.write_runbook`."""
        write_runbook(self._workshop, prepared, path)

    def prepare_resume(self) -> Prepared:
        """Go on with the operation that stopped in the middle; see :func:`xcat_ha.verbs.resume.prepare_resume`."""
        return prepare_resume(self._workshop)

    def abandon(self) -> Record:
        """Give up the operation that stopped in the middle; see :func:`xcat_ha.verbs.resume.abandon`."""
        return abandon(self._workshop)


def load(
    path: str | Path = CONFIG_PATH,
    *,
    observer: Observer | None = None,
    stop_requested: Callable[[], bool] = never,
    clock: Clock | None = None,
    read_only: bool = False,
) -> ManagedPair:
    """The pair that the configuration file at ``path`` describes.

    Args:
        path: the TOML file.
        observer: follows the progress of operations.
        stop_requested: asked between commands; True ends an operation as interrupted.
        clock: where time comes from; the machine's by default.
        read_only: refuse every command that changes something.

    Raises:
        ConfigError: the file cannot be used.
        DriverNotFoundError, DriverBrokenError: a driver cannot be used.
        RefusedError: the program does not run as root.
    """
    pair = load_pair(path)
    drivers = load_drivers(pair)
    if os.geteuid() != 0:
        raise RefusedError("only root can look at a management node", state="nothing was changed", hint="run it as root")
    local = local_node_id(pair)
    runners: dict[str, Runner] = {
        node.id: LocalRunner(COMMANDS_LOCK) if node.id == local else SshRunner(node, COMMANDS_LOCK) for node in pair.nodes
    }
    witness = witness_node(pair)
    if witness is not None:
        runners[witness.id] = SshRunner(witness)
    runner: Runner = RoutingRunner(runners)
    workshop = Workshop(
        pair=pair,
        drivers=drivers,
        runner=ReadOnlyRunner(runner) if read_only else runner,
        local=local,
        clock=clock or SystemClock(),
        observer=observer or SilentObserver(),
        stop_requested=stop_requested,
    )
    return ManagedPair(workshop)
