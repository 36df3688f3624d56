"""How commands reach a host: what ends, what hangs, what talks too much; and that a failure is a value, never an exception."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_core_toys import World, put
from xcat_ha.errors import ChangeForbiddenError, ConfigError, ExitCode
from xcat_ha.runners import LocalRunner, ReadOnlyRunner, RecordingRunner, RoutingRunner
from xcat_ha.runners._batch import batch_script, parse_batch
from xcat_ha.steps import Command, Completed, Ref, Trouble, changes, reads

LOCAL = LocalRunner()


def sh(script: str, *words: str, **options: Any) -> Completed:
    return LOCAL.run("mna", Command(("sh", "-c", script, "sh", *words), **options))


# This machine


def test_what_a_command_says_and_how_it_ends() -> None:
    done = sh("echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr, done.trouble) == (3, "out\n", "err\n", None)
    assert done.summary == "exit 3: err"
    assert not done.ok


def test_words_arrive_as_they_are() -> None:
    words = ("", " ", "a b", "$HOME", "`id`", "'", '"', "\\", "*", "-n", "é", "\n", "a\udcffb")
    done = sh('for word do printf "%s\\0" "$word"; done', *words)
    assert done.stdout.split("\0")[:-1] == list(words)


@pytest.mark.parametrize("stdin", ["", "line\n", "no line end", "\udcff\x00 any byte", "x" * 300_000])
def test_stdin_arrives_whole(stdin: str) -> None:
    assert sh("cat", stdin=stdin).stdout == stdin


def test_without_stdin_nothing_is_waited_for() -> None:
    began = time.monotonic()
    assert sh("cat; echo end").stdout == "end\n"
    assert time.monotonic() - began < 3


def test_stdin_that_nobody_reads_is_no_failure() -> None:
    assert sh("exec 0<&-; echo done", stdin="x" * 1_000_000).stdout == "done\n"


def test_big_outputs_on_both_sides_at_once() -> None:
    done = sh("head -c 3000000 /dev/zero | tr '\\0' o; head -c 3000000 /dev/zero | tr '\\0' e >&2", timeout_s=30)
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("xcat-ha-no-such-program",), 127),
        (("/no/such/program",), 127),
        (("/etc/passwd/program",), 127),
        (("",), 126),
        (("/etc/passwd",), 126),
        (("/",), 126),
        (("true", "x" * 3_000_000), 126),
    ],
)
def test_what_cannot_be_started_has_a_shell_s_exit_status(argv: tuple[str, ...], code: int) -> None:
    done = LOCAL.run("mna", reads(*argv))
    assert done.returncode == code
    assert done.stderr
    assert done.trouble is None


def test_a_file_that_is_no_program_is_not_started(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00\x01\x02 no program")
    program.chmod(0o755)
    assert LOCAL.run("mna", reads(str(program))).returncode == 126


def test_a_command_killed_by_a_signal_has_a_shell_s_exit_status() -> None:
    assert sh("kill -9 $$").returncode == 137
    assert sh("kill -15 $$").returncode == 143


@pytest.mark.parametrize("script", ["sleep 30", "trap '' TERM; sleep 30 & sleep 30", "yes >/dev/null"])
def test_a_command_that_does_not_end_is_ended_and_nothing_is_known_of_it(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xcat_ha.runners._process._GRACE_S", 0.3)
    began = time.monotonic()
    done = sh(f"echo before; {script}", timeout_s=0.5)
    assert (done.returncode, done.trouble) == (None, Trouble.TIMED_OUT)
    assert done.stdout == "before\n"
    assert 0.5 <= time.monotonic() - began < 5
    assert "timed out" in done.summary


def test_the_children_of_a_command_that_is_ended_end_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    sh(f"sleep 60 & echo $! > {pid_file}; wait", timeout_s=0.5)
    pid = int(pid_file.read_text())
    for _ in range(50):
        state = subprocess.run(("ps", "-o", "stat=", "-p", str(pid)), capture_output=True, text=True, check=False).stdout
        if not state or state.startswith("Z"):
            return
        time.sleep(0.1)
    pytest.fail("the child still runs")


def test_a_daemon_that_keeps_our_pipes_open_is_not_waited_for(tmp_path: Path) -> None:
    """systemctl, makedns and xcatd's own scripts leave such daemons behind; the daemon must live on."""
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    done = sh(f"sleep 60 & echo $! > {pid_file}; echo started", timeout_s=30)
    assert time.monotonic() - began < 5
    assert (done.returncode, done.stdout) == (0, "started\n")
    daemon = int(pid_file.read_text())
    os.kill(daemon, 0)
    os.kill(daemon, 9)


def test_a_command_that_closes_its_outputs_is_waited_for(tmp_path: Path) -> None:
    sh(f"exec >&- 2>&-; sleep 0.4; touch {tmp_path}/end")
    assert (tmp_path / "end").exists()


def test_a_command_does_not_see_our_terminal_s_signals() -> None:
    assert sh("ps -o sid= -p $$").stdout.strip() not in {"", str(os.getsid(0))}


def test_output_is_handed_on_as_it_comes() -> None:
    pieces: list[tuple[float, str]] = []
    LOCAL.run("mna", reads("sh", "-c", "echo one; sleep 0.4; echo two"), on_output=lambda text: pieces.append((time.monotonic(), text)))
    assert "".join(text for _, text in pieces) == "one\ntwo\n"
    assert pieces[-1][0] - pieces[0][0] > 0.2


def test_another_user_is_switched_to_by_runuser() -> None:
    done = LOCAL.run("mna", Command(("id",), user="nobody"))
    assert done.argv == ("runuser", "-u", "nobody", "--", "id")


def test_a_reference_that_was_not_filled_in_is_never_run() -> None:
    with pytest.raises(TypeError, match="timestamp"):
        LOCAL.run("mna", changes("echo", Ref("timestamp")))


def test_reads_run_side_by_side_and_answer_in_order() -> None:
    began = time.monotonic()
    answers = LOCAL.read_many("mna", [reads("sh", "-c", f"sleep 0.5; echo {number}") for number in range(6)])
    assert [answer.stdout.strip() for answer in answers] == list("012345")
    assert time.monotonic() - began < 2
    assert LOCAL.read_many("mna", []) == ()


# Runners around runners


def test_a_dry_run_lets_reads_through_and_refuses_changes() -> None:
    world = World()
    runner = ReadOnlyRunner(world)
    assert runner.run("mna", reads("get", "x")).ok
    assert runner.read_many("mna", [reads("get", "x")])[0].ok
    with pytest.raises(ChangeForbiddenError, match="put x yes") as caught:
        runner.run("mna", put("x"))
    assert caught.value.exit_code is ExitCode.REFUSED
    assert caught.value.hint
    assert world.transcript == []


@pytest.mark.parametrize("runner", [LOCAL, ReadOnlyRunner(LOCAL), RecordingRunner(LOCAL), RoutingRunner({"mna": LOCAL})])
def test_changes_are_never_sent_as_reads(runner: LocalRunner, tmp_path: Path) -> None:
    with pytest.raises(ChangeForbiddenError):
        runner.read_many("mna", [reads("true"), changes("touch", f"{tmp_path}/x")])
    assert not (tmp_path / "x").exists()


def test_a_recording_holds_everything_with_its_answer() -> None:
    runner = RecordingRunner(World())
    runner.run("mna", put("x"))
    runner.read_many("mnb", [reads("get", "x"), reads("get", "y")])
    assert [(run.host, run.command.argv[0], run.completed.returncode) for run in runner.runs] == [
        ("mna", "put", 0),
        ("mnb", "get", 0),
        ("mnb", "get", 0),
    ]
    assert [run.command.argv for run in runner.changes] == [("put", "x", "yes")]


def test_a_recording_counts_commands_of_several_threads() -> None:
    runner = RecordingRunner(World())
    threads = [threading.Thread(target=lambda: [runner.run("mna", put("x")) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runner.runs) == 200


def test_each_host_has_its_runner_and_an_unknown_one_is_named_with_those_known() -> None:
    here, there = World(), World()
    runner = RoutingRunner({"mna": here, "mnb": there})
    runner.run("mna", put("x"))
    runner.run("mnb", put("y"))
    assert (here.transcript, there.transcript) == (["mna: put x yes"], ["mnb: put y yes"])
    for call in (lambda: runner.run("mnc", put("x")), lambda: runner.read_many("mnc", [])):
        with pytest.raises(ConfigError, match="'mnc'") as caught:
            call()
        assert "mna, mnb" in caught.value.hint


# Many reads in one exchange: the script and its frames

_WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=[]), max_size=12)
_BYTES = st.binary(max_size=40)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(_BYTES, _BYTES, st.integers(0, 123), st.lists(_WORD, max_size=2)), max_size=4))
def test_any_bytes_and_any_words_come_through(answers: list[tuple[bytes, bytes, int, list[str]]]) -> None:
    """Each command prints its stdin and its words, complains in any bytes, and exits with any status."""
    script = 'cat; shift; printf "%s|" "$@" | od -An -tx1 >&2; exit "$0"'
    commands = []
    for stdin, _, code, words in answers:
        # A lone high surrogate is no file name byte; real ones travel as \udc80 to \udcff.
        clean = [word.encode("utf-8", "ignore").decode() for word in words]
        commands.append((("sh", "-c", script, str(code), "x", *clean), stdin.decode("utf-8", "surrogateescape"), 20.0))
    argvs = [command[0] for command in commands]
    done = subprocess.run(
        ("sh", "-s"), input=batch_script(commands).encode("utf-8", "surrogateescape"), capture_output=True, timeout=60, check=True
    )
    found = parse_batch(done.stdout.decode("utf-8", "surrogateescape"), argvs)
    assert found is not None
    assert len(found) == len(answers)
    for (stdin, _, code, _), argv, answer in zip(answers, argvs, found, strict=True):
        assert answer.stdout.encode("utf-8", "surrogateescape") == stdin
        assert answer.returncode == code
        said = bytes.fromhex("".join(answer.stderr.split()))
        assert said == ("|".join([*argv[5:], ""]) if argv[5:] else "|").encode("utf-8", "surrogateescape")


def run_batch(*commands: tuple[str, float]) -> tuple[Completed, ...]:
    triples = [(("sh", "-c", script), "", timeout_s) for script, timeout_s in commands]
    done = subprocess.run(("sh", "-s"), input=batch_script(triples), capture_output=True, text=True, timeout=30, check=True)
    found = parse_batch(done.stdout, [argv for argv, _, _ in triples])
    assert found is not None
    return found


def test_one_that_hangs_does_not_keep_the_others_answers() -> None:
    began = time.monotonic()
    hung, fine = run_batch(("sleep 20", 1), ("sleep 0.2; echo fine", 20))
    assert (hung.returncode, hung.trouble) == (None, Trouble.TIMED_OUT)
    assert fine.stdout == "fine\n"
    assert time.monotonic() - began < 5


def test_a_program_that_is_not_there_is_an_answer() -> None:
    (answer,) = run_batch(("exec xcat-ha-no-such-program", 5))
    assert answer.returncode == 127


def test_nothing_is_left_behind() -> None:
    before = set(Path("/run").glob("xcat-ha-read.*")) if os.access("/run", os.R_OK) else set()
    run_batch(("true", 5))
    assert set(Path("/run").glob("xcat-ha-read.*")) - before == set()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"([0-9²]{1,3} [A-Za-z0-9+/=]{0,9}\. [A-Za-z0-9+/=]{0,9}\.\n){0,3}(end\n)?", fullmatch=True))
def test_garbage_is_not_taken_for_answers(output: str) -> None:
    found = parse_batch(output, [("a",), ("b",)])
    assert found is None or len(found) == 2


def test_an_answer_that_was_cut_off_is_none() -> None:
    whole = "0 b25l. .\n1 . ZXJy.\nend\n"
    assert parse_batch(whole, [("a",), ("b",)]) is not None
    for cut in range(len(whole) - 1):
        assert parse_batch(whole[:cut], [("a",), ("b",)]) is None


def test_what_a_login_shell_says_before_is_skipped() -> None:
    """Root's ``.bashrc`` may greet; bash reads it also when sshd starts it."""
    found = parse_batch("Welcome to mna!\nLast login: 1 2. 3.\n0 b25l. .\nend\n", [("a",)])
    assert found is not None
    assert found[0].stdout == "one"


def test_a_command_that_changes_something_holds_the_lock_until_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "commands.lock"
    runner = LocalRunner(str(lock))
    probe = ("flock", "-n", "-x", str(lock), "true")
    inside = runner.run("mna", changes("sh", "-c", f'flock -n -x "{lock}" true; echo $?')).stdout.strip()
    assert inside == "1"
    assert runner.run("mna", reads(*probe)).ok
    # A daemon that it leaves behind does not hold it.
    assert runner.run("mna", changes("sh", "-c", "sleep 30 > /dev/null 2>&1 & echo $!")).ok
    assert runner.run("mna", reads(*probe)).ok
    assert runner.run("mna", changes("sh", "-c", "exit 7")).returncode == 7
