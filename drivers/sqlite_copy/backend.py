"""The driver: plans as data, and what a node's answers mean. What the words mean is in the package's docstring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from attrs import evolve

from xcat_ha.interfaces import Capability, Contents, ReplicaRole, ReplicaState, ReplicationBackend
from xcat_ha.models import STATE_DIR, Engine, Node, Pair
from xcat_ha.ssh_command import rsh_words
from xcat_ha.steps import Check, Command, Completed, Effect, ExitStatus, Probe, SamePrinted, SaysVerdict, Step, Steps, changes, reads
from xcat_ha.xcat.services import xcatd_is_stopped

NODE_SIDE = "xcat_ha_drivers.sqlite_copy.node_side"
OUTGOING = f"{STATE_DIR}/sqlite-copy/outgoing"
READ_TIMEOUT_S = 60.0
COPY_TIMEOUT_S = 3600.0
"""An audit log may have grown to gigabytes (it grows without bound), and the line may be slow."""

_UNSENT_OR = '[ -e "${XCAT_HA_ROOT%/}$1" ] && { echo HOLDS; exit 0; }; shift; exec "$@"'
# XCAT_HA_ROOT is the prefix of temporary trees in tests, empty on a real node.

# For nodes without xcat-ha: how many table files there are.
_PLAIN_LOOK = """\
[ -d "$1" ] || { echo "tables 0"; exit 0; }
ls "$1" > /dev/null || exit 1
set -- "$1"/*.sqlite
[ -e "$1" ] && echo "tables $#" || echo "tables 0"
"""


class SqliteCopy(ReplicationBackend):
    """Copies xCAT's SQLite tables to the standby as verified generations.

    Options:
        keep: generations kept on the standby (7).
        lock_wait_s: seconds to wait for a table that another process holds locked (30).
        confirm_s: a sync that finds nothing changed notes the new time of comparison on the standby only if the last one is older (60).
    """

    option_names: ClassVar[frozenset[str]] = frozenset({"keep", "lock_wait_s", "confirm_s"})
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    engines: ClassVar[frozenset[Engine]] = frozenset({Engine.SQLITE})

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self.keep = self.option("keep", 7)
        self.lock_wait_s = self.option("lock_wait_s", 30)
        self.confirm_s = self.option("confirm_s", 60)

    def _program(self, node: Node, verb: str, *words: str) -> tuple[str, ...]:
        return (
            node.python,
            "-m",
            NODE_SIDE,
            verb,
            f"--node={node.id}",
            f"--xcat-dir={self.pair.xcat_dir}",
            f"--wait-s={self.lock_wait_s}",
            *words,
        )

    def _ask(self, node: Node, verb: str, *words: str) -> Probe:
        return Probe(node.id, reads(*self._program(node, verb, *words), timeout_s=READ_TIMEOUT_S + self.lock_wait_s))

    def _do(self, node: Node, verb: str, *words: str) -> Command:
        return changes(*self._program(node, verb, *words), timeout_s=COPY_TIMEOUT_S)

    def _says(self, node: Node, question: str, verb: str, *words: str, hint: str = "") -> Check:
        return Check(question=question, probes=(self._ask(node, verb, *words),), rule=SaysVerdict(), hint=hint)

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
        not_installed = full.returncode == 127 or "No module named" in full.stderr or "No such file or directory" in full.stderr
        if full.returncode is not None and not_installed and plain.ok and plain.stdout.startswith("tables "):
            tables = plain.stdout.split()[1]
            role = ReplicaRole.NONE if tables == "0" else ReplicaRole.SOURCE
            return ReplicaState(role=role, healthy=None, detail=f"{tables} table files; xcat-ha is not installed on this node")
        return ReplicaState(role=None, healthy=None, detail=full.summary)

    def question_for_record(self, node: Node, name: str) -> Command:
        """Reads the nodelist table read-only; a hot journal is honoured in a private copy."""
        return self._ask(node, "has-node", f"--name={name}").command

    def question_for_contents(self, node: Node) -> Command:
        """Reads every table in place read-only."""
        return reads(*self._program(node, "contents"), timeout_s=600)

    def interpret_contents(self, answer: Completed) -> Contents | None:
        """The node's JSON."""
        try:
            document: Any = json.loads(answer.stdout) if answer.ok else None
            return Contents({name: frozenset(rows) for name, rows in document["tables"].items()}, frozenset(document["nodes"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def question_for_schema(self, node: Node) -> Command:
        """Reads every table's columns in place read-only."""
        return reads(*self._program(node, "schema"), timeout_s=120)

    def interpret_schema(self, answer: Completed) -> Mapping[str, frozenset[str]] | None:
        """The node's JSON."""
        try:
            document: Any = json.loads(answer.stdout) if answer.ok else None
            return {str(name): frozenset(str(column) for column in columns) for name, columns in document.items()}
        except (ValueError, TypeError, AttributeError):
            return None

    # -- copying

    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        """As a sync, but the target's own database is replaced and any number of its tables may vanish."""
        return self._copy(source, target, "--over-own")

    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        """Snapshot what changed, deliver it as a delta, put it in place as one generation."""
        return self._copy(source, target)

    def _copy(self, source: Node, target: Node, *words: str) -> Steps:
        """While ``snapshot-database`` runs, its snapshot counts as current even if xcatd writes on: the mark ``unsent`` says so.

        A run that was killed leaves that mark behind; the next one begins by removing it, so it never sends an old snapshot.
        """
        unsent = f"{OUTGOING}/unsent"
        forget = changes("rm", "-f", "--", unsent)
        return (
            Step(
                name="discard-unsent-snapshot",
                why="A snapshot that an interrupted sync never delivered is out of date.",
                host=source.id,
                done_when=Check(
                    question=f"no snapshot of an interrupted sync is left on {source.id}",
                    probes=(Probe(source.id, reads("test", "!", "-e", unsent)),),
                    rule=ExitStatus(),
                ),
                commands=(forget,),
            ),
            Step(
                name="snapshot-database",
                why=f"A consistent, verified copy of the tables of {source.id} that changed is what will be sent.",
                host=source.id,
                done_when=Check(
                    question=f"the snapshot on {source.id} is what its tables hold",
                    probes=(self._unsent_or_current(source, unsent),),
                    rule=SaysVerdict(),
                ),
                commands=(self._do(source, "snapshot", "--unsent"),),
                cleanup=(forget,),
            ),
            self._receive(source, target, *words),
        )

    def _unsent_or_current(self, source: Node, unsent: str) -> Probe:
        """Right after the snapshot the shell knows the answer: starting Python once more would be a tenth of the sync's time."""
        words = self._program(source, "snapshot-is-current", f"--max-age-s={self.confirm_s}")
        return Probe(source.id, reads("sh", "-c", _UNSENT_OR, "sh", unsent, *words, timeout_s=READ_TIMEOUT_S))

    def _receive(self, source: Node, target: Node, *words: str, only_if: tuple[Check, ...] = (), ask: tuple[str, ...] = ()) -> Step:
        address = f"[{source.address}]" if ":" in source.address else source.address
        argv = self._program(
            target,
            "receive",
            f"--source={source.id}",
            f"--address=root@{address}:{OUTGOING}/current/",
            f"--rsh={rsh_words(source)}",
            f"--keep={self.keep}",
            *words,
        )
        return Step(
            name="receive-database",
            why=f"{target.id} fetches the copy, proves it and puts it in place as a whole; until then its last good copy stays.",
            host=target.id,
            only_if=(*only_if, xcatd_is_stopped(target)),
            done_when=Check(
                question=f"the database in place on {target.id} is the newest snapshot of {source.id}",
                probes=(
                    Probe(source.id, reads("readlink", f"{OUTGOING}/current")),
                    self._ask(target, "received-stamp", *ask),
                ),
                rule=SamePrinted(),
                hint=f"is xcatd stopped on {target.id}, and does ssh from {target.id} to {source.id} work with xcat-ha's key?",
            ),
            commands=(Command(argv, Effect.CHANGES, timeout_s=COPY_TIMEOUT_S, progress="rsync", stall_s=60.0),),
        )

    # -- changes of primary

    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        """The last snapshot is taken with xcatd stopped, so it is everything; then ``new``'s database is its own and ``old``'s a copy."""
        old_is_stopped = xcatd_is_stopped(old)
        return (
            Step(
                name="snapshot-last-database",
                why=f"xcatd on {old.id} is stopped, so this copy is complete.",
                host=old.id,
                only_if=(old_is_stopped,),
                done_when=self._says(old, f"the snapshot on {old.id} is what its tables hold", "snapshot-is-current"),
                commands=(self._do(old, "snapshot", "--stopped"),),
            ),
            self._receive(old, new, only_if=(old_is_stopped,), ask=("--or-promoted",)),
            self._promotion(new),
            Step(
                name="note-hand-over",
                why=f"From now on the tables on {old.id} are a copy of what {new.id} took over, and no longer its own database.",
                host=old.id,
                only_if=(old_is_stopped,),
                done_when=self._says(old, f"the tables on {old.id} are noted as handed over, and unchanged since", "is-handed-over"),
                commands=(self._do(old, "hand-over", f"--peer={new.id}"),),
            ),
        )

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        """The newest complete generation is put in place if it is not, proven, and becomes the node's own. ``forced`` changes nothing:
        what would be lost was asked before; there is only one newest good copy.
        """
        del forced
        return (self._promotion(node),)

    def _promotion(self, node: Node) -> Step:
        return Step(
            name="promote-database",
            why=f"The newest complete copy on {node.id} becomes its own, writable database.",
            host=node.id,
            only_if=(xcatd_is_stopped(node),),
            done_when=self._says(
                node,
                f"the tables on {node.id} are its own, whole and writable",
                "is-promoted",
                hint=f"seed {node.id}, or restore a generation by hand",
            ),
            commands=(self._do(node, "promote"),),
        )

    def steps_to_save_divergence(self, node: Node) -> Steps:
        """All tables, a crashed primary's included, below ``/var/lib/xcat-ha/diverged``."""
        return (
            Step(
                name="save-own-database",
                why=f"What was written on {node.id} and never reached the other node can be restored from this copy.",
                host=node.id,
                only_if=(xcatd_is_stopped(node),),
                done_when=self._says(node, f"a verified copy of the tables on {node.id} is saved", "is-saved"),
                commands=(evolve(self._do(node, "save"), capture="saved-copy"),),
            ),
        )


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
