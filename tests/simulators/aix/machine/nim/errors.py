"""NIM's refusals. The number is also the exit code, or 1 is: the setting nim_inner_code."""

from __future__ import annotations

from .. import settings

INTERRUPTED = 2
BAD_OPERATION = 12
BAD_TYPE = 16
MISSING_ATTRIBUTE = 21
BAD_VALUE = 23
NOT_UNIQUE = 32
NOT_CONFIGURED = 37
CONFIGURED_ALREADY = 38
MACHINE_BUSY = 52
ABSENT = 53
ALLOCATED = 61
LOCATION_TAKEN = 81
LOCKED = 146
NO_SUCH_FILE = 154
COMMAND_FAILED = 175
CANNOT_ALLOCATE = 207


class NimError(Exception):
    """One refusal: a number, the method that speaks, and its words."""

    def __init__(self, number: int, method: str, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.method = method
        self.text = text

    @property
    def code(self) -> int:
        """The exit code of the command."""
        return self.number if settings.number("nim_inner_code") else 1

    def lines(self, host: str) -> str:
        """What is printed; an operation's error is wrapped in another one that names the machine."""
        own = f"0042-{self.number:03} {self.method}: {self.text}"
        if self.method in {"lsnim", "nim", "nimconfig", "niminit"}:
            return own
        return f'0042-001 nim: processing error encountered on "{host}":\n   {own}'


def absent(name: str, method: str = "nim") -> NimError:
    """There is no such object."""
    return NimError(ABSENT, method, f'there is no NIM object named "{name}"')


def missing(attribute: str, method: str) -> NimError:
    """An attribute that this operation cannot do without."""
    return NimError(MISSING_ATTRIBUTE, method, f'the "{attribute}" attribute is required for this operation')


def bad_value(attribute: str, value: str, method: str) -> NimError:
    """A value that cannot be."""
    return NimError(BAD_VALUE, method, f'the value "{value}" is not valid for the "{attribute}" attribute')
