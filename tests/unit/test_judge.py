"""A runbook judges answers exactly as xcat-ha does: the program and the rules are held against each other."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from xcat_ha import judge
from xcat_ha.judge import Answer
from xcat_ha.shell_text import rule_words
from xcat_ha.steps import Check, Completed, ExitStatus, Matches, Prints, Probe, Rule, SamePrinted, SaysVerdict, Trouble, reads

WORDS = st.sampled_from(
    [
        *("HOLDS", "HOLDS: mna holds nothing", "HOLDS\nmaybe", "holds", "FAILS: no", "\n\nFAILS:x\n", "UNKNOWN: silence"),
        *(" x ", "x", "", "a\nb", "--", "é\udcff"),
    ]
)
CODES = st.sampled_from([None, 0, 1, 2, 255])
RULES: st.SearchStrategy[Rule] = st.one_of(
    st.just(ExitStatus()),
    st.builds(ExitStatus, holds=st.just((0, 2)), fails=st.sampled_from([(1,), (), (1, 255)])),
    st.builds(Prints, text=WORDS.map(str.strip)),
    st.builds(Matches, pattern=WORDS.map(re.escape), absent=st.booleans()),
    st.just(Matches("^b$")),
    st.just(SamePrinted()),
    st.builds(SaysVerdict, names=st.sampled_from(["", "mna", "mn"])),
)


@example(SaysVerdict(names="mna"), [(0, "HOLDS", "")] * 2)
@example(SaysVerdict(names="mna"), [(0, "HOLDS: mna holds nothing", "")] * 2)
@example(SaysVerdict(names="mna"), [(0, "HOLDS: mnb holds nothing", "")] * 2)
@given(RULES, st.lists(st.tuples(CODES, WORDS, WORDS), min_size=2, max_size=2))
def test_the_same_verdict_and_reason(rule: Rule, said: Sequence[tuple[int | None, str, str]]) -> None:
    said = said if isinstance(rule, SamePrinted) else said[:1]
    check = Check("?", tuple(Probe("mna", reads("true")) for _ in said), rule)
    completed = [Completed((), code, out, err, trouble=None if code is not None else Trouble.TIMED_OUT) for code, out, err in said]
    expected = check.judge(completed)
    name, *words = rule_words(rule)
    verdict, reason = judge.judged(name, words, [Answer(*answer) for answer in said])
    assert verdict == expected.verdict
    if None not in [code for code, _, _ in said]:  # without an answer xcat-ha also names the host
        assert reason == expected.detail


def test_as_a_program(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    out.write_bytes(b"--\xff\n")
    err.write_bytes(b"")
    for words, said in (
        (("prints", "--\udcff", "--", "0", str(out), str(err)), "holds printed '--\\udcff'\n"),
        (("prints", "--", "--", "0", str(out), str(err)), "fails printed '--\\udcff'\n"),
        (("same", "--", "-", str(out), str(err), "0", str(out), str(err)), "unknown no answer: --\\udcff\n"),
    ):
        argv = (sys.executable, "-m", "xcat_ha.judge", *words)
        assert subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout == said
