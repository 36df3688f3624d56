"""What an unplanned change of primary may do without: the node that is down, fenced, or only planned for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.unit.test_core_status import NOW, primary, silent, standby
from tests.unit.test_core_toys import MNA, MNB, ToyClock, toy_drivers, toy_pair
from tests.unit.test_killed_everywhere import Fixed
from xcat_ha.errors import RefusedError
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.journal import summarise
from xcat_ha.observation import PairState
from xcat_ha.operations import Prepared
from xcat_ha.steps import Command, Completed
from xcat_ha.verbs.resume import _not_needed
from xcat_ha.verbs.takeover import prepare_takeover

BOTH = PairState({"mna": primary(), "mnb": standby()}, NOW)
ALONE = PairState({"mna": silent(MNA), "mnb": standby()}, NOW)


class AnyCopy(Runner):
    """The standby's copy gives its site table."""

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        del host, command, on_output
        return Completed((), 0, "clustersite: master=192.0.2.11\n")

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        return tuple(self.run(host, command) for command in commands)


def prepare(state: PairState, *, confirmed: bool, for_later: bool = False) -> Prepared:
    pair = toy_pair(max_loss_s=30)
    workshop = Fixed(pair=pair, drivers=toy_drivers(pair), runner=AnyCopy(), local="mnb", clock=ToyClock(NOW), state=state)
    return prepare_takeover(workshop, MNA, confirmed=confirmed, allow_data_loss=not for_later, for_later=for_later)


def test_a_node_that_answers_is_not_declared_down() -> None:
    with pytest.raises(RefusedError, match="it is not down"):
        prepare(BOTH, confirmed=True)


def test_in_peace_it_can_be_written_and_not_run() -> None:
    prepared = prepare(BOTH, confirmed=True, for_later=True)
    assert prepared.outline is not None
    assert prepared.outline.left_out == {"mna"}
    assert [node.id for node in prepared.outline.nodes] == ["mnb"]
    with pytest.raises(RefusedError, match="written as a runbook"):
        prepared.run()


def test_in_peace_a_runbook_that_fences_is_written_for_the_day_when_the_node_does_not_answer() -> None:
    outline = prepare(BOTH, confirmed=False, for_later=True).outline
    assert outline is not None
    assert outline.left_out == {"mna"}


@pytest.mark.parametrize(("state", "confirmed", "left_out"), [(ALONE, True, {"mna"}), (ALONE, False, {"mna"}), (BOTH, False, set())])
def test_a_silent_node_can_be_fenced_by_a_power_switch_and_takes_no_part(state: PairState, confirmed: bool, left_out: set[str]) -> None:
    outline = prepare(state, confirmed=confirmed).outline
    assert outline is not None
    assert outline.left_out == left_out


@pytest.mark.parametrize(
    ("unplanned", "state", "without"),
    [
        ("confirmed down: mna", BOTH, {"mna"}),
        ("fenced by libvirt", BOTH, set()),
        ("fenced by libvirt", ALONE, {"mna"}),
        ("", ALONE, set()),
    ],
)
def test_resume_does_without_a_node_that_was_switched_off(unplanned: str, state: PairState, without: set[str]) -> None:
    said = f', "unplanned": "{unplanned}"' if unplanned else ""
    line = f'{{"event": "begin", "time": 1.0, "operation": "failover", "parameters": {{"old": "mna", "new": "{MNB.id}"{said}}}}}'
    record = summarise("1-failover", line)
    assert record is not None
    assert _not_needed(record, state) == without
