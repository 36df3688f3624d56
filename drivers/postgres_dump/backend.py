"""The driver: plans as data, and what a node's answers mean. What the words mean is in the package's docstring."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from xcat_ha.interfaces import Capability, ReplicaState
from xcat_ha.models import Engine, Node, Pair, ServiceIdentity
from xcat_ha.steps import Command, Completed, Step, Steps, reads
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha.xcat.site import WANTED
from xcat_ha_drivers.postgres_dump._places import BASE_DIR
from xcat_ha_drivers.postgres_dump._state import state_of
from xcat_ha_drivers.replication.answers import is_not_installed
from xcat_ha_drivers.replication.copies import READ_ALL_TIMEOUT_S, Sentences, VerifiedCopies
from xcat_ha_drivers.replication.options import directory

# For nodes without xcat-ha: the engine that cfgloc names.
_PLAIN_LOOK = 'head -n 1 "$1" 2>/dev/null | sed -n "s/:.*//p" | grep . || echo SQLite'


class PostgresDump(VerifiedCopies):
    """Copies xCAT's PostgreSQL database to the standby as verified dumps.

    Options:
        keep: generations kept on the standby (7).
        wait_s: seconds to wait for somebody who is connected to the database that is to be exchanged (30).
        confirm_s: a sync that finds nothing changed notes the new time of comparison on the standby only if the last one is older (60).
        data_directory: of the server, if a node has several; empty: the only one, or the one at cfgloc's port.
    """

    option_names: ClassVar[frozenset[str]] = frozenset({"keep", "wait_s", "confirm_s", "data_directory"})
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    engines: ClassVar[frozenset[Engine]] = frozenset({Engine.POSTGRESQL})

    NODE_SIDE = "xcat_ha_drivers.postgres_dump.node_side"
    BASE_DIR = BASE_DIR
    SENTENCES = Sentences(
        snapshot="A consistent dump of the database of {0}, with a manifest of the same moment, is what will be sent.",
        last_snapshot="xcatd on {0} is stopped and the database closed to everybody, so this dump is complete.",
        is_current="the snapshot on {0} is what its database holds",
        receive="{0} fetches the dump, restores it beside its copy, proves it and exchanges them; until then its last copy stays.",
        is_promoted="the database on {0} is its own, and open",
        hand_over="From now on the database on {0} is a copy of what {1} took over, and nobody can write to it.",
        is_handed_over="the database on {0} is noted as handed over, and closed",
        save="What was written on {0} and never reached the other node can be restored from this dump.",
        is_saved="a verified dump of the database on {0} is saved",
    )
    last_snapshot_words = ("--stopped",)
    stall_s = 300.0
    save_check_timeout_s = READ_ALL_TIMEOUT_S

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self.data_directory = directory(pair, options, "data_directory", example="/var/lib/postgresql/15/main")

    def _program(self, node: Node, verb: str, *words: str) -> tuple[str, ...]:
        chosen = (f"--data-directory={self.data_directory}",) if self.data_directory else ()
        return super()._program(node, verb, *chosen, *words)

    # -- observation

    def questions(self, node: Node) -> tuple[Command, ...]:
        """What is in place, what was received, whether xCAT gets in; a plain look in case xcat-ha is not on the node yet."""
        return (
            self._ask(node, "observe").command,
            reads("sh", "-c", _PLAIN_LOOK, "sh", f"{self.pair.xcat_dir}/cfgloc"),
        )

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ReplicaState:
        """See the package's docstring for the rule of the role."""
        del node
        full, plain = answers
        if full.ok:
            try:
                return state_of(json.loads(full.stdout))
            except (ValueError, KeyError, TypeError, AttributeError):
                return ReplicaState(role=None, healthy=None, detail="the node's answer could not be understood")
        if is_not_installed(full) and plain.ok:
            said = f"cfgloc names the engine {plain.stdout.strip()[:20]}; xcat-ha is not installed on this node"
            return ReplicaState(role=None, healthy=None, detail=said)
        return ReplicaState(role=None, healthy=None, detail=full.summary)

    def question_for_site(self, node: Node) -> Command:
        """Asks the table as the server's owner: cfgloc of a standby leads to the primary."""
        return self._ask(node, "site", f"--keys={','.join(WANTED)}").command

    # -- what both servers need

    def _words_of_access(self, node: Node, identity: ServiceIdentity) -> tuple[str, str]:
        service = [str(address.ip) for address in identity.addresses]
        nodes = [own.address for own in self.pair.nodes]
        return f"--addresses={','.join((*nodes, *service))}", f"--listen={','.join(('localhost', node.address, *service))}"

    def _ready(self, node: Node) -> Steps:
        """The server runs now and after a boot, and lets in who has to get in."""
        return (self._running(node), self._access(node, *self._words_of_access(node, self.pair.identity)))

    def _running(self, node: Node) -> Step:
        return Step(
            name="keep-postgresql-running",
            why=f"PostgreSQL of {node.id} runs always, whoever has the role.",
            host=node.id,
            done_when=self._says(node, f"PostgreSQL runs on {node.id}, and starts at boot", "is-kept-running"),
            commands=(self._do(node, "keep-running"),),
            settle_s=10.0,
        )

    def _access(self, node: Node, addresses: str, listen: str) -> Step:
        return Step(
            name="allow-addresses",
            why=f"PostgreSQL of {node.id} must let xCAT in from both nodes and the service address before it has to.",
            host=node.id,
            done_when=self._says(node, f"PostgreSQL of {node.id} lets xCAT in", "access-is-right", addresses, listen),
            commands=(self._do(node, "set-access", addresses, listen),),
            settle_s=10.0,
        )

    def steps_before_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Lines in pg_hba.conf and postgresql.conf, in place before they are needed."""
        return (self._access(node, *self._words_of_access(node, identity)),)

    def steps_after_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        """The server binds the address the node has now, cfgloc leads there, and xCAT's own login works: else its start would block."""
        family = ipaddress.ip_address(str(identity.primary_address)).version
        service = ",".join(str(address.ip) for address in identity.addresses)
        named = (f"--service={service}", f"--service-name={identity.hostname}")
        return (
            Step(
                name="point-cfgloc",
                why=f"xCAT of {node.id} must find its database where {node.id} is now.",
                host=node.id,
                done_when=self._says(node, f"cfgloc on {node.id} is right", "cfgloc-is-right", *named),
                commands=(self._do(node, "point-cfgloc", *named),),
            ),
            Step(
                name="listen-at-service-address",
                why=f"PostgreSQL binds addresses when it starts, and {node.id} did not have this one (IPv{family}) then.",
                host=node.id,
                done_when=self._says(
                    node,
                    f"PostgreSQL of {node.id} listens at {identity.primary_address}",
                    "is-listening",
                    f"--service={identity.primary_address}",
                ),
                commands=(self._do(node, "restart"),),
                settle_s=10.0,
            ),
            Step(
                name="prove-login",
                why="A start of xcatd blocks for minutes if its database does not let it in.",
                host=node.id,
                done_when=self._says(
                    node,
                    f"xCAT's login to the database on {node.id} works",
                    "login-works",
                    hint=f"compare cfgloc with role and pg_hba.conf on {node.id}",
                ),
                commands=(),
                settle_s=15.0,
            ),
        )

    # -- copying

    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        """Both servers are made fit; then as a sync, but the target's own database is replaced and any number of tables may vanish."""
        # The target may have no cfgloc for PostgreSQL yet: whom to let in is known there when the copy has come.
        access = self._access(target, *self._words_of_access(target, self.pair.identity))
        return (*self._ready(source), self._running(target), *super().steps_to_seed(source, target), access)

    # -- changes of primary

    def steps_when_superseded(self, node: Node) -> Steps:
        """The database is closed: what would be written to it now would be lost."""
        return (
            Step(
                name="close-database",
                why=f"The role has moved: what is written to the database on {node.id} now is seen by nobody.",
                host=node.id,
                only_if=(xcatd_is_stopped(node),),
                done_when=self._says(node, f"the database on {node.id} is closed", "is-closed"),
                commands=(self._do(node, "shut"),),
            ),
        )
