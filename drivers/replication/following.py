"""A backend whose standby's server follows the primary's by itself: it is let in, follows, is proven to have all, and can be promoted.

What is done is done by the driver's program on the node, see :class:`~.programs.Programs`:

* ``prepare [--as-source]``: make the server fit to follow, or to be followed; ``is-prepared [--as-source]`` asks.
* ``follow [--over-own]``: make this server follow the peer's, anew where that is needed; ``is-following``.
* ``take-login``, ``has-login``: cfgloc gets in with the accounts of the copy; ``point-login``: at whichever address it has to name.
* ``require-standby``, ``is-required``: commits wait for the standby as configured.
* ``prove [--mark]``, ``is-proved``, ``forget-mark``: the copy has everything that the source has.
* ``give-up``, ``has-given-up``; ``drain``; ``end-position`` and ``replayed-position``, which print the same once all has arrived.
* ``promote``, ``is-promoted``; ``save``, ``is-saved``: below ``/var/lib/xcat-ha/diverged``.
* ``observe``, ``has-node``, ``site``, ``contents``.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from attrs import asdict, evolve, frozen

from xcat_ha.interfaces import Contents, ReplicaRole, ReplicaState, ReplicationBackend
from xcat_ha.models import Node
from xcat_ha.steps import Check, Command, Completed, Probe, SamePrinted, SaysVerdict, Step, Steps, reads
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha_drivers.replication.answers import contents_of, is_not_installed
from xcat_ha_drivers.replication.programs import READ_TIMEOUT_S, Programs

_IS_ABSENT = '[ -e "${XCAT_HA_ROOT%/}$1" ] && echo "FAILS: $1 is there" || echo HOLDS'
# XCAT_HA_ROOT is the prefix of temporary trees in tests, empty on a real node.


@frozen
class Sentences:
    """What an administrator reads in a plan; ``{0}`` is the node that is followed, ``{1}`` the one that follows.

    Attributes:
        let_in: why {0} is prepared.
        may_follow: that {1} may follow.
        prepare: why {1} is prepared.
        is_fit: that it is.
        follow: why {1} follows {0}.
        follows: that it does.
        look_at: where to look if not.
        login: why xCAT on {1} needs another login.
        prove: why the copy on {1} is proven.
        stop_step: name of the step in which {0} ends to be the primary.
        stop: why it does.
        stopped: that it has.
        drain: why {1} must have all of the log of {0}.
        drained: that it has.
        not_drained: what to do if not.
        promote: why the database of {1} becomes writable.
        look_if_not_promoted: what to do if it does not.
    """

    let_in: str
    may_follow: str
    prepare: str
    is_fit: str
    follow: str
    follows: str
    look_at: str
    login: str
    prove: str
    stop_step: str
    stop: str
    stopped: str
    drain: str
    drained: str
    not_drained: str
    promote: str
    look_if_not_promoted: str

    def about(self, followed: Node, follower: Node) -> Self:
        """The same, with the ids of two nodes in them."""
        return type(self)(**{name: sentence.format(followed.id, follower.id) for name, sentence in asdict(self).items()})


class FollowingServers(ReplicationBackend):
    """What such backends have in common. A driver adds how its server is observed, and what it needs beside."""

    SENTENCES: ClassVar[Sentences]
    PROVED_MARK: ClassVar[str]
    """What a proof that is at work leaves on the standby, until it is forgotten or the node boots."""
    READ_ALL_TIMEOUT_S: ClassVar[float] = 1800.0
    """Reading every row; of a stopped server in a private copy, which may need recovery."""
    NO_SERVER: ClassVar[str]
    """What a node without such a server has, in words."""
    PLAIN_LOOK: ClassVar[str]
    """A script for nodes without xcat-ha: prints ``server there`` or ``server none``."""
    record_timeout_s: ClassVar[float] = READ_TIMEOUT_S
    """Reading one table."""
    promotion_capture: ClassVar[str] = ""
    """Name under which the answer of a promotion is kept in the journal; empty: it is not."""
    _on: Programs

    @abstractmethod
    def state_of(self, document: Any) -> ReplicaState:
        """What the JSON of ``observe`` means.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, OverflowError: it cannot be understood.
        """

    def questions(self, node: Node) -> tuple[Command, ...]:
        """What the server is and does; a plain look in case xcat-ha is not on the node yet."""
        return (self._on.ask(node, "observe").command, reads("sh", "-c", self.PLAIN_LOOK, "sh"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ReplicaState:
        """See :meth:`state_of`. Only a node without xcat-ha and without a server is known to have no database."""
        del node
        full, plain = answers
        if full.ok:
            try:
                return self.state_of(json.loads(full.stdout))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                return ReplicaState(role=None, healthy=None, detail="the node's answer could not be understood")
        if is_not_installed(full) and plain.ok and plain.stdout.strip() == "server none":
            detail = f"{self.NO_SERVER}; xcat-ha is not installed on this node"
            return ReplicaState(role=ReplicaRole.NONE, healthy=None, detail=detail)
        return ReplicaState(role=None, healthy=None, detail=full.summary)

    def question_for_record(self, node: Node, name: str) -> Command:
        """Reads the nodelist table over the local socket."""
        return self._on.ask(node, "has-node", f"--name={name}", timeout_s=self.record_timeout_s).command

    def question_for_site(self, node: Node) -> Command:
        """Reads the site table over the local socket: cfgloc leads to whichever node has the role."""
        return self._on.ask(node, "site", timeout_s=self.record_timeout_s).command

    def question_for_contents(self, node: Node) -> Command:
        """Reads every table."""
        return self._on.ask(node, "contents", timeout_s=self.READ_ALL_TIMEOUT_S).command

    def interpret_contents(self, answer: Completed) -> Contents | None:
        """The node's JSON."""
        return contents_of(answer)

    # -- copying

    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        """As a sync, but the target's own database is replaced."""
        return self._copy(source, target, "--over-own")

    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        """See to it that the target follows, and prove that it has everything the source has now."""
        return self._copy(source, target)

    def _copy(self, source: Node, target: Node, *words: str) -> Steps:
        said = self.SENTENCES.about(source, target)
        return (
            Step(
                name="let-standby-in",
                why=said.let_in,
                host=source.id,
                done_when=self._on.says(source, said.may_follow, "is-prepared", "--as-source"),
                commands=(self._on.do(source, "prepare", "--as-source"),),
            ),
            Step(
                name="prepare-standby",
                why=said.prepare,
                host=target.id,
                only_if=(xcatd_is_stopped(target),),
                done_when=self._on.says(target, said.is_fit, "is-prepared"),
                commands=(self._on.do(target, "prepare"),),
            ),
            self._following(source, target, *words),
            Step(
                name="fit-cfgloc",
                why=said.login,
                host=target.id,
                only_if=(xcatd_is_stopped(target),),
                done_when=self._on.says(target, f"cfgloc on {target.id} fits the copy", "has-login"),
                commands=(self._on.do(target, "take-login"),),
            ),
            self._requirement(source, target),
            *self._proof(source, target),
        )

    def _following(self, source: Node, target: Node, *words: str, name: str = "follow-primary") -> Step:
        said = self.SENTENCES.about(source, target)
        hint = f"xcat-ha status names the cause; look at {said.look_at}"
        return Step(
            name=name,
            why=said.follow,
            host=target.id,
            only_if=(xcatd_is_stopped(target),),
            done_when=self._on.says(target, said.follows, "is-following", hint=hint),
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
                    probes=(Probe(target.id, reads("sh", "-c", _IS_ABSENT, "sh", self.PROVED_MARK)),),
                    rule=SaysVerdict(),
                ),
                commands=(forget,),
            ),
            Step(
                name="prove-copy",
                why=self.SENTENCES.about(source, target).prove,
                host=target.id,
                done_when=self._on.says(target, f"the copy on {target.id} has everything {source.id} has", "is-proved"),
                commands=(self._on.do(target, "prove", "--mark"),),
                cleanup=(forget,),
            ),
        )

    # -- changes of primary

    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        """``old`` ends to be the primary; ``new`` must have all of its log, which is compared, to be promoted; ``old`` follows it."""
        said = self.SENTENCES.about(old, new)
        both_stopped = (xcatd_is_stopped(old), xcatd_is_stopped(new))
        return (
            Step(
                name=said.stop_step,
                why=said.stop,
                host=old.id,
                only_if=(*both_stopped, self._on.says(new, said.follows, "is-following")),
                done_when=self._on.says(old, said.stopped, "has-given-up"),
                commands=(self._on.do(old, "give-up"),),
            ),
            Step(
                name="prove-drained",
                why=said.drain,
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
        said = self.SENTENCES.about(old, new)
        return Check(
            question=said.drained,
            probes=(self._on.ask(old, "end-position"), self._on.ask(new, "replayed-position")),
            rule=SamePrinted(),
            hint=said.not_drained,
        )

    def _promotion(self, node: Node, *words: str, only_if: tuple[Check, ...] = ()) -> Step:
        said = self.SENTENCES.about(self.pair.other(node.id), node)
        command = self._on.do(node, "promote", *words)
        return Step(
            name="promote-database",
            why=said.promote,
            host=node.id,
            only_if=(xcatd_is_stopped(node), *only_if),
            done_when=self._on.says(
                node, f"the database on {node.id} is its own, and writable", "is-promoted", hint=said.look_if_not_promoted
            ),
            commands=(evolve(command, capture=self.promotion_capture) if self.promotion_capture else command,),
        )

    def steps_to_save_divergence(self, node: Node) -> Steps:
        """A copy that was verified, below ``/var/lib/xcat-ha/diverged``."""
        question = f"a verified copy of the database on {node.id} is saved"
        return (
            Step(
                name="save-own-database",
                why=f"What was written on {node.id} and never reached the other node can be restored from this copy.",
                host=node.id,
                only_if=(xcatd_is_stopped(node),),
                done_when=self._on.says(node, question, "is-saved", timeout_s=self.READ_ALL_TIMEOUT_S),
                commands=(evolve(self._on.do(node, "save"), capture="saved-copy"),),
            ),
        )
