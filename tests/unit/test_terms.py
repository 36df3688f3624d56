"""Terms on disk and as checks: durable, never lowered, and the receiver's word on whose copies it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_core_toys import MNA, MNB, Relocated, World
from xcat_ha.execution import judge
from xcat_ha.kept import question_for_term, term_of
from xcat_ha.planning.terms import accepts_copies_from, term_is
from xcat_ha.runners import LocalRunner
from xcat_ha.steps import Completed, Verdict
from xcat_ha.term import NO_TERM, StoredTerm, main, read_term, store_term

H, F, U = Verdict.HOLDS, Verdict.FAILS, Verdict.UNKNOWN


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "term.json"


def test_nothing_stored_is_no_term(file: Path) -> None:
    assert read_term(file) == NO_TERM


def test_what_is_stored_is_read_back(file: Path) -> None:
    store_term(StoredTerm(3, "mnb", "mna"), file)
    assert read_term(file) == StoredTerm(3, "mnb", "mna")
    assert file.stat().st_mode & 0o077 == 0 or file.parent.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == ["term.json"]


# (stored, to store, whether it is)
RAISES = [
    (StoredTerm(1, "mna"), StoredTerm(2, "mnb"), True),
    (StoredTerm(2, "mnb"), StoredTerm(2, "mnb", "mna"), True),
    (StoredTerm(2, "mnb"), StoredTerm(2, "mna"), False),
    (StoredTerm(3, "mnb"), StoredTerm(2, "mnb"), False),
    (StoredTerm(3, "mnb"), StoredTerm(3, "mnb"), True),
]


@pytest.mark.parametrize(("stored", "wanted", "done"), RAISES)
def test_a_counter_is_never_lowered_nor_its_holder_changed(stored: StoredTerm, wanted: StoredTerm, done: bool, file: Path) -> None:
    store_term(stored, file)
    if done:
        store_term(wanted, file)
        assert read_term(file) == wanted
        return
    with pytest.raises(ValueError, match="is stored here"):
        store_term(wanted, file)
    assert read_term(file) == stored


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"counter": 1}', '{"counter": true, "holder": "a", "yielded_by": ""}', "none", "3 mna -", "[" * 99_999]
)
def test_what_cannot_be_understood_is_not_no_term(text: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(text)
    assert StoredTerm.from_text(text) is None
    with pytest.raises(ValueError, match="holds no term"):
        read_term(file)
    with pytest.raises(ValueError, match="holds no term"):
        store_term(StoredTerm(9, "mna"), file)


@given(st.builds(StoredTerm, st.integers(1, 10**9), st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), st.sampled_from(["", "mnb"])))
def test_words_and_text_tell_the_same(term: StoredTerm) -> None:
    assert StoredTerm.parse(term.words()) == term
    assert StoredTerm.from_text(term.text()) == term


def test_the_program_raises_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("xcat_ha.term._ROOT", tmp_path)
    assert main(["raise", "2", "mnb", "--yielded-by", "mna"]) == 0
    assert main(["raise", "1", "mna"]) == 1
    assert main(["show"]) == 0
    assert capsys.readouterr().out.splitlines() == ["2 mnb mna", "2 mnb mna"]


# (the target's own term, the operation's term, whether mnb takes copies from mna)
ACCEPTS = [
    (StoredTerm(1, "mna"), StoredTerm(1, "mna"), H),
    (StoredTerm(3, "mna", "mnb"), StoredTerm(3, "mna", "mnb"), H),
    (StoredTerm(2, "mnb", "mna"), StoredTerm(2, "mnb", "mna"), H),
    (StoredTerm(2, "mnb"), StoredTerm(2, "mnb", "mna"), F),
    (StoredTerm(2, "mnb"), StoredTerm(1, "mna"), F),
    (StoredTerm(2, "mnb", "mna"), StoredTerm(1, "mna"), F),
    (StoredTerm(1, "mna"), StoredTerm(2, "mna"), F),
    (StoredTerm(11, "mna"), StoredTerm(1, "mna"), F),
    (StoredTerm(1, "mnab"), StoredTerm(1, "mna"), F),
    (None, StoredTerm(1, "mna"), F),
]


@pytest.mark.parametrize(("stored", "term", "verdict"), ACCEPTS)
def test_the_receiver_decides(stored: StoredTerm | None, term: StoredTerm, verdict: Verdict, tmp_path: Path) -> None:
    runner = Relocated(LocalRunner(), {"/var/lib/xcat-ha": tmp_path})
    if stored is not None:
        store_term(stored, tmp_path / "mnb" / "term.json")
    (judgement,) = judge(runner, (accepts_copies_from(MNB, MNA, term),))
    assert judgement.verdict is verdict
    if stored is not None:
        assert judge(runner, (term_is(MNB, stored),))[0].verdict is H
        assert term_of(runner.run("mnb", question_for_term())) == stored


def test_a_silent_receiver_accepts_nothing() -> None:
    class Silent(World):
        def read_many(self, host: str, commands: object) -> tuple[Completed, ...]:
            del host, commands
            return (Completed((), None),)

    assert judge(Silent(), (accepts_copies_from(MNB, MNA, StoredTerm(1, "mna")),))[0].verdict is U
