"""A runner for which some hosts are silent: those that were declared down are neither asked again nor touched."""

from __future__ import annotations

from collections.abc import Sequence

from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.steps import Command, Completed, Trouble


class SilencedRunner(Runner):
    """Passes commands on, except for the silent hosts, which answer at once that they do not answer."""

    def __init__(self, inner: Runner, silent: frozenset[str]) -> None:
        """Wrap ``inner``; closing this closes it."""
        self._inner = inner
        self._silent = silent

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        return _silence(command) if host in self._silent else self._inner.run(host, command, on_output=on_output)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """See :meth:`Runner.read_many`."""
        return tuple(map(_silence, commands)) if host in self._silent else self._inner.read_many(host, commands)

    def close(self) -> None:
        """See :meth:`Runner.close`."""
        self._inner.close()


def _silence(command: Command) -> Completed:
    words = tuple(str(word) for word in command.argv)
    return Completed(words, None, stderr="left out: declared down, or not this operation's business", trouble=Trouble.UNREACHABLE)
