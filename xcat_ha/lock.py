"""One operation at a time per pair: a lock file on both nodes, gone with a reboot (``/run``)."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from attrs import asdict, frozen

from xcat_ha.clock import Clock
from xcat_ha.errors import LockedError, UnreachableError
from xcat_ha.interfaces import Runner
from xcat_ha.models import COMMANDS_LOCK, RUN_DIR, Node, Pair
from xcat_ha.steps import Command, changes, reads

OUTWAIT_S = 90
LOCK_FILE = f"{RUN_DIR}/lock.json"

# noclobber makes the shell create the file with O_EXCL: exactly one of two contenders succeeds. The guard keeps one from removing, as a
# dead holder's, the lock that another has just taken in its place.
TAKE_SCRIPT = """\
mkdir -p -m 755 "$1" || exit 3
exec 9>>"$1/lock.guard"
flock -w 10 9 || exit 3
set -C
{ printf '%s\\n' "$2" > "$1/lock.json"; } 2>/dev/null || { cat "$1/lock.json" 2>/dev/null; exit 7; }
"""
# The whole content counts: two programs that resume the same operation hold its lock by the same id.
DROP_SCRIPT = """\
exec 9>>"${1%/*}/lock.guard"
flock -w 10 9 || exit 3
if [ "$(cat "$1" 2>/dev/null)" = "$2" ]; then rm -f "$1"; fi
"""
# Alive only if it is the same boot, the pid exists, and it started at the same tick (field 22 of stat, counted after the name).
ALIVE_SCRIPT = """\
[ "$(cat /proc/sys/kernel/random/boot_id)" = "$1" ] || { echo dead; exit 0; }
stat=$(cat "/proc/$2/stat" 2>/dev/null) || { echo dead; exit 0; }
set -- "$3" ${stat##*) }
[ "$1" = "${21}" ] && echo alive || echo dead
"""


@frozen
class Holder:
    """Who holds the lock: enough to tell later whether the process still lives."""

    id: str
    operation: str
    node: str
    host: str
    pid: int
    start_ticks: str
    boot_id: str
    user: str
    since: float
    scheduled: bool = False


def this_process(operation_id: str, operation: str, node: str, user: str, now: float, *, scheduled: bool = False) -> Holder:  # noqa: PLR0913
    """The running program as holder. ``node``: id of the pair's node it runs on, empty if it runs elsewhere. ``scheduled``: for a timer."""
    stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
    return Holder(
        id=operation_id,
        operation=operation,
        node=node,
        host=socket.gethostname(),
        pid=os.getpid(),
        start_ticks=stat.rpartition(") ")[2].split()[19],
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
        user=user,
        since=round(now, 3),
        scheduled=scheduled,
    )


class PairLock:
    """The lock of a pair; a context manager. Taken in order of node ids, given back in any case."""

    def __init__(  # noqa: PLR0913, PLR0917 - one call site; a parameter object would only rename these
        self,
        pair: Pair,
        runner: Runner,
        holder: Holder,
        clock: Clock,
        wait_s: float = 0.0,
        left_out: frozenset[str] = frozenset(),
        down: frozenset[str] = frozenset(),
    ) -> None:
        """Not yet taken.

        Args:
            pair: whose lock it is.
            runner: reaches the nodes.
            holder: who takes it.
            clock: time.
            wait_s: seconds to wait for a holder that is a mere ``sync``, which ends soon by itself. A sync waits for a scheduled one
                only: of two by hand one is refused, for it does what the other one does.
            left_out: ids of nodes that cannot be reached and take no part.
            down: ids of nodes that were declared down: a holder that ran on one of them is dead.
        """
        self._nodes = tuple(sorted((node for node in pair.nodes if node.id not in left_out), key=lambda node: node.id))
        self._down = down
        self._runner = runner
        self._operation = holder.operation
        self._content = json.dumps(asdict(holder))
        self._clock = clock
        self._wait_s = wait_s
        self._taken: list[Node] = []

    def __enter__(self) -> Self:
        """Take it.

        Raises:
            LockedError: somebody else has it.
            UnreachableError: a node did not answer.
        """
        try:
            for node in self._nodes:
                self._take(node)
            for node in self._nodes:
                self._outwait(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        """Give it back. A node that does not answer keeps a lock whose holder will be found dead."""
        while self._taken:
            self._drop(self._taken.pop(), self._content)

    def _drop(self, node: Node, content: str) -> None:
        """Remove the lock there, if it is still this very one."""
        self._runner.run(node.id, changes("sh", "-c", DROP_SCRIPT, "sh", LOCK_FILE, content, timeout_s=20))

    def _outwait(self, node: Node) -> None:
        """Wait for a command that outlived its operation: it must have ended before anything is asked or done again."""
        # Not "changes": such a command would hold (shared) what it waits for.
        waits = reads("flock", "-w", str(OUTWAIT_S), "-x", COMMANDS_LOCK, "true", timeout_s=OUTWAIT_S + 20)
        completed = self._runner.run(node.id, waits)
        if completed.returncode is None:
            raise UnreachableError(
                f"cannot tell whether a command of an earlier operation still runs there: {completed.summary}",
                where=node.id,
                state="nothing was changed",
                hint=f"see to it that {node.id} answers",
            )
        if not completed.ok:
            raise LockedError(
                f"a command of an earlier operation still runs there after {OUTWAIT_S} s ({completed.summary})",
                where=node.id,
                state="nothing was changed",
                hint=f"fuser -v {COMMANDS_LOCK} on {node.id} shows it; it is waited for, never doubled",
            )

    def _take(self, node: Node) -> None:
        deadline = self._clock.monotonic() + self._wait_s
        dropped: set[str] = set()
        while True:
            completed = self._runner.run(node.id, changes("sh", "-c", TAKE_SCRIPT, "sh", RUN_DIR, self._content, timeout_s=20))
            if completed.ok:
                self._taken.append(node)
                return
            if completed.returncode != 7:
                raise UnreachableError(
                    f"the pair's lock cannot be taken: {completed.summary}",
                    where=node.id,
                    state="nothing was changed",
                    hint=f"see to it that {node.id} answers and {RUN_DIR} can be written there",
                )
            other = _content(completed.stdout)
            found = completed.stdout.rstrip("\n")
            if found not in dropped and self._is_dead(other):
                dropped.add(found)
                self._drop(node, found)
                continue
            if self._waits_for(other) and self._clock.monotonic() < deadline:
                self._clock.sleep(0.5)
                continue
            raise locked_error(node.id, other)

    def _waits_for(self, other: Mapping[str, object]) -> bool:
        return other.get("operation") == "sync" and (self._operation != "sync" or other.get("scheduled") is True)

    def _is_dead(self, other: Mapping[str, object]) -> bool:
        """Whether the holder's process is proven gone. What cannot be asked is not dead."""
        node_id = str(other.get("node", ""))
        if other.get("id") and node_id in self._down:
            return True
        if not other.get("id") or node_id not in {node.id for node in self._nodes}:
            return False
        completed = self._runner.run(node_id, holder_question(other))
        return completed.ok and completed.stdout.strip() == "dead"


def holder_question(content: Mapping[str, object]) -> Command:
    """Prints ``alive`` or ``dead``, asked on the node that the holder names."""
    words = [str(content.get(key, "")) for key in ("boot_id", "pid", "start_ticks")]
    return reads("sh", "-c", ALIVE_SCRIPT, "sh", *words, timeout_s=20)


def _content(text: str) -> Mapping[str, object]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def locked_error(where: str, other: Mapping[str, object]) -> LockedError:
    """``other``: what is known of the holder (operation, user, host, pid, since); what is not is said to be unknown."""
    since = other.get("since")
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since)) if isinstance(since, int | float) else "an unknown time"
    who = f"{other.get('operation', 'something')} by {other.get('user', '?')} on {other.get('host', '?')} (process {other.get('pid', '?')})"
    return LockedError(
        f"another operation runs on this pair: {who}, since {when}",
        where=where,
        state="nothing was changed",
        hint=f"wait for it; if that process is gone for good, remove {LOCK_FILE} on the nodes",
    )
