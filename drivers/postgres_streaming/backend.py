"""The driver: plans as data, and what a node's answers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import evolve

from xcat_ha.interfaces import Capability, Contents, ReplicaRole, ReplicaState, ReplicationBackend
from xcat_ha.models import Engine, Node, Pair, ServiceIdentity
from xcat_ha.steps import Check, Command, Completed, Probe, SamePrinted, SaysVerdict, Step, Steps, reads
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha_drivers.postgres_streaming._places import PROVED_MARK
from xcat_ha_drivers.postgres_streaming.programs import Programs, when_standby_gone
from xcat_ha_drivers.postgres_streaming.states import state_of
from xcat_ha_drivers.replication.answers import contents_of, is_not_installed
from xcat_ha_drivers.replication.options import directory

STOPPED_READ_TIMEOUT_S = 1800.0
"""A stopped database is read in a private copy, which may need recovery."""

# For nodes without xcat-ha: whether there is a server at all.
_PLAIN_LOOK = """\
for place in /etc/postgresql/*/*/postgresql.conf /var/lib/pgsql/data/PG_VERSION /var/lib/pgsql/*/data/PG_VERSION; do
  [ -e "$place" ] && { echo "server there"; exit 0; }
done
echo "server none"
"""


class PostgresStreaming(ReplicationBackend):
    """Keeps the standby's PostgreSQL a physical streaming copy of the primary's.

    Options:
        mode: ``asynchronous`` (the default), or ``synchronous``: a commit is acknowledged when the standby has it on disk.
        when_standby_gone: for ``synchronous``, and then there is no default. ``wait``: commits wait until the standby is back;
            nothing acknowledged is ever lost, and xCAT stands still meanwhile. ``degrade``: after ``degrade_after_s`` seconds they go on
            without it, ``status`` fails, and what is written from then on can be lost.
        degrade_after_s: see there (10).
        max_slot_wal_mib: how much write-ahead log the primary keeps for a standby that is away (1024).
        confirm_s: a sync notes a new time of proof if nothing was written only if the last one is older (60).
        data_directory: which server it is, if a node has several.
    """

    option_names: ClassVar[frozenset[str]] = frozenset(
        {"mode", "when_standby_gone", "degrade_after_s", "max_slot_wal_mib", "confirm_s", "data_directory"}
    )
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.STREAMING, Capability.SYNCHRONOUS, Capability.REWIND, Capability.READABLE_STANDBY}
    )
    engines: ClassVar[frozenset[Engine]] = frozenset({Engine.POSTGRESQL})

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self.when_gone = when_standby_gone(pair, options)
        self.degrade_after_s = self.option("degrade_after_s", 10)
        self._on = Programs(
            pair=pair,
            data_directory=directory(pair, options, "data_directory", example="/var/lib/postgresql/15/main"),
            slot_mib=self.option("max_slot_wal_mib", 1024),
            synchronous=self.when_gone,
            degrade_after_s=self.degrade_after_s,
            confirm_s=self.option("confirm_s", 60),
        )

    # -- observation

    def questions(self, node: Node) -> tuple[Command, ...]:
        """What the server is and does; a plain look in case xcat-ha is not on the node yet."""
        return (self._on.ask(node, "observe").command, reads("sh", "-c", _PLAIN_LOOK, "sh"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ReplicaState:
        """See :mod:`xcat_ha_drivers.postgres_streaming.states`."""
        del node
        full, plain = answers
        if full.ok:
            try:
                return state_of(json.loads(full.stdout))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                return ReplicaState(role=None, healthy=None, detail="the node's answer could not be understood")
        if is_not_installed(full) and plain.ok and plain.stdout.strip() == "server none":
            return ReplicaState(role=ReplicaRole.NONE, healthy=None, detail="no PostgreSQL server; xcat-ha is not installed on this node")
        return ReplicaState(role=None, healthy=None, detail=full.summary)

    def question_for_record(self, node: Node, name: str) -> Command:
        """Reads the nodelist table; of a stopped server, in a private copy."""
        return self._on.ask(node, "has-node", f"--name={name}", timeout_s=STOPPED_READ_TIMEOUT_S).command

    def question_for_site(self, node: Node) -> Command:
        """Reads the site table over the local socket; of a stopped server, in a private copy."""
        return self._on.ask(node, "site", timeout_s=STOPPED_READ_TIMEOUT_S).command

    def question_for_contents(self, node: Node) -> Command:
        """Reads every table; of a stopped server, in a private copy."""
        return self._on.ask(node, "contents", timeout_s=STOPPED_READ_TIMEOUT_S).command

    def interpret_contents(self, answer: Completed) -> Contents | None:
        """The node's JSON."""
        return contents_of(answer)

    # -- copying

    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        """As a sync, but the target's own database is replaced: by ``pg_rewind`` where that can work, else by a base backup."""
        return self._copy(source, target, "--over-own")

    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        """See to it that the target streams, and prove that it has everything the source has now."""
        return self._copy(source, target)

    def _copy(self, source: Node, target: Node, *words: str) -> Steps:
        return (
            Step(
                name="let-standby-in",
                why=f"{source.id} needs a replication role, settings, access lines and a slot that keeps its log for {target.id}.",
                host=source.id,
                done_when=self._on.says(source, f"{target.id} may follow PostgreSQL of {source.id}", "is-prepared", "--as-source"),
                commands=(self._on.do(source, "prepare", "--as-source"),),
            ),
            Step(
                name="prepare-standby",
                why=f"PostgreSQL of {target.id} must know how to reach {source.id}, and let it in when the roles are changed.",
                host=target.id,
                only_if=(xcatd_is_stopped(target),),
                done_when=self._on.says(target, f"PostgreSQL of {target.id} knows how to follow {source.id}", "is-prepared"),
                commands=(self._on.do(target, "prepare"),),
            ),
            self._following(source, target, *words),
            Step(
                name="fit-cfgloc",
                why=f"The roles of the copy are those of {source.id}, so xCAT on {target.id} needs the password that belongs to them.",
                host=target.id,
                only_if=(xcatd_is_stopped(target),),
                done_when=self._on.says(target, f"cfgloc on {target.id} fits the copy", "has-login"),
                commands=(self._on.do(target, "take-login"),),
            ),
            self._requirement(source, target),
            *self._proof(source, target),
        )

    def _following(self, source: Node, target: Node, *words: str, name: str = "follow-primary") -> Step:
        return Step(
            name=name,
            why=f"PostgreSQL of {target.id} becomes a streaming copy of {source.id}'s; what it had stays until the new copy is proven.",
            host=target.id,
            only_if=(xcatd_is_stopped(target),),
            done_when=self._on.says(
                target,
                f"PostgreSQL of {target.id} streams from {source.id}",
                "is-following",
                hint=f"xcat-ha status names the cause; look at PostgreSQL's log on {target.id}",
            ),
            commands=(evolve(self._on.do(target, "follow", *words), capture="how-it-follows"),),
        )

    def _requirement(self, source: Node, target: Node) -> Step:
        return Step(
            name="require-standby",
            why=f"Commits on {source.id} wait for {target.id} if the configuration says so, and only then.",
            host=source.id,
            done_when=self._on.says(source, f"commits on {source.id} wait for {target.id} as configured", "is-required"),
            commands=(self._on.do(source, "require-standby"),),
        )

    def _proof(self, source: Node, target: Node) -> Steps:
        """While ``prove-copy`` runs, the proof it made counts although xcatd writes on: the mark it leaves says so.

        A run that was killed leaves that mark behind; the next one begins by removing it.
        """
        forget = self._on.do(target, "forget-mark")
        return (
            Step(
                name="forget-old-proof",
                why="The mark of an interrupted proof says nothing about now.",
                host=target.id,
                done_when=Check(
                    question=f"no mark of an interrupted proof is left on {target.id}",
                    probes=(Probe(target.id, reads("sh", "-c", _IS_ABSENT, "sh", PROVED_MARK)),),
                    rule=SaysVerdict(),
                ),
                commands=(forget,),
            ),
            Step(
                name="prove-copy",
                why=f"That {target.id} streams does not say how much it has: it must have replayed all that {source.id} has now.",
                host=target.id,
                done_when=self._on.says(target, f"the copy on {target.id} has everything {source.id} has", "is-proved"),
                commands=(self._on.do(target, "prove", "--mark"),),
                cleanup=(forget,),
            ),
        )

    # -- changes of primary

    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        """PostgreSQL of ``old`` ends when ``new`` has all of its log, last checkpoint included; that is compared before a promotion."""
        both_stopped = (xcatd_is_stopped(old), xcatd_is_stopped(new))
        return (
            Step(
                name="stop-database",
                why=f"A server that is stopped cleanly ends when its standby has received everything; {new.id} is connected.",
                host=old.id,
                only_if=(*both_stopped, self._on.says(new, f"PostgreSQL of {new.id} streams from {old.id}", "is-following")),
                done_when=self._on.says(old, f"PostgreSQL of {old.id} is no primary any more", "has-given-up"),
                commands=(self._on.do(old, "give-up"),),
            ),
            Step(
                name="prove-drained",
                why=f"{new.id} must have replayed the log of {old.id} up to its very last record before it is promoted.",
                host=new.id,
                only_if=both_stopped,
                done_when=self._drained(old, new),
                commands=(self._on.do(new, "drain"),),
            ),
            self._promotion(new, only_if=(self._drained(old, new),)),
            self._following(new, old, name="follow-new-primary"),
            self._requirement(new, old),
            *self._proof(new, old),
        )

    def _drained(self, old: Node, new: Node) -> Check:
        return Check(
            question=f"{new.id} has replayed the log of {old.id} to its end",
            probes=(self._on.ask(old, "end-position"), self._on.ask(new, "replayed-position")),
            rule=SamePrinted(),
            hint=f"start PostgreSQL on {old.id} again (xcat-ha activate), and look at the log of PostgreSQL on {new.id}",
        )

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        """What was received is replayed, then the copy becomes the node's own. ``forced`` changes nothing: there is only one copy."""
        del forced
        return (self._promotion(node),)

    def _promotion(self, node: Node, *, only_if: tuple[Check, ...] = ()) -> Step:
        return Step(
            name="promote-database",
            why=f"PostgreSQL of {node.id} becomes writable, with the copy it has.",
            host=node.id,
            only_if=(xcatd_is_stopped(node), *only_if),
            done_when=self._on.says(
                node,
                f"the database on {node.id} is its own, and writable",
                "is-promoted",
                hint=f"seed {node.id}; look at the log of its PostgreSQL",
            ),
            commands=(self._on.do(node, "promote"),),
        )

    def steps_after_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        """The daemon has to be led to this node's server by cfgloc, which names the service address."""
        return (
            Step(
                name="point-cfgloc",
                why=f"xcatd on {node.id} must find its database at the service address.",
                host=node.id,
                done_when=self._on.says(node, f"cfgloc on {node.id} names the host {identity.primary_address}", "login-points"),
                commands=(self._on.do(node, "point-login"),),
            ),
        )

    def steps_while_serving(self, node: Node) -> Steps:
        """With ``degrade``: a required standby that is gone for too long is given up, and required again when it is back."""
        if self.when_gone != "degrade":
            return ()
        return (
            Step(
                name="watch-standby",
                why=f"Commits on {node.id} shall not wait for a standby that is gone for longer than {self.degrade_after_s} s.",
                host=node.id,
                done_when=self._on.says(node, f"commits on {node.id} wait for the standby if it is there, and only then", "is-watched"),
                commands=(self._on.do(node, "watch"),),
            ),
        )

    def steps_to_save_divergence(self, node: Node) -> Steps:
        """A dump that was restored once and compared (all files where that cannot be made), below ``/var/lib/xcat-ha/diverged``."""
        return (
            Step(
                name="save-own-database",
                why=f"What was written on {node.id} and never reached the other node can be restored from this copy.",
                host=node.id,
                only_if=(xcatd_is_stopped(node),),
                done_when=self._on.says(
                    node, f"a verified copy of the database on {node.id} is saved", "is-saved", timeout_s=STOPPED_READ_TIMEOUT_S
                ),
                commands=(evolve(self._on.do(node, "save"), capture="saved-copy"),),
            ),
        )


_IS_ABSENT = '[ -e "${XCAT_HA_ROOT%/}$1" ] && echo "FAILS: $1 is there" || echo HOLDS'
# XCAT_HA_ROOT is the prefix of temporary trees in tests, empty on a real node.
