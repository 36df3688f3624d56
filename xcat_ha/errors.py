"""Everything that can go wrong, one exception per fact, each with a hint.

Every error carries *what* happened, *where* (a host, a file and key, a step), the *state* things are in now, and a *hint*:
what to do next. ``exit_code`` is what the command line returns for it.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every verb; they are part of the public contract (``docs/cli.rst``)."""

    DONE = 0
    """Done, or everything asked about holds."""
    FAILED = 1
    """Something failed (or does not hold); the message says what the state is and that it is safe."""
    USAGE = 2
    """The command line could not be understood; nothing changed."""
    REFUSED = 3
    """A precondition, a lock or the configuration forbids it; nothing changed."""
    UNKNOWN = 4
    """A host did not answer, or what it answered could not be understood; nothing was assumed."""
    INTERRUPTED = 5
    """Stopped in the middle; ``xcat-ha status`` explains the state and ``xcat-ha resume`` goes on."""


class XcatHaError(Exception):
    """Base of all errors of this library.

    Args:
        what: what happened, in one sentence an administrator understands.
        where: host, file, key or step it happened at; empty when it is obvious.
        state: what the state is now; empty when nothing changed.
        hint: what to do next.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, what: str, *, hint: str, where: str = "", state: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.state = state
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.state:
            lines.append(f"state: {self.state}")
        lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class ConfigError(XcatHaError):
    """The configuration cannot be read or means nothing; ``where`` names file and key."""

    exit_code = ExitCode.REFUSED


class DriverNotFoundError(XcatHaError):
    """No driver of that name is installed."""

    exit_code = ExitCode.REFUSED


class DriverBrokenError(XcatHaError):
    """A driver is installed but cannot be used: import failed, an extra is missing, or it lacks part of its interface."""

    exit_code = ExitCode.REFUSED


class RefusedError(XcatHaError):
    """A precondition does not hold; nothing was changed."""

    exit_code = ExitCode.REFUSED


class LockedError(RefusedError):
    """Another operation holds the pair's lock; nothing was changed."""


class UnfinishedError(RefusedError):
    """An earlier operation stopped in the middle and is in the way; nothing was changed."""


class PausedError(RefusedError):
    """Scheduled work waits because administrators are at work (maintenance); nothing was changed."""


class UnreachableError(XcatHaError):
    """A host did not answer. That is never taken for "down"."""

    exit_code = ExitCode.UNKNOWN


class UnknownStateError(XcatHaError):
    """An answer could not be understood, so nothing may be concluded from it."""

    exit_code = ExitCode.UNKNOWN


class ParseError(UnknownStateError):
    """Text of a file or command does not have the form it should have."""


class ChangeForbiddenError(XcatHaError):
    """A read-only runner was asked to run a command that changes something."""

    exit_code = ExitCode.REFUSED


class StepFailedError(XcatHaError):
    """A step did not reach its ``done_when``; the journal says how far the operation came."""


class InterruptedOperationError(XcatHaError):
    """The operation was stopped (Ctrl-C, SIGTERM) between or within steps."""

    exit_code = ExitCode.INTERRUPTED


class JournalError(XcatHaError):
    """A journal cannot be written or read."""
