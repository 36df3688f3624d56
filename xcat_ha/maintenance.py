"""That administrators are at work on the pair: scheduled syncs pause, and whoever moves the role is told. The last word, on or off, is
stored on both nodes; of two different ones the later counts, so that a node that was away does not bring an old one back.
"""

from __future__ import annotations

import json
import re
import time

from attrs import frozen

from xcat_ha.models import STATE_DIR

MAINTENANCE_FILE = f"{STATE_DIR}/maintenance.json"
_UNITS_S = {"m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 366 * 86400.0


@frozen
class Maintenance:
    """The last word on it. Times are seconds since the epoch.

    Attributes:
        on: whether work goes on.
        reason: why, in the administrator's words.
        until: when it is expected to end: from then on syncs run again, whatever was said.
        since: when this was said.
        by: who said it.
    """

    on: bool
    reason: str = ""
    until: float = 0.0
    since: float = 0.0
    by: str = ""

    def expired(self, now: float) -> bool:
        """Whether it is on for longer than was said."""
        return self.on and now >= self.until

    def pauses(self, now: float) -> bool:
        """Whether scheduled work has to wait."""
        return self.on and now < self.until

    def words(self, now: float) -> str:
        """What an administrator is told."""
        if not self.on:
            return "no maintenance"
        who = f"by {self.by} since {moment(self.since)}"
        if self.expired(now):
            return f"maintenance was to end at {moment(self.until)}: {self.reason} ({who}); scheduled syncs run again"
        return f"maintenance until {moment(self.until)}: {self.reason} ({who}); scheduled syncs are paused"

    def text(self) -> str:
        """The file."""
        facts = {"on": self.on, "reason": self.reason, "until": self.until, "since": self.since, "by": self.by}
        return json.dumps(facts, ensure_ascii=True) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Maintenance | None:
        """What a file holds; None if it is none of ours."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(data, dict) or not isinstance(data.get("on"), bool):
            return None
        times = [data.get("until", 0.0), data.get("since", 0.0)]
        if any(isinstance(each, bool) or not isinstance(each, int | float) or not abs(each) < 1e12 for each in times):
            return None
        reason, by = (printable(str(data.get(key, ""))) for key in ("reason", "by"))
        return cls(on=data["on"], reason=reason, until=float(times[0]), since=float(times[1]), by=by)


NO_MAINTENANCE = Maintenance(on=False)


def printable(text: str) -> str:
    """One line without control characters: it is shown on terminals."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def moment(when: float) -> str:
    """A time of day, as the reader's clock has it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def parse_until(text: str, now: float) -> float:
    """The time that ``2026-11-24 18:00``, ``18:00`` (the next one) or ``+90min``, ``+2h``, ``+1d`` means.

    Raises:
        ValueError: it means none, or none within the next year; the message says why.
    """
    word = text.strip()
    later = re.fullmatch(r"\+(\d{1,4}) ?(m|min|h|d)", word)
    if later:
        until = now + int(later.group(1)) * _UNITS_S[later.group(2)]
    elif re.fullmatch(r"\d{1,2}:\d{2}", word):
        today = time.strftime("%Y-%m-%d", time.localtime(now))
        until = _at(f"{today} {word}")
        if until <= now:
            until = _at(f"{time.strftime('%Y-%m-%d', time.localtime(_at(f'{today} 12:00') + 86400))} {word}")
    else:
        until = _at(word.replace("T", " "))
    if not now < until <= now + _LONGEST_S:
        raise ValueError(f"{moment(until)} is {'past' if until <= now else 'more than a year away'}")
    return until


def _at(text: str) -> float:
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M"))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time") from error
