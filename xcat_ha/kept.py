"""What xcat-ha itself keeps on a node (lock, journals, term, the guard's word …): how it is asked, and what the answers say."""

from __future__ import annotations

import json
from collections.abc import Mapping

from attrs import frozen

from xcat_ha.maintenance import MAINTENANCE_FILE, NO_MAINTENANCE, Maintenance
from xcat_ha.models import RUN_DIR, STATE_DIR, Node
from xcat_ha.steps import Command, Completed, reads
from xcat_ha.term import NO_TERM, TERM_FILE, StoredTerm

_SHOWN_JOURNALS = 50
GUARD_FILE = f"{RUN_DIR}/guard.json"
"""What the guard last found; gone with a reboot."""
SERVED_FILE = f"{RUN_DIR}/served"
"""Names of the services that ran when the node took the role; gone with a reboot, as the role is."""

SHOW_SCRIPT = '[ -e "$1" ] || { echo none; exit 0; }; cat "$1"'
"""Prints the file ``$1``, or ``none`` if it is not there."""

# The newest journals with the lines that matter: the first, the first step that began, the last, which may be half written.
_JOURNALS = """\
cd "$1" 2>/dev/null || exit 0
ls -1r | grep '\\.jsonl$' | head -n "$2" | while IFS= read -r name; do
  printf 'journal %s\\n' "$name"
  head -n 1 -- "$name"
  grep -m 1 '"state": "started"' -- "$name"
  tail -n 1 -- "$name"
  echo
done
"""
# The second line tells whether the holder's process still lives, which counts only on the node that the holder names.
_LOCK = """\
cat "$1" 2>/dev/null || exit 0
field() { sed -n "s/.*\\"$1\\": \\"\\{0,1\\}\\([^\\",}]*\\).*/\\1/p" "$2"; }
[ "$(cat /proc/sys/kernel/random/boot_id)" = "$(field boot_id "$1")" ] || { echo dead; exit 0; }
stat=$(cat "/proc/$(field pid "$1")/stat" 2>/dev/null) || { echo dead; exit 0; }
set -- "$(field start_ticks "$1")" ${stat##*) }
[ "$1" = "${21}" ] && echo alive || echo dead
"""


@frozen
class JournalText:
    """A journal found on a node: its name, and the lines of it that matter."""

    name: str
    text: str


@frozen
class LockState:
    """The pair's lock as found on a node.

    Attributes:
        content: what the holder wrote of itself (id, operation, node, host, pid, user, since).
        holder_alive: whether its process lives; None when it runs on another machine.
    """

    content: Mapping[str, object]
    holder_alive: bool | None


@frozen
class GuardWord:
    """What the guard of a node says.

    Attributes:
        state: ``active`` (has the role), ``standby``, ``passive`` (could have the role and must not take it) or ``busy``.
        why: the reason, for an administrator.
        hint: what to do; empty if there is nothing to do.
        checked: when it last looked, as seconds since the epoch on that node.
    """

    state: str
    why: str
    hint: str
    checked: float


def lock_question() -> Command:
    """Prints the node's lock, and whether its holder lives."""
    return reads("sh", "-c", _LOCK, "sh", f"{RUN_DIR}/lock.json")


def question_for_term() -> Command:
    """Prints what the node's term file holds, or ``none``: a mere ``cat``, because the guard asks every few seconds."""
    return reads("sh", "-c", SHOW_SCRIPT, "sh", TERM_FILE, timeout_s=10)


def core_questions() -> tuple[Command, ...]:
    """What the core itself asks of a node, before the drivers' questions."""
    return (
        reads("date", "+%s.%N"),
        lock_question(),
        reads("sh", "-c", _JOURNALS, "sh", f"{STATE_DIR}/journal", str(_SHOWN_JOURNALS)),
        question_for_term(),
        reads("sh", "-c", SHOW_SCRIPT, "sh", GUARD_FILE),
        reads("cat", "/proc/sys/kernel/random/boot_id"),
        reads("sh", "-c", SHOW_SCRIPT, "sh", SERVED_FILE),
        reads("sh", "-c", SHOW_SCRIPT, "sh", MAINTENANCE_FILE),
    )


def lock_of(node: Node, answer: Completed) -> LockState | None:
    """The lock, None if there is no lock; an unreadable one still counts as a lock."""
    lines = answer.stdout.strip().splitlines()
    if not answer.ok or not lines:
        return None
    try:
        content = json.loads(lines[0])
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return LockState(content={"operation": "an unreadable lock"}, holder_alive=None)
    return LockState(content=content, holder_alive=lines[-1] == "alive" if content.get("node") == node.id else None)


def term_of(answer: Completed) -> StoredTerm | None:
    """The term in an answer to a ``cat``; None when there is no answer or it cannot be understood."""
    if not answer.ok:
        return None
    return NO_TERM if answer.stdout.strip() == "none" else StoredTerm.from_text(answer.stdout)


def maintenance_of(answer: Completed) -> Maintenance | None:
    """The last word on it that is stored there; None if it is not known."""
    if not answer.ok:
        return None
    return NO_MAINTENANCE if answer.stdout.strip() == "none" else Maintenance.from_text(answer.stdout)


def guard_of(answer: Completed) -> GuardWord | None:
    """What the guard said last; None if none has spoken since the node booted, or if that is not known."""
    try:
        data = json.loads(answer.stdout) if answer.ok else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("checked"), int | float):
        return None
    return GuardWord(str(data.get("state", "")), str(data.get("why", "")), str(data.get("hint", "")), float(data["checked"]))


def journals_of(answer: Completed) -> tuple[JournalText, ...]:
    """The newest journals there."""
    found: list[JournalText] = []
    for block in ("\n" + answer.stdout).split("\njournal ")[1:]:
        name, _, text = block.partition("\n")
        found.append(JournalText(name.removesuffix(".jsonl"), text))
    return tuple(found)
