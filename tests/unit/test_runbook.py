"""A runbook's text: it holds exactly the plan's commands, whatever they are called, and carries what they need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_core_planning import GIVEN, STATE
from tests.unit.test_core_toys import MNA, MNB, toy_pair
from xcat_ha.carried import carried_sources, shell_functions
from xcat_ha.errors import RefusedError
from xcat_ha.models import Witness
from xcat_ha.observation import PairState
from xcat_ha.planning import Operation, PhasePlanner
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.runbook import Outline, node_programs, runbook
from xcat_ha.steps import Check, Command, Effect, ExitStatus, Phase, Prints, Probe, Ref, Step, changes, in_order, reads
from xcat_ha.term import StoredTerm
from xcat_ha.xcat.site import Site

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
HOSTILE = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "'",
            "\"'$(reboot)`reboot`",
            "\n",
            "a\n\n",
            "\\",
            "'\\''",
            "END_OF_FILE",
            "} ; reboot #",
            "--",
            "-n",
            "é",
            "\udcff'\n",
            "${X}",
            "*",
        ]
    ),
)


def outline_of(*steps: Step, requires: tuple[Check, ...] = (), state: PairState = STATE, name: str = "failover") -> Outline:
    """A runbook of one phase."""
    phase = Phase("work", "because it\nhas to be", (in_order(*steps),))
    operation = Operation(
        name,
        ("It's to be\ndone.",),
        (PhasePlanner("work", lambda _state: phase),),
        requires=requires,
        must_finish=True,
        parameters={"old": "mna", "new": "mnb"},
    )
    return Outline(
        toy_pair(), operation, operation.preview(state), state, "20260101T000000-failover-abcd", Site(known=False), StoredTerm(1, "mna")
    )


def text_of(outline: Outline) -> str:
    return runbook(outline, {"xcat_ha/empty.py": ""}, shell_functions(), version="1")


def step_of(command: Command, **changed: Any) -> Step:
    done = Check("it is so", (Probe("mnb", reads("true")),), ExitStatus())
    return evolve(Step("do-it", "it has to be", "mnb", done, (command,)), **changed)


def understood(text: str) -> None:
    """Every shell at hand reads it to its end."""
    for shell in ("sh", "bash"):
        done = subprocess.run((shell, "-n"), input=text.encode("utf-8", "surrogateescape"), capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


def performed(outline: Outline, call: str, directory: Path) -> tuple[list[str], bytes]:
    """Words and stdin that reach ``on`` when a function of the runbook is called, without a node."""
    text = text_of(outline).replace('main "$@"\n', "")
    seen, fed = directory / "seen", directory / "fed"
    stub = 'on() { shift 2; printf "%s\\0" "$@" >>"$SEEN"; cat >"$FED"; }\nWORK=$1 SEEN=$2 FED=$3 asked_to_stop= HERE=mna\n'
    script = directory / "script"
    script.write_bytes(f"{text}\n{stub}\n{call}\n".encode("utf-8", "surrogateescape"))
    seen.unlink(missing_ok=True)
    done = subprocess.run(("sh", str(script), str(directory), str(seen), str(fed)), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    words = seen.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
    return words, fed.read_bytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=4), HOSTILE, HOSTILE)
def test_hostile_words_arrive_as_they_are(tmp_path_factory: pytest.TempPathFactory, words: Sequence[str], stdin: str, name: str) -> None:
    directory = tmp_path_factory.mktemp("words")
    command = Command(("printf", *words), Effect.CHANGES, stdin=stdin)
    check = Check(name, (Probe("mnb", reads("test", *words, stdin=stdin)),), Prints(name))
    step = step_of(command, name=name, why=name, done_when=check, only_if=(check,), cleanup=(command,))
    outline = outline_of(step, requires=(check,))
    understood(text_of(outline))
    arrived, fed = performed(outline, "run_1", directory)
    assert arrived[-len(words) :] == list(words)
    assert fed == stdin.encode("utf-8", "surrogateescape")
    arrived, _ = performed(outline, "clean_1", directory)
    assert arrived[-len(words) :] == list(words)


@settings(max_examples=60, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_what_goes_over_ssh_is_quoted_for_the_shell_there(words: Sequence[str]) -> None:
    script = f'{shell_functions()}\nsh -c "printf \'%s\\\\0\' $(quoted "$@")"\n'
    argv = ["sh", "-c", script, "sh", *words]
    done = subprocess.run([word.encode("utf-8", "surrogateescape") for word in argv], capture_output=True, check=False, timeout=60)
    assert done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1] == list(words), done.stderr


def test_nothing_is_said_of_a_word_that_no_process_can_have() -> None:
    with pytest.raises(RefusedError, match="NUL"):
        text_of(outline_of(step_of(changes("touch", "a\0b"))))


def test_a_value_known_only_later_is_the_one_that_was_captured(tmp_path: Path) -> None:
    first = step_of(changes("echo", "it's\nwhat was saved ", capture="saved"))
    second = step_of(changes("use", Ref("saved")), name="use-it")
    (tmp_path / "kept.1").write_text("it's\nwhat was saved", encoding="ascii")
    words, _ = performed(outline_of(first, second), "run_2", tmp_path)
    assert words[-2:] == ["use", "it's\nwhat was saved"]


def test_a_value_that_nobody_captures_is_no_empty_word() -> None:
    with pytest.raises(RefusedError, match="no step of this plan prints saved"):
        text_of(outline_of(step_of(changes("use", Ref("saved")))))


def test_the_hand_over_as_a_whole() -> None:
    operation = plan_handover(GIVEN, MNA, MNB)
    outline = Outline(GIVEN.pair, operation, operation.preview(STATE), STATE, GIVEN.operation_id, GIVEN.site, GIVEN.term)
    text = text_of(outline)
    understood(text)
    steps = [step for phase in outline.plan.phases for step in phase.steps]
    assert text.count("\n  perform ") == len(steps)
    assert MNA.python not in text
    assert 'change mna 60 0 "$PYTHON" -m xcat_ha.term raise 2 mnb --yielded-by mna' in text
    assert f"{MNB.bin_dir}/xcat-ha sync" not in text.replace("scheduled", ""), "toy jobs are no words of commands"


def test_the_witness_is_asked_by_whoever_may_log_in_there() -> None:
    pair = toy_pair(witness=Witness(host="192.0.2.99", user="keeper", ssh_port=2222))
    plan = plan_takeover(evolve(GIVEN, pair=pair), MNA, MNB, confirmed=True, announced="")
    outline = evolve(outline_of(), pair=pair, operation=plan, plan=plan.preview(STATE), left_out=frozenset({"mna"}))
    (way,) = (line for line in text_of(outline).splitlines() if line.strip().startswith("witness)"))
    assert "keeper@192.0.2.99" in way
    assert "Port=2222" in way
    assert "HostKeyAlias=witness" in way


def test_what_is_lost_is_not_said_as_if_it_were_of_the_night_it_is_run(tmp_path: Path) -> None:
    lost = "What was written after noon, 64 s ago, IS LOST."
    operation = plan_takeover(GIVEN, MNA, MNB, confirmed=True, announced=lost)
    outline = Outline(
        GIVEN.pair, operation, operation.preview(STATE), STATE, GIVEN.operation_id, GIVEN.site, GIVEN.term, frozenset({MNA.id})
    )
    text = text_of(outline)
    understood(text)
    script = text.replace('main "$@"\n', "LOG=; summary\n")
    shown = subprocess.run(("sh",), input=script, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path).stdout.splitlines()
    assert lost not in shown
    assert any(line.startswith("When it was written, at ") and line.endswith(lost) for line in shown)
    assert any("WHAT WAS NOT COPIED BY NOW IS LOST" in line for line in shown)
    assert "ask 1 mna" not in text, "the node that is down is not asked"
    assert "change mna" not in text


def test_a_cut_off_runbook_does_nothing(tmp_path: Path) -> None:
    text = text_of(outline_of(step_of(changes("touch", str(tmp_path / "harm")))))
    for cut in (len(text) // 2, len(text) - len('main "$@"\n')):
        subprocess.run(("sh",), input=text[:cut], text=True, capture_output=True, check=False, timeout=60)
        assert list(tmp_path.iterdir()) == []


def test_a_plan_that_needs_xcat_ha_itself_is_refused() -> None:
    with pytest.raises(RefusedError, match="needs xcat-ha itself"):
        node_programs(outline_of(step_of(changes(f"{MNB.bin_dir}/xcat-ha", "step-down"))))


# --- what it carries

PROGRAMS = (
    "xcat_ha.judge",
    "xcat_ha.silence",
    "xcat_ha.term",
    "xcat_ha.xcat.effects",
    "xcat_ha_drivers.aix.node_side",
    "xcat_ha_drivers.aix_src.node_side",
    "xcat_ha_drivers.cron.node_side",
    "xcat_ha_drivers.linux.node_side",
    "xcat_ha_drivers.rsync.node_side",
    "xcat_ha_drivers.sqlite_copy.node_side",
    "xcat_ha_drivers.systemd.node_side",
    "xcat_ha_drivers.systemd_timer.node_side",
)


def test_what_is_carried_runs_without_anything_else(tmp_path: Path) -> None:
    """Every module that came along can be imported with the standard library alone."""
    carried = carried_sources(PROGRAMS)
    for place, text in carried.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    modules = [place.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for place in carried if place.endswith(".py")]
    assert set(PROGRAMS) < set(modules)
    # -S: no site-packages; -E and -s: nothing of this environment.
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfor name in {modules!r}: __import__(name)\n"
    done = subprocess.run(
        (sys.executable, "-S", "-E", "-s", "-c", program), capture_output=True, text=True, check=False, timeout=120, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    assert len(modules) > 40


def test_what_it_carries_arrives_unchanged(tmp_path: Path) -> None:
    carried = {"a/__init__.py": "", "a/b.py": "text = '''\nEND_OF_FILE\n$HOME `id` \\\n'''\n", "x-1.dist-info/METADATA": "Name: x\n"}
    text = runbook(outline_of(step_of(changes("true"))), carried, shell_functions(), version="1")
    script = text.replace('main "$@"\n', f'unpack "{tmp_path}"\n')
    subprocess.run(("sh",), input=script, text=True, check=True, timeout=60)
    for place, content in carried.items():
        assert (tmp_path / place).read_text(encoding="utf-8") == content


def test_a_program_that_needs_more_than_the_standard_library_cannot_be_carried() -> None:
    with pytest.raises(RefusedError, match="attrs, which is not in Python's standard library"):
        carried_sources(("xcat_ha.steps",))
    with pytest.raises(RefusedError, match=r"no source of xcat_ha\.nothing"):
        carried_sources(("xcat_ha.nothing",))
