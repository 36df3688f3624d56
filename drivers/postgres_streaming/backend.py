"""The driver: plans as data, and what a node's answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from xcat_ha.interfaces import Capability, ReplicaState
from xcat_ha.models import Engine, Node, Pair, ServiceIdentity
from xcat_ha.steps import Step, Steps
from xcat_ha_drivers.postgres_streaming._places import PROVED_MARK
from xcat_ha_drivers.postgres_streaming.states import state_of
from xcat_ha_drivers.replication.following import FollowingServers, Sentences
from xcat_ha_drivers.replication.options import directory, when_standby_gone
from xcat_ha_drivers.replication.programs import Programs

NODE_SIDE = "xcat_ha_drivers.postgres_streaming.node_side"

# For nodes without xcat-ha: whether there is a server at all.
_PLAIN_LOOK = """\
for place in /etc/postgresql/*/*/postgresql.conf /var/lib/pgsql/data/PG_VERSION /var/lib/pgsql/*/data/PG_VERSION; do
  [ -e "$place" ] && { echo "server there"; exit 0; }
done
echo "server none"
"""


class PostgresStreaming(FollowingServers):
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
    PROVED_MARK = PROVED_MARK
    NO_SERVER = "no PostgreSQL server"
    PLAIN_LOOK = _PLAIN_LOOK
    record_timeout_s = FollowingServers.READ_ALL_TIMEOUT_S
    SENTENCES = Sentences(
        let_in="{0} needs a replication role, settings, access lines and a slot that keeps its log for {1}.",
        may_follow="{1} may follow PostgreSQL of {0}",
        prepare="PostgreSQL of {1} must know how to reach {0}, and let it in when the roles are changed.",
        is_fit="PostgreSQL of {1} knows how to follow {0}",
        follow="PostgreSQL of {1} becomes a streaming copy of {0}'s; what it had stays until the new copy is proven.",
        follows="PostgreSQL of {1} streams from {0}",
        look_at="PostgreSQL's log on {1}",
        login="The roles of the copy are those of {0}, so xCAT on {1} needs the password that belongs to them.",
        prove="That {1} streams does not say how much it has: it must have replayed all that {0} has now.",
        stop_step="stop-database",
        stop="A server that is stopped cleanly ends when its standby has received everything; {1} is connected.",
        stopped="PostgreSQL of {0} is no primary any more",
        drain="{1} must have replayed the log of {0} up to its very last record before it is promoted.",
        drained="{1} has replayed the log of {0} to its end",
        not_drained="start PostgreSQL on {0} again (xcat-ha activate), and look at the log of PostgreSQL on {1}",
        promote="PostgreSQL of {1} becomes writable, with the copy it has.",
        look_if_not_promoted="seed {1}; look at the log of its PostgreSQL",
    )

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self.when_gone = when_standby_gone(pair, options, "synchronous")
        self.degrade_after_s = self.option("degrade_after_s", 10)
        # See :class:`~._places.Given`.
        told = {
            "service-name": pair.identity.hostname,
            "data-directory": directory(pair, options, "data_directory", example="/var/lib/postgresql/15/main"),
            "slot-mib": self.option("max_slot_wal_mib", 1024),
            "synchronous": self.when_gone,
            "degrade-after-s": self.degrade_after_s,
            "confirm-s": self.option("confirm_s", 60),
        }
        self._on = Programs(pair, NODE_SIDE, lambda _node: told)

    def state_of(self, document: Any) -> ReplicaState:
        """See :mod:`xcat_ha_drivers.postgres_streaming.states`."""
        return state_of(document)

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        """What was received is replayed, then the copy becomes the node's own. ``forced`` changes nothing: there is only one copy."""
        del forced
        return (self._promotion(node),)

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
