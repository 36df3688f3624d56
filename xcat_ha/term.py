"""Whose turn it is: (counter, holder), stored durably on both nodes. The higher counter is right.

Also a program for the node it runs on: ``python3 -m xcat_ha.term show`` prints ``COUNTER HOLDER YIELDED_BY``, ``raise`` stores a term.
Standard library only at run time on the node.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(os.environ.get("XCAT_HA_ROOT", "/"))
TERM_FILE = "/var/lib/xcat-ha/term.json"
_NOBODY = "-"


class StoredTerm(NamedTuple):
    """A term as stored.

    Attributes:
        counter: raised at every change of primary; 0 before there is a pair.
        holder: id of the node that has, or is about to take, the role.
        yielded_by: id of the node that gave it up in peace for this term; empty after an unplanned change. Until the holder has taken
            over, copies from this node are the newest there are.
    """

    counter: int
    holder: str
    yielded_by: str = ""

    def words(self) -> str:
        """One line, as ``show`` prints it and journals hold it."""
        return f"{self.counter} {self.holder or _NOBODY} {self.yielded_by or _NOBODY}"

    def text(self) -> str:
        """What the file holds: always the same text for the same term, so that a question can be a mere ``cat``."""
        return json.dumps(self._asdict())

    @classmethod
    def from_text(cls, text: str) -> StoredTerm | None:
        """The term a file's text holds; None if it cannot be understood, which is not "no term"."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(data, dict) or set(data) != set(cls._fields):
            return None
        counter, holder, yielded_by = (data[name] for name in cls._fields)
        sound = isinstance(counter, int) and not isinstance(counter, bool) and counter > 0 and isinstance(holder, str) and holder
        return cls(counter, holder, str(yielded_by)) if sound else None

    @classmethod
    def parse(cls, text: str) -> StoredTerm | None:
        """The term in :meth:`words`; None if it is none."""
        words = text.split()
        if len(words) != 3 or not words[0].isdigit():
            return None
        holder, yielded_by = ("" if word == _NOBODY else word for word in words[1:])
        return cls(int(words[0]), holder, yielded_by)


NO_TERM = StoredTerm(0, "")


def read_term(path: Path | None = None) -> StoredTerm:
    """The term stored on this node; :data:`NO_TERM` if none is.

    Raises:
        ValueError: the file is there but cannot be understood: that is not "no term".
    """
    path = path or _ROOT / TERM_FILE.lstrip("/")
    try:
        found = StoredTerm.from_text(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return NO_TERM
    if found is None:
        raise ValueError(f"{path} holds no term")
    return found


def store_term(term: StoredTerm, path: Path | None = None) -> None:
    """Store a term: temporary file, fsync, rename, fsync of the directory. Never lowers the counter.

    Raises:
        ValueError: a higher term, or another holder of the same counter, is stored here.
        OSError: it cannot be written.
    """
    path = path or _ROOT / TERM_FILE.lstrip("/")
    before = read_term(path)
    if before.counter > term.counter or (before.counter == term.counter and before.holder not in {"", term.holder}):
        raise ValueError(f"term {before.counter} of {before.holder} is stored here; it is not replaced by {term.counter} of {term.holder}")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="ascii") as file:
        file.write(term.text() + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def main(arguments: list[str] | None = None) -> int:
    """Show or raise this node's term; returns the exit status."""
    parser = argparse.ArgumentParser(prog="xcat_ha.term")
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("show")
    word = words.add_parser("raise")
    word.add_argument("counter", type=int)
    word.add_argument("holder")
    word.add_argument("--yielded-by", default="")
    given = parser.parse_args(arguments)
    try:
        if given.word == "raise":
            store_term(StoredTerm(given.counter, given.holder, given.yielded_by))
        print(read_term().words())  # noqa: T201 - its answer
    except (ValueError, OSError) as error:
        print(f"xcat-ha: term: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
