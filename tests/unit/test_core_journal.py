"""The record of an operation: what is written is on disk, what is read is never worse than what was written."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_core_toys import ToyClock
from xcat_ha.errors import JournalError
from xcat_ha.journal import Beginning, Journal, Outcome, Record, new_operation_id, parse_lines, summarise

NAME = "20260101T000000-failover-abcd"
BEGINNING = Beginning("failover", {"old": "mna", "new": "mnb"}, must_finish=True, host="mna", user="root")


def begun(directory: Path, clock: ToyClock | None = None, *, must_finish: bool = True) -> Journal:
    beginning = Beginning("failover", {"old": "mna", "new": "mnb"}, must_finish=must_finish, host="mna", user="root")
    return Journal.begin(NAME, beginning, clock or ToyClock(), directory)


def record_of(journal: Journal, *, alive: bool | None = None) -> Record:
    record = summarise(journal.id, journal.path.read_text(), alive=alive)
    assert record is not None
    return record


def step(journal: Journal, state: str) -> None:
    journal.write("step", phase="p", step="s", host="mna", state=state, detail="")


# name: (what is written after "begin", whether the process lives, outcome, in the way)
STORIES: dict[str, tuple[str, bool | None, Outcome | None, bool]] = {
    "it runs, nothing begun": ("", True, None, False),
    "it runs": ("started", True, None, True),
    "nobody knows whether it runs": ("started", None, None, True),
    "it died before anything began": ("", False, Outcome.DIED, False),
    "everything was done already when it died": ("already", False, Outcome.DIED, False),
    "it died in the middle": ("started", False, Outcome.DIED, True),
    "it is done": ("started done end-done", False, Outcome.DONE, False),
    "it failed": ("started failed end-failed", False, Outcome.FAILED, True),
    "it failed before anything began": ("end-failed", False, Outcome.FAILED, False),
    "it was stopped": ("started end-interrupted", False, Outcome.INTERRUPTED, True),
    "it failed, and was given up": ("started end-failed end-abandoned", False, Outcome.ABANDONED, False),
    "it failed, was resumed, and is done": ("started end-failed resumed started end-done", False, Outcome.DONE, False),
    "it failed, and is being resumed": ("started end-failed resumed started", True, None, True),
    "it failed, was resumed, and died": ("started end-failed resumed started", False, Outcome.DIED, True),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_a_journal_says_of_its_operation(story: str, tmp_path: Path) -> None:
    words, alive, outcome, in_the_way = STORIES[story]
    journal = begun(tmp_path)
    for word in words.split():
        if word.startswith("end-"):
            journal.end(Outcome(word.removeprefix("end-")), "closing words")
        elif word == "resumed":
            journal.write("resumed", host="mna")
        else:
            step(journal, word)
    record = record_of(journal, alive=alive)
    assert (record.outcome, record.in_the_way) == (outcome, in_the_way)
    assert (record.operation, record.host, record.user, record.pid) == ("failover", "mna", "root", os.getpid())
    assert record.parameters == {"old": "mna", "new": "mnb"}
    assert (record.ended is None) == (outcome in {None, Outcome.DIED})


def test_an_operation_that_may_stop_in_the_middle_is_in_nobody_s_way(tmp_path: Path) -> None:
    journal = begun(tmp_path, must_finish=False)
    step(journal, "started")
    assert not record_of(journal, alive=False).in_the_way


def test_time_is_the_clock_s(tmp_path: Path) -> None:
    clock = ToyClock(1_700_000_000.0)
    journal = begun(tmp_path, clock)
    clock.sleep(61.25)
    journal.end(Outcome.DONE)
    record = record_of(journal)
    assert (record.began, record.ended) == (1_700_000_000.0, 1_700_000_061.25)


def test_names_sort_by_time_and_hold_the_verb() -> None:
    clock = ToyClock()
    names = []
    for _ in range(5):
        names.append(new_operation_id("failover", clock))
        clock.sleep(1)
    assert names == sorted(names)
    assert all("-failover-" in name for name in names)


def test_only_root_can_read_it_and_nothing_is_overwritten(tmp_path: Path) -> None:
    journal = begun(tmp_path / "journal")
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700
    with pytest.raises(JournalError):
        begun(tmp_path / "journal")


# Where it cannot be written


def test_no_journal_no_operation(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError) as caught:
        begun(tmp_path / "file/journal")
    assert str(tmp_path) in caught.value.where
    assert caught.value.hint


def test_a_full_disk_is_said_and_named(tmp_path: Path) -> None:
    """A limit on file size stands for a full disk: the first line fits, no further one does."""
    script = """
import resource, sys
from pathlib import Path
from xcat_ha.clock import SystemClock
from xcat_ha.errors import JournalError
from xcat_ha.journal import Beginning, Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    journal = Journal.begin("x", Beginning("failover", {}, must_finish=True, host="mna", user="root"), SystemClock(), Path(sys.argv[1]))
    print("begun")
    for _ in range(20):
        journal.write("step", state="started", detail="x" * 50)
except JournalError as error:
    print(error)
"""
    for limit, began in ((10, False), (500, True)):
        done = subprocess.run(
            (sys.executable, "-c", script, str(tmp_path / str(limit)), str(limit)), capture_output=True, text=True, timeout=30, check=True
        )
        assert ("begun" in done.stdout) is began
        assert "File too large" in done.stdout
        assert f"{tmp_path}/{limit}/x.jsonl" in done.stdout
        assert "hint: make room" in done.stdout
    # What a full disk cut off in the middle does not spoil what came before.
    assert [entry["event"] for entry in parse_lines((tmp_path / "500/x.jsonl").read_text())][:2] == ["begin", "step"]


# Half-written lines


def test_a_journal_cut_at_any_byte_says_what_was_written_up_to_there(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    step(journal, "started")
    step(journal, "failed")
    journal.end(Outcome.FAILED, "closing words")
    whole = journal.path.read_text()
    expected = parse_lines(whole)
    for cut in range(len(whole) + 1):
        entries = parse_lines(whole[:cut])
        complete = whole[:cut].count("\n")
        assert entries in (expected[:complete], expected[: complete + 1])
        record = summarise(journal.id, whole[:cut], alive=False)
        if record is not None:
            assert record.outcome in {Outcome.DIED, Outcome.FAILED}
            assert record.outcome is Outcome.DIED or cut >= len(whole) - 1


def test_what_is_written_after_a_half_line_is_not_lost(tmp_path: Path) -> None:
    """The power failed while a line was written; then the operation is resumed, or given up."""
    journal = begun(tmp_path)
    step(journal, "started")
    with journal.path.open("a") as file:
        file.write('{"event": "step", "ti')
    again = Journal(journal.path, ToyClock())
    again.write("resumed", host="mna")
    again.end(Outcome.ABANDONED)
    assert [entry["event"] for entry in again.entries()] == ["begin", "step", "resumed", "end"]
    assert record_of(again, alive=False).outcome is Outcome.ABANDONED


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.booleans())
def test_garbage_is_never_an_error(garbage: str, alive: bool) -> None:
    parse_lines(garbage)
    summarise("x", garbage, alive=alive)


_KEYS = st.sampled_from(
    ["event", "time", "operation", "parameters", "host", "user", "pid", "must_finish", "outcome", "message", "state", "x"]
)
_ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["begin", "end", "step", "started", "done", "later"]),
    st.lists(st.integers(), max_size=1),
)


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(_KEYS, _ANY), st.dictionaries(_KEYS, _ANY))
def test_a_journal_of_another_version_is_never_an_error(first: dict[str, object], last: dict[str, object]) -> None:
    lines = [json.dumps({"event": "begin", "time": 1.0} | first), json.dumps({"event": "end", "time": 2.0} | last)]
    record = summarise("x", "\n".join(lines), alive=False)
    if record is not None and record.outcome is not None:
        assert isinstance(record.outcome, Outcome)


def test_an_end_that_is_not_understood_is_not_taken_for_done(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    step(journal, "started")
    journal.write("end", outcome="handed-to-the-moon", message="by a later version")
    record = record_of(journal, alive=False)
    assert record.in_the_way
    assert record.outcome not in {Outcome.DONE, Outcome.ABANDONED}


def test_a_journal_that_is_gone_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path / "gone.jsonl", ToyClock()).entries()
    assert "gone.jsonl" in caught.value.where
    assert caught.value.hint


def test_several_threads_write_whole_lines(tmp_path: Path) -> None:
    journal = begun(tmp_path)

    def write() -> None:
        for _ in range(10):
            journal.write("step", detail="x" * 300)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.entries()) == 81
    assert len(journal.path.read_text().splitlines()) == 81
