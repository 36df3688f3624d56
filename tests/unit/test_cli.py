"""The command line as its user meets it: exit codes, messages, questions, one JSON document; never a traceback."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.test_cli_site import REPOSITORY, CliSite, Outcome
from tests.unit.test_core_toys import put, toy_step
from xcat_ha.cli import render
from xcat_ha.cli.follow import Follower
from xcat_ha.cli.shape import data_of, document, error_data
from xcat_ha.cli.stopping import Stopper
from xcat_ha.errors import ConfigError, ExitCode, InterruptedOperationError
from xcat_ha.steps import Command, Effect, Phase, Plan, Ref, in_order, reads, side_by_side

VERBS = (
    *("abandon", "check", "config", "drivers", "failback", "failover", "history"),
    *("init", "maintenance", "resume", "setup", "status", "sync", "verify"),
)


def program(*words: str, code: str = "from xcat_ha.cli import main; main()", **environment: str) -> Outcome:
    """The program without a site."""
    paths = os.pathsep.join((str(REPOSITORY), *sys.path))
    done = subprocess.run(
        (sys.executable, "-c", code, *words),
        input="",
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths} | environment,
        timeout=60,
        check=False,
    )
    return Outcome(done)


@pytest.fixture
def site(tmp_path: Path) -> CliSite:
    return CliSite(tmp_path)


# What is asked for wrongly


@pytest.mark.parametrize(
    "words",
    [(), ("levitate",), ("status", "--nosuch"), ("--nosuch",), ("failover", "--to"), ("status", "too", "many"), ("status", "--yes")],
)
def test_a_command_line_that_means_nothing_is_a_usage_error(words: tuple[str, ...]) -> None:
    done = program(*words)
    assert done.code == 2
    assert "xcat-ha" in done.out + done.err


def test_help_names_every_verb_and_loads_nothing_slow() -> None:
    code = (
        "import sys\nfrom xcat_ha.cli import main\n"
        "try:\n    main()\nfinally:\n    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    print(sorted(loaded & {'rich', 'stevedore', 'cattrs', 'xcat_ha_drivers'}), 'xcat_ha.pair' in sys.modules, file=sys.stderr)\n"
    )
    done = program("--help", code=code)
    assert done.code == 0
    for verb in VERBS:
        assert f"\n    {verb} " in done.out
    assert done.err == "[] False\n"


def test_the_help_of_a_changing_verb_shows_how_to_look_first() -> None:
    done = program("failover", "--help")
    assert done.code == 0
    for option in ("--dry-run", "--yes", "--config", "--json"):
        assert option in done.out


# The configuration and who may use it


@pytest.mark.parametrize("verb", ["abandon", "failover", "status", "sync"])
def test_an_unreadable_configuration_is_refused(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "nosuch.toml"
    words = ("--json",) if verb in {"status", "failover"} else ()
    done = program(verb, "--config", str(path), *words)
    assert done.code == 3
    assert done.err.startswith(f"xcat-ha: {path}: cannot be read: No such file or directory\nhint: ")
    if words:
        assert done.json["verb"] == verb
        assert done.json["outcome"] == "refused"
        error = done.json["error"]
        assert (error["kind"], error["where"]) == ("Config", str(path))
        assert error["hint"]
    else:
        assert done.out == ""


def test_only_root_may_look(site: CliSite) -> None:
    done = site("status", TEST_EUID="1000")
    assert done.code == ExitCode.REFUSED
    assert "root" in done.err


def test_an_unknown_driver_is_refused_with_those_there_are(site: CliSite) -> None:
    site.config.write_text(site.config.read_text().replace('driver = "toy"', 'driver = "toi"', 1))
    done = site("status")
    assert done.code == ExitCode.REFUSED
    assert "no driver called 'toi'" in done.err
    assert "toy" in done.err


def test_installed_drivers_are_listed_without_a_configuration(site: CliSite) -> None:
    site.config.unlink()
    done = site("drivers", "--json")
    toys = [driver for driver in done.json["drivers"] if driver["name"] == "toy"]
    assert {driver["distribution"] for driver in toys} == {"toy-drivers 1.0"}
    assert {driver["problem"] for driver in toys} == {""}
    assert set(toys[0]) == {"group", "name", "distribution", "target", "problem"}


# Looking


def test_status_for_a_person_and_for_a_program(site: CliSite) -> None:
    before = site.everything()
    shown = site("status")
    assert (shown.code, shown.err) == (ExitCode.DONE, "")
    assert "primary is mna" in shown.out
    assert "would be lost if mna died now: what was written in the last" in shown.out
    document = site("status", "--json").json
    assert (document["verb"], document["outcome"], document["exit_code"]) == ("status", "done", 0)
    status = document["status"]
    assert (status["pair"], status["primary"], status["preferred"], status["unfinished"], status["problems"]) == (
        "toys",
        "mna",
        "mna",
        None,
        [],
    )
    assert [(node["id"], node["role"], node["service_addresses"]) for node in status["nodes"]] == [
        ("mna", "primary", ["192.0.2.11"]),
        ("mnb", "standby", []),
    ]
    assert 0 <= status["would_lose_s"] < 60
    assert site.everything() == before


def test_a_silent_node_is_unknown_and_not_down(site: CliSite) -> None:
    (site.base / "mnb-is-silent").touch()
    done = site("status")
    assert done.code == 4
    assert "unknown: mnb does not answer: unreachable: ssh: connect to host 192.0.2.22 port 22: No route to host" in done.out
    assert "silence does not prove that it is down" in done.out
    refused = site("failover", "--yes")
    assert refused.code in {ExitCode.UNKNOWN, ExitCode.REFUSED}
    assert "running-xcatd" in site.facts("mna")


def test_check_answers_every_question_with_a_hint(site: CliSite) -> None:
    document = site("check", "--json").json
    assert document["exit_code"] == ExitCode.DONE
    findings = document["findings"]
    assert {finding["judgement"]["verdict"] for finding in findings} == {"holds"}
    assert set(findings[0]) == {"topic", "question", "judgement", "hint"}
    site.program("path/dpkg-query", "case $TOY_NODE in mnb) echo 2.18.0;; *) echo 2.19.0;; esac")
    done = site("check")
    assert done.code == ExitCode.FAILED
    assert "FAILS  versions  xCAT has the same version on both nodes  2.19.0 / 2.18.0" in done.out
    assert "hint: xCAT has the same version on both nodes: install the same xCAT on both" in done.out
    assert "1 fail, 0 unknown" in done.out


# Being asked


def test_without_a_terminal_and_without_yes_nothing_is_changed(site: CliSite) -> None:
    before = site.everything()
    done = site("failover", stdin="y\n")
    assert done.code == ExitCode.REFUSED
    assert "Move the management role from mna to mnb" in done.err
    assert "nothing was changed" in done.err
    assert "--yes" in done.err
    assert site.everything() == before


@pytest.mark.parametrize(("answer", "code"), [("\n", ExitCode.REFUSED), ("y\n", ExitCode.DONE)])
def test_on_a_terminal_one_question_is_asked(answer: str, code: ExitCode, site: CliSite) -> None:
    done = site.on_a_terminal("sync", "database", "hosts", stdin=answer)
    assert done.code == code
    assert "Go on? [y/N]" in done.out
    assert ("set-hosts" in site.facts("mnb")) is (code is ExitCode.DONE)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_dry_run_shows_the_commands_and_changes_nothing(as_json: object, site: CliSite) -> None:
    before = site.everything()
    done = site("failover", "--dry-run", *(("--json",) if as_json else ()))
    assert done.code == ExitCode.DONE
    if as_json:
        plan = done.json["plan"]
        assert plan["operation"] == "failover"
        assert [phase["name"] for phase in plan["phases"]][:3] == ["catch-up", "yield", "stop-xcatd"]
    else:
        assert f"rm -f {site.hosts}/mna/running-xcatd" in done.out
        assert done.out.index("release-address") < done.out.index("acquire-address")
        assert "planned anew" in done.out
    assert site.everything() == before


def test_a_set_that_is_none_is_refused_with_those_there_are(site: CliSite) -> None:
    done = site("sync", "hostz", "--yes")
    assert done.code == ExitCode.REFUSED
    assert "'hostz'" in done.err
    assert "credentials, hosts, install, tftp" in done.err


# The story of a pair


def test_a_hand_over_and_what_is_told_of_it(site: CliSite) -> None:
    done = site("failover", "--yes", "--json")
    assert done.code == ExitCode.DONE
    result = done.json["result"]
    assert (result["operation"], result["changed"]) == ("failover", True)
    assert [phase["name"] for phase in result["phases"]][-2:] == ["settle", "images"]
    assert "address" in site.facts("mnb")
    assert "address" not in site.facts("mna")
    (operation,) = site("history", "--json").json["operations"]
    assert (operation["operation"], operation["outcome"], operation["id"]) == ("failover", "done", result["operation_id"])
    assert operation["parameters"] == {"old": "mna", "new": "mnb", "term": "1 mna -"}
    refused = site("failover", "--to", "mnb", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "mnb is primary already" in refused.err
    assert not list((site.base / "run").glob("lock.json"))
    assert not list((site.base / "mnb-run").glob("lock.json"))


def test_a_hand_over_that_fails_in_the_middle_is_resumed(site: CliSite) -> None:
    site.program("path/touch", 'case $1 in */mnb/address) echo "RTNETLINK answers: no" >&2; exit 2;; esac; exec /usr/bin/touch "$@"')
    done = site("failover", "--yes")
    assert done.code == 1
    for said in ("acquire-address on mnb", "exit 2: RTNETLINK answers: no", "state: the step is not done", "xcat-ha resume"):
        assert said in done.err
    status = site("status")
    assert status.code == ExitCode.FAILED
    assert status.out.splitlines()[0].startswith("PROBLEM: the failover of ")
    assert "is unfinished: failed" in status.out.splitlines()[0]
    blocked = site("sync", "--yes")
    assert blocked.code == ExitCode.REFUSED
    (site.base / "path/touch").unlink()
    resumed = site("resume", "--yes")
    assert resumed.code == ExitCode.DONE, resumed.err
    assert "address" in site.facts("mnb")
    assert "stop-xcatd" not in resumed.err  # that phase was complete


def test_a_hand_over_that_died_can_be_given_up_after_a_power_cut(site: CliSite) -> None:
    """Killed in the middle, with the last line of its journal half written."""
    site.program("path/rm", 'case $2 in */mna/running-dhcp) touch "$TEST_HERE"; sleep 30;; esac; exec /bin/rm "$@"')
    argv, environment = site.command("failover", "--yes")
    here = site.base / "here"
    victim = subprocess.Popen(argv, env=environment | {"TEST_HERE": str(here)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        if here.exists():
            break
        time.sleep(0.05)
    victim.kill()
    victim.wait()
    (site.base / "path/rm").unlink()
    (journal,) = (site.base / "lib/journal").iterdir()
    with journal.open("a") as file:
        file.write('{"event": "step", "ti')
    status = site("status")
    assert "is unfinished: its program died" in status.out
    given_up = site("abandon", "--yes")
    assert given_up.code == ExitCode.DONE, given_up.err
    (operation,) = site("history", "--json").json["operations"]
    assert operation["outcome"] == "abandoned"


def test_ctrl_c_while_a_command_runs_ends_as_interrupted(site: CliSite) -> None:
    site.program("path/rm", 'case $2 in */mna/running-xcatd) touch "$TEST_HERE"; sleep 1;; esac; exec /bin/rm "$@"')
    here = site.base / "here"
    argv, environment = site.command("failover", "--yes")
    running = subprocess.Popen(argv, env=environment | {"TEST_HERE": str(here)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(300):
        if here.exists():
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGHUP)  # the terminal is lost: go on
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 5
    assert "stopping after the command that runs now" in said
    assert "xcat-ha resume" in said
    assert "running-xcatd" not in site.facts("mna")  # the command that ran was not cut off
    assert "address" in site.facts("mna")
    assert not (site.base / "run/lock.json").exists()
    assert "is unfinished: interrupted" in site("status").out


def test_stepping_down_goes_on_when_the_terminal_is_lost_with_the_address(site: CliSite) -> None:
    site.program("path/rm", 'case $2 in */mna/running-xcatd) touch "$TEST_HERE"; sleep 1;; esac; exec /bin/rm "$@"')
    here = site.base / "here"
    argv, environment = site.command("step-down", "--yes")
    running = subprocess.Popen(argv, env=environment | {"TEST_HERE": str(here)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not here.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGHUP)
    _, said = running.communicate(timeout=60)
    assert running.returncode == ExitCode.DONE, said
    assert "address" not in site.facts("mna")


def test_a_lock_held_by_another_refuses_but_is_no_failure_of_a_scheduled_sync(site: CliSite) -> None:
    holder = {"id": "x-failover", "operation": "failover", "node": "", "host": "elsewhere", "user": "alice", "pid": 1, "since": time.time()}
    (site.base / "run/lock.json").write_text(json.dumps(holder) + "\n")
    done = site("sync", "--yes", "hosts")
    assert done.code == ExitCode.REFUSED
    assert "failover by alice on elsewhere" in done.err
    scheduled = site("sync", "--scheduled", "--yes", "hosts")
    assert scheduled.code == ExitCode.DONE
    assert "failover by alice on elsewhere" in scheduled.err
    assert "set-hosts" not in site.facts("mnb")


def test_a_reader_that_has_gone_is_no_traceback(site: CliSite) -> None:
    argv, environment = site.command("status")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# Ctrl-C, in parts


def test_the_first_ctrl_c_asks_to_stop_and_the_second_stops(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stopper = Stopper()
    assert not stopper()
    with stopper:
        signal.raise_signal(signal.SIGHUP)
        assert not stopper()
        signal.raise_signal(signal.SIGINT)
        assert stopper()
        assert "once more" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_what_a_second_ctrl_c_cut_off_is_never_said_to_have_changed_nothing() -> None:
    with pytest.raises(InterruptedOperationError) as caught, Stopper():
        raise KeyboardInterrupt
    assert caught.value.exit_code is ExitCode.INTERRUPTED
    assert "may still be running" in str(caught.value)
    assert "nothing was changed" not in str(caught.value)


def test_sigterm_asks_to_stop_however_often_it_comes() -> None:
    stopper = Stopper()
    with stopper:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert stopper()


# What is printed, in parts


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (Command(("rm", "-f", "/a b"), Effect.CHANGES), "rm -f '/a b'"),
        (reads("cat", "/x"), "cat /x  (reads only)"),
        (Command(("restore", Ref("timestamp")), Effect.CHANGES), "restore <known after timestamp>"),
        (Command(("tee", "/x"), Effect.CHANGES, stdin="sécret"), "tee /x < (7 bytes)"),
        (Command(("id",), Effect.CHANGES, user="db2inst1"), "runuser -u db2inst1 -- id"),
        (Command(("echo", "$(reboot)"), Effect.CHANGES), "echo '$(reboot)'"),
    ],
)
def test_a_command_is_shown_as_one_would_type_it(command: Command, shown: str) -> None:
    assert render.command_line(command) == shown


def test_a_plan_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    step = toy_step("copy", put("half"), put("copy"), cleanup=(put("tidy"),), only_if=(toy_step("x").done_when,))
    render.show_plan(
        Plan(
            "sync",
            ("words",),
            (Phase("one", "why one.", (side_by_side((step,), (toy_step("b"),)),)), Phase("two", "why two.", (in_order(toy_step("c")),))),
        )
    )
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "phase one: why one.",
        "side by side:",
        "mna: copy: because of copy",
        "unless already: copy is yes on mna",
        "only if: x is yes on mna",
        "# put half yes",
        "# put copy yes",
        "# afterwards: put tidy yes",
        "mna: b: because of b",
        "unless already: b is yes on mna",
        "# put b yes",
        "phase two: why two.  (planned anew from what is observed when it begins)",
        "mna: c: because of c",
        "unless already: c is yes on mna",
        "# put c yes",
    ]


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")])
def test_ages_are_told_in_words(seconds: float, words: str) -> None:
    assert render.age(seconds) == words


def test_progress_on_a_pipe_is_a_line_a_step_and_a_quarter() -> None:
    stream = io.StringIO()
    follower = Follower(stream)
    step = toy_step("sync-install")
    follower.phase_started(Phase("copy", "why."))
    follower.step_started(step)
    for share in (0.1, 0.2, 0.3, 0.4, 0.6, 0.61, 1.0):
        follower.step_progressed(step, share)
    follower.step_ended(step, "done", 1.25, "")
    follower.step_ended(step, "already", 0.0, "")
    follower.step_ended(step, "failed", 2.0, "no room\nstate: x")
    lines = [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [
        "copy: why.",
        "  mna  sync-install  30 %",
        "  mna  sync-install  60 %",
        "  mna  sync-install  100 %",
        "  mna  sync-install  done (1.2 s)",
        "  mna  sync-install  nothing to do (0.0 s)",
        "  mna  sync-install  FAILED (2.0 s): no room",
    ]


def test_a_terminal_that_is_gone_does_not_stop_an_operation() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(5, "Input/output error")

    follower = Follower(Gone())
    follower.phase_started(Phase("copy", "why."))
    follower.step_ended(toy_step("a"), "done", 0.0, "")


def test_every_document_has_the_same_head() -> None:
    error = ConfigError("is missing", where="/x: [pair]", hint="add it")
    shown = json.loads(document("status", ExitCode.REFUSED, error=error_data(error)))
    assert shown == {
        "format": 1,
        "verb": "status",
        "exit_code": 3,
        "outcome": "refused",
        "error": {"kind": "Config", "what": "is missing", "where": "/x: [pair]", "state": "", "hint": "add it"},
    }
    assert data_of([]) == []
    assert document("x", ExitCode.DONE, text="é\udcff").isascii()
