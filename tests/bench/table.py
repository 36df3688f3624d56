"""One line per measurement, and how it looks."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        name: what was done.
        ours_s: median seconds of the product; None if it failed.
        theirs_s: median seconds of what it is held against.
        goal: the ratio ours to theirs that is wanted, at most; None if none is set.
        note: what "theirs" is, or what went wrong.
    """

    name: str
    ours_s: float | None
    theirs_s: float | None
    goal: float | None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours to theirs."""
        return None if self.ours_s is None or not self.theirs_s else self.ours_s / self.theirs_s

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if there is none. A measurement that failed met nothing."""
        if self.ratio is None:
            return False
        return None if self.goal is None else self.ratio <= self.goal


def shown(rows: list[Row]) -> str:
    """The table as text."""
    head = ("what", "ours (s)", "theirs (s)", "ratio", "goal", "met", "theirs is")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)


def _cells(row: Row) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    met = {True: "yes", False: "NO", None: "-"}[row.met]
    return (row.name, number(row.ours_s), number(row.theirs_s), number(row.ratio), number(row.goal), met, row.note)
