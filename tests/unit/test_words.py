"""Addresses and names as words: what is one, and what only looks like one."""

from __future__ import annotations

import pytest

from xcat_ha.xcat.words import around, found_word, word_pattern

PATTERN = word_pattern(["10.77.0.21", "mna", "mna.lab.example", "fd77::21"])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("10.77.0.21", "10.77.0.21"),
        ("http://10.77.0.21:80/install", "10.77.0.21"),
        ("a,10.77.0.21,b", "10.77.0.21"),
        ("host=10.77.0.21;port=5432", "10.77.0.21"),
        (r"|node(\d+)|10\.77\.0\.21|", "10.77.0.21"),
        ("mna|en1;mnb|en2", "mna"),
        ("XCAT=MNA:3001", "MNA"),
        ("root@mna.lab.example:/srv", "mna.lab.example"),
        ("[fd77::21]:80", "fd77::21"),
        ("See 10.77.0.21.", "10.77.0.21"),
        ("10.77.0.210", ""),
        ("110.77.0.21", ""),
        ("1.10.77.0.21", ""),
        ("10.77.0.21.5", ""),
        ("10.77.0.20-10.77.0.21", ""),
        ("mna-data", ""),
        ("data-mna", ""),
        ("mnab", ""),
        ("mna.elsewhere.example", ""),
        ("x.mna", ""),
        ("fd77::210", ""),
        ("fd77::21:1", ""),
        ("1:fd77::21", ""),
    ],
)
def test_a_word_is_whole(text: str, word: str) -> None:
    found = PATTERN.search(text)
    assert (found_word(found.group()) if found else "") == word


def test_without_words_nothing_is_found() -> None:
    assert word_pattern([""]).search("anything") is None


def test_only_the_part_around_a_word_is_shown() -> None:
    text = "rootpw secret-of-the-site " + "x" * 60 + " 10.77.0.21 " + "y" * 60
    found = PATTERN.search(text)
    assert found
    shown = around(text, *found.span())
    assert "10.77.0.21" in shown
    assert "secret" not in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert around("url 10.77.0.21", 4, 14) == "url 10.77.0.21"
