"""Remembers what was run where, for tests, benchmarks and runbooks."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from attrs import frozen

from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.steps import Command, Completed, Effect


@frozen
class Run:
    """One command that was run."""

    host: str
    command: Command
    completed: Completed


class RecordingRunner(Runner):
    """Passes everything to another runner and keeps a record in order of completion."""

    def __init__(self, inner: Runner) -> None:
        """Wrap ``inner``; closing this closes it."""
        self._inner = inner
        self._lock = threading.Lock()
        self._runs: list[Run] = []

    @property
    def runs(self) -> tuple[Run, ...]:
        """Everything run so far."""
        with self._lock:
            return tuple(self._runs)

    @property
    def changes(self) -> tuple[Run, ...]:
        """Only the commands that may have changed something."""
        return tuple(run for run in self.runs if run.command.effect is Effect.CHANGES)

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        completed = self._inner.run(host, command, on_output=on_output)
        with self._lock:
            self._runs.append(Run(host, command, completed))
        return completed

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """See :meth:`Runner.read_many`."""
        answers = self._inner.read_many(host, commands)
        with self._lock:
            self._runs += [Run(host, command, answer) for command, answer in zip(commands, answers, strict=True)]
        return answers

    def close(self) -> None:
        """See :meth:`Runner.close`."""
        self._inner.close()
