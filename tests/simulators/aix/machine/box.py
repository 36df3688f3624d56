"""What a command has at hand: the words it was given, where it speaks, and the machine."""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from typing import TextIO

from . import inet
from .kernel import FileKernel, Kernel, LinuxKernel
from .odm import Odm
from .paths import is_whole_machine


class Stop(Exception):  # noqa: N818 - ends a command, which is no error of the simulator's
    """The command ends here with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Box:
    """One command's surroundings."""

    def __init__(self, name: str, words: Sequence[str], out: TextIO, err: TextIO, stdin: TextIO) -> None:
        self.name = name
        self.words = list(words)
        self.stdin = stdin
        self._out = out
        self._err = err
        self.odm = Odm()
        self.kernel: Kernel = LinuxKernel(self.odm.interfaces) if is_whole_machine() else FileKernel(self.odm.interfaces)

    def out(self, line: str) -> None:
        """One line on standard output, seen at once."""
        self._out.write(line + "\n")
        self._out.flush()

    def err(self, line: str) -> None:
        """One line on standard error."""
        self._err.write(line + "\n")
        self._err.flush()

    def fail(self, line: str, code: int = 1) -> Stop:
        """Say it on standard error; the caller raises what is returned."""
        self.err(line)
        return Stop(code)

    def options(self, letters: str, usage: str, words: Sequence[str] | None = None) -> tuple[list[tuple[str, str]], list[str]]:
        """AIX's getopt: flags end at the first operand; an unknown one shows the usage."""
        try:
            pairs, rest = getopt.getopt(list(self.words if words is None else words), letters)
        except getopt.GetoptError as error:
            self.err(f"{self.name}: Not a recognized flag: {error.opt}" if "not recognized" in error.msg else f"{self.name}: {error.msg}")
            raise self.fail(usage) from error
        return [(flag[1:], value) for flag, value in pairs], rest

    def address(self, text: str) -> str:
        """The text as an IPv4 address; Stop with hostent's words if it is none."""
        if not inet.is_address(text):
            raise self.fail(f"{text} is an invalid address.")
        return text
