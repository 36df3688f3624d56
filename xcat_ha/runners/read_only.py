"""The runner of a dry run: reads go through, changes are refused."""

from __future__ import annotations

from collections.abc import Sequence

from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.runners._process import require_reads
from xcat_ha.steps import Command, Completed


class ReadOnlyRunner(Runner):
    """Lets READS through to another runner and refuses CHANGES."""

    def __init__(self, inner: Runner) -> None:
        """Wrap ``inner``; closing this closes it."""
        self._inner = inner

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        require_reads(command)
        return self._inner.run(host, command, on_output=on_output)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """See :meth:`Runner.read_many`."""
        return self._inner.read_many(host, commands)

    def close(self) -> None:
        """See :meth:`Runner.close`."""
        self._inner.close()
