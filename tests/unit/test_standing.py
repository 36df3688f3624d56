"""What ``check`` says of terms, guards and locks: agreement, conflict, what was left by the dead, and what is merely not known."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve, field, frozen

from tests.unit.test_core_status import NOW, primary, silent, standby
from tests.unit.test_core_toys import MNA, MNB, ToyClock, toy_drivers, toy_pair
from xcat_ha.interfaces import Drivers, OutputSink, Runner
from xcat_ha.kept import GuardWord, LockState, lock_question
from xcat_ha.models import Node, Witness
from xcat_ha.observation import NodeState, PairState
from xcat_ha.operations import Workshop
from xcat_ha.planning.jobs import guard_daemon
from xcat_ha.planning.standing import findings_of_guards, findings_of_terms, guard_checks
from xcat_ha.runners import LocalRunner
from xcat_ha.steps import Command, Completed, Trouble, Verdict
from xcat_ha.term import NO_TERM, StoredTerm
from xcat_ha.verbs.checking import check_pair
from xcat_ha_drivers.systemd import Systemd

PAIR = toy_pair()
H, F, U = Verdict.HOLDS, Verdict.FAILS, Verdict.UNKNOWN
A1, B1, A2, B2 = StoredTerm(1, "mna"), StoredTerm(1, "mnb"), StoredTerm(2, "mna", "mnb"), StoredTerm(2, "mnb")


def at(first: NodeState, second: NodeState) -> PairState:
    return PairState({"mna": first, "mnb": second}, NOW)


# (mna, mnb, verdicts: mna's term, mnb's, agreement, the primary is whom they name, what the agreement says, its hint)
TERMS: dict[str, tuple[NodeState, NodeState, tuple[Verdict, ...], str, str]] = {
    "healthy": (primary(), standby(), (H, H, H, H), "term 1 of mna", ""),
    "never set up": (primary(term=NO_TERM), standby(term=NO_TERM), (F, F, H), "no term", ""),
    "conflict": (
        primary(term=A1), standby(term=B1), (H, H, F), "mnb has term 1 of mnb: a CONFLICT", "failover --confirm-down",
    ),
    "the standby was away": (
        primary(term=A2), standby(term=A1), (H, H, F, H), "mnb was away while the role moved", "rejoin makes mnb the standby of mna",
    ),
    "an old primary that serves on": (
        primary(term=A1), standby(term=B2), (H, H, F, F), "mna was away", "xcat-ha rejoin makes mna the standby of mnb",
    ),
    "yielded to another": (
        primary(term=A2), standby(term=StoredTerm(2, "mna")), (H, H, H, H), "term 2 of mna, yielded by mnb", "",
    ),
    "one cannot be read": (primary(), standby(term=None), (H, U, U, H), "mnb has an unknown term", "xcat-ha status"),
    "one is silent": (primary(), silent(MNB), (H, U, U, H), "mnb has an unknown term", "xcat-ha status"),
    "both are silent": (silent(MNA), silent(MNB), (U, U, U), "an unknown term", "xcat-ha status"),
}  # fmt: skip


@pytest.mark.parametrize("case", TERMS)
def test_terms_are_shown_compared_and_explained(case: str) -> None:
    first, second, verdicts, says, hint = TERMS[case]
    found = findings_of_terms(at(first, second))
    assert tuple(finding.verdict for finding in found) == verdicts
    agreement = found[2]
    assert says in agreement.judgement.detail
    assert hint in agreement.hint
    assert all(finding.hint for finding in found if finding.verdict is not H)


def spoke(age_s: float) -> GuardWord:
    return GuardWord("standby", "the role is mna's", "", NOW + 0.1 - age_s)


@pytest.mark.parametrize(
    ("there", "verdict", "says"),
    [
        (standby(guard=spoke(3)), H, "3 s ago it said: standby: the role is mna's"),
        (standby(guard=spoke(3600)), F, "3600 s ago"),
        (standby(guard=None), F, "has not spoken since the node booted"),
        (standby(guard=spoke(3), clock_offset_s=None), U, "clock"),
        (standby(guard=spoke(3), clock_offset_s=-7200.0), H, "0 s ago"),
        (silent(MNB), U, "did not answer"),
    ],
)
def test_a_guard_has_to_look_again_and_again(there: NodeState, verdict: Verdict, says: str) -> None:
    found = findings_of_guards(PAIR, at(primary(), there))[-1]
    assert (found.verdict, found.topic) == (verdict, "guard")
    assert says in found.judgement.detail


def test_guards_matter_only_on_the_nodes_of_a_pair() -> None:
    fresh = at(primary(term=NO_TERM), standby(term=NO_TERM))
    assert findings_of_guards(PAIR, fresh) == ()
    assert guard_checks(PAIR, with_systemd(), fresh) == ()
    asked = guard_checks(PAIR, with_systemd(), at(primary(), silent(MNB)))
    assert [check.probes[0].host for _, check in asked] == ["mna", "mnb"]


def with_systemd() -> Drivers:
    return evolve(toy_drivers(PAIR), services=Systemd(PAIR, {}))


@pytest.mark.parametrize(
    ("installed", "enabled", "active", "verdict", "says"),
    [
        ("as it is", 0, 0, H, ""),
        ("not", 0, 0, F, "is not there"),
        ("changed by hand", 0, 0, F, "is not as setup writes it"),
        ("as it is", 1, 0, F, "would not start at boot"),
        ("as it is", 0, 3, F, "does not run"),
    ],
)
def test_the_guard_s_service_is_looked_at(  # what systemd says is played
    installed: str, enabled: int, active: int, verdict: Verdict, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(primary(), silent(MNB))
    (step,) = with_systemd().services.steps_to_keep_running(MNA, guard_daemon(PAIR, MNA))
    unit = tmp_path / "xcat-ha-guard.service"
    if installed != "not":
        unit.write_text(str(step.commands[0].stdin) + ("# mine\n" if installed == "changed by hand" else ""))
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\ncase $1 in is-enabled) exit {enabled};; is-active) exit {active};; esac\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    check = guard_checks(PAIR, with_systemd(), state)[0][1]
    words = [str(unit) if word == "/etc/systemd/system/xcat-ha-guard.service" else word for word in check.probes[0].command.argv]
    answer = LocalRunner().run("mna", evolve(check.probes[0].command, argv=tuple(words)))
    judged = check.judge([answer])
    assert judged.verdict is verdict
    assert says in judged.detail
    assert "xcat-ha setup" in check.hint


def test_every_topic_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/json.rst").read_text(encoding="utf-8")
    row = text.partition("* - ``topic``")[2].partition("* - ``question``")[0]
    documented = set(re.findall(r"``([a-z]+)``", row))
    pair = toy_pair(witness=Witness(file="/shared/term.json"))
    workshop = Fixed(pair, with_systemd(), Asked("alive"), "mna", ToyClock(), state=at(primary(), standby()))
    assert {finding.topic for finding in check_pair(workshop)} == documented


# The lock


HELD = {"id": "1-x", "operation": "failover", "node": "mnb", "host": "mnb.example.org", "pid": 4711, "user": "root"}


@frozen
class Asked(Runner):
    """Answers ``word`` to whoever asks for a process, the lock (if it is ``left``) to whoever reads it again, and nothing to all others."""

    word: str
    left: bool = True

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        if command == lock_question():
            return Completed((), 0, json.dumps(HELD) + "\n" + self.word if self.left else "")
        if not any("boot_id" in str(part) for part in command.argv):
            return Completed((), 0, "")
        assert host == "mnb", "only where the holder runs can it be told whether it lives"
        return Completed((), 0, self.word) if self.word else Completed((), None, trouble=Trouble.TIMED_OUT)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        return tuple(self.run(host, command) for command in commands)


@frozen
class Fixed(Workshop):
    """Observes always the same."""

    state: PairState = field(kw_only=True)

    def observe(self, *, images: bool = False) -> PairState:
        del images
        return self.state


def held(at_node: Node, *, alive: bool | None, by: str = "mnb") -> NodeState:
    return evolve(primary() if at_node is MNA else standby(), lock=LockState({**HELD, "node": by}, holder_alive=alive))


@pytest.mark.parametrize(
    ("first", "second", "word", "verdicts", "says"),
    [
        (primary(), standby(), "", (H, H), "nobody holds it"),
        (held(MNA, alive=None), held(MNB, alive=True), "alive", (H, H), "failover by root on mnb.example.org (process 4711), which runs"),
        (held(MNA, alive=None), held(MNB, alive=False), "dead", (F, F), "which is no more"),
        # Rebooted meanwhile: its own copy of the lock went with /run.
        (held(MNA, alive=None), standby(), "dead", (F, H), "which is no more"),
        (held(MNA, alive=None), silent(MNB), "", (U, U), "whether that runs is not known"),
        (held(MNA, alive=None), standby(), "", (U, H), "whether that runs is not known"),
        (held(MNA, alive=None, by=""), held(MNB, alive=None, by=""), "", (U, U), "whether that runs is not known"),
    ],
)
def test_a_lock_left_by_the_dead_is_told_from_one_that_is_held(
    first: NodeState, second: NodeState, word: str, verdicts: tuple[Verdict, ...], says: str
) -> None:
    workshop = Fixed(PAIR, with_systemd(), Asked(word), "mna", ToyClock(), state=at(first, second))
    found = [finding for finding in check_pair(workshop) if finding.topic == "lock"]
    assert tuple(finding.verdict for finding in found) == verdicts
    assert says in found[0].judgement.detail
    if F in verdicts:
        assert "the next operation removes the lock by itself" in found[0].hint


@pytest.mark.parametrize(("first", "second"), [(held(MNA, alive=None), standby()), (primary(), held(MNB, alive=False))])
def test_a_holder_that_ends_between_two_questions_has_left_nothing(first: NodeState, second: NodeState) -> None:
    """As a scheduled sync does that ends just now: its lock was read, then it dropped it, then nobody knew it any more."""
    workshop = Fixed(PAIR, with_systemd(), Asked("dead", left=False), "mna", ToyClock(), state=at(first, second))
    assert [finding.verdict for finding in check_pair(workshop) if finding.topic == "lock"] == [H, H]
