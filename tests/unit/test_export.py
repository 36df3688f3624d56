"""Writing a runbook: in one piece, for root only, and only if it could be run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.test_core_toys import toy_drivers, toy_pair
from tests.unit.test_runbook import outline_of, step_of
from xcat_ha.errors import RefusedError, UnreachableError
from xcat_ha.operations import Prepared, Result, Workshop
from xcat_ha.runners import LocalRunner
from xcat_ha.runners.silenced import SilencedRunner
from xcat_ha.steps import changes
from xcat_ha.verbs.export import write_runbook

PAIR = toy_pair()
WORKSHOP = Workshop(PAIR, toy_drivers(PAIR), LocalRunner())


def _run() -> Result:
    raise AssertionError("it was only to be written")


PREPARED = Prepared(plan=outline_of().plan, run=_run, outline=outline_of(step_of(changes("true"))))


def test_it_is_for_root_only_and_replaces_the_one_of_yesterday(tmp_path: Path) -> None:
    path = tmp_path / "runbook.sh"
    path.write_text("yesterday's\n", encoding="ascii")
    path.chmod(0o644)
    write_runbook(WORKSHOP, PREPARED, path)
    assert path.stat().st_mode & 0o7777 == 0o700
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert text.endswith('main "$@"\n')
    assert [found.name for found in tmp_path.iterdir()] == ["runbook.sh"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(RefusedError, match="is no file"):
        write_runbook(WORKSHOP, PREPARED, tmp_path / "directory")
    with pytest.raises(RefusedError, match="cannot be written"):
        write_runbook(WORKSHOP, PREPARED, tmp_path / "nowhere" / "runbook.sh")
    assert [found.name for found in tmp_path.iterdir()] == ["directory"]


def test_of_an_operation_that_goes_on_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="there is no runbook of this"):
        write_runbook(WORKSHOP, Prepared(plan=PREPARED.plan, run=_run), tmp_path / "runbook.sh")


def test_a_node_without_a_python_of_its_own_is_named_now_and_not_in_the_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").symlink_to(shell)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(RefusedError, match="mna has no Python of its own"):
        write_runbook(WORKSHOP, PREPARED, tmp_path / "runbook.sh")
    assert not (tmp_path / "runbook.sh").exists()


def test_a_node_that_does_not_answer_is_unknown(tmp_path: Path) -> None:
    silent = Workshop(PAIR, toy_drivers(PAIR), SilencedRunner(LocalRunner(), frozenset({"mnb"})))
    with pytest.raises(UnreachableError, match="mnb did not answer"):
        write_runbook(silent, PREPARED, tmp_path / "runbook.sh")
