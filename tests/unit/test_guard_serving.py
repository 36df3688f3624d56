"""What the guard of the node with the role sees to at each of its looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from tests.unit.test_core_toys import Relocated, ToyReplication, hosts_in, toy_drivers, toy_pair
from xcat_ha import guard
from xcat_ha.guard import Guard
from xcat_ha.models import Node
from xcat_ha.operations import Workshop
from xcat_ha.planning.turns import Decision, Turn
from xcat_ha.runners import LocalRunner
from xcat_ha.steps import Steps


class Watching(ToyReplication):
    def steps_while_serving(self, node: Node) -> Steps:
        return (self.make("watch-standby", node, "watched"),)


class Decided(Guard):
    """A guard that has decided already."""

    decided = Decision(Turn.SERVE, "has the role")

    def _decide(self) -> Decision:
        return self.decided


def guard_of(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Decided:
    monkeypatch.setattr(guard, "GUARD_FILE", str(directory / "guard.json"))
    pair = toy_pair(hosts_in(directory, mna="source", mnb="copy"))
    drivers = evolve(toy_drivers(pair), replication=Watching(pair, pair.database.options))
    workshop = Workshop(pair=pair, drivers=drivers, runner=Relocated(LocalRunner(), {}), local="mna")
    return Decided(workshop, pair.node("mna"), say=lambda _text: None)


def test_the_node_that_serves_does_what_its_database_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decision = guard_of(tmp_path, monkeypatch).tick()
    assert decision.turn is Turn.SERVE
    assert list(tmp_path.rglob("mna/watched"))


def test_a_node_that_does_not_serve_leaves_its_database_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = guard_of(tmp_path, monkeypatch)
    one.decided = Decision(Turn.STANDBY, "the role is mnb's")
    one.tick()
    assert not list(tmp_path.rglob("watched"))
