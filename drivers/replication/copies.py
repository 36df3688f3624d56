"""A backend that keeps whole copies: a snapshot is made, sent, proven, and takes the place of the copy that is there.

What is done is done by the driver's program on the node (:attr:`VerifiedCopies.NODE_SIDE`):

* ``snapshot [--unsent] [--stopped]``: make ``outgoing/current`` what the database holds; ``--unsent`` marks it as waiting for delivery.
* ``receive … [--over-own]``: fetch the source's, prove it, put it in place.
* ``promote``: make the newest copy, or what is the node's own, the writable database.
* ``hand-over --peer=ID``: note that the peer took over what is in place here.
* ``save``: save the node's own database below ``/var/lib/xcat-ha/diverged``.
* ``observe``, ``has-node``, ``contents``; ``received-stamp [--or-promoted]``: name of the snapshot that is in place.
* Questions: ``snapshot-is-current [--max-age-s=N]``, ``is-promoted``, ``is-handed-over``, ``is-saved``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import evolve, frozen

from xcat_ha.interfaces import Contents, ReplicationBackend
from xcat_ha.models import Node, Pair
from xcat_ha.ssh_command import rsh_words
from xcat_ha.steps import Check, Command, Completed, Effect, ExitStatus, Probe, SamePrinted, SaysVerdict, Step, Steps, changes, reads
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha_drivers.replication.answers import contents_of

READ_TIMEOUT_S = 60.0
READ_ALL_TIMEOUT_S = 600.0
COPY_TIMEOUT_S = 3600.0
"""An audit log may have grown to gigabytes (it grows without bound), and the line may be slow."""

_UNSENT_OR = '[ -e "${XCAT_HA_ROOT%/}$1" ] && { echo HOLDS; exit 0; }; shift; exec "$@"'
# XCAT_HA_ROOT is the prefix of temporary trees in tests, empty on a real node.


@frozen
class Sentences:
    """What an administrator reads in a plan; ``{0}`` and ``{1}`` are ids of nodes.

    Attributes:
        snapshot: why a snapshot of {0} is made.
        last_snapshot: why the last one of {0} is.
        is_current: that the snapshot on {0} is of now.
        receive: why {0} fetches it.
        is_promoted: that the database of {0} is its own.
        hand_over: why {0} notes that {1} took over.
        is_handed_over: that {0} has noted it.
        save: why {0} saves its own.
        is_saved: that {0} has saved it.
    """

    snapshot: str
    last_snapshot: str
    is_current: str
    receive: str
    is_promoted: str
    hand_over: str
    is_handed_over: str
    save: str
    is_saved: str


class VerifiedCopies(ReplicationBackend):
    """What such backends have in common. A driver adds how its database is observed, and what its server needs beside.

    Options:
        keep: generations kept on the standby (7).
        confirm_s: a sync that finds nothing changed notes the new time of comparison on the standby only if the last one is older (60).
    """

    NODE_SIDE: ClassVar[str]
    """Module of the program on a node."""
    BASE_DIR: ClassVar[str]
    """The driver's own directory on a node."""
    SENTENCES: ClassVar[Sentences]
    wait_option: ClassVar[str] = "wait_s"
    """Name of the option of how long whoever uses the database is waited for, in seconds (30)."""
    last_snapshot_words: ClassVar[tuple[str, ...]] = ()
    """Of the question whether the last snapshot is current."""
    stall_s: ClassVar[float] = 60.0
    """How long a copy on its way may show no progress."""
    save_check_timeout_s: ClassVar[float | None] = None
    """How long it may take to tell whether the node's own database is saved; None: as any question."""

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self.keep = self.option("keep", 7)
        self.wait_s = self.option(self.wait_option, 30)
        self.confirm_s = self.option("confirm_s", 60)
        self.read_timeout_s = READ_TIMEOUT_S
        """How long a question may take that does not read the whole database."""

    def _program(self, node: Node, verb: str, *words: str) -> tuple[str, ...]:
        common = (f"--node={node.id}", f"--xcat-dir={self.pair.xcat_dir}", f"--wait-s={self.wait_s}")
        return (node.python, "-m", self.NODE_SIDE, verb, *common, *words)

    def _ask(self, node: Node, verb: str, *words: str, timeout_s: float | None = None) -> Probe:
        return Probe(node.id, reads(*self._program(node, verb, *words), timeout_s=timeout_s or self.read_timeout_s))

    def _do(self, node: Node, verb: str, *words: str) -> Command:
        return changes(*self._program(node, verb, *words), timeout_s=COPY_TIMEOUT_S)

    def _says(self, node: Node, question: str, verb: str, *words: str, hint: str = "", timeout_s: float | None = None) -> Check:
        probe = self._ask(node, verb, *words, timeout_s=timeout_s)
        return Check(question=question, probes=(probe,), rule=SaysVerdict(), hint=hint)

    def question_for_record(self, node: Node, name: str) -> Command:
        """Reads the nodelist table in place."""
        return self._ask(node, "has-node", f"--name={name}").command

    def question_for_contents(self, node: Node) -> Command:
        """Reads every table in place."""
        return self._ask(node, "contents", timeout_s=READ_ALL_TIMEOUT_S).command

    def interpret_contents(self, answer: Completed) -> Contents | None:
        """The node's JSON."""
        return contents_of(answer)

    # -- copying

    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        """As a sync, but the target's own database is replaced and any number of its tables may vanish."""
        return self._copy(source, target, "--over-own")

    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        """Snapshot what changed, deliver it, put it in place as one generation."""
        return self._copy(source, target)

    @property
    def _outgoing(self) -> str:
        return f"{self.BASE_DIR}/outgoing"

    def _copy(self, source: Node, target: Node, *words: str) -> Steps:
        """While ``snapshot-database`` runs, its snapshot counts as current even if xcatd writes on: the mark ``unsent`` says so.

        A run that was killed leaves that mark behind; the next one begins by removing it, so it never sends an old snapshot.
        """
        unsent = f"{self._outgoing}/unsent"
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
                why=self.SENTENCES.snapshot.format(source.id),
                host=source.id,
                done_when=Check(
                    question=self.SENTENCES.is_current.format(source.id),
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
            f"--address=root@{address}:{self._outgoing}/current/",
            f"--rsh={rsh_words(source)}",
            f"--keep={self.keep}",
            *words,
        )
        return Step(
            name="receive-database",
            why=self.SENTENCES.receive.format(target.id),
            host=target.id,
            only_if=(*only_if, xcatd_is_stopped(target)),
            done_when=Check(
                question=f"the database in place on {target.id} is the newest snapshot of {source.id}",
                probes=(
                    Probe(source.id, reads("readlink", f"{self._outgoing}/current")),
                    self._ask(target, "received-stamp", *ask),
                ),
                rule=SamePrinted(),
                hint=f"is xcatd stopped on {target.id}, and does ssh from {target.id} to {source.id} work with xcat-ha's key?",
            ),
            commands=(Command(argv, Effect.CHANGES, timeout_s=COPY_TIMEOUT_S, progress="rsync", stall_s=self.stall_s),),
        )

    # -- changes of primary

    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        """The last snapshot is taken with xcatd stopped, so it is everything; then ``new``'s database is its own and ``old``'s a copy."""
        old_is_stopped = xcatd_is_stopped(old)
        return (
            Step(
                name="snapshot-last-database",
                why=self.SENTENCES.last_snapshot.format(old.id),
                host=old.id,
                only_if=(old_is_stopped,),
                done_when=self._says(old, self.SENTENCES.is_current.format(old.id), "snapshot-is-current", *self.last_snapshot_words),
                commands=(self._do(old, "snapshot", "--stopped"),),
            ),
            self._receive(old, new, only_if=(old_is_stopped,), ask=("--or-promoted",)),
            self._promotion(new),
            Step(
                name="note-hand-over",
                why=self.SENTENCES.hand_over.format(old.id, new.id),
                host=old.id,
                only_if=(old_is_stopped,),
                done_when=self._says(old, self.SENTENCES.is_handed_over.format(old.id), "is-handed-over"),
                commands=(self._do(old, "hand-over", f"--peer={new.id}"),),
            ),
        )

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        """The newest complete generation is put in place if it is not, proven, and becomes the node's own.

        ``forced`` changes nothing: what would be lost was asked before; there is only one newest good copy.
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
                self.SENTENCES.is_promoted.format(node.id),
                "is-promoted",
                hint=f"seed {node.id}, or restore a generation by hand",
            ),
            commands=(self._do(node, "promote"),),
        )

    def steps_to_save_divergence(self, node: Node) -> Steps:
        """The whole database, below ``/var/lib/xcat-ha/diverged``."""
        is_saved = self._says(node, self.SENTENCES.is_saved.format(node.id), "is-saved", timeout_s=self.save_check_timeout_s)
        return (
            Step(
                name="save-own-database",
                why=self.SENTENCES.save.format(node.id),
                host=node.id,
                only_if=(xcatd_is_stopped(node),),
                done_when=is_saved,
                commands=(evolve(self._do(node, "save"), capture="saved-copy"),),
            ),
        )
