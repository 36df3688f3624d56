"""A runner around any runner: it records, refuses, pretends, and dies on request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from attrs import frozen

from xcat_ha.errors import ChangeForbiddenError
from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.steps import Command, Completed, Effect


class SimulatedPowerCut(BaseException):
    """The machine from which commands are given lost power. Until ``revive()`` no command is given any more."""


@frozen
class Ran:
    """One command with what came of it. ``completed`` is None when it was refused or its giver died."""

    host: str
    command: Command
    completed: Completed | None

    @property
    def argv(self) -> tuple[str, ...]:
        """Its words."""
        return tuple(str(word) for word in self.command.argv)


class WatchedRunner(Runner):
    """Passes commands on to another runner and keeps a log.

    Attributes:
        after_change: called with the host after each CHANGES command that was run.
        refuse_changes: CHANGES raise ``ChangeForbiddenError``, as in a dry run.
        pretend_changes: CHANGES are not run but answered with exit status 0 and no output: lies a driver must not believe.
    """

    def __init__(self, inner: Runner) -> None:
        """Wrap ``inner``."""
        self._inner = inner
        self._lock = threading.Lock()
        self._log: list[Ran] = []
        self._dies_in: int | None = None
        self.dead = False
        self.after_change: Callable[[str], None] | None = None
        self.refuse_changes = False
        self.pretend_changes = False

    @property
    def log(self) -> tuple[Ran, ...]:
        """Every command since the last :meth:`forget`, in order."""
        return tuple(self._log)

    @property
    def changes(self) -> tuple[Ran, ...]:
        """The CHANGES commands of the log, refused ones included."""
        return tuple(ran for ran in self._log if ran.command.effect is Effect.CHANGES)

    def forget(self) -> None:
        """Empty the log."""
        self._log.clear()

    def reset(self) -> None:
        """Be as new: an empty log, alive, no orders."""
        self.forget()
        self.revive()
        self.after_change = None
        self.refuse_changes = self.pretend_changes = False

    def die_after(self, changes: int) -> None:
        """Raise :class:`SimulatedPowerCut` when that many further CHANGES commands have been run, and on every command after it."""
        self._dies_in = changes

    def revive(self) -> None:
        """Live again, without any further order to die."""
        self.dead, self._dies_in = False, None

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        with self._lock:
            self._stop_if_dead()
            changing = command.effect is Effect.CHANGES
            if changing and self.refuse_changes:
                self._log.append(Ran(host, command, None))
                raise ChangeForbiddenError(f"refused: {command.argv}", hint="this is a dry run")
            if changing and self.pretend_changes:
                completed = Completed(tuple(str(word) for word in command.argv), 0)
            else:
                completed = self._inner.run(host, command, on_output=on_output)
            self._log.append(Ran(host, command, completed))
            if changing:
                self._count(host)
            return completed

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """See :meth:`Runner.read_many`."""
        with self._lock:
            self._stop_if_dead()
            answers = self._inner.read_many(host, commands)
            self._log += [Ran(host, command, answer) for command, answer in zip(commands, answers, strict=True)]
            return answers

    def close(self) -> None:
        """See :meth:`Runner.close`."""
        self._inner.close()

    def _stop_if_dead(self) -> None:
        if self.dead:
            raise SimulatedPowerCut

    def _count(self, host: str) -> None:
        if self.after_change is not None:
            self.after_change(host)
        if self._dies_in is not None:
            self._dies_in -= 1
            if self._dies_in <= 0:
                self.dead = True
                raise SimulatedPowerCut
