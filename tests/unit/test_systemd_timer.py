"""The driver ``systemd-timer`` without a node."""

from __future__ import annotations

import json

import pytest

from tests.unit.test_linux_driver import MNA, PAIR, done
from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Job, JobState, ScheduleState
from xcat_ha.steps import Completed, Trouble
from xcat_ha_drivers.systemd_timer import SystemdTimer
from xcat_ha_drivers.systemd_timer.unit_files import JobSpec, files_of, quoted, why_unusable

SHOWN = """\
1732439000.500000000
1000.50 3000.00
Id=xcat-ha-sync-files.timer
ActiveState=active

Id=xcat-ha-sync-database.timer
ActiveState=active

Id=xcat-ha-sync-images.timer
ActiveState=inactive

ExecMainStartTimestampMonotonic=900000000
ExecMainExitTimestampMonotonic=901000000
ExecMainCode=1
ExecMainStatus=3
Id=xcat-ha-sync-files.service
ActiveState=failed

ExecMainStartTimestampMonotonic=950000000
ExecMainExitTimestampMonotonic=0
ExecMainCode=0
ExecMainStatus=0
Id=xcat-ha-sync-database.service
ActiveState=activating

ExecMainStartTimestampMonotonic=0
ExecMainExitTimestampMonotonic=0
ExecMainCode=0
ExecMainStatus=0
Id=xcat-ha-sync-images.service
ActiveState=inactive
"""


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("plain", '"plain"'),
        ("a b", '"a b"'),
        ("", '""'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
        ('"', '"\\""'),
        ("\\n", '"\\\\n"'),
        ("\n", '"\\n"'),
    ],
)
def test_words_of_exec_start(word: str, text: str) -> None:
    assert quoted(word) == text


def test_unit_files() -> None:
    files = files_of(JobSpec("sync-files", ("/opt/x", "a b"), 300, "Copy\nfiles, 100 %"))
    assert sorted(files) == ["xcat-ha-sync-files.service", "xcat-ha-sync-files.timer"]
    assert 'ExecStart=/opt/x "a b"\n' in files["xcat-ha-sync-files.service"]
    assert "Description=Copy files, 100 %%\n" in files["xcat-ha-sync-files.service"]
    assert "OnUnitActiveSec=300s\n" in files["xcat-ha-sync-files.timer"]
    assert not any("[Install]" in text for text in files.values())


@pytest.mark.parametrize(
    ("name", "argv", "every_s"),
    [
        ("Sync", ("/x",), 1),
        ("a b", ("/x",), 1),
        ("../a", ("/x",), 1),
        ("a", ("x",), 1),
        ("a", (), 1),
        ("a", ("/x y",), 1),
        ("a", ("/x",), 0),
    ],
)
def test_what_cannot_be_a_timer_is_refused(name: str, argv: tuple[str, ...], every_s: int) -> None:
    assert why_unusable(name, argv, every_s)
    with pytest.raises(ConfigError):
        SystemdTimer(PAIR, {}).steps_to_start(MNA, (Job(name, argv, every_s, "x"),))


def test_last_runs() -> None:
    state = SystemdTimer(PAIR, {}).interpret(MNA, (done(SHOWN),))
    boot = 1732439000.5 - 1000.5
    assert state == ScheduleState(
        known=True,
        jobs={
            "sync-files": JobState(active=True, last_run=boot + 900, last_exit=3),
            "sync-database": JobState(active=True, last_run=boot + 950, last_exit=None),
            "sync-images": JobState(active=False),
        },
    )


@pytest.mark.parametrize(("code", "status"), [("1", 9), ("2", 137), ("3", 137)])
def test_death_by_a_signal(code: str, status: int) -> None:
    shown = SHOWN.replace("ExecMainCode=1\nExecMainStatus=3", f"ExecMainCode={code}\nExecMainStatus=9")
    assert SystemdTimer(PAIR, {}).interpret(MNA, (done(shown),)).jobs["sync-files"].last_exit == status


def test_no_timers_and_no_answer_are_different_things() -> None:
    driver = SystemdTimer(PAIR, {})
    assert driver.interpret(MNA, (done("1.5\n1.0 2.0\n\n"),)) == ScheduleState(known=True, jobs={})
    assert not driver.interpret(MNA, (Completed(("x",), None, trouble=Trouble.UNREACHABLE),)).known
    assert not driver.interpret(MNA, (done("nonsense\n"),)).known


def test_steps() -> None:
    driver = SystemdTimer(PAIR, {"stop_wait_s": 30})
    (start,) = driver.steps_to_start(MNA, (Job("sync-files", ("/opt/x",), 300, "why"),))
    assert json.loads(start.commands[0].stdin or "") == [{"name": "sync-files", "argv": ["/opt/x"], "every_s": 300, "why": "why"}]
    assert start.done_when.probes[0].command.stdin == start.commands[0].stdin
    (stop,) = driver.steps_to_stop(MNA)
    assert stop.commands[0].argv[-2:] == ("--wait-s", "30")
    assert stop.commands[0].timeout_s > 30
    with pytest.raises(ConfigError):
        SystemdTimer(PAIR, {"stop_wait_s": 0})
