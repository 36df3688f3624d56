"""Unplanned changes as transcripts: only the new node is touched, in this order; and what an old primary has alone."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import cast

import pytest
from attrs import evolve

from tests.unit.test_core_planning import GIVEN, transcript
from tests.unit.test_core_status import NOW, primary, silent, standby
from tests.unit.test_core_toys import MNA, MNB, toy_drivers, toy_pair
from xcat_ha.clock import SystemClock
from xcat_ha.errors import RefusedError
from xcat_ha.history import refuse_if_moved
from xcat_ha.interfaces import Contents, ReplicaRole, ReplicaState
from xcat_ha.journal import summarise
from xcat_ha.observation import PairState
from xcat_ha.operations import Workshop
from xcat_ha.planning.activation import plan_activation
from xcat_ha.planning.rejoin import divergence, plan_rejoin
from xcat_ha.planning.stepdown import plan_step_down
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.runners import LocalRunner
from xcat_ha.silence import outcomes, verdict
from xcat_ha.steps import Phase
from xcat_ha.term import StoredTerm
from xcat_ha.testing.site import SimulatedClock
from xcat_ha.verbs.takeover import _loss

STATE = PairState({"mna": silent(MNA), "mnb": standby()}, 0.0)

TAKEOVER = """\
raise-term
  mnb:store-term
promote
  mnb:promote
acquire
  mnb:before-identity-change
  mnb:acquire-address
  mnb:after-identity-change mnb:begin-tenure
start-xcatd
  mnb:start-xcatd
  mnb:await-xcatd
serve
  mnb:generate-dns mnb:start-dns | mnb:generate-dhcp mnb:generate-dhcp-nodes mnb:start-dhcp | mnb:generate-console mnb:start-console | mnb:await-tftp
settle
  mnb:disable-xcatd mnb:disable-dhcp mnb:disable-dns mnb:disable-console mnb:disable-tftp | mnb:start-jobs | mnb:prove-writable \
| mnb:note-services
"""  # noqa: E501 - one line a stage


def test_taking_over_without_the_old_primary() -> None:
    operation = plan_takeover(GIVEN, MNA, MNB, confirmed=True, announced="much is lost")
    assert transcript(operation.preview(STATE)) == TAKEOVER.splitlines()
    assert operation.parameters["unplanned"] == "confirmed down: mna"
    assert "much is lost" in operation.summary
    asked = [probe.host for check in operation.requires for probe in check.probes]
    assert set(asked) == {"mnb"}
    assert len(operation.requires) == 4, "ssh and xcatd, the service address, the node's own address, xcatd here"


class _At:
    """What the estimate of a loss needs to know beside the nodes' states."""

    pair = evolve(GIVEN.pair, max_loss_s=900)
    clock = SimulatedClock()


@pytest.mark.parametrize(
    ("replica", "words"),
    [
        (ReplicaState(ReplicaRole.COPY, healthy=True, last_good=None, detail="?"), "NOT KNOWN"),
        (ReplicaState(role=None, healthy=False, detail="PostgreSQL does not answer"), "PostgreSQL does not answer"),
        (ReplicaState(ReplicaRole.COPY, healthy=True, last_good=_At.clock.now() - 901, detail=""), "max_loss_s = 900"),
        (ReplicaState(ReplicaRole.COPY, healthy=False, last_good=_At.clock.now() - 5, detail="half in place"), "half in place"),
        (ReplicaState(ReplicaRole.COPY, healthy=None, last_good=_At.clock.now() - 5, detail="not looked at"), "not looked at"),
    ],
)
def test_a_copy_that_is_old_unknown_or_unsound_is_taken_only_if_that_is_allowed(replica: ReplicaState, words: str) -> None:
    here, workshop = standby(replica=replica), cast("Workshop", _At)
    with pytest.raises(RefusedError, match=re.escape(words)) as refusal:
        _loss(workshop, here, silent(MNA), allow_data_loss=False)
    assert "--allow-data-loss" in refusal.value.hint
    assert words in _loss(workshop, here, silent(MNA), allow_data_loss=True)


def test_a_sound_and_young_copy_is_taken_with_its_time_announced() -> None:
    replica = ReplicaState(ReplicaRole.COPY, healthy=True, last_good=_At.clock.now() - 5, generation="g7", detail="")
    said = _loss(cast("Workshop", _At), standby(replica=replica), silent(MNA), allow_data_loss=False)
    assert "IS LOST" in said
    assert "g7" in said


def test_an_activation_is_the_same_without_a_new_term() -> None:
    shown = transcript(plan_activation(GIVEN, MNB, MNA, why="x").preview(STATE))
    assert shown[:2] == ["prove-database", "  mnb:promote"]
    assert shown[2:] == TAKEOVER.splitlines()[4:]


def test_stepping_down_touches_nobody_else() -> None:
    state = PairState({"mna": primary(), "mnb": silent(MNB)}, 0.0)
    shown = transcript(plan_step_down(GIVEN, MNA, "x").preview(state))
    assert shown[1] == "  mna:release-address | mna:stop-xcatd"
    assert not [line for line in shown if "mnb" in line or "term" in line]


REJOIN = ["stop", "save", "  mna:save", "accept-term", "  mna:store-term", "seed"]


def test_what_only_the_returned_node_has_is_saved_before_its_term_lets_copies_in() -> None:
    state = PairState({"mna": standby(MNA), "mnb": primary(MNB)}, 0.0)
    shown = transcript(plan_rejoin(GIVEN, MNB, MNA, "a lot").preview(state))
    kept = [line for line in shown if not line.startswith("  mna:stop") and not line.startswith("  mna:release") and "seed |" not in line]
    assert kept[:2] == ["stop", "save"]
    assert shown.index("save") < shown.index("accept-term") < shown.index("seed")
    phases: tuple[Phase, ...] = plan_rejoin(GIVEN, MNB, MNA, "a lot").preview(state).phases
    assert all(step.only_if for step in phases[-1].steps if step.commands), "the receiver decides"


def test_divergence_counts_what_is_only_there() -> None:
    left = Contents({"nodelist": frozenset("abc"), "site": frozenset("s"), "mac": frozenset("m")}, frozenset({"n1", "n2", "n3"}))
    right = Contents({"nodelist": frozenset("ad"), "site": frozenset("s")}, frozenset({"n1"}))
    found = divergence(left, right)
    assert (found.only_there, dict(found.differing)) == (("n2", "n3"), {"nodelist": 2, "mac": 1})
    assert "2 node definitions (n2, n3)" in found.words
    assert divergence(right, right).words == "its database holds nothing that the primary's lacks"


MOVED = [
    ((1, "mna"), (1, "mna"), False),
    ((2, "mnb", "mna"), (1, "mna"), False),
    ((2, "mnb", "mna"), (2, "mnb", "mna"), False),
    ((2, "mna"), (1, "mna"), True),
    ((3, "mnb"), (1, "mna"), True),
    ((3, "mnb"), None, True),
]


@pytest.mark.parametrize(("here", "other", "moved"), MOVED)
def test_an_old_journal_is_not_gone_on_with(here: tuple[int, str], other: tuple[int, str] | None, moved: bool) -> None:
    line = '{"event": "begin", "time": 1.0, "operation": "failover", "parameters": {"old": "mna", "new": "mnb", "term": "1 mna -"}}'
    record = summarise("1-failover", line)
    assert record is not None
    second = standby(term=StoredTerm(*other)) if other else silent(MNB)
    state = PairState({"mna": primary(term=StoredTerm(*here)), "mnb": second}, 0.0)
    if not moved:
        refuse_if_moved(record, StoredTerm(1, "mna"), state)
        return
    with pytest.raises(RefusedError, match="the role has moved since"):
        refuse_if_moved(record, StoredTerm(1, "mna"), state)


# Silence


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def test_an_answer_and_a_refusal_are_both_answers(listening: int) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refusing = int(unused.getsockname()[1])
        assert "answers" in verdict(outcomes([("127.0.0.1", listening)], 2))
        said = verdict(outcomes([("127.0.0.1", refusing)], 2))
    assert said.startswith("FAILS")
    assert "ECONNREFUSED" in said


@pytest.mark.parametrize(
    ("codes", "word"),
    [((None,), "HOLDS"), ((113, None), "HOLDS"), ((101,), "UNKNOWN"), ((101, 0), "FAILS"), ((None, 111), "FAILS"), ((110,), "HOLDS")],
)
def test_only_silence_of_all_is_silence(codes: tuple[int | None, ...], word: str) -> None:
    found = {("192.0.2.1", port): code for port, code in enumerate(codes)}
    assert verdict(found).startswith(word)


def test_a_fenced_takeover_fences_first() -> None:
    operation = plan_takeover(evolve(GIVEN), MNA, MNB, confirmed=False, announced="")
    assert operation.phases[0].name == "fence"


# What is lost


@pytest.mark.parametrize(
    ("replica", "words"),
    [
        (ReplicaState(ReplicaRole.COPY, healthy=True, last_good=NOW - 60, detail="a copy"), r"60 s ago, IS LOST"),
        (ReplicaState(ReplicaRole.COPY, healthy=True, last_good=NOW - 9000, detail="a copy"), r"9000 s ago, IS LOST"),
        (ReplicaState(ReplicaRole.COPY, healthy=True, detail="a copy"), "NOT KNOWN"),
        # An xcatd that an upgrade started there wrote into the copy: it is of no known moment any more, and no hand-over made it so.
        (ReplicaState(ReplicaRole.SOURCE, healthy=True, detail="a copy, and written here"), "NOT KNOWN"),
    ],
)
def test_what_is_lost_is_named_and_what_is_not_known_is_said_to_be(replica: ReplicaState, words: str) -> None:
    pair = toy_pair()

    class Then(SystemClock):
        def now(self) -> float:
            return NOW

    workshop = Workshop(pair=pair, drivers=toy_drivers(pair), runner=LocalRunner(), clock=Then())
    here = standby(replica=replica)
    assert re.search(words, _loss(workshop, here, silent(MNA), allow_data_loss=True))
    if "60 s ago" not in words:
        with pytest.raises(RefusedError, match="more than max_loss_s"):
            _loss(workshop, here, silent(MNA), allow_data_loss=False)
