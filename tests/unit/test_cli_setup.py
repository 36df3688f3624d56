"""What ``setup`` does about stale pointers when it is asked, told, or may not ask; and a ``site.master`` that names one node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from tests.unit.test_core_planning import GIVEN
from tests.unit.test_core_toys import MNA, MNB
from tests.unit.test_stale_planning import CELL, HAND, SITE
from xcat_ha.cli import keeping
from xcat_ha.cli.keeping import SetupVerb
from xcat_ha.errors import RefusedError
from xcat_ha.journal import Record
from xcat_ha.planning.setup import plan_setup
from xcat_ha.verbs import resume
from xcat_ha.verbs.setup import _mended_site, _require_master, mend_nothing
from xcat_ha.xcat.site import Site

POINTERS = (HAND, CELL)


def setup(*flags: str) -> SetupVerb:
    verb = SetupVerb("xcat-ha setup")
    for flag in flags:
        setattr(verb, flag, True)
    return verb


@pytest.mark.parametrize(
    ("flags", "typed", "mends"),
    [
        (("mend",), None, True),
        (("mend", "yes"), None, True),
        (("keep",), None, False),
        (("keep", "yes"), None, False),
        (("yes",), None, False),
        (("dry_run",), None, False),
        (("dry_run", "mend"), None, True),
        ((), True, True),
        ((), False, False),
    ],
)
def test_who_decides_whether_to_mend(flags: tuple[str, ...], typed: bool | None, mends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(question: str) -> bool:
        asked.append(question)
        assert typed is not None, "nobody was to be asked"
        return typed

    monkeypatch.setattr(keeping, "ask", answer)
    assert setup(*flags)._mend(POINTERS) is mends
    assert len(asked) == (0 if typed is None else 1)


def test_all_are_named_before_the_one_question(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(keeping, "ask", lambda _question: False)
    setup()._mend(POINTERS)
    said = capsys.readouterr().err
    assert "table noderes, node=compute: xcatmaster = mna -> mn1" in said
    assert "(by hand: run nodeset cn2)" in said
    setup("yes")._mend(POINTERS)
    assert "--mend-stale mends them" in capsys.readouterr().err


def test_the_two_answers_exclude_each_other() -> None:
    argv = (sys.executable, "-c", "from xcat_ha.cli import main; main()", "setup", "--mend-stale", "--no-mend-stale")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr + done.stdout


def test_a_program_mends_nothing_unless_it_says_so() -> None:
    assert mend_nothing(POINTERS) is False


def test_a_master_of_one_nodes_own_is_refused_unless_it_is_mended() -> None:
    site = Site(known=True, master="10.0.0.1", domain="example.org")
    with pytest.raises(RefusedError, match=r"site.master is 10\.0\.0\.1") as caught:
        _require_master(GIVEN.pair, _mended_site(site, (CELL,)))
    assert "--mend-stale" in caught.value.hint
    identity = GIVEN.pair.identity
    allowed = str(identity.primary_address)
    (mended,) = {_mended_site(site, (CELL, pointer)).master for pointer in (SITE,)}
    assert mended == SITE.wanted
    _require_master(GIVEN.pair, Site(known=True, master=allowed))


def test_a_setup_that_goes_on_mends_what_it_was_told_to(tmp_path: Path) -> None:
    (tmp_path / "pair.toml").write_text("text")
    given = evolve(GIVEN, pair=evolve(GIVEN.pair, source=str(tmp_path / "pair.toml")))
    parameters = plan_setup(given, MNA, MNB, "text", stale=POINTERS).parameters
    record = Record("x", "setup", parameters, 0.0, None, None, "", changed=True, must_finish=True, host="mna", pid=1, user="root")
    again = resume._planned_again(record, given)
    assert "mend-stale" in [planner.name for planner in again.phases]
    assert again.parameters == parameters
