"""A program on a node's own terminal, with somebody who reads and types: questions can be counted, Ctrl-C is Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Sequence

from attrs import frozen

from tests.lab import Node

CTRL_C = "\x03"

# Runs on the node: types each answer when its words have appeared after those of the answer before.
_TYPIST = """
import json, os, pty, select, signal, sys, time
argv, turns, limit_s = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test session in the background ignores it, and so would its children
    os.execvp(argv[0], argv)
shown, seen, end = "", 0, time.monotonic() + limit_s
while True:
    if turns and turns[0][0] in shown[seen:]:
        seen = shown.index(turns[0][0], seen) + len(turns[0][0])
        os.write(terminal, turns.pop(0)[1].encode())
    if time.monotonic() > end:
        os.kill(pid, 9)
        shown += "\\n(it did not end in time)"
        break
    if select.select([terminal], [], [], 0.2)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part.decode("utf-8", "replace")
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({"shown": shown, "code": status, "left": len(turns)}))
"""


@frozen
class Session:
    """What was seen on the terminal, the exit code, and how many answers were never asked for."""

    shown: str
    code: int
    left: int


def type_in(node: Node, argv: Sequence[str], turns: Sequence[tuple[str, str]], *, limit_s: float = 300.0) -> Session:
    """Run ``argv`` on a terminal of the node. ``turns``: (words that appear, what is typed then), in order."""
    given = json.dumps([list(argv), [list(turn) for turn in turns], limit_s])
    done = node.run(("/opt/xcat-ha/bin/python3", "-c", _TYPIST, given), timeout_s=limit_s + 60)
    return Session(**json.loads(done.stdout))
