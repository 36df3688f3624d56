"""The rules of checks as a program, for runbooks: ``python3 -m xcat_ha.judge RULE [WORD …] -- CODE OUT ERR …``. Standard library only.

Each answer is three words: the exit status (``-`` if nothing is known of it) and the files with what was printed. Prints ``holds``,
``fails`` or ``unknown`` and the reason, as :meth:`xcat_ha.steps.Check.judge` gives them; a test compares the two.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_HOLDS, _FAILS, _UNKNOWN = "holds", "fails", "unknown"


class Answer(NamedTuple):
    """What came of one probe; ``code`` None: it has no exit status."""

    code: int | None
    out: str
    err: str

    @property
    def summary(self) -> str:
        """One line: how it ended, with the last line of what it said."""
        said = (self.err.strip() or self.out.strip()).splitlines()
        ended = "no answer" if self.code is None else f"exit {self.code}"
        return f"{ended}: {said[-1][:300]}" if said else ended


def judged(rule: str, words: Sequence[str], answers: Sequence[Answer]) -> tuple[str, str]:
    """Verdict and reason.

    Raises:
        KeyError: no rule is called that.
    """
    decide = _RULES[rule]
    for answer in answers:
        if answer.code is None:
            return _UNKNOWN, answer.summary
    return decide(words, answers)


def _exit_status(words: Sequence[str], answers: Sequence[Answer]) -> tuple[str, str]:
    holds, fails = ([int(code) for code in word.split(",") if code] for word in words)
    answer = answers[0]
    if answer.code in holds:
        return _HOLDS, answer.out.strip()[:300]
    return (_FAILS if answer.code in fails else _UNKNOWN), answer.summary


def _prints(words: Sequence[str], answers: Sequence[Answer]) -> tuple[str, str]:
    if answers[0].code != 0:
        return _UNKNOWN, answers[0].summary
    said = answers[0].out.strip()
    return (_HOLDS if said == words[0] else _FAILS), f"printed {said[:200]!r}"


def _matches(words: Sequence[str], answers: Sequence[Answer], *, absent: bool = False) -> tuple[str, str]:
    if answers[0].code != 0:
        return _UNKNOWN, answers[0].summary
    found = re.search(words[0], answers[0].out, re.MULTILINE)
    detail = f"found {found.group(0)[:200]!r}" if found else f"nothing matches {words[0]!r}"
    return (_HOLDS if (found is None) == absent else _FAILS), detail


def _lacks(words: Sequence[str], answers: Sequence[Answer]) -> tuple[str, str]:
    return _matches(words, answers, absent=True)


def _same(_words: Sequence[str], answers: Sequence[Answer]) -> tuple[str, str]:
    for answer in answers:
        if answer.code != 0:
            return _UNKNOWN, answer.summary
    texts = [answer.out.strip() for answer in answers]
    if not all(texts):
        return _UNKNOWN, "a probe printed nothing"
    return (_HOLDS, texts[0][:200]) if len(set(texts)) == 1 else (_FAILS, " / ".join(text[:100] for text in texts))


def _says(words: Sequence[str], answers: Sequence[Answer]) -> tuple[str, str]:
    lines = answers[0].out.strip().splitlines()
    if answers[0].code != 0 or not lines:
        return _UNKNOWN, answers[0].summary
    word, _, reason = lines[-1].partition(":")
    verdict = word.strip().lower()
    if verdict not in {_HOLDS, _FAILS, _UNKNOWN}:
        return _UNKNOWN, f"not a verdict: {lines[-1][:200]!r}"
    if verdict == _HOLDS and words and reason.split()[:1] != [words[0]]:
        return _UNKNOWN, f"the answer is not about {words[0]}: {lines[-1][:200]!r}"
    return verdict, reason.strip()


_RULES = {"exit-status": _exit_status, "prints": _prints, "matches": _matches, "lacks": _lacks, "same": _same, "says": _says}


def _answers(words: Sequence[str]) -> list[Answer]:
    found = []
    for code, out, err in zip(words[::3], words[1::3], words[2::3], strict=True):
        texts = [Path(name).read_bytes().decode("utf-8", "surrogateescape") for name in (out, err)]
        found.append(Answer(None if code == "-" else int(code), *texts))
    return found


def main(words: list[str]) -> int:
    """Judge; returns the exit status, which is not the verdict."""
    at = len(words) - 1 - words[::-1].index("--")  # a text to compare with may be "--" itself
    verdict, reason = judged(words[0], words[1:at], _answers(words[at + 1 :]))
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    print(verdict, " ".join(reason.split()))  # noqa: T201 - its answer
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
