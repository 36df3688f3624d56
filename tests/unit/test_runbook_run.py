"""A runbook as a program: what it does when a question fails, is not answered, or it is stopped. Two directories stand for the nodes.

The only doubles are ``ssh`` (which enters the other directory) and ``id`` (who says root); shell, Python, locks and files are real.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from attrs import evolve, frozen

from tests.unit.test_core_planning import STATE
from tests.unit.test_runbook import outline_of
from xcat_ha.carried import carried_sources, shell_functions
from xcat_ha.errors import ExitCode
from xcat_ha.journal import Outcome, parse_lines, summarise
from xcat_ha.runbook import runbook
from xcat_ha.steps import Check, ExitStatus, Matches, Prints, Probe, Ref, Step, changes, reads

pytestmark = pytest.mark.slow

TERM = '{"counter": 1, "holder": "mna", "yielded_by": ""}'
# The way to the other node: the same machine, where the paths of mna mean those of mnb. What comes before the destination is for ssh.
SSH = """\
#!/bin/sh
echo "$*" >>"$LOGGED"
case " $* " in *" -O exit "*|*" -N "*) [ ! -e "$NODES_DIR/down" ]; exit ;; esac
while [ $# -gt 1 ]; do shift; done
[ ! -e "$NODES_DIR/down" ] || { echo "no route to host" >&2; exit 255; }
NODE=$NODES_DIR/mnb/own exec sh -c "$(printf %s "$1" | sed "s#$NODES_DIR/mna/#$NODES_DIR/mnb/#g")"
"""


@frozen
class Bench:
    """Both nodes' directories, and a runbook for them."""

    directory: Path
    shell: tuple[str, ...] = ("sh",)

    def node(self, node_id: str) -> Path:
        """What the steps make on the node."""
        return self.directory / "nodes" / node_id / "own"

    def root(self, node_id: str) -> Path:
        """Where the node's own ``/var``, ``/run`` and ``/etc`` are."""
        return self.directory / "nodes" / node_id

    def write(self, *steps: Step, requires: tuple[Check, ...] = ()) -> Path:
        """A runbook whose paths are below the directory."""
        outline = outline_of(*steps, requires=requires, state=STATE)
        text = runbook(outline, carried_sources(("xcat_ha.judge",)), shell_functions(), version="1")
        for path in ("/var/lib/xcat-ha", "/run/xcat-ha", "/etc/xcat-ha"):
            text = text.replace(path, f"{self.root('mna')}{path}")
        script = self.directory / "runbook.sh"
        script.write_text(text, encoding="utf-8")
        return script

    def start(self, script: Path, *words: str) -> subprocess.Popen[str]:
        """Run it on mna."""
        environment = {
            "PATH": f"{self.directory}/bin:{os.environ['PATH']}",
            "NODES_DIR": f"{self.directory}/nodes",
            "NODE": str(self.node("mna")),
            "LOGGED": f"{self.directory}/ssh.log",
        }
        argv = (*self.shell, str(script), *words)
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def run(self, script: Path, *words: str) -> tuple[ExitCode, str, str]:
        """Run it on mna to its end."""
        process = self.start(script, *words)
        out, err = process.communicate(timeout=300)
        return ExitCode(process.returncode), out, err

    @property
    def journal(self) -> list[dict[str, object]]:
        """What was written down."""
        (path,) = (self.root("mna") / "var/lib/xcat-ha/journal").glob("*.jsonl")
        return parse_lines(path.read_text(encoding="ascii"))

    def outcome(self) -> Outcome | None:
        """As xcat-ha reads it."""
        (path,) = (self.root("mna") / "var/lib/xcat-ha/journal").glob("*.jsonl")
        record = summarise(path.stem, path.read_text(encoding="ascii"))
        assert record is not None
        assert (record.operation, record.parameters["by"], record.host) == ("failover", "runbook", "mna")
        return record.outcome


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "bin").mkdir()
    for node_id in ("mna", "mnb"):
        root = tmp_path / "nodes" / node_id
        for name in ("own", "etc/xcat-ha", "var/lib/xcat-ha", "run"):
            (root / name).mkdir(parents=True)
        (root / "etc/xcat-ha/node").write_text(f"{node_id}\n", encoding="ascii")
        (root / "var/lib/xcat-ha/term.json").write_text(f"{TERM}\n", encoding="ascii")
    for name, text in (("ssh", SSH), ("id", '#!/bin/sh\n[ "$1" = -u ] && echo 0 || echo root\n')):
        path = tmp_path / "bin" / name
        path.write_text(text, encoding="ascii")
        path.chmod(stat.S_IRWXU)
    return Bench(tmp_path)


def touch(host: str, name: str, **changed: object) -> Step:
    """A step whose effect is a file of that name on the host."""
    there = Check(
        f"{name} is on {host}", (Probe(host, reads("sh", "-c", 'test -e "$NODE/$1"', "sh", name)),), ExitStatus(), hint="look there"
    )
    step = Step(f"make-{name}", f"{host} needs {name}.", host, there, (changes("sh", "-c", 'echo ran >>"$NODE/$1"', "sh", name),))
    return evolve(step, **changed)  # type: ignore[arg-type]


SHELLS = pytest.mark.parametrize("shell", [("sh",), ("bash", "--posix")], ids=["sh", "bash"])


@SHELLS
def test_each_step_runs_where_it_belongs_and_a_second_run_does_nothing(bench: Bench, shell: tuple[str, ...]) -> None:
    bench = evolve(bench, shell=shell)
    script = bench.write(touch("mna", "one"), touch("mnb", "two"))
    code, out, err = bench.run(script)
    assert (code, bench.outcome()) == (ExitCode.DONE, Outcome.DONE), err + out
    assert (bench.node("mna") / "one").read_text() == "ran\n"
    assert (bench.node("mnb") / "two").read_text() == "ran\n"
    assert not (bench.root("mna") / "run/xcat-ha/lock.json").exists()
    code, out, _ = bench.run(script)
    assert code is ExitCode.DONE
    assert "done already" in out
    assert (bench.node("mna") / "one").read_text() == "ran\n"


def test_check_changes_nothing(bench: Bench) -> None:
    script = bench.write(touch("mna", "one"))
    code, out, _ = bench.run(script, "--check")
    assert code is ExitCode.DONE
    assert "everything that has to hold holds" in out
    assert not list(bench.node("mna").iterdir())
    assert not (bench.root("mna") / "var/lib/xcat-ha/journal").exists()


def test_what_is_there_already_is_not_done_again(bench: Bench) -> None:
    (bench.node("mnb") / "two").write_text("mine\n")
    code, out, _ = bench.run(bench.write(touch("mnb", "two")))
    assert code is ExitCode.DONE
    assert "mnb: make-two: already" in out
    assert (bench.node("mnb") / "two").read_text() == "mine\n"


NOT_SO = Check("the moon is green", (Probe("mnb", reads("echo", "FAILS: it is white")),), Matches("^HOLDS"), hint="paint it")
NOBODY_KNOWS = Check("there is an answer", (Probe("mnb", reads("sh", "-c", "exit 3")),), Prints("yes"), hint="ask again")


@pytest.mark.parametrize(("check", "code"), [(NOT_SO, ExitCode.REFUSED), (NOBODY_KNOWS, ExitCode.UNKNOWN)])
def test_what_must_hold_before_the_first_step_stops_it_with_the_reason(bench: Bench, check: Check, code: ExitCode) -> None:
    ended, _, err = bench.run(bench.write(touch("mna", "one"), requires=(check,)))
    assert ended is code
    assert check.question in err
    assert f"hint: {check.hint}" in err
    assert "nothing was changed" in err
    assert not list(bench.node("mna").iterdir())
    assert not (bench.root("mna") / "run/xcat-ha/lock.json").exists()


@pytest.mark.parametrize(("check", "code"), [(NOT_SO, ExitCode.FAILED), (NOBODY_KNOWS, ExitCode.UNKNOWN)])
def test_what_must_hold_before_a_step_stops_it_there(bench: Bench, check: Check, code: ExitCode) -> None:
    ended, _, err = bench.run(bench.write(touch("mna", "one"), touch("mna", "two", only_if=(check,)), touch("mna", "three")))
    assert ended is code
    assert "make-two on mna was not started" in err
    assert [path.name for path in bench.node("mna").iterdir()] == ["one"]
    assert bench.outcome() is Outcome.FAILED


def test_a_question_without_answer_is_never_taken_for_done(bench: Bench) -> None:
    step = touch("mna", "one")
    unknown = evolve(step, done_when=evolve(NOBODY_KNOWS, probes=(Probe("mna", reads("sh", "-c", "exit 3")),)))
    code, _, err = bench.run(bench.write(unknown))
    assert code is ExitCode.UNKNOWN
    assert "cannot tell whether this still has to be done" in err
    assert not list(bench.node("mna").iterdir())


def test_a_command_that_only_says_that_it_succeeded_is_no_success(bench: Bench) -> None:
    code, _, err = bench.run(bench.write(touch("mnb", "two", commands=(changes("true"),), settle_s=1.0)))
    assert code is ExitCode.FAILED
    assert "the commands ran, but it does not hold within 1 s" in err


def test_a_failed_command_is_named_and_cleaned_up_after(bench: Bench) -> None:
    tidy = changes("sh", "-c", 'rm -f "$NODE/half"')
    broken = changes("sh", "-c", 'touch "$NODE/half"; echo "no space on the moon" >&2; exit 9')
    code, _, err = bench.run(bench.write(touch("mnb", "two", commands=(broken,), cleanup=(tidy,))))
    assert code is ExitCode.FAILED
    assert "exit 9: no space on the moon" in err
    assert not list(bench.node("mnb").iterdir())


def test_an_effect_that_takes_its_time_is_waited_for(bench: Bench) -> None:
    slow = changes("sh", "-c", '(sleep 2; touch "$NODE/two") >/dev/null 2>&1 &')
    code, _, err = bench.run(bench.write(touch("mnb", "two", commands=(slow,), settle_s=60.0)))
    assert code is ExitCode.DONE, err


def test_a_node_that_falls_silent_is_unknown_and_the_run_goes_on_when_it_is_back(bench: Bench) -> None:
    silence = changes("sh", "-c", 'touch "$NODES_DIR/down"; touch "$NODE/one"')
    script = bench.write(touch("mna", "one", commands=(silence,)), touch("mnb", "two"))
    code, _, err = bench.run(script)
    assert code is ExitCode.UNKNOWN
    assert "mnb: no answer" in err
    assert bench.outcome() is Outcome.FAILED
    (bench.directory / "nodes/down").unlink()
    code, out, err = bench.run(script)
    assert code is ExitCode.DONE, err
    assert "going on with what was begun" in out
    assert "mna: make-one: already" in out
    assert bench.outcome() is Outcome.DONE


def test_what_an_earlier_run_captured_is_still_known(bench: Bench) -> None:
    first = touch("mna", "one", commands=(changes("sh", "-c", 'touch "$NODE/one"; echo "it\'s 7"', capture="number"),))
    broken = changes("sh", "-c", 'test -e "$NODE/mended" && echo "$1" >"$NODE/two"', "sh", Ref("number"))
    script = bench.write(first, touch("mna", "two", commands=(broken,)))
    assert bench.run(script)[0] is ExitCode.FAILED
    (bench.node("mna") / "mended").touch()
    code, _, err = bench.run(script)
    assert code is ExitCode.DONE, err
    assert (bench.node("mna") / "two").read_text() == "it's 7\n"
    assert [entry["value"] for entry in bench.journal if entry["event"] == "captured"] == ["it's 7"]


@SHELLS
def test_ctrl_c_lets_the_command_end_and_stops_before_the_next(bench: Bench, shell: tuple[str, ...]) -> None:
    bench = evolve(bench, shell=shell)
    slow = changes("sh", "-c", 'touch "$NODE/begun"; sleep 3; touch "$NODE/one"')
    script = bench.write(touch("mna", "one", commands=(slow,)), touch("mna", "two"))
    process = bench.start(script)
    deadline = time.monotonic() + 240
    while not (bench.node("mna") / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody in the foreground
    _, err = process.communicate(timeout=300)
    assert ExitCode(process.returncode) is ExitCode.INTERRUPTED, err
    assert (bench.node("mna") / "one").exists()
    assert not (bench.node("mna") / "two").exists()
    assert bench.outcome() is Outcome.INTERRUPTED
    code, _, err = bench.run(script)
    assert code is ExitCode.DONE, err
    assert bench.outcome() is Outcome.DONE


def test_a_terminal_that_goes_away_stops_nothing(bench: Bench) -> None:
    slow = changes("sh", "-c", 'touch "$NODE/begun"; sleep 2; touch "$NODE/one"')
    process = bench.start(bench.write(touch("mna", "one", commands=(slow,)), touch("mnb", "two")))
    deadline = time.monotonic() + 240
    while not (bench.node("mna") / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGHUP)
    _, err = process.communicate(timeout=300)
    assert ExitCode(process.returncode) is ExitCode.DONE, err
    assert (bench.node("mnb") / "two").exists()


def test_killed_in_the_middle_it_goes_on_and_its_lock_is_taken_over(bench: Bench) -> None:
    script = bench.write(touch("mna", "one"), touch("mna", "two", commands=(changes("sh", "-c", 'sleep 5; touch "$NODE/two"'),)))
    process = bench.start(script)
    deadline = time.monotonic() + 240
    while not (bench.node("mna") / "one").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=300)
    assert (bench.root("mna") / "run/xcat-ha/lock.json").exists()
    code, _, err = bench.run(script)
    assert code is ExitCode.DONE, err


def test_another_operation_is_in_the_way(bench: Bench) -> None:
    held = {"id": "x", "operation": "failover", "node": "mna", "pid": os.getpid(), "boot_id": "", "start_ticks": ""}
    held["boot_id"] = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    held["start_ticks"] = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(") ")[2].split()[19]
    (bench.root("mna") / "run/xcat-ha").mkdir()
    (bench.root("mna") / "run/xcat-ha/lock.json").write_text(json.dumps(held), encoding="ascii")
    code, _, err = bench.run(bench.write(touch("mna", "one")))
    assert code is ExitCode.REFUSED
    assert "another operation runs on this pair" in err
    assert not list(bench.node("mna").iterdir())


def test_it_refuses_when_the_role_has_moved_since_it_was_written(bench: Bench) -> None:
    script = bench.write(touch("mna", "one"))
    (bench.root("mna") / "var/lib/xcat-ha/term.json").write_text(TERM.replace("1", "2"), encoding="ascii")
    code, _, err = bench.run(script)
    assert code is ExitCode.REFUSED
    assert "export a new runbook" in err


def test_it_refuses_to_go_on_when_the_role_was_moved_meanwhile(bench: Bench) -> None:
    script = bench.write(touch("mna", "one"), touch("mna", "two", commands=(changes("false"),)))
    assert bench.run(script)[0] is ExitCode.FAILED
    (bench.root("mna") / "var/lib/xcat-ha/term.json").write_text(TERM.replace("1", "2"), encoding="ascii")
    code, _, err = bench.run(script)
    assert code is ExitCode.REFUSED
    assert "out of date" in err


def test_what_was_given_up_is_not_begun_again(bench: Bench) -> None:
    script = bench.write(touch("mna", "one"), touch("mna", "two", commands=(changes("false"),)))
    bench.run(script)
    (journal,) = (bench.root("mna") / "var/lib/xcat-ha/journal").glob("*.jsonl")
    with journal.open("a", encoding="ascii") as file:
        file.write('\n{"event": "end", "time": 1, "outcome": "abandoned", "message": ""}\n')
    code, _, err = bench.run(script)
    assert code is ExitCode.REFUSED
    assert "given up" in err


def test_whether_it_was_begun_on_the_other_node_is_never_guessed(bench: Bench) -> None:
    """The other node falls silent after it was locked: then nobody knows how far a run that was begun there has come."""
    real = bench.directory / "bin/ssh"
    real.rename(real.with_name("ssh.real"))
    silent = 'case "$*" in *" test -f "*) echo "no route to host" >&2; exit 255 ;; esac'
    real.write_text(f'#!/bin/sh\n{silent}\nexec "$0.real" "$@"\n', encoding="ascii")
    real.chmod(stat.S_IRWXU)
    code, _, err = bench.run(bench.write(touch("mna", "one")))
    assert code is ExitCode.UNKNOWN
    assert "whether this was begun on mnb" in err
    assert not list(bench.node("mna").iterdir())


def leave_lock_of_the_dead(bench: Bench) -> Path:
    held = {"id": "x", "operation": "failover", "node": "mna", "pid": os.getpid(), "boot_id": "of another boot", "start_ticks": "1"}
    path = bench.root("mna") / "run/xcat-ha/lock.json"
    path.parent.mkdir()
    path.write_text(json.dumps(held), encoding="ascii")
    return path


def test_a_dead_holders_lock_is_taken_over_although_the_other_node_has_booted_since(bench: Bench) -> None:
    leave_lock_of_the_dead(bench)
    code, _, err = bench.run(bench.write(touch("mna", "one")))
    assert code is ExitCode.DONE, err


def test_a_dead_lock_that_cannot_be_removed_is_no_endless_loop(bench: Bench) -> None:
    path = leave_lock_of_the_dead(bench)
    (bench.root("mnb") / "run/xcat-ha").mkdir()
    stub = bench.directory / "bin/rm"
    stub.write_text('#!/bin/sh\ncase "$*" in *lock.json) exit 1 ;; esac\nexec /bin/rm "$@"\n', encoding="ascii")
    stub.chmod(stat.S_IRWXU)
    code, _, err = bench.run(bench.write(touch("mna", "one")))
    assert code is ExitCode.REFUSED
    assert f"remove {path}" in err


def test_on_a_machine_that_is_none_of_the_nodes_it_refuses(bench: Bench) -> None:
    script = bench.write(touch("mna", "one"))
    (bench.root("mna") / "etc/xcat-ha/node").write_text("mnz\n", encoding="ascii")
    code, _, err = bench.run(script)
    assert code is ExitCode.REFUSED
    assert "none of: mna mnb" in err
