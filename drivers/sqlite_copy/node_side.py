"""The programs that run on a node: ``python3 -m xcat_ha_drivers.sqlite_copy.node_side VERB …`` (standard library only).

Verbs whose line below ends in "reads" change nothing. Questions end with ``HOLDS`` or ``FAILS: reason`` and exit with 0; everything else
exits with 0 when done and with 1 and one line on stderr when not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from xcat_ha_drivers.sqlite_copy._ask import has_node, observation, received_stamp
from xcat_ha_drivers.sqlite_copy._disk import CopyError, locked
from xcat_ha_drivers.sqlite_copy._diverged import save, saved_copy
from xcat_ha_drivers.sqlite_copy._receive import Order, receive
from xcat_ha_drivers.sqlite_copy._snapshot import mark_unsent, take_snapshot, unsent, why_outdated
from xcat_ha_drivers.sqlite_copy._tables import table_paths
from xcat_ha_drivers.sqlite_copy._takeover import note_handed_over, promote, why_not_handed_over, why_not_promoted
from xcat_ha_drivers.sqlite_copy._xcat import refuse_if_xcatd_runs

LOCK_WAIT_S = 120.0
"""As long as an orphaned rsync may live on after its parent was killed (its own time limit is half of that)."""


def _observe(given: argparse.Namespace) -> str:
    return json.dumps(observation(given.xcat_dir, given.wait_s))


def _snapshot_is_current(given: argparse.Namespace) -> str:
    if given.or_unsent and unsent().exists():
        return ""
    return why_outdated(given.xcat_dir, max_age_s=given.max_age_s, wait_s=given.wait_s)


def _snapshot(given: argparse.Namespace) -> str:
    if given.stopped:
        refuse_if_xcatd_runs()
    with locked(LOCK_WAIT_S):
        manifest = take_snapshot(given.node, given.xcat_dir, wait_s=given.wait_s)
        if given.unsent:
            mark_unsent()
    return f"snapshot {manifest.stamp} of {len(manifest.tables)} tables"


def _received_stamp(given: argparse.Namespace) -> str:
    return received_stamp(given.xcat_dir, given.wait_s, or_promoted=given.or_promoted)


def _receive(given: argparse.Namespace) -> str:
    order = Order(
        given.node, given.source, given.xcat_dir, given.address, given.rsh, given.keep, over_own=given.over_own, wait_s=given.wait_s,
    )
    with locked(LOCK_WAIT_S) as lock:
        manifest = receive(order, lock)
    return f"received {manifest.stamp} of {len(manifest.tables)} tables"


def _is_promoted(given: argparse.Namespace) -> str:
    return why_not_promoted(given.xcat_dir, given.wait_s)


def _promote(given: argparse.Namespace) -> str:
    with locked(LOCK_WAIT_S):
        return promote(given.node, given.xcat_dir, wait_s=given.wait_s)


def _is_handed_over(given: argparse.Namespace) -> str:
    return why_not_handed_over(given.xcat_dir, given.wait_s)


def _hand_over(given: argparse.Namespace) -> str:
    with locked(LOCK_WAIT_S):
        note_handed_over(given.xcat_dir, given.peer, wait_s=given.wait_s)
    return f"noted as handed over to {given.peer}"


def _is_saved(given: argparse.Namespace) -> str:
    if not table_paths(given.xcat_dir) or saved_copy(given.xcat_dir, given.wait_s):
        return ""
    return "the tables as they are now are not saved yet"


def _save(given: argparse.Namespace) -> str:
    with locked(LOCK_WAIT_S):
        return f"saved in {save(given.node, given.xcat_dir, wait_s=given.wait_s)}"


def _has_node(given: argparse.Namespace) -> str:
    return "present" if has_node(given.xcat_dir, given.name, given.wait_s) else "absent"


QUESTIONS: dict[str, Callable[[argparse.Namespace], str]] = {
    "snapshot-is-current": _snapshot_is_current,
    "is-promoted": _is_promoted,
    "is-handed-over": _is_handed_over,
    "is-saved": _is_saved,
}
"""Read; return why not, or nothing."""

VERBS: dict[str, Callable[[argparse.Namespace], str]] = {
    "observe": _observe,
    "received-stamp": _received_stamp,
    "has-node": _has_node,
    "snapshot": _snapshot,
    "receive": _receive,
    "promote": _promote,
    "hand-over": _hand_over,
    "save": _save,
}
"""The first three read, the others change; return what is printed."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sqlite-copy")
    parser.add_argument("verb", choices=[*QUESTIONS, *VERBS])
    parser.add_argument("--node", required=True, help="id of this node")
    parser.add_argument("--xcat-dir", required=True, help="directory of the table files")
    parser.add_argument("--wait-s", type=float, default=30.0, help="seconds to wait for a locked table")
    parser.add_argument("--max-age-s", type=float, help="how long ago the snapshot may have been compared")
    parser.add_argument("--or-unsent", action="store_true", help="a snapshot waiting for delivery counts as current")
    parser.add_argument("--or-promoted", action="store_true", help="a copy that this node took over counts as well")
    parser.add_argument("--unsent", action="store_true", help="mark the snapshot as waiting for delivery")
    parser.add_argument("--stopped", action="store_true", help="refuse if xcatd runs")
    parser.add_argument("--source", default="", help="id of the sending node")
    parser.add_argument("--address", default="", help="what rsync reads")
    parser.add_argument("--rsh", default="", help="rsync's remote shell")
    parser.add_argument("--keep", type=int, default=7, help="generations kept")
    parser.add_argument("--over-own", action="store_true", help="replace this node's own database")
    parser.add_argument("--peer", default="", help="id of the node that took over")
    parser.add_argument("--name", default="", help="an xCAT node name")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb."""
    os.umask(0o077)
    given = _parser().parse_args(words)
    asked = QUESTIONS.get(given.verb)
    try:
        if asked is None:
            print(VERBS[given.verb](given))
            return 0
        reason = asked(given)
    except CopyError as error:
        if asked is None:
            print(f"{given.node}: {error}", file=sys.stderr)
            return 1
        reason = str(error)
    except OSError as error:
        print(f"{given.node}: {error}; hint: check that file and its file system, then run it again", file=sys.stderr)
        return 1
    print(f"FAILS: {' '.join(reason.split())}" if reason else "HOLDS")
    return 0


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
