"""The driver: plans as data, and what a node's answers mean. What the words mean is in the package's docstring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from xcat_ha.interfaces import Capability, ReplicaRole, ReplicaState
from xcat_ha.models import Engine, Node, Pair
from xcat_ha.steps import Command, Completed, reads
from xcat_ha_drivers.replication.answers import is_not_installed
from xcat_ha_drivers.replication.copies import READ_TIMEOUT_S, Sentences, VerifiedCopies
from xcat_ha_drivers.sqlite_copy._disk import BASE_DIR

# For nodes without xcat-ha: how many table files there are.
_PLAIN_LOOK = """\
[ -d "$1" ] || { echo "tables 0"; exit 0; }
ls "$1" > /dev/null || exit 1
set -- "$1"/*.sqlite
[ -e "$1" ] && echo "tables $#" || echo "tables 0"
"""


class SqliteCopy(VerifiedCopies):
    """Copies xCAT's SQLite tables to the standby as verified generations.

    Options:
        keep: generations kept on the standby (7).
        lock_wait_s: seconds to wait for a table that another process holds locked (30).
        confirm_s: a sync that finds nothing changed notes the new time of comparison on the standby only if the last one is older (60).
    """

    option_names: ClassVar[frozenset[str]] = frozenset({"keep", "lock_wait_s", "confirm_s"})
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    engines: ClassVar[frozenset[Engine]] = frozenset({Engine.SQLITE})

    NODE_SIDE = "xcat_ha_drivers.sqlite_copy.node_side"
    BASE_DIR = BASE_DIR
    wait_option = "lock_wait_s"
    SENTENCES = Sentences(
        snapshot="A consistent, verified copy of the tables of {0} that changed is what will be sent.",
        last_snapshot="xcatd on {0} is stopped, so this copy is complete.",
        is_current="the snapshot on {0} is what its tables hold",
        receive="{0} fetches the copy, proves it and puts it in place as a whole; until then its last good copy stays.",
        is_promoted="the tables on {0} are its own, whole and writable",
        hand_over="From now on the tables on {0} are a copy of what {1} took over, and no longer its own database.",
        is_handed_over="the tables on {0} are noted as handed over, and unchanged since",
        save="What was written on {0} and never reached the other node can be restored from this copy.",
        is_saved="a verified copy of the tables on {0} is saved",
    )

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self.read_timeout_s = READ_TIMEOUT_S + self.wait_s

    # -- observation

    def questions(self, node: Node) -> tuple[Command, ...]:
        """What is in place, what was received; a plain look in case xcat-ha is not on the node yet."""
        return (
            self._ask(node, "observe").command,
            reads("sh", "-c", _PLAIN_LOOK, "sh", self.pair.xcat_dir),
        )

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ReplicaState:
        """See the package's docstring for the rule of the role."""
        del node
        full, plain = answers
        if full.ok:
            try:
                return _state(json.loads(full.stdout))
            except (ValueError, KeyError, TypeError):
                return ReplicaState(role=None, healthy=None, detail="the node's answer could not be understood")
        if is_not_installed(full) and plain.ok and plain.stdout.startswith("tables "):
            tables = plain.stdout.split()[1]
            role = ReplicaRole.NONE if tables == "0" else ReplicaRole.SOURCE
            return ReplicaState(role=role, healthy=None, detail=f"{tables} table files; xcat-ha is not installed on this node")
        return ReplicaState(role=None, healthy=None, detail=full.summary)

    def question_for_schema(self, node: Node) -> Command:
        """Reads every table's columns in place read-only."""
        return self._ask(node, "schema", timeout_s=120).command

    def interpret_schema(self, answer: Completed) -> Mapping[str, frozenset[str]] | None:
        """The node's JSON."""
        try:
            document: Any = json.loads(answer.stdout) if answer.ok else None
            return {str(name): frozenset(str(column) for column in columns) for name, columns in document.items()}
        except (ValueError, TypeError, AttributeError):
            return None


def _state(answer: Mapping[str, Any]) -> ReplicaState:
    """The observation made of the node's JSON."""
    if "error" in answer:
        return ReplicaState(role=None, healthy=False, detail=str(answer["error"]))
    if answer["engine"] != Engine.SQLITE:
        said = f"cfgloc names the database engine {answer['engine']}, not SQLite"
        return ReplicaState(role=ReplicaRole.NONE, healthy=False, detail=said)
    kind, marker, trouble = str(answer["kind"]), answer["marker"], str(answer["trouble"])
    if kind == "none":
        return ReplicaState(role=ReplicaRole.NONE, healthy=None, detail="no table files")
    if kind in ("half", "waiting"):
        newest = answer["newest"]
        half = f"generation {newest['name']} of {newest['source']} is {'half in place' if kind == 'half' else 'complete but not in place'}"
        return ReplicaState(
            role=ReplicaRole.COPY,
            healthy=False,
            last_good=float(newest["snapshot_time"]),
            generation=str(newest["id"]),
            detail=f"{half}; run it again (a promotion repairs it too)",
        )
    if kind == "copy" and not answer["xcatd"]:
        origin = "copied from" if marker["state"] == "applied" else "handed over to"
        return ReplicaState(
            role=ReplicaRole.COPY,
            healthy=True,
            last_good=float(marker["snapshot_time"]),
            generation=str(marker["id"]),
            detail=f"{answer['tables']} tables, {origin} {marker['peer']}",
        )
    return ReplicaState(role=ReplicaRole.SOURCE, healthy=not trouble, detail=trouble or _own_detail(answer, kind))


def _own_detail(answer: Mapping[str, Any], kind: str) -> str:
    journals = f", hot or busy journals: {', '.join(answer['journals'])}" if answer["journals"] else ""
    if kind == "touched":
        return f"{answer['tables']} tables; they were a copy of {answer['marker']['peer']} and have been written here{journals}"
    return f"{answer['tables']} tables{', xcatd runs' if answer['xcatd'] else ''}{journals}"
