"""The one exception of the lab; it says what happened and what to do about it."""

from __future__ import annotations


class LabError(Exception):
    """Something the lab was asked for could not be done.

    ``hint`` is a sentence for the person at the keyboard, empty if there is nothing to add.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  -> {hint}" if hint else message)
        self.hint = hint


class CommandFailedError(LabError):
    """A command ended with an exit status other than 0 and the caller wanted 0."""


class CommandTimedOutError(LabError):
    """A command, or a condition that was waited for, took longer than its limit."""
