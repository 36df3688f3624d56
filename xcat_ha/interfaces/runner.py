"""How commands reach a host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

from xcat_ha.steps import Command, Completed

OutputSink: TypeAlias = Callable[[str], None]
"""Receives stdout as it comes, in pieces of any size (progress parsers read it)."""


class Runner(ABC):
    """Runs commands on hosts named by node id.

    A command's failure is a value (:class:`~xcat_ha.steps.Completed`), never an exception. A host that does not answer gives
    ``returncode=None`` with ``trouble`` UNREACHABLE; a host with another key than expected HOST_KEY; a command that ran out of time
    TIMED_OUT.
    """

    @abstractmethod
    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """Run one command whose argv holds no ``Ref`` any more.

        Raises:
            ChangeForbiddenError: this runner only reads, and the command's effect is CHANGES.
        """

    @abstractmethod
    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """Run READS commands side by side in one exchange with the host; answers in the order of ``commands``.

        Raises:
            ChangeForbiddenError: one of them is not READS.
        """

    def close(self) -> None:  # noqa: B027 - most runners hold nothing to give back
        """Give back connections. Safe to call twice."""
