"""kill -9 of xcat-ha after every command of every operation: what is resumed ends the same, and nothing that was done is done again.

The drivers are toys and the hosts only remember which commands were run: what is tested is that plans, journal and resume fit together.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve, frozen

from tests.unit.test_core_planning import GIVEN
from tests.unit.test_core_status import primary, silent, standby
from tests.unit.test_core_toys import MNA, MNB, ToyClock
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.journal import Beginning, Journal, Outcome, summarise
from xcat_ha.observation import PairState
from xcat_ha.operations import Workshop, run_operation
from xcat_ha.planning import Operation, PhasePlanner
from xcat_ha.planning.activation import plan_activation
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.rejoin import plan_rejoin
from xcat_ha.planning.setup import plan_setup
from xcat_ha.planning.stepdown import plan_step_down
from xcat_ha.planning.sync import plan_sync
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.steps import Check, Command, Completed, Effect, ExitStatus, Phase, Probe, Stage, Step, reads

BOTH = PairState({"mna": primary(), "mnb": standby()}, 0.0)
RETURNED = PairState({"mna": standby(MNA), "mnb": primary(MNB)}, 0.0)
ALONE = PairState({"mna": silent(MNA), "mnb": standby()}, 0.0)

OPERATIONS: dict[str, tuple[Operation, PairState]] = {
    "sync": (plan_sync(GIVEN, MNA, MNB, database=True), BOTH),
    "setup": (plan_setup(GIVEN, MNA, MNB, "[pair]\n"), BOTH),
    "failover": (plan_handover(GIVEN, MNA, MNB), BOTH),
    "failback": (plan_handover(GIVEN, MNB, MNA, verb="failback"), RETURNED),
    "unplanned failover": (plan_takeover(GIVEN, MNA, MNB, confirmed=True, announced=""), ALONE),
    "rejoin": (plan_rejoin(GIVEN, MNB, MNA, ""), RETURNED),
    "activate": (plan_activation(GIVEN, MNB, MNA, why=""), ALONE),
    "step-down": (plan_step_down(GIVEN, MNA, ""), BOTH),
}


class Killed(BaseException):
    """The program is no more."""


@frozen
class Fixed(Workshop):
    """Observes always the same."""

    state: PairState = BOTH

    def observe(self, *, images: bool = False) -> PairState:
        return self.state


class Hosts(Runner):
    """Remembers the marked commands that were run; a question is whether all of a step's were. Dies after ``dies_after`` of them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.dies_after: int | None = None

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        del host, on_output
        words = tuple(str(word) for word in command.argv)
        if words[0] == "ask":
            return Completed(words, 0 if set(words[1:]) <= set(self.done) else 1)
        if words[0] == "do":
            self.done.append(words[1])
            if self.dies_after is not None and len(self.done) >= self.dies_after:
                raise Killed
        return Completed(words, 0)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        return tuple(self.run(host, command) for command in commands)


def marked(operation: Operation) -> Operation:
    """The same phases and steps; every command and question is one of the hosts above, named after its step. Lanes in a row."""

    def mark(planner: PhasePlanner) -> PhasePlanner:
        return evolve(planner, plan=lambda state: _marked_phase(planner.plan(state)))

    return evolve(operation, phases=tuple(mark(planner) for planner in operation.phases), requires=())


def _marked_phase(phase: Phase) -> Phase:
    # One after the other, so that "after the n-th command" means something.
    lane = tuple(_marked_step(phase, number, step) for number, step in enumerate(phase.steps))
    return evolve(phase, stages=(Stage((lane,)),))


def _marked_step(phase: Phase, number: int, step: Step) -> Step:
    names = [f"{phase.name}/{number}/{step.host}:{step.name}/{part}" for part, _ in enumerate(step.commands)]
    done = Check(step.done_when.question, (Probe(step.host, reads("ask", *names)),), ExitStatus())
    commands = tuple(Command(("do", name), Effect.CHANGES) for name in names)
    return evolve(step, done_when=done, commands=commands, only_if=(), cleanup=())


def begin(directory: Path, operation: Operation) -> Journal:
    beginning = Beginning(operation.name, operation.parameters, must_finish=operation.must_finish, host="mnb", user="root")
    return Journal.begin("1-x", beginning, ToyClock(), directory)


def workshop(hosts: Hosts, state: PairState) -> Fixed:
    return Fixed(pair=GIVEN.pair, drivers=GIVEN.drivers, runner=hosts, local="mnb", clock=ToyClock(), state=state)


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_after_every_command(name: str, tmp_path: Path) -> None:
    planned, state = OPERATIONS[name]
    operation = marked(planned)
    whole = Hosts()
    run_operation(workshop(whole, state), operation, begin(tmp_path / "whole", operation))
    assert len(whole.done) >= 3
    for moment in itertools.count(1):
        hosts, directory = Hosts(), tmp_path / str(moment)
        journal = begin(directory, operation)
        hosts.dies_after = moment
        if moment > len(whole.done):
            break
        with pytest.raises(Killed):
            run_operation(workshop(hosts, state), operation, journal)
        record = summarise(journal.id, journal.path.read_text(), alive=False)
        assert record is not None
        assert record.outcome is Outcome.DIED
        assert record.in_the_way is operation.must_finish
        before, hosts.dies_after = list(hosts.done), None
        done = frozenset(str(entry["name"]) for entry in journal.entries() if entry["event"] == "phase-done")
        again = Journal(journal.path, ToyClock())
        run_operation(workshop(hosts, state), operation, again, done_phases=done)
        assert hosts.done[: len(before)] == before
        assert sorted(set(hosts.done)) == sorted(whole.done), "it ended elsewhere"
        repeated = [command for command in hosts.done[len(before) :] if command in before]
        in_doubt = before[-1].rpartition("/")[0]
        assert all(command.startswith(f"{in_doubt}/") for command in repeated), "only the step in doubt may be gone over again"
        first_new = [command for command in hosts.done if command not in repeated]
        assert first_new == [command for command in whole.done if command not in repeated], "another order"
