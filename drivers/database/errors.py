"""What goes wrong on a node, in one line."""

from __future__ import annotations


class DatabaseError(Exception):
    """A refusal or failure: what happened, what the state is, what to do. Its text is one line and holds no password."""

    def __init__(self, what: str, *, hint: str, state: str = "nothing was changed") -> None:
        super().__init__(f"{what}; {state}; hint: {hint}")
        self.what = what
        self.hint = hint
