"""The whole story of a planned hand-over, as `make demo` tells it: every line of its closing table has to hold."""

from __future__ import annotations

import pytest

from tests.lab.conftest import Nodes
from tests.lab.demo import tell
from tests.lab.product import layers


@pytest.mark.lab
def test_a_site_becomes_a_pair_hands_over_and_hands_back(lab_nodes: Nodes) -> None:
    lines = tell(lab_nodes.fresh("single", layers()))
    assert [f"{line.what}: {line.figure}" for line in lines if not line.holds] == []
    assert len(lines) > 40


@pytest.mark.soak
def test_the_same_in_mode_replace(lab_nodes: Nodes) -> None:
    lines = tell(lab_nodes.fresh("single", layers()), mode="replace")
    assert [f"{line.what}: {line.figure}" for line in lines if not line.holds] == []
    assert len(lines) > 45
