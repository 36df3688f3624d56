"""The loop that changes the world, told as transcripts: what is run, what is written down before it, what is said when it goes wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.unit.test_core_toys import ToyClock, World, fact, put, toy_step
from xcat_ha.errors import (
    ExitCode,
    InterruptedOperationError,
    JournalError,
    StepFailedError,
    UnknownStateError,
    XcatHaError,
)
from xcat_ha.execution import Execution, SilentObserver, execute_phase, execute_steps, judge
from xcat_ha.journal import Beginning, Journal
from xcat_ha.steps import (
    Check,
    Command,
    Effect,
    Phase,
    Prints,
    Probe,
    Ref,
    SamePrinted,
    Stage,
    Step,
    Verdict,
    changes,
    in_order,
    reads,
    side_by_side,
)


@define
class Transcript:
    """A chronicle that writes into the world's own transcript, so that the order of both can be read."""

    world: World
    events: list[dict[str, object]] = field(factory=list)

    def write(self, event: str, **facts: Any) -> None:
        self.events.append({"event": event, **facts})
        if event == "step":
            self.world.transcript.append(f"journal: {facts['state']} {facts['step']}")
        elif event != "phase":
            said = " ".join(f"{value}" for key, value in facts.items() if key != "step")
            self.world.transcript.append(f"journal: {event} {said}")


def run(world: World, *steps: Step, stop_after: str = "", clock: ToyClock | None = None) -> dict[str, str]:
    """Run steps in one lane; ``stop_after``: a stop is requested once this line is in the transcript."""
    execution = Execution(
        runner=world,
        chronicle=Transcript(world),
        clock=clock or ToyClock(),
        stop_requested=lambda: stop_after in world.transcript,
    )
    return dict(execute_phase(Phase("phase", "why", (in_order(*steps),)), execution))


def fall_silent(world: World, host: str) -> str:
    world.silent.add(host)
    return ""


def failure(world: World, *steps: Step, **options: Any) -> XcatHaError:
    with pytest.raises(XcatHaError) as caught:
        run(world, *steps, **options)
    return caught.value


# The order of things


def test_a_step_is_written_down_before_it_is_run_and_after_it_is_proven() -> None:
    world = World()
    run(world, toy_step("stop-xcatd"), toy_step("release", host="mnb"))
    assert world.transcript == [
        "journal: started stop-xcatd",
        "mna: put stop-xcatd yes",
        "journal: done stop-xcatd",
        "journal: started release",
        "mnb: put release yes",
        "journal: done release",
    ]


def test_what_holds_already_is_not_done_again() -> None:
    world = World()
    world.facts["mna"]["stop-xcatd"] = "yes"
    run(world, toy_step("stop-xcatd", cleanup=(put("cleaned"),)))
    assert world.transcript == ["journal: already stop-xcatd"]


def test_running_the_same_steps_twice_changes_nothing_the_second_time() -> None:
    world = World()
    steps = (toy_step("one"), toy_step("two", put("half"), put("two")))
    run(world, *steps)
    world.transcript.clear()
    run(world, *steps)
    assert world.transcript == ["journal: already one", "journal: already two"]


def test_silence_stops_before_anything_is_run() -> None:
    world = World(silent={"mna"})
    error = failure(world, toy_step("stop-xcatd"), toy_step("next", host="mnb"))
    assert isinstance(error, UnknownStateError)
    assert error.exit_code is ExitCode.UNKNOWN
    assert world.transcript == ["journal: failed stop-xcatd"]
    assert "stop-xcatd on mna" in str(error)
    assert "no route to host" in str(error)
    assert "the step was not started" in str(error)
    assert "resume" in error.hint


@pytest.mark.parametrize(
    ("drained", "silent", "expected", "said"),
    [
        ("yes", (), None, ""),
        ("no", (), StepFailedError, "it does not hold that drained is yes on mnb: printed 'no'"),
        ("yes", ("mnb",), UnknownStateError, "cannot tell whether drained is yes on mnb: mnb: unreachable: no route to host"),
    ],
)
def test_only_if_is_asked_right_before_and_must_hold(drained: str, silent: tuple[str, ...], expected: type | None, said: str) -> None:
    world = World(silent=set(silent))
    world.facts["mnb"]["drained"] = drained
    step = toy_step("promote", only_if=(fact("drained", host="mnb", hint="wait for the standby"),), cleanup=(put("cleaned"),))
    if expected is None:
        run(world, step)
        assert "mna: put promote yes" in world.transcript
        return
    error = failure(world, step)
    assert isinstance(error, expected)
    assert said in error.what
    assert error.hint == "wait for the standby"
    assert error.state == "the step was not started"
    assert world.transcript == ["journal: failed promote"]


def test_only_if_does_not_matter_once_a_step_is_done() -> None:
    world = World()
    world.facts["mna"]["promote"] = "yes"
    run(world, toy_step("promote", only_if=(fact("drained", host="mnb"),)))
    assert world.transcript == ["journal: already promote"]


# When it goes wrong


def test_a_failed_command_ends_the_step_and_the_phase() -> None:
    world = World()
    step = toy_step("copy", put("half"), changes("complain", "23", "first line\nrsync: write failed: No space left"), put("copy"))
    error = failure(world, step, toy_step("never"))
    assert isinstance(error, StepFailedError)
    assert error.exit_code is ExitCode.FAILED
    assert [line for line in world.transcript if "never" in line or "put copy" in line] == []
    assert world.transcript[-1] == "journal: failed copy"
    text = str(error)
    for expected in (
        "copy on mna",
        "exit 23",
        "rsync: write failed: No space left",
        "complain 23",
        "state: the step is not done",
        "hint: ",
        "resume",
    ):
        assert expected in text


def test_an_exit_status_that_counts_as_success_is_one() -> None:
    world = World()
    run(world, toy_step("copy", Command(("complain", "24", "vanished"), Effect.CHANGES, ok_codes=(0, 24)), put("copy")))
    assert world.transcript[-1] == "journal: done copy"


def test_exit_status_zero_is_not_done() -> None:
    world = World()
    error = failure(world, toy_step("makedhcp", changes("say", "all is well")))
    assert isinstance(error, StepFailedError)
    assert "ran without complaint, but it does not hold that makedhcp is yes on mna" in error.what


def test_a_host_that_falls_silent_in_the_middle_leaves_the_outcome_unknown() -> None:
    world = World()
    world.calls["cut"] = lambda: fall_silent(world, "mna")
    error = failure(world, toy_step("stop-xcatd", changes("call", "cut"), put("stop-xcatd")))
    assert isinstance(error, UnknownStateError)
    assert "no answer from a command" in error.what
    assert error.state == "what the command did is not known"
    assert "mna answers" in error.hint


def test_a_host_that_falls_silent_after_the_commands_leaves_the_step_in_doubt() -> None:
    world = World()
    world.calls["cut"] = lambda: fall_silent(world, "mna")
    error = failure(world, toy_step("stop-xcatd", changes("call", "cut")))
    assert isinstance(error, UnknownStateError)
    assert error.state == "the step may or may not be done"


@pytest.mark.parametrize("how", ["done", "command fails", "effect is missing", "silence", "interrupted", "keyboard"])
def test_cleanup_runs_whatever_came_of_the_commands(how: str) -> None:
    world = World()
    commands = [put("snapshot", "taken"), put("copy")]
    stop_after = ""
    if how == "command fails":
        commands[1] = changes("complain", "1", "no")
    elif how == "effect is missing":
        commands = commands[:1]
    elif how == "silence":
        world.calls["cut"] = lambda: fall_silent(world, "mnb")
        commands[1] = changes("call", "cut")
    elif how == "interrupted":
        stop_after = "mna: put snapshot taken"
    elif how == "keyboard":

        def keyboard() -> str:
            raise KeyboardInterrupt

        world.calls["keyboard"] = keyboard
        commands[1] = changes("call", "keyboard")
    done_when = fact("copy", host="mnb" if how == "silence" else "mna")
    step = toy_step("copy", *commands, cleanup=(put("snapshot", "dropped"),), done_when=done_when)
    if how == "done":
        run(world, step)
    else:
        with pytest.raises((XcatHaError, KeyboardInterrupt)):
            run(world, step, stop_after=stop_after)
    assert world.facts["mna"]["snapshot"] == "dropped"


def test_a_cleanup_that_fails_is_written_down_and_does_not_hide_the_reason() -> None:
    world = World()
    step = toy_step("copy", changes("complain", "1", "the reason"), cleanup=(changes("complain", "2", "lvremove: busy"),))
    assert "the reason" in str(failure(world, step))
    assert "journal: cleanup mna exit 2: lvremove: busy" in world.transcript


# Captured outputs


def test_what_a_command_prints_can_be_a_later_argument() -> None:
    world = World()
    timestamp = Command(("say", "20260101"), Effect.CHANGES, capture="timestamp")
    restore = toy_step("restore", changes("put", "restored", Ref("timestamp")), put("restore"))
    captured = run(world, toy_step("back-up", timestamp, put("back-up")), restore)
    assert captured == {"timestamp": "20260101"}
    assert world.facts["mna"]["restored"] == "20260101"
    assert world.transcript[:3] == ["journal: started back-up", "mna: say 20260101", "journal: captured mna timestamp 20260101"]


def test_a_reference_to_what_was_not_captured_is_an_error_an_administrator_can_read() -> None:
    world = World()
    world.facts["mna"]["back-up"] = "yes"  # done in an earlier run, so its output is not known in this one
    timestamp = Command(("say", "20260101"), Effect.CHANGES, capture="timestamp")
    error = failure(world, toy_step("back-up", timestamp), toy_step("restore", changes("put", "restore", Ref("timestamp"))))
    assert isinstance(error, XcatHaError)
    assert "timestamp" in str(error)
    assert error.hint
    assert world.transcript[-1] == "journal: failed restore"


# Waiting for the effect


def test_the_effect_is_waited_for_with_a_deadline_and_growing_pauses() -> None:
    world, clock = World(), ToyClock()
    began = clock.time

    def look() -> str:
        return "up" if clock.time - began >= 20 else "coming"

    world.calls["look"] = look
    done = Check("xcatd answers", (Probe("mna", reads("call", "look")),), Prints("up"))
    run(world, toy_step("await-xcatd", done_when=done, commands=(), settle_s=30.0), clock=clock)
    assert world.transcript == ["journal: started await-xcatd", "journal: done await-xcatd"]
    assert 20 <= sum(clock.slept) <= 22
    assert max(clock.slept) <= 1.0
    assert clock.slept == sorted(clock.slept)


def test_the_deadline_is_kept_and_named() -> None:
    world, clock = World(), ToyClock()
    error = failure(world, toy_step("await-xcatd", changes("say", "x"), settle_s=30.0), clock=clock)
    assert isinstance(error, StepFailedError)
    assert "within 30 s" in error.what
    assert 30 <= sum(clock.slept) <= 31


def test_without_settling_time_the_effect_is_asked_once() -> None:
    world, clock = World(), ToyClock()
    failure(world, toy_step("now", changes("say", "x")), clock=clock)
    assert clock.slept == []
    assert world.asked.count("mna: get now") == 2  # before and after


def test_silence_while_settling_is_not_the_end_before_the_deadline() -> None:
    """A host whose address is just moving may be silent for a second."""
    world, clock = World(), ToyClock()

    def look() -> str:
        return "up" if len(clock.slept) > 3 else "down"

    world.calls["look"] = look

    class Flaky(ToyClock):
        def sleep(self, seconds: float) -> None:
            clock.sleep(seconds)
            self.time = clock.time
            (world.silent.add if len(clock.slept) < 3 else world.silent.discard)("mna")

    done = Check("up", (Probe("mna", reads("call", "look")),), Prints("up"))
    run(world, toy_step("acquire", done_when=done, commands=(), settle_s=10), clock=Flaky())
    assert world.transcript[-1] == "journal: done acquire"


# Stopping


def test_a_stop_is_obeyed_before_the_next_step() -> None:
    world = World()
    error = failure(world, toy_step("one"), toy_step("two"), stop_after="mna: put one yes")
    assert isinstance(error, InterruptedOperationError)
    assert error.exit_code is ExitCode.INTERRUPTED
    assert "two on mna" in error.where
    assert "resume" in error.hint
    assert "mna: put one yes" in world.transcript
    assert [line for line in world.transcript if "two" in line] == []


def test_a_stop_is_obeyed_between_the_commands_of_a_step() -> None:
    world = World()
    error = failure(world, toy_step("copy", put("half"), put("copy")), stop_after="mna: put half yes")
    assert isinstance(error, InterruptedOperationError)
    assert world.facts["mna"] == {"half": "yes"}
    assert "copy on mna" in error.where
    assert "journal: done copy" not in world.transcript


def test_a_stop_is_obeyed_while_an_effect_is_waited_for() -> None:
    world, clock = World(), ToyClock()
    execution = Execution(runner=world, chronicle=Transcript(world), clock=clock, stop_requested=lambda: sum(clock.slept) > 3)
    with pytest.raises(InterruptedOperationError):
        execute_phase(Phase("phase", "why", (in_order(toy_step("await", changes("say", "x"), settle_s=120)),)), execution)
    assert sum(clock.slept) < 6


def test_the_last_command_that_ran_is_still_proven_when_a_stop_comes() -> None:
    """A stop during the only command of the last step: it has done its work, so it counts as done."""
    world = World()
    run(world, toy_step("only"), stop_after="mna: put only yes")
    assert world.transcript[-1] == "journal: done only"


# Lanes


def lanes(world: World, *stages: Stage, **options: Any) -> None:
    execute_phase(Phase("phase", "why", stages), Execution(runner=world, chronicle=Transcript(world), **options))


def test_lanes_run_at_the_same_time_and_each_in_order() -> None:
    """Each lane's first step ends only when the other lane's first step runs too."""
    world = World()
    meeting = threading.Barrier(2, timeout=5)
    world.calls["meet"] = lambda: str(meeting.wait())
    lane = [(toy_step(f"{name}1", changes("call", "meet"), put(f"{name}1")), toy_step(f"{name}2")) for name in ("dns", "dhcp")]
    lanes(world, side_by_side(*lane))
    for name in ("dns", "dhcp"):
        assert world.transcript.index(f"journal: done {name}1") < world.transcript.index(f"journal: started {name}2")


def test_a_stage_begins_when_the_one_before_it_has_ended() -> None:
    world = World()
    lanes(world, side_by_side((toy_step("a"),), (toy_step("b"),)), in_order(toy_step("c")))
    began = world.transcript.index("journal: started c")
    assert all(world.transcript.index(f"journal: done {name}") < began for name in "ab")


def test_a_failing_lane_lets_the_others_finish_their_step_and_start_nothing_new() -> None:
    world = World()
    running, failed = threading.Event(), threading.Event()

    def slow() -> str:
        running.set()
        assert failed.wait(5)
        return ""

    world.calls["slow"] = slow
    world.calls["wait"] = lambda: str(running.wait(5))

    class Watch(SilentObserver):
        def step_ended(self, step: Step, state: str, seconds: float, detail: str) -> None:
            del seconds, detail
            if state == "failed":
                assert step.name == "bad"
                # Given a moment, the failing lane has halted the stage; the slow lane must then not go on to its next step.
                threading.Timer(0.1, failed.set).start()

    good = (toy_step("good", changes("call", "slow"), put("good")), toy_step("after-good"))
    bad = (toy_step("bad", changes("call", "wait"), changes("complain", "1", "boom")),)
    with pytest.raises(StepFailedError, match="boom"):
        lanes(world, side_by_side(good, bad), in_order(toy_step("next-stage")), observer=Watch())
    assert "journal: done good" in world.transcript
    assert [line for line in world.transcript if "after-good" in line or "next-stage" in line] == []


def test_an_empty_phase_is_nothing() -> None:
    world = World()
    lanes(world, side_by_side((), ()), side_by_side())
    assert world.transcript == []


# Questions


def test_all_questions_to_a_host_go_in_one_exchange() -> None:
    world = World()
    world.facts = {"mna": {"a": "1", "b": "2"}, "mnb": {"a": "1", "b": "3"}}

    def both(key: str) -> Check:
        return Check(f"{key} is the same", tuple(Probe(host, reads("get", key)) for host in ("mna", "mnb")), SamePrinted())

    verdicts = [judgement.verdict for judgement in judge(world, (both("a"), both("b"), fact("b", "2")))]
    assert verdicts == [Verdict.HOLDS, Verdict.FAILS, Verdict.HOLDS]
    assert sorted(world.exchanges) == ["mna", "mnb"]


def test_one_silent_host_leaves_the_answers_about_the_other() -> None:
    world = World(silent={"mnb"})
    here, there = judge(world, (fact("x", ""), fact("x", "", host="mnb")))
    assert here.verdict is Verdict.HOLDS
    assert there.verdict is Verdict.UNKNOWN
    assert "mnb" in there.detail


# The journal on disk


def journal_in(directory: Path) -> Journal:
    return Journal.begin(
        "20260101T000000-failover-abcd", Beginning("failover", {}, must_finish=True, host="mna", user="root"), ToyClock(), directory
    )


def test_started_is_on_disk_before_the_first_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    journal = journal_in(tmp_path)
    monkeypatch.setattr("xcat_ha.journal.os.fsync", lambda _descriptor: world.transcript.append("fsync"))

    def look_at_the_disk() -> str:
        world.transcript.append(journal.path.read_text().splitlines()[-1].partition('"state": ')[2].partition(",")[0])
        return ""

    world.calls["look"] = look_at_the_disk
    execute_steps((toy_step("stop-xcatd", changes("call", "look"), put("stop-xcatd")),), world, chronicle=journal, clock=ToyClock())
    assert world.transcript == [
        "fsync",  # the phase's plan
        "fsync",  # started
        "mna: call look",
        '"started"',
        "mna: put stop-xcatd yes",
        "fsync",  # done
    ]


@pytest.mark.parametrize("full_at", ["the phase", "the step"])
def test_nothing_is_run_when_the_disk_is_full(full_at: str, tmp_path: Path) -> None:
    """The journal's disk fills up: a file that cannot grow stands for it."""
    world = World()
    journal = journal_in(tmp_path)

    class Full(SilentObserver):
        def phase_started(self, phase: Phase) -> None:
            del phase
            fill()

    def fill() -> None:
        journal.path.unlink()
        journal.path.symlink_to("/dev/full")

    if full_at == "the phase":
        fill()
    with pytest.raises(JournalError) as caught:
        execute_steps(
            (toy_step("stop-xcatd"),),
            world,
            chronicle=journal,
            clock=ToyClock(),
            observer=Full() if full_at == "the step" else SilentObserver(),
        )
    assert world.transcript == []
    assert "No space left" in caught.value.what
    assert str(journal.path) == caught.value.where
    assert str(tmp_path) in caught.value.hint


def test_progress_reaches_the_caller() -> None:
    world = World()
    seen: list[tuple[str, float]] = []

    class Watch(SilentObserver):
        def step_progressed(self, step: Step, share: float) -> None:
            seen.append((step.name, share))

    copy = Command(("say", "  1,000  42%  1.0MB/s"), Effect.CHANGES, progress="rsync")
    unknown = Command(("say", " 43% "), Effect.CHANGES, progress="no such parser")
    execute_steps((toy_step("sync", copy, unknown, put("sync")),), world, clock=ToyClock(), observer=Watch())
    assert seen == [("sync", 0.42)]
