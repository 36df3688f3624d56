"""One runner for all hosts: this machine's node locally, the others by ssh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.steps import Command, Completed


class RoutingRunner(Runner):
    """Sends each command to the runner of its host."""

    def __init__(self, runners: Mapping[str, Runner]) -> None:
        """``runners``: node id -> the runner that reaches it."""
        self._runners = dict(runners)

    def _of(self, host: str) -> Runner:
        try:
            return self._runners[host]
        except KeyError:
            known = ", ".join(sorted(self._runners))
            raise ConfigError(f"no host is called {host!r}", hint=f"the pair's nodes are: {known}") from None

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        return self._of(host).run(host, command, on_output=on_output)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """See :meth:`Runner.read_many`."""
        return self._of(host).read_many(host, commands)

    def close(self) -> None:
        """See :meth:`Runner.close`."""
        for runner in self._runners.values():
            runner.close()
