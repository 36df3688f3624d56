"""Running an operation: lock both nodes, journal, phases one by one from fresh observations, a truthful end."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable

import cattrs
from attrs import evolve, field, frozen

from xcat_ha.clock import Clock, SystemClock
from xcat_ha.errors import InterruptedOperationError, RefusedError, UnknownStateError, XcatHaError
from xcat_ha.execution import Execution, Observer, SilentObserver, execute_phase, judge, never
from xcat_ha.history import refuse_if_unfinished
from xcat_ha.interfaces import Drivers, Runner
from xcat_ha.journal import Beginning, Journal, Outcome
from xcat_ha.lock import PairLock, this_process
from xcat_ha.models import STATE_DIR, Pair
from xcat_ha.observation import PairState, observe
from xcat_ha.planning import Operation, PlanningInput
from xcat_ha.planning.maintenance import maintenance_words
from xcat_ha.runbook import Outline
from xcat_ha.runners.silenced import SilencedRunner
from xcat_ha.steps import Check, Plan, Verdict, changes

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

    def without(self, silent: frozenset[str]) -> Workshop:
        """The same, but these nodes are neither asked nor touched."""
        return evolve(self, runner=SilencedRunner(self.runner, silent)) if silent else self

    def observe(self, *, images: bool = False) -> PairState:
        """Both nodes as they are now; ``images``: see :func:`xcat_ha.observation.observe`."""
        return observe(self.pair, self.drivers, self.runner, self.clock.now(), images=images)


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
        notes: what the administrator should know of it (where something was saved).
    """

    operation_id: str
    operation: str
    seconds: float
    phases: tuple[PhaseTime, ...]
    changed: bool
    notes: tuple[str, ...] = ()


@frozen
class Prepared:
    """An operation that is planned but not begun.

    Attributes:
        plan: what it would do, as far as it can be known now.
        run: begin it. Raises what :func:`run_operation` raises.
        outline: what a runbook of it is made of; None if there can be none.
    """

    plan: Plan
    run: Callable[[], Result]
    outline: Outline | None = None


@frozen
class Reach:
    """Which nodes an operation can do without.

    Attributes:
        left_out: ids of nodes that are neither asked, locked nor touched.
        down: those of them that are proven or declared down: locks and unfinished operations of theirs are void.
    """

    left_out: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()


BOTH = Reach()


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


_KEEP_MIRROR = 'umask 077; mkdir -p "${1%/*}" && cat > "$1.new" && sync -f "$1.new" && mv "$1.new" "$1"'


def mirror(workshop: Workshop, journal: Journal, *, phase: str = "") -> None:
    """Copy the journal to the other node, so that it can be resumed there when this machine is gone. Best effort: it guards nothing.

    ``phase``: the phase that is about to begin; the mirror counts as half-way through it until it is renewed.
    """
    try:
        text = journal.path.read_text(encoding="ascii", errors="replace") if journal.path.is_file() else ""
    except OSError:
        text = ""
    if not text:
        return  # a disk that is full or broken must not hide the operation's own end
    if phase:
        facts = {"phase": phase, "step": "not known", "host": "", "state": "started", "detail": "mirrored before its steps began"}
        text += json.dumps({"event": "step", "time": round(workshop.clock.now(), 3), **facts}) + "\n"
    for node in workshop.pair.nodes:
        if node.id != workshop.local:
            path = f"{STATE_DIR}/journal/{journal.id}.jsonl"
            workshop.runner.run(node.id, changes("sh", "-c", _KEEP_MIRROR, "sh", path, stdin=text, timeout_s=20))


def run_operation(
    workshop: Workshop,
    operation: Operation,
    journal: Journal,
    *,
    observed: PairState | None = None,
    done_phases: frozenset[str] = frozenset(),
) -> Result:
    """As :func:`_run_phases`; however it ends, the other node's mirror of the journal says so too."""
    try:
        return _run_phases(workshop, operation, journal, observed=observed, done_phases=done_phases)
    finally:
        if operation.must_finish:
            mirror(workshop, journal)


def _run_phases(
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
            if planner.needs_images or (planner.needs_observation and number > 0):
                state = workshop.observe(images=planner.needs_images)
            phase_began = workshop.clock.monotonic()
            if operation.must_finish:
                mirror(workshop, journal, phase=planner.name)
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
    notes = _notes(journal) if journal.changed else ()
    return Result(journal.id, operation.name, seconds, tuple(times), changed=journal.changed, notes=notes)


def _notes(journal: Journal) -> tuple[str, ...]:
    """What was saved where."""
    found = [entry for entry in journal.entries() if entry["event"] == "captured" and entry.get("name") == "saved-copy"]
    return tuple(f"{entry.get('host')}: {entry.get('value')}" for entry in found)


def prepared(  # noqa: PLR0913 - everything an operation can ask for, once
    workshop: Workshop,
    operation: Operation,
    given: PlanningInput,
    state: PairState,
    *,
    why_not: Callable[[PairState], str],
    reach: Reach = BOTH,
    after_failure: Callable[[], None] | None = None,
    scheduled: bool = False,
) -> Prepared:
    """The operation with its preview, ready to run under the lock.

    Args:
        workshop: what it works with.
        operation: what it does.
        given: what it was planned with.
        state: the observation it was planned from.
        why_not: asked again under the lock: why the operation does not fit what is observed then; empty if it does.
        reach: the nodes it can do without.
        after_failure: run when a phase fails.
        scheduled: a timer asks for it.

    Raises:
        UnfinishedError: an earlier operation is in the way.
    """
    refuse_if_unfinished(state, void=reach.down)
    within = workshop.without(reach.left_out)
    operation = evolve(operation, summary=(*maintenance_words(state), *operation.summary))

    def run() -> Result:
        with locked(within, operation.name, given.operation_id, reach, scheduled=scheduled):
            now = within.observe()
            refuse_if_unfinished(now, void=reach.down)
            reason = why_not(now)
            if reason:
                raise RefusedError(reason, state="nothing was changed", hint="xcat-ha status shows who is what; run the verb again")
            journal = begin_journal(within, operation, given.operation_id)
            journal.write("site", site=cattrs.unstructure(given.site))
            try:
                return run_operation(within, operation, journal, observed=now)
            except XcatHaError:
                if after_failure is not None:
                    after_failure()
                raise

    plan = operation.preview(state)
    outline = Outline(workshop.pair, operation, plan, state, given.operation_id, given.site, given.term, reach.left_out)
    return Prepared(plan, run, outline)


def locked(workshop: Workshop, operation: str, operation_id: str, reach: Reach = BOTH, *, scheduled: bool = False) -> PairLock:
    """The pair's lock for an operation; a sync that is just running is waited for, except by another one of its kind (``scheduled``)."""
    now = workshop.clock.now()
    holder = this_process(operation_id, operation, workshop.local, getpass.getuser(), now, scheduled=scheduled)
    wait_s = 0.0 if scheduled else _WAIT_FOR_SYNC_S
    return PairLock(workshop.pair, workshop.runner, holder, workshop.clock, wait_s=wait_s, left_out=reach.left_out, down=reach.down)
