"""Fixtures for tests that need the lab.

A test asks for ``pair`` (two fresh nodes, shared by the tests of a module), ``fresh_pair`` (fresh
for this very test, some 5 s) or ``single`` (fresh, one node is the management node).  What is
installed on the nodes: the fixture ``lab_layers``, which a module or directory may override.
With the product and xCAT's stand-in on them: ``site``, and its nodes ``mna`` and ``mnb``.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.lab import Lab, Layer, Node, Settings
from tests.lab.base import base_tree
from tests.lab.lab import down
from tests.lab.locks import exclusive
from tests.lab.losses import make_pair
from tests.lab.product import layers
from tests.lab.settings import require_root

_HERE = Path(__file__).parent
# Another session of tests on the same machine may have to end first.
_TURN_LIMIT_S = 1800.0


class Nodes:
    """The one lab of a test session, made anew or only reset, whichever is enough."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lab: Lab | None = None
        self._made_of: tuple[str, tuple[Layer, ...]] | None = None

    def fresh(self, shape: str, layers: Sequence[Layer]) -> Lab:
        """A lab of this shape in which nothing has happened yet."""
        wanted = (shape, tuple(layers))
        if self._lab and self._made_of == wanted:
            self._lab.reset()
        else:
            down(self._settings)
            self._lab = Lab.up(shape, layers, settings=self._settings)
            self._made_of = wanted
        return self._lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test below this directory is a lab test."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def lab_settings() -> Settings:
    """The places of the tests' lab, which is not the one used by hand; with pytest -n each worker has its own.

    Without root this is an error, not a skip: a lab test that did not run proves nothing.
    """
    require_root()
    settings = Settings.from_environment()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    return dataclasses.replace(settings, name=f"{settings.name[:6]}t{worker}")


@pytest.fixture(scope="session")
def lab_base(lab_settings: Settings) -> Path:
    """The base tree, built if need be."""
    return base_tree(lab_settings)


@pytest.fixture(scope="session")
def lab_layers() -> Sequence[Layer]:
    """What is installed over the base tree, from top to bottom: nothing, unless overridden."""
    return ()


@pytest.fixture(scope="session")
def lab_nodes(lab_settings: Settings, lab_base: Path) -> Iterator[Nodes]:
    """The machines of this session; other sessions with the same lab name wait."""
    del lab_base  # only its being there counts
    lock = lab_settings.run_dir / f"{lab_settings.name}.session.lock"
    with exclusive(lock, timeout_s=_TURN_LIMIT_S, what="another test session to end"):
        try:
            yield Nodes(lab_settings)
        finally:
            down(lab_settings)


@pytest.fixture(scope="module")
def pair(lab_nodes: Nodes, lab_layers: Sequence[Layer]) -> Lab:
    """Two nodes of their own, fresh for this module."""
    return lab_nodes.fresh("pair", lab_layers)


@pytest.fixture
def fresh_pair(lab_nodes: Nodes, lab_layers: Sequence[Layer]) -> Lab:
    """Two nodes of their own, fresh for this test."""
    return lab_nodes.fresh("pair", lab_layers)


@pytest.fixture
def single(lab_nodes: Nodes, lab_layers: Sequence[Layer]) -> Lab:
    """The existing management node of a site, and a new machine; fresh for this test."""
    return lab_nodes.fresh("single", lab_layers)


@pytest.fixture(scope="module")
def site(lab_nodes: Nodes) -> Lab:
    """A site of which setup has made a pair, for the tests of a module."""
    return make_pair(lab_nodes.fresh("single", layers()))


@pytest.fixture
def mna(site: Lab) -> Node:
    """The pair's preferred node."""
    return site.node("mna")


@pytest.fixture
def mnb(site: Lab) -> Node:
    """The other one."""
    return site.node("mnb")
