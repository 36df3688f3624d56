"""The driver: plans as data, and what a node's answers mean. What the words mean is in the package's docstring."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from attrs import evolve

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Capability, Contents, ReplicaState, ReplicationBackend
from xcat_ha.models import Engine, Node, Pair, ServiceIdentity
from xcat_ha.ssh_command import rsh_words
from xcat_ha.steps import Check, Command, Completed, Effect, ExitStatus, Probe, SamePrinted, SaysVerdict, Step, Steps, changes, reads
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha.xcat.site import WANTED
from xcat_ha_drivers.postgres_dump._places import OUTGOING
from xcat_ha_drivers.postgres_dump._state import state_of

NODE_SIDE = "xcat_ha_drivers.postgres_dump.node_side"
READ_TIMEOUT_S = 60.0
COPY_TIMEOUT_S = 3600.0
"""An audit log may have grown to gigabytes (it grows without bound), and the line may be slow."""

_UNSENT_OR = '[ -e "${XCAT_HA_ROOT%/}$1" ] && { echo HOLDS; exit 0; }; shift; exec "$@"'
# XCAT_HA_ROOT is the prefix of temporary trees in tests, empty on a real node.

# For nodes without xcat-ha: the engine that cfgloc names.
_PLAIN_LOOK = 'head -n 1 "$1" 2>/dev/null | sed -n "s/:.*//p" | grep . || echo SQLite'


class PostgresDump(ReplicationBackend):
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

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self.keep = self.option("keep", 7)
        self.wait_s = self.option("wait_s", 30)
        self.confirm_s = self.option("confirm_s", 60)
        directory = options.get("data_directory", "")
        if not isinstance(directory, str) or (directory and not directory.startswith("/")):
            raise ConfigError(
                f"option 'data_directory' must be an absolute path, not {directory!r}",
                where=pair.source,
                hint="for example /var/lib/postgresql/15/main",
            )
        self.data_directory = directory

    def _program(self, node: Node, verb: str, *words: str) -> tuple[str, ...]:
        common = (f"--node={node.id}", f"--xcat-dir={self.pair.xcat_dir}", f"--wait-s={self.wait_s}")
        chosen = (f"--data-directory={self.data_directory}",) if self.data_directory else ()
        return (node.python, "-m", NODE_SIDE, verb, *common, *chosen, *words)

    def _ask(self, node: Node, verb: str, *words: str, timeout_s: float = READ_TIMEOUT_S) -> Probe:
        return Probe(node.id, reads(*self._program(node, verb, *words), timeout_s=timeout_s))

    def _do(self, node: Node, verb: str, *words: str) -> Command:
        return changes(*self._program(node, verb, *words), timeout_s=COPY_TIMEOUT_S)

    def _says(self, node: Node, question: str, verb: str, *words: str, hint: str = "", timeout_s: float = READ_TIMEOUT_S) -> Check:
        probe = self._ask(node, verb, *words, timeout_s=timeout_s)
        return Check(question=question, probes=(probe,), rule=SaysVerdict(), hint=hint)

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
        not_installed = full.returncode == 127 or "No module named" in full.stderr or "No such file or directory" in full.stderr
        if full.returncode is not None and not_installed and plain.ok:
            said = f"cfgloc names the engine {plain.stdout.strip()[:20]}; xcat-ha is not installed on this node"
            return ReplicaState(role=None, healthy=None, detail=said)
        return ReplicaState(role=None, healthy=None, detail=full.summary)

    def question_for_record(self, node: Node, name: str) -> Command:
        """Asks the table as the server's owner."""
        return self._ask(node, "has-node", f"--name={name}").command

    def question_for_site(self, node: Node) -> Command:
        """Asks the table as the server's owner: cfgloc of a standby leads to the primary."""
        return self._ask(node, "site", f"--keys={','.join(WANTED)}").command

    def question_for_contents(self, node: Node) -> Command:
        """Reads every table in place."""
        return self._ask(node, "contents", timeout_s=600).command

    def interpret_contents(self, answer: Completed) -> Contents | None:
        """The node's JSON."""
        try:
            document: Any = json.loads(answer.stdout) if answer.ok else None
            return Contents({name: frozenset(rows) for name, rows in document["tables"].items()}, frozenset(document["nodes"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

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
        return (*self._ready(source), self._running(target), *self._copy(source, target, "--over-own"), access)

    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        """Dump if something was committed, deliver it, restore it beside the copy in place, exchange them."""
        return self._copy(source, target)

    def _copy(self, source: Node, target: Node, *words: str) -> Steps:
        """While ``snapshot-database`` runs, its snapshot counts as current even if xcatd writes on: the mark ``unsent`` says so.

        A run that was killed leaves that mark behind; the next one begins by removing it, so it never sends an old snapshot.
        """
        unsent = f"{OUTGOING}/unsent"
        forget = changes("rm", "-f", "--", unsent)
        current = self._program(source, "snapshot-is-current", f"--max-age-s={self.confirm_s}")
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
                why=f"A consistent dump of the database of {source.id}, with a manifest of the same moment, is what will be sent.",
                host=source.id,
                done_when=Check(
                    question=f"the snapshot on {source.id} is what its database holds",
                    probes=(Probe(source.id, reads("sh", "-c", _UNSENT_OR, "sh", unsent, *current, timeout_s=READ_TIMEOUT_S)),),
                    rule=SaysVerdict(),
                ),
                commands=(self._do(source, "snapshot", "--unsent"),),
                cleanup=(forget,),
            ),
            self._receive(source, target, *words),
        )

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
            why=f"{target.id} fetches the dump, restores it beside its copy, proves it and exchanges them; until then its last copy stays.",
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
            commands=(Command(argv, Effect.CHANGES, timeout_s=COPY_TIMEOUT_S, progress="rsync", stall_s=300.0),),
        )

    # -- changes of primary

    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        """The last dump is taken with xcatd stopped and the database closed, so it is everything; then ``new``'s database is its own and
        ``old``'s a copy.
        """
        old_is_stopped = xcatd_is_stopped(old)
        return (
            Step(
                name="snapshot-last-database",
                why=f"xcatd on {old.id} is stopped and the database closed to everybody, so this dump is complete.",
                host=old.id,
                only_if=(old_is_stopped,),
                done_when=self._says(old, f"the snapshot on {old.id} is what its database holds", "snapshot-is-current", "--stopped"),
                commands=(self._do(old, "snapshot", "--stopped"),),
            ),
            self._receive(old, new, only_if=(old_is_stopped,), ask=("--or-promoted",)),
            self._promotion(new),
            Step(
                name="note-hand-over",
                why=f"From now on the database on {old.id} is a copy of what {new.id} took over, and nobody can write to it.",
                host=old.id,
                only_if=(old_is_stopped,),
                done_when=self._says(old, f"the database on {old.id} is noted as handed over, and closed", "is-handed-over"),
                commands=(self._do(old, "hand-over", f"--peer={new.id}"),),
            ),
        )

    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        """The newest complete generation is put in place if it is not, read through, and becomes the node's own.

        ``forced`` changes nothing: what would be lost was asked before; there is only one newest good copy.
        """
        del forced
        return (self._promotion(node),)

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

    def _promotion(self, node: Node) -> Step:
        return Step(
            name="promote-database",
            why=f"The newest complete copy on {node.id} becomes its own, writable database.",
            host=node.id,
            only_if=(xcatd_is_stopped(node),),
            done_when=self._says(
                node,
                f"the database on {node.id} is its own, and open",
                "is-promoted",
                hint=f"seed {node.id}, or restore a generation by hand",
            ),
            commands=(self._do(node, "promote"),),
        )

    def steps_to_save_divergence(self, node: Node) -> Steps:
        """The whole database, as a dump that was restored for a proof, below ``/var/lib/xcat-ha/diverged``."""
        return (
            Step(
                name="save-own-database",
                why=f"What was written on {node.id} and never reached the other node can be restored from this dump.",
                host=node.id,
                only_if=(xcatd_is_stopped(node),),
                done_when=self._says(node, f"a verified dump of the database on {node.id} is saved", "is-saved", timeout_s=600),
                commands=(evolve(self._do(node, "save"), capture="saved-copy"),),
            ),
        )
