"""The only loop that changes the world.

For each step: ``done_when`` HOLDS -> journal "already", skip. UNKNOWN -> stop. All ``only_if`` must HOLD. Journal "started" (fsync), run
the commands, poll ``done_when`` up to ``settle_s``, journal "done". Cleanup runs whatever came of the commands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from attrs import evolve, field, frozen

from xcat_ha._parallel import side_by_side
from xcat_ha.clock import Clock, SystemClock
from xcat_ha.errors import InterruptedOperationError, StepFailedError, UnknownStateError, XcatHaError
from xcat_ha.interfaces import Runner
from xcat_ha.planfile import to_data
from xcat_ha.progress import PARSERS
from xcat_ha.steps import Check, Command, Completed, Judgement, Phase, Ref, Stage, Step, Steps, Verdict

_FIRST_POLL_S = 0.05
_LONGEST_POLL_S = 1.0


class Observer(Protocol):
    """Follows an operation as it runs. Called from several threads, one call at a time per step."""

    def phase_started(self, phase: Phase) -> None:
        """A phase was planned and begins."""

    def step_started(self, step: Step) -> None:
        """A step's commands are about to run."""

    def step_progressed(self, step: Step, share: float) -> None:
        """A long command has done this share (0.0 to 1.0)."""

    def step_ended(self, step: Step, state: str, seconds: float, detail: str) -> None:
        """A step ended: ``already`` (nothing to do), ``done`` or ``failed``."""


class SilentObserver:
    """Follows nothing."""

    def phase_started(self, phase: Phase) -> None:
        """Nothing."""

    def step_started(self, step: Step) -> None:
        """Nothing."""

    def step_progressed(self, step: Step, share: float) -> None:
        """Nothing."""

    def step_ended(self, step: Step, state: str, seconds: float, detail: str) -> None:
        """Nothing."""


class Chronicle(Protocol):
    """Where events go: a :class:`~xcat_ha.journal.Journal`, or nowhere."""

    def write(self, event: str, **facts: object) -> None:
        """Keep one event durably."""


class NoChronicle:
    """Keeps nothing: for contract tests of single steps."""

    def write(self, event: str, **facts: object) -> None:
        """Nothing."""


def never() -> bool:
    """A stop request that never comes."""
    return False


@frozen
class Execution:
    """What the loop needs.

    Attributes:
        runner: reaches the hosts.
        chronicle: the journal.
        clock: time.
        observer: progress for the caller.
        stop_requested: asked between commands; True ends the operation as interrupted.
    """

    runner: Runner
    chronicle: Chronicle = field(factory=NoChronicle)
    clock: Clock = field(factory=SystemClock)
    observer: Observer = field(factory=SilentObserver)
    stop_requested: Callable[[], bool] = never


def judge(runner: Runner, checks: Sequence[Check]) -> tuple[Judgement, ...]:
    """Ask all checks at once, one exchange per host."""
    by_host: dict[str, list[Command]] = {}
    for check in checks:
        for probe in check.probes:
            by_host.setdefault(probe.host, []).append(probe.command)
    answers: dict[str, list[Completed]] = {}

    def ask(host: str) -> None:
        answers[host] = list(runner.read_many(host, by_host[host]))

    side_by_side([partial(ask, host) for host in by_host])
    return tuple(check.judge([answers[probe.host].pop(0) for probe in check.probes]) for check in checks)


def execute_steps(steps: Steps, runner: Runner, **options: object) -> None:
    """Run steps one after the other; ``options`` are further fields of :class:`Execution`.

    Raises:
        StepFailedError: a step did not reach its ``done_when``.
        UnknownStateError: a check could not be answered.
    """
    phase = Phase(name="steps", why="single steps", stages=(Stage(lanes=(steps,)),))
    execute_phase(phase, Execution(runner=runner, **options))  # type: ignore[arg-type]


def execute_phase(phase: Phase, execution: Execution) -> Mapping[str, str]:
    """Run a phase, stage after stage, lanes side by side; returns the captured outputs.

    Raises:
        StepFailedError: a step did not reach its ``done_when``.
        UnknownStateError: a check could not be answered.
        InterruptedOperationError: a stop was requested.
        JournalError: the journal could not be written.
    """
    execution.chronicle.write("phase", plan=to_data(phase))
    execution.observer.phase_started(phase)
    captured: dict[str, str] = {}
    for stage in phase.stages:
        halted = threading.Event()
        side_by_side([partial(_run_lane, phase, lane, execution, captured, halted) for lane in stage.lanes])
    return captured


def _run_lane(phase: Phase, lane: Steps, execution: Execution, captured: dict[str, str], halted: threading.Event) -> None:
    for step in lane:
        if halted.is_set():
            return  # another lane failed: start nothing new
        try:
            _run_step(phase, step, execution, captured)
        except BaseException:
            halted.set()
            raise


def _run_step(phase: Phase, step: Step, execution: Execution, captured: dict[str, str]) -> None:
    began = execution.clock.monotonic()

    def note(state: str, detail: str = "") -> None:
        facts = {"phase": phase.name, "step": step.name, "host": step.host, "state": state, "detail": detail}
        execution.chronicle.write("step", **facts)
        if state != "started":
            execution.observer.step_ended(step, state, execution.clock.monotonic() - began, detail)

    _stop_if_asked(execution, f"before {step.name} on {step.host}")
    try:
        if _already_done(step, execution.runner):
            note("already")
            return
        note("started")
        execution.observer.step_started(step)
        try:
            for number, command in enumerate(step.commands):
                if number > 0:
                    _stop_if_asked(execution, f"in {step.name} on {step.host}")
                _run_command(step, command, execution, captured)
            _await_done(step, execution)
        finally:
            _clean_up(step, execution, captured)
        note("done")
    except InterruptedOperationError:
        raise
    except XcatHaError as error:
        note("failed", str(error))
        raise


def _stop_if_asked(execution: Execution, where: str) -> None:
    if execution.stop_requested():
        raise InterruptedOperationError(
            "stopped on request",
            where=where,
            hint="xcat-ha status explains the state; xcat-ha resume goes on",
        )


def _already_done(step: Step, runner: Runner) -> bool:
    """Whether ``done_when`` holds; if not, whether the step may be run.

    Raises:
        UnknownStateError: a check could not be answered.
        StepFailedError: an ``only_if`` does not hold.
    """
    done, *conditions = judge(runner, (step.done_when, *step.only_if))
    where = f"{step.name} on {step.host}"
    if done.verdict is Verdict.HOLDS:
        return True
    if done.verdict is Verdict.UNKNOWN:
        raise UnknownStateError(
            f"cannot tell whether this still has to be done ({step.done_when.question}): {done.detail}",
            where=where,
            state="the step was not started",
            hint=step.done_when.hint or f"see to it that {step.host} answers, then xcat-ha resume",
        )
    for check, judgement in zip(step.only_if, conditions, strict=True):
        if judgement.verdict is Verdict.UNKNOWN:
            raise UnknownStateError(
                f"cannot tell whether {check.question}: {judgement.detail}",
                where=where,
                state="the step was not started",
                hint=check.hint or f"see to it that {step.host} answers, then xcat-ha resume",
            )
        if judgement.verdict is Verdict.FAILS:
            raise StepFailedError(
                f"it does not hold that {check.question}: {judgement.detail}",
                where=where,
                state="the step was not started",
                hint=check.hint or "see xcat-ha status",
            )
    return False


def _run_command(step: Step, command: Command, execution: Execution, captured: dict[str, str]) -> None:
    where = f"{step.name} on {step.host}"
    for word in command.argv:
        if isinstance(word, Ref) and word.name not in captured:
            raise StepFailedError(
                f"it needs {word.name}, which an earlier step prints; that step was done in an earlier run",
                where=where,
                state="this command was not run",
                hint="xcat-ha abandon, then run the verb anew",
            )
    filled = evolve(command, argv=tuple(captured[word.name] if isinstance(word, Ref) else word for word in command.argv))
    parse = PARSERS.get(command.progress or "")

    def watch(text: str) -> None:
        share = parse(text) if parse is not None else None
        if share is not None:
            execution.observer.step_progressed(step, share)

    completed = execution.runner.run(step.host, filled, on_output=watch if parse is not None else None)
    words = " ".join(str(word) for word in filled.argv)[:300]
    if completed.returncode is None:
        raise UnknownStateError(
            f"no answer from a command ({completed.summary}): {words}",
            where=where,
            state="what the command did is not known",
            hint=f"see to it that {step.host} answers, then xcat-ha resume",
        )
    if completed.returncode not in command.ok_codes:
        raise StepFailedError(
            f"a command failed ({_said(completed)}): {words}",
            where=where,
            state="the step is not done; earlier steps are",
            hint="mend the cause, then xcat-ha resume; xcat-ha status shows where things stand",
        )
    if command.capture is not None:
        captured[command.capture] = completed.stdout.strip()
        execution.chronicle.write("captured", step=step.name, host=step.host, name=command.capture, value=captured[command.capture])


def _said(completed: Completed) -> str:
    """Exit status and the last lines of what the command said."""
    lines = (completed.stderr.strip() or completed.stdout.strip()).splitlines()[-4:]
    return f"exit {completed.returncode}" + (f": {' | '.join(line.strip() for line in lines)[:600]}" if lines else "")


def _await_done(step: Step, execution: Execution) -> None:
    deadline = execution.clock.monotonic() + step.settle_s
    pause_s = _FIRST_POLL_S
    while True:
        (judgement,) = judge(execution.runner, (step.done_when,))
        if judgement.verdict is Verdict.HOLDS:
            return
        if execution.clock.monotonic() >= deadline:
            break
        _stop_if_asked(execution, f"in {step.name} on {step.host}")
        execution.clock.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_POLL_S)
    waited = f" within {step.settle_s:g} s" if step.settle_s else ""
    where = f"{step.name} on {step.host}"
    if judgement.verdict is Verdict.UNKNOWN:
        raise UnknownStateError(
            f"the commands ran, but it cannot be told whether {step.done_when.question}: {judgement.detail}",
            where=where,
            state="the step may or may not be done",
            hint=f"see to it that {step.host} answers, then xcat-ha resume",
        )
    raise StepFailedError(
        f"the commands ran without complaint, but it does not hold{waited} that {step.done_when.question}: {judgement.detail}",
        where=where,
        state="the step is not done; earlier steps are",
        hint=step.done_when.hint or "mend the cause, then xcat-ha resume",
    )


def _clean_up(step: Step, execution: Execution, captured: Mapping[str, str]) -> None:
    """Run the cleanup; what it says is journalled, since the step's own error matters more."""
    for command in step.cleanup:
        words = tuple(captured.get(word.name, "") if isinstance(word, Ref) else word for word in command.argv)
        completed = execution.runner.run(step.host, evolve(command, argv=words))
        if not completed.ok:
            execution.chronicle.write("cleanup", step=step.name, host=step.host, said=completed.summary)
