"""The frame of a driver's programs on a node: ``python3 -m …node_side VERB --option=value …``, read without argparse, which starts slowly.

Questions end with ``HOLDS`` or ``FAILS: reason`` and exit with 0; everything else exits with 0 when done, and with 1 and one line on stderr
when not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from xcat_ha_drivers.database.errors import DatabaseError

Given = TypeVar("Given")


class Program(NamedTuple, Generic[Given]):
    """What a ``node_side`` can be asked.

    Attributes:
        given: makes what the words after the verb say, a named tuple with the field ``node``.
        readers: field -> what makes its value of a word; all others are texts, or switches.
        questions: they read; they return why not, or nothing.
        verbs: they return what is printed.
    """

    given: Callable[..., Given]
    readers: Mapping[str, Callable[[str], object]]
    questions: Mapping[str, Callable[[Given], str]]
    verbs: Mapping[str, Callable[[Given], str]]

    def read(self, words: Sequence[str]) -> Given:
        """Read ``--option=value`` and ``--switch``.

        Raises:
            DatabaseError: an option is unknown, missing or malformed.
        """
        values: dict[str, object] = {}
        try:
            for word in words:
                name, equals, value = word.removeprefix("--").partition("=")
                field = name.replace("-", "_")
                if not word.startswith("--"):
                    raise ValueError(f"unknown word {word!r}")  # noqa: TRY301  # handled with its likes, just below
                values[field] = self.readers.get(field, str)(value) if equals else True
            return self.given(**values)
        except (ValueError, TypeError) as error:
            raise DatabaseError(
                f"node_side was called wrongly ({error})", hint="install the same version of xcat-ha on both nodes"
            ) from error

    def run(self, words: Sequence[str]) -> int:
        """Run one verb or answer one question; returns the exit status."""
        os.umask(0o077)
        verb = words[0] if words else ""
        if verb not in self.questions and verb not in self.verbs:
            print(f"usage: node_side {'|'.join((*self.questions, *self.verbs))} --node=ID ...", file=sys.stderr)
            return 2
        given: Any = None
        try:
            given = self.read(words[1:])
            if verb in self.verbs:
                print(self.verbs[verb](given))
                return 0
            reason = self.questions[verb](given)
        except DatabaseError as error:
            if verb in self.verbs:
                return _failed(given, str(error))
            reason = str(error)
        except OSError as error:
            return _failed(given, f"{error}; hint: check that file and its file system, then run it again")
        print(f"FAILS: {' '.join(reason.split())}" if reason else "HOLDS")
        return 0


def _failed(given: Any, said: str) -> int:
    print(f"{'?' if given is None else given.node}: {said}", file=sys.stderr)
    return 1
