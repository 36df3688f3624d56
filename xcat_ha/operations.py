"""Running an operation: lock both nodes, journal, phases one by one from fresh observations, a truthful end."""

from __future__ import annotations

import getpass
from collections.abc import Callable

from attrs import field, frozen

from xcat_ha.clock import Clock, SystemClock
from xcat_ha.errors import InterruptedOperationError, RefusedError, UnfinishedError, UnknownStateError, XcatHaError
from xcat_ha.execution import Execution, Observer, SilentObserver, execute_phase, judge, never
from xcat_ha.interfaces import Drivers, Runner
from xcat_ha.journal import Beginning, Journal, Outcome, Record, summarise
from xcat_ha.lock import PairLock, this_process
from xcat_ha.models import Pair
from xcat_ha.observation import PairState, observe
from xcat_ha.planning import Operation
from xcat_ha.steps import Check, Verdict

_WAIT_FOR_SYNC_S = 120.0


@frozen
class Workshop:
    """What operations on a pair need: its configuration, drivers, a way to the hosts, time, and who is asking.

    Attributes:
        local: id of the pair's node this program runs on, empty if it runs elsewhere.
        observer: follows progress.
        stop_requested: asked between commands.
    """

    pair: Pair
    drivers: Drivers
    runner: Runner
    local: str = ""
    clock: Clock = field(factory=SystemClock)
    observer: Observer = field(factory=SilentObserver)
    stop_requested: Callable[[], bool] = never

    def observe(self) -> PairState:
        """Both nodes as they are now."""
        return observe(self.pair, self.drivers, self.runner, self.clock.now())


@frozen
class PhaseTime:
    """How long a phase took, in seconds."""

    name: str
    seconds: float


@frozen
class Result:
    """What came of an operation.

    Attributes:
        operation_id: name of its journal.
        operation: the verb.
        seconds: from lock to end.
        phases: what each took.
        changed: whether any command that may change something was run.
    """

    operation_id: str
    operation: str
    seconds: float
    phases: tuple[PhaseTime, ...]
    changed: bool


def begin_journal(workshop: Workshop, operation: Operation, operation_id: str) -> Journal:
    """The journal of an operation that is about to start.

    Raises:
        JournalError: it cannot be written.
    """
    beginning = Beginning(
        operation=operation.name,
        parameters=operation.parameters,
        must_finish=operation.must_finish,
        host=workshop.local,
        user=getpass.getuser(),
    )
    return Journal.begin(operation_id, beginning, workshop.clock)


def records(state: PairState) -> tuple[Record, ...]:
    """The newest journals of both nodes, newest first. An operation without an end lives only while a living lock names it."""
    locks = [node_state.lock for node_state in state.nodes.values() if node_state.lock is not None]
    dead = {str(lock.content.get("id")) for lock in locks if lock.holder_alive is False}
    living = {str(lock.content.get("id")) for lock in locks} - dead
    found = [
        record
        for node_state in state.nodes.values()
        for journal in node_state.journals
        if (record := summarise(journal.name, journal.text, alive=journal.name in living)) is not None
    ]
    return tuple(sorted(found, key=lambda record: record.began, reverse=True))


def unfinished(state: PairState) -> Record | None:
    """The newest operation that left the pair half-done, unless a later one of its kind was completed or it was abandoned."""
    for record in records(state):
        if record.in_the_way:
            return record
        if record.must_finish and record.outcome is Outcome.DONE:
            return None
    return None


def refuse_if_unfinished(state: PairState) -> None:
    """An unfinished operation is in the way of the next one.

    Raises:
        UnfinishedError: there is one.
    """
    record = unfinished(state)
    if record is not None:
        how = str(record.outcome) if record.outcome is not None else "still running"
        said = f": {record.message.splitlines()[0]}" if record.message else ""
        raise UnfinishedError(
            f"an earlier {record.operation} ({record.id}) is not finished ({how}){said}",
            state="nothing was changed now; xcat-ha status shows what each node holds",
            hint="xcat-ha resume goes on with it; xcat-ha abandon gives it up as it stands",
        )


def require(runner: Runner, checks: tuple[Check, ...]) -> None:
    """All checks must HOLD.

    Raises:
        RefusedError: one fails.
        UnknownStateError: one cannot be answered.
    """
    for check, judgement in zip(checks, judge(runner, checks), strict=True):
        if judgement.verdict is Verdict.HOLDS:
            continue
        said = f": {judgement.detail}" if judgement.detail else ""
        state, hint = "nothing was changed", check.hint or "xcat-ha check tells more"
        if judgement.verdict is Verdict.FAILS:
            raise RefusedError(f"it does not hold that {check.question}{said}", state=state, hint=hint)
        raise UnknownStateError(f"cannot tell whether {check.question}{said}", state=state, hint=hint)


def run_operation(
    workshop: Workshop,
    operation: Operation,
    journal: Journal,
    *,
    observed: PairState | None = None,
    done_phases: frozenset[str] = frozenset(),
) -> Result:
    """Run the operation's phases and end its journal. The caller holds the lock.

    ``observed``: the pair, if the caller has just observed it. ``done_phases``: names of phases that an earlier run has completed; they
    are not run again, except those whose effect a reboot undoes.

    Raises:
        XcatHaError: as :func:`~xcat_ha.execution.execute_phase`; the journal's end says so too.
    """
    began = workshop.clock.monotonic()
    execution = Execution(
        runner=workshop.runner,
        chronicle=journal,
        clock=workshop.clock,
        observer=workshop.observer,
        stop_requested=workshop.stop_requested,
    )
    times: list[PhaseTime] = []
    try:
        require(workshop.runner, operation.requires)
        state = observed or workshop.observe()
        for number, planner in enumerate(operation.phases):
            if planner.name in done_phases and planner.outlives_reboot:
                continue
            if planner.needs_observation and number > 0:
                state = workshop.observe()
            phase_began = workshop.clock.monotonic()
            execute_phase(planner.plan(state), execution)
            times.append(PhaseTime(planner.name, workshop.clock.monotonic() - phase_began))
            journal.write("phase-done", name=planner.name, seconds=round(times[-1].seconds, 3))
    except InterruptedOperationError as error:
        journal.end(Outcome.INTERRUPTED, str(error))
        raise
    except KeyboardInterrupt as error:
        journal.end(Outcome.INTERRUPTED, "stopped by the keyboard; a command may still have been running")
        raise InterruptedOperationError(
            "stopped in the middle; a command may still be running",
            hint="xcat-ha status explains the state; xcat-ha resume goes on",
        ) from error
    except XcatHaError as error:
        journal.end(Outcome.FAILED, str(error))
        raise
    seconds = workshop.clock.monotonic() - began
    journal.end(Outcome.DONE, f"done in {seconds:.1f} s")
    if not journal.changed and operation.name == "sync":
        journal.forget()
    return Result(journal.id, operation.name, seconds, tuple(times), changed=journal.changed)


def locked(workshop: Workshop, operation: str, operation_id: str) -> PairLock:
    """The pair's lock for an operation; a scheduled sync that is just running is waited for."""
    holder = this_process(operation_id, operation, workshop.local, getpass.getuser(), workshop.clock.now())
    wait_s = 0.0 if operation == "sync" else _WAIT_FOR_SYNC_S
    return PairLock(workshop.pair, workshop.runner, holder, workshop.clock, wait_s=wait_s)
