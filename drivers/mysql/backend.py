"""The driver: plans as data, and what a node's answers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from xcat_ha.interfaces import Capability, ReplicaState
from xcat_ha.models import Engine, Node, Pair, ServiceIdentity
from xcat_ha.steps import Command, Completed, Step, Steps
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha_drivers.mysql._places import PROVED_MARK
from xcat_ha_drivers.mysql.server_ids import server_ids
from xcat_ha_drivers.mysql.states import state_of
from xcat_ha_drivers.replication.following import FollowingServers, Sentences
from xcat_ha_drivers.replication.options import when_standby_gone
from xcat_ha_drivers.replication.programs import Programs

NODE_SIDE = "xcat_ha_drivers.mysql.node_side"

# For nodes without xcat-ha: whether there is a server at all. XCAT_HA_ROOT is the prefix of temporary trees in tests.
_PLAIN_LOOK = """\
for unit in mariadb mysqld mysql; do
  for place in /usr/lib/systemd/system /lib/systemd/system /etc/systemd/system; do
    [ -e "${XCAT_HA_ROOT%/}$place/$unit.service" ] && { echo "server there"; exit 0; }
  done
done
echo "server none"
"""


class Mysql(FollowingServers):
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
    PROVED_MARK = PROVED_MARK
    NO_SERVER = "no MariaDB or MySQL"
    PLAIN_LOOK = _PLAIN_LOOK
    promotion_capture = "how-it-was-promoted"
    SENTENCES = Sentences(
        let_in="The server of {0} needs a binary log, TLS, an account for {1}, and xCAT's from every address.",
        may_follow="{1} may follow the server of {0}",
        prepare="The server of {1} needs an id of its own, a log and a certificate, and must not be writable.",
        is_fit="the server of {1} is fit to follow {0}",
        follow="The server of {1} becomes a replica of {0}'s; what it had stays until the new copy is proven.",
        follows="the server of {1} follows {0}, and wrote nothing by itself",
        look_at="the log of the server of {1}",
        login="The accounts of the copy are those of {0}, so xCAT on {1} needs the password that belongs to them.",
        prove="That {1} follows does not say how much it has: it must have applied all that {0} has now.",
        stop_step="close-database",
        stop="Nothing may be written on {0} any more; {1} is connected and gets the rest.",
        stopped="the server of {0} takes no writes any more",
        drain="{1} must have applied the log of {0} up to its very last transaction before it is promoted.",
        drained="{1} has applied the log of {0} to its end",
        not_drained="make {0} writable again (xcat-ha activate), and look at xcat-ha status",
        promote="The database of {1} becomes writable, with everything it has received.",
        look_if_not_promoted="seed {1}; look at the log of its database server",
    )

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        # See :class:`~._places.Given`.
        told = {
            "keep-hours": self.option("keep_binlog_hours", 72),
            "semi-sync": when_standby_gone(pair, options, "semi-synchronous"),
            "degrade-after-s": self.option("degrade_after_s", 10),
            "confirm-s": self.option("confirm_s", 60),
        }

        def own(node: Node) -> Mapping[str, object]:
            ids = server_ids(pair)
            return {"server-id": ids[node.id], "peer-server-id": ids[pair.other(node.id).id], **told}

        self._on = Programs(pair, NODE_SIDE, own)

    def state_of(self, document: Any) -> ReplicaState:
        """See :mod:`xcat_ha_drivers.mysql.states`."""
        return state_of(document)

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

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        """What was received is applied, then the server becomes writable. ``forced``: what cannot be applied is left behind, and named."""
        return (self._promotion(node, *(("--forced",) if forced else ())),)

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
