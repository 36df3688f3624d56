"""The programs that run on a node: ``python3 -m xcat_ha_drivers.sqlite_copy.node_side VERB --option=value …`` (standard library only).

What only some verbs need is imported by them: a sync asks more than it does, and starting Python is most of an answer's time.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from xcat_ha_drivers.database.disk import locked
from xcat_ha_drivers.database.program import Program
from xcat_ha_drivers.sqlite_copy._ask import observation, received_stamp, why_not_handed_over, why_not_promoted
from xcat_ha_drivers.sqlite_copy._disk import base
from xcat_ha_drivers.sqlite_copy._outgoing import mark_unsent, why_outdated
from xcat_ha_drivers.sqlite_copy._tables import table_paths


class Given(NamedTuple):
    """The words after the verb.

    Attributes:
        node: id of this node.
        xcat_dir: directory of the table files.
        wait_s: seconds to wait for a locked table.
        max_age_s: how long ago the snapshot may have been compared, in seconds; None for any time.
        unsent: mark the snapshot as waiting for delivery.
        stopped: refuse if xcatd runs.
        or_promoted: a copy that this node took over counts as well.
        source: id of the sending node.
        address: what rsync reads.
        rsh: rsync's remote shell; empty for a local address.
        keep: generations kept.
        over_own: replace this node's own database.
        peer: id of the node that took over.
        name: an xCAT node name.
    """

    node: str
    xcat_dir: str
    wait_s: float = 30.0
    max_age_s: float | None = None
    unsent: bool = False
    stopped: bool = False
    or_promoted: bool = False
    source: str = ""
    address: str = ""
    rsh: str = ""
    keep: int = 7
    over_own: bool = False
    peer: str = ""
    name: str = ""


def _observe(given: Given) -> str:
    return json.dumps(observation(given.xcat_dir, given.wait_s))


def _received_stamp(given: Given) -> str:
    return received_stamp(given.xcat_dir, given.wait_s, or_promoted=given.or_promoted)


def _has_node(given: Given) -> str:
    from xcat_ha_drivers.sqlite_copy._record import has_node

    return "present" if has_node(given.xcat_dir, given.name, given.wait_s) else "absent"


def _contents(given: Given) -> str:
    from xcat_ha_drivers.sqlite_copy._contents import contents

    return json.dumps(contents(given.xcat_dir))


def _schema(given: Given) -> str:
    from xcat_ha_drivers.sqlite_copy._contents import schema

    return json.dumps(schema(given.xcat_dir))


def _snapshot(given: Given) -> str:
    from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
    from xcat_ha_drivers.sqlite_copy._snapshot import take_snapshot

    if given.stopped:
        refuse_if_xcatd_runs()
    with locked(base() / "lock"):
        manifest = take_snapshot(given.node, given.xcat_dir, wait_s=given.wait_s)
        if given.unsent:
            mark_unsent()
    return f"snapshot {manifest.stamp} of {len(manifest.tables)} tables"


def _receive(given: Given) -> str:
    from xcat_ha_drivers.database.arrival import Order
    from xcat_ha_drivers.sqlite_copy._receive import receive

    order = Order(given.node, given.source, given.address, given.rsh, given.keep, over_own=given.over_own)
    with locked(base() / "lock") as lock:
        manifest = receive(order, given.xcat_dir, lock, wait_s=given.wait_s)
    return f"received {manifest.stamp} of {len(manifest.tables)} tables"


def _promote(given: Given) -> str:
    from xcat_ha_drivers.sqlite_copy._takeover import promote

    with locked(base() / "lock"):
        return promote(given.node, given.xcat_dir, wait_s=given.wait_s)


def _hand_over(given: Given) -> str:
    from xcat_ha_drivers.sqlite_copy._takeover import note_handed_over

    with locked(base() / "lock"):
        note_handed_over(given.xcat_dir, given.peer, wait_s=given.wait_s)
    return f"noted as handed over to {given.peer}"


def _save(given: Given) -> str:
    from xcat_ha_drivers.sqlite_copy._diverged import save

    with locked(base() / "lock"):
        return f"saved in {save(given.node, given.xcat_dir, wait_s=given.wait_s)}"


def _snapshot_is_current(given: Given) -> str:
    return why_outdated(given.xcat_dir, max_age_s=given.max_age_s)


def _is_promoted(given: Given) -> str:
    return why_not_promoted(given.xcat_dir, given.wait_s)


def _is_handed_over(given: Given) -> str:
    return why_not_handed_over(given.xcat_dir, given.wait_s)


def _is_saved(given: Given) -> str:
    from xcat_ha_drivers.sqlite_copy._diverged import saved_copy

    if not table_paths(given.xcat_dir) or saved_copy(given.xcat_dir, given.wait_s):
        return ""
    return "the tables as they are now are not saved yet"


_QUESTIONS: Mapping[str, Callable[[Given], str]] = {
    "snapshot-is-current": _snapshot_is_current,
    "is-promoted": _is_promoted,
    "is-handed-over": _is_handed_over,
    "is-saved": _is_saved,
}

_VERBS: Mapping[str, Callable[[Given], str]] = {
    "observe": _observe,
    "received-stamp": _received_stamp,
    "has-node": _has_node,
    "contents": _contents,
    "schema": _schema,
    "snapshot": _snapshot,
    "receive": _receive,
    "promote": _promote,
    "hand-over": _hand_over,
    "save": _save,
}
# the first five read, the others change

PROGRAM = Program(Given, {"wait_s": float, "max_age_s": float, "keep": int}, _QUESTIONS, _VERBS)

if __name__ == "__main__":
    sys.exit(PROGRAM.run(sys.argv[1:]))
