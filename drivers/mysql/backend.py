"""The driver: plans as data, and what a node's answers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from attrs import evolve

from xcat_ha.interfaces import Capability, Contents, ReplicaRole, ReplicaState, ReplicationBackend
from xcat_ha.models import Engine, Node, Pair, ServiceIdentity
from xcat_ha.steps import Check, Command, Completed, Probe, SamePrinted, SaysVerdict, Step, Steps, reads
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha_drivers.mysql._places import PROVED_MARK
from xcat_ha_drivers.mysql.programs import Programs, when_standby_gone
from xcat_ha_drivers.mysql.states import state_of
from xcat_ha_drivers.replication.answers import contents_of, is_not_installed

READ_ALL_TIMEOUT_S = 1800.0
"""Reading every row, or a dump that is compared with the saved one."""

# For nodes without xcat-ha: whether there is a server at all. XCAT_HA_ROOT is the prefix of temporary trees in tests.
_PLAIN_LOOK = """\
for unit in mariadb mysqld mysql; do
  for place in /usr/lib/systemd/system /lib/systemd/system /etc/systemd/system; do
    [ -e "${XCAT_HA_ROOT%/}$place/$unit.service" ] && { echo "server there"; exit 0; }
  done
done
echo "server none"
"""
_IS_ABSENT = '[ -e "${XCAT_HA_ROOT%/}$1" ] && echo "FAILS: $1 is there" || echo HOLDS'


class Mysql(ReplicationBackend):
    """Keeps the standby's MariaDB or MySQL a replica of the primary's, by GTID.

    Options:
        mode: ``asynchronous`` (the default), or ``semi-synchronous``: a commit is acknowledged when the standby has it in its relay log.
        when_standby_gone: for ``semi-synchronous``, and then there is no default. ``wait``: commits wait until the standby is back;
            nothing acknowledged is lost, and xCAT stands still meanwhile. ``degrade``: after ``degrade_after_s`` seconds the server goes
            on without it, ``status`` fails, and what is written from then on can be lost.
        degrade_after_s: see there (10).
        keep_binlog_hours: how long the primary keeps its binary log for a standby that is away (72).
        confirm_s: a sync notes a new time of proof if nothing was written only if the last one is older (60).
    """

    option_names: ClassVar[frozenset[str]] = frozenset({"mode", "when_standby_gone", "degrade_after_s", "keep_binlog_hours", "confirm_s"})
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.STREAMING, Capability.SYNCHRONOUS, Capability.READABLE_STANDBY})
    engines: ClassVar[frozenset[Engine]] = frozenset({Engine.MYSQL})

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self._on = Programs(
            pair=pair,
            keep_hours=self.option("keep_binlog_hours", 72),
            semi_sync=when_standby_gone(pair, options),
            degrade_after_s=self.option("degrade_after_s", 10),
            confirm_s=self.option("confirm_s", 60),
        )

    # -- observation

    def questions(self, node: Node) -> tuple[Command, ...]:
        """What the server is and does; a plain look in case xcat-ha is not on the node yet."""
        return (self._on.ask(node, "observe").command, reads("sh", "-c", _PLAIN_LOOK, "sh"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ReplicaState:
        """See :mod:`xcat_ha_drivers.mysql.states`."""
        del node
        full, plain = answers
        if full.ok:
            try:
                return state_of(json.loads(full.stdout))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                return ReplicaState(role=None, healthy=None, detail="the node's answer could not be understood")
        if is_not_installed(full) and plain.ok and plain.stdout.strip() == "server none":
            return ReplicaState(role=ReplicaRole.NONE, healthy=None, detail="no MariaDB or MySQL; xcat-ha is not installed on this node")
        return ReplicaState(role=None, healthy=None, detail=full.summary)

    def question_for_record(self, node: Node, name: str) -> Command:
        """Reads the nodelist table over the local socket."""
        return self._on.ask(node, "has-node", f"--name={name}").command

    def question_for_site(self, node: Node) -> Command:
        """Reads the site table over the local socket: cfgloc leads to whichever node has the role."""
        return self._on.ask(node, "site").command

    def question_for_contents(self, node: Node) -> Command:
        """Reads every table, in the bytes it is stored in."""
        return self._on.ask(node, "contents", timeout_s=READ_ALL_TIMEOUT_S).command

    def interpret_contents(self, answer: Completed) -> Contents | None:
        """The node's JSON."""
        return contents_of(answer)

    def question_for_schema(self, node: Node) -> Command:
        """Tables and columns, from the server's own catalogue."""
        return self._on.ask(node, "schema").command

    def interpret_schema(self, answer: Completed) -> Mapping[str, frozenset[str]] | None:
        """The node's JSON."""
        try:
            document: Any = json.loads(answer.stdout) if answer.ok else None
            return {str(table): frozenset(names) for table, names in document.items()} or None
        except (ValueError, TypeError, AttributeError):
            return None

    # -- copying

    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        """As a sync, but the target's own database is replaced, after it was saved, unless its history is part of the source's."""
        return self._copy(source, target, "--over-own")

    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        """See to it that the target follows, and prove that it has everything the source has now."""
        return self._copy(source, target)

    def _copy(self, source: Node, target: Node, *words: str) -> Steps:
        return (
            Step(
                name="let-standby-in",
                why=f"The server of {source.id} needs a binary log, TLS, an account for {target.id}, and xCAT's from every address.",
                host=source.id,
                done_when=self._on.says(source, f"{target.id} may follow the server of {source.id}", "is-prepared", "--as-source"),
                commands=(self._on.do(source, "prepare", "--as-source"),),
            ),
            Step(
                name="prepare-standby",
                why=f"The server of {target.id} needs an id of its own, a log and a certificate, and must not be writable.",
                host=target.id,
                only_if=(xcatd_is_stopped(target),),
                done_when=self._on.says(target, f"the server of {target.id} is fit to follow {source.id}", "is-prepared"),
                commands=(self._on.do(target, "prepare"),),
            ),
            self._following(source, target, *words),
            Step(
                name="fit-cfgloc",
                why=f"The accounts of the copy are those of {source.id}, so xCAT on {target.id} needs the password that belongs to them.",
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
            why=f"The server of {target.id} becomes a replica of {source.id}'s; what it had stays until the new copy is proven.",
            host=target.id,
            only_if=(xcatd_is_stopped(target),),
            done_when=self._on.says(
                target,
                f"the server of {target.id} follows {source.id}, and wrote nothing by itself",
                "is-following",
                hint=f"xcat-ha status names the cause; look at the log of the server of {target.id}",
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
        """While ``prove-copy`` runs, the proof it made counts although xcatd writes on: the mark it leaves says so."""
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
                why=f"That {target.id} follows does not say how much it has: it must have applied all that {source.id} has now.",
                host=target.id,
                done_when=self._on.says(target, f"the copy on {target.id} has everything {source.id} has", "is-proved"),
                commands=(self._on.do(target, "prove", "--mark"),),
                cleanup=(forget,),
            ),
        )

    # -- changes of primary

    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        """``old`` becomes read-only; ``new`` must have applied up to the same GTID before it is promoted; then ``old`` follows it."""
        both_stopped = (xcatd_is_stopped(old), xcatd_is_stopped(new))
        return (
            Step(
                name="close-database",
                why=f"Nothing may be written on {old.id} any more; {new.id} is connected and gets the rest.",
                host=old.id,
                only_if=(*both_stopped, self._on.says(new, f"the server of {new.id} follows {old.id}", "is-following")),
                done_when=self._on.says(old, f"the server of {old.id} takes no writes any more", "has-given-up"),
                commands=(self._on.do(old, "give-up"),),
            ),
            Step(
                name="prove-drained",
                why=f"{new.id} must have applied the log of {old.id} up to its very last transaction before it is promoted.",
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
            question=f"{new.id} has applied the log of {old.id} to its end",
            probes=(self._on.ask(old, "end-position"), self._on.ask(new, "replayed-position")),
            rule=SamePrinted(),
            hint=f"make {old.id} writable again (xcat-ha activate), and look at xcat-ha status",
        )

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        """What was received is applied, then the server becomes writable. ``forced``: what cannot be applied is left behind, and named."""
        return (self._promotion(node, *(("--forced",) if forced else ())),)

    def _promotion(self, node: Node, *words: str, only_if: tuple[Check, ...] = ()) -> Step:
        return Step(
            name="promote-database",
            why=f"The database of {node.id} becomes writable, with everything it has received.",
            host=node.id,
            only_if=(xcatd_is_stopped(node), *only_if),
            done_when=self._on.says(
                node,
                f"the database on {node.id} is its own, and writable",
                "is-promoted",
                hint=f"seed {node.id}; look at the log of its database server",
            ),
            commands=(evolve(self._on.do(node, "promote", *words), capture="how-it-was-promoted"),),
        )

    def steps_after_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        """The daemon has to be led to this node's server by cfgloc, which names the service address, and must get in."""
        return (
            Step(
                name="point-cfgloc",
                why=f"xcatd on {node.id} must find its database at the service address, and get in.",
                host=node.id,
                done_when=self._on.says(node, f"cfgloc on {node.id} leads to {identity.primary_address}, and xCAT gets in", "has-login"),
                commands=(self._on.do(node, "point-login"),),
            ),
        )

    def steps_while_serving(self, node: Node) -> Steps:
        """A server that was restarted under the role starts read-only: it is made writable again."""
        return (
            Step(
                name="keep-database-writable",
                why=f"The server of {node.id} starts read-only, and {node.id} has the role.",
                host=node.id,
                done_when=self._on.says(node, f"the database on {node.id} is writable", "is-writable"),
                commands=(self._on.do(node, "reopen"),),
            ),
        )

    def steps_when_superseded(self, node: Node) -> Steps:
        """The database is closed: what would be written to it now would be lost."""
        return (
            Step(
                name="close-database",
                why=f"The role has moved: what is written to the database on {node.id} now is seen by nobody.",
                host=node.id,
                only_if=(xcatd_is_stopped(node),),
                done_when=self._on.says(node, f"the database on {node.id} is read-only", "is-closed"),
                commands=(self._on.do(node, "shut"),),
            ),
        )

    def steps_to_save_divergence(self, node: Node) -> Steps:
        """A dump that was restored once and compared, below ``/var/lib/xcat-ha/diverged``."""
        return (
            Step(
                name="save-own-database",
                why=f"What was written on {node.id} and never reached the other node can be restored from this copy.",
                host=node.id,
                only_if=(xcatd_is_stopped(node),),
                done_when=self._on.says(
                    node, f"a verified copy of the database on {node.id} is saved", "is-saved", timeout_s=READ_ALL_TIMEOUT_S
                ),
                commands=(evolve(self._on.do(node, "save"), capture="saved-copy"),),
            ),
        )
