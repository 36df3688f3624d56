"""A pair in the hands of a program: every verb of the command line is a method here.

>>> pair = xcat_ha.load("/etc/xcat-ha/pair.toml")      # doctest: +SKIP
>>> pair.status().primary                              # doctest: +SKIP
'mna'
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import cattrs
from attrs import evolve

from xcat_ha import recovery, trust
from xcat_ha.clock import Clock, SystemClock
from xcat_ha.config import load_pair
from xcat_ha.errors import ConfigError, JournalError, RefusedError, UnknownStateError, UnreachableError
from xcat_ha.execution import Observer, SilentObserver, execute_steps, judge, never
from xcat_ha.guard import Guard, decide_idle
from xcat_ha.interfaces import Drivers, Runner
from xcat_ha.journal import JOURNAL_DIR, Journal, Outcome, Record, keep_journal, new_operation_id
from xcat_ha.models import COMMANDS_LOCK, CONFIG_PATH, STATE_DIR, FileSet, Node, Pair
from xcat_ha.observation import PairState
from xcat_ha.operations import (
    Prepared,
    Reach,
    Result,
    Workshop,
    locked,
    newest_holder,
    prepared,
    records,
    refuse_if_moved,
    refuse_if_unfinished,
    run_operation,
    unfinished,
)
from xcat_ha.planning import Operation, PlanningInput
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.requirements import Finding, checks_before_handover, checks_before_setup, checks_of_pair, findings_of_state
from xcat_ha.planning.setup import NODE_ID_FILE, plan_setup
from xcat_ha.planning.sync import DATABASE, plan_sync
from xcat_ha.planning.turns import Turn
from xcat_ha.planning.verify import plan_verify, steps_to_remove_record
from xcat_ha.planning.witness import WITNESS
from xcat_ha.registry import load_drivers
from xcat_ha.runners import LocalRunner, ReadOnlyRunner, RoutingRunner, SshRunner
from xcat_ha.status import Status, report_status
from xcat_ha.steps import Plan, changes, reads
from xcat_ha.term import NO_TERM, StoredTerm
from xcat_ha.xcat.site import Site, interpret_site, site_question

FILES = "files"
"""In ``sync``: all file sets, without the database."""


class ManagedPair:
    """A configured pair with its drivers and a way to both nodes. A context manager; ``close`` gives connections back."""

    def __init__(self, workshop: Workshop) -> None:
        """Use :func:`load`."""
        self._workshop = workshop

    @property
    def pair(self) -> Pair:
        """The configuration."""
        return self._workshop.pair

    @property
    def drivers(self) -> Drivers:
        """The drivers the configuration chose."""
        return self._workshop.drivers

    def __enter__(self) -> Self:
        """The pair itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close connections."""
        self.close()

    def close(self) -> None:
        """Close connections. Safe to call twice."""
        self._workshop.runner.close()

    # Reading

    def observe(self) -> PairState:
        """Everything the drivers and the core can read, of both nodes. Changes nothing."""
        return self._workshop.observe()

    def has_nothing_of_the_role(self) -> str:
        """``HOLDS`` if this node holds nothing of the role and none of it starts at boot, else ``FAILS: why`` or ``UNKNOWN: why``.

        Raises:
            RefusedError: this machine is none of the pair's nodes.
        """
        return recovery.has_nothing(self._workshop, self._this_node())

    def status(self) -> Status:
        """Who is what, what would be lost now, what is wrong. Changes nothing; a silent node is reported, not an error."""
        return report_status(self.pair, self._workshop.observe())

    def check(self) -> tuple[Finding, ...]:
        """Every question about the pair with its answer. Changes nothing."""
        state = self._workshop.observe()
        found = list(findings_of_state(self.pair, state))
        primary = self.pair.node(state.primary) if state.primary is not None else None
        questions = checks_of_pair(self.pair, self.drivers, primary)
        answers = judge(self._workshop.runner, [check for _, check in questions])
        found += [Finding(topic, check.question, answer, check.hint) for (topic, check), answer in zip(questions, answers, strict=True)]
        return tuple(found)

    def history(self) -> tuple[Record, ...]:
        """The newest operations recorded on both nodes, newest first.

        Raises:
            UnreachableError: no node answered.
        """
        state = self._workshop.observe()
        if len(state.unreachable) == len(state.nodes):
            raise UnreachableError("no node answered", hint="xcat-ha status tells why")
        return records(state)

    # Changing

    def prepare_sync(self, sets: Sequence[str] = ()) -> Prepared:
        """Bring the standby's copies up to now.

        Args:
            sets: names: ``database``, ``files`` for all file sets, or single ones; none of them means everything.

        Raises:
            ConfigError: a set is not known.
            UnknownStateError: it is not known who is primary.
        """
        state = self._workshop.observe()
        source, target = self._sides(state)
        term = recovery.require_in_step(state, source, target)
        if set(sets) == {DATABASE}:
            site = Site(known=False)  # only file sets depend on what the site table says
            chosen: tuple[FileSet, ...] = ()
        else:
            site = self._site(source)
            chosen = self._chosen(sets, self._file_sets(site))
        given = self._given("sync", site, chosen, term)
        everything = not sets
        operation = plan_sync(given, source, target, database=everything or DATABASE in sets)
        return self._prepared(operation, given, state, expect_primary=source.id)

    def prepare_verify(self) -> Prepared:
        """The round trip of a test record; see :mod:`xcat_ha.planning.verify`.

        Raises:
            UnknownStateError: it is not known who is primary.
        """
        state = self._workshop.observe()
        source, target = self._sides(state)
        term = recovery.require_in_step(state, source, target)
        given = self._given("verify", self._site(source), (), term)
        operation = plan_verify(given, source, target)

        def tidy_up() -> None:
            execute_steps(steps_to_remove_record(source), self._workshop.runner)

        return self._prepared(operation, given, state, expect_primary=source.id, after_failure=tidy_up)

    def prepare_failover(self, *, to: str | None = None, verb: str = "failover") -> Prepared:
        """Move the role to the standby, planned: both nodes alive, nothing lost. ``to``: id of the node that shall have it.

        Raises:
            RefusedError: that node has the role already.
            UnknownStateError: it is not known who is primary.
        """
        state = self._workshop.observe()
        old, new = self._sides(state)
        if to is not None and self.pair.node(to).id == old.id:
            raise RefusedError(f"{old.id} is primary already", state="nothing was changed", hint="xcat-ha status shows who is what")
        term = recovery.require_in_step(state, old, new)
        site = self._site(old)
        given = self._given(verb, site, self._file_sets(site), term)
        operation = evolve(plan_handover(given, old, new, verb=verb), requires=checks_before_handover(self.pair, self.drivers, old, new))
        return self._prepared(operation, given, state, expect_primary=old.id)

    def prepare_failback(self) -> Prepared:
        """Move the role back to the preferred node.

        Raises:
            RefusedError: the preferred node has the role already.
            UnknownStateError: it is not known who is primary.
        """
        return self.prepare_failover(to=self.pair.preferred, verb="failback")

    def prepare_takeover(self, *, down: str, confirmed: bool = True, allow_data_loss: bool = False) -> Prepared:
        """The other node takes the role without ``down``: unplanned, and what was not copied is lost.

        Args:
            down: id of the node that is down.
            confirmed: the caller declares it down; else the configured fence makes sure.
            allow_data_loss: go on although the copy is older than ``max_loss_s``, or of unknown age.

        Raises:
            RefusedError: that node answers, or more would be lost than is allowed. There is no override for the first.
            UnknownStateError, UnreachableError: the other node's state is not known.
        """
        node = self.pair.node(down)
        if not confirmed and self.pair.fencing.name == "manual":
            raise RefusedError(
                "the fence driver is manual: only your word can say that a node is down",
                where=self.pair.source,
                state="nothing was changed",
                hint=f"xcat-ha failover --confirm-down {node.id}, or choose another driver in [fencing]",
            )
        return recovery.prepare_takeover(self._workshop, node, confirmed=confirmed, allow_data_loss=allow_data_loss)

    def prepare_activation(self, *, confirmed_down: str | None = None) -> Prepared:
        """This node, whose turn it is by its own term, takes the role up again; see :func:`xcat_ha.recovery.prepare_activation`.

        Raises:
            RefusedError: this machine is none of the pair's nodes, it is not its turn, or the node declared down answers.
            UnknownStateError: its state is not known.
        """
        node = self._this_node()
        if confirmed_down is not None:
            if self.pair.node(confirmed_down).id == node.id:
                raise RefusedError(
                    f"this is {node.id} itself", state="nothing was changed", hint=f"name the other: {self.pair.other(node.id).id}"
                )
            why = f"{confirmed_down} was declared down"
            return recovery.prepare_activation(self._workshop, node, confirmed_down=True, why=why)
        decision = decide_idle(self._workshop, node)
        if decision.turn is not Turn.TAKE:
            raise RefusedError(decision.why, state="nothing was changed", hint=decision.hint or "xcat-ha status shows who is what")
        return recovery.prepare_activation(self._workshop, node, confirmed_down=False, why=decision.why)

    def prepare_rejoin(self) -> Prepared:
        """The node without the role, an old primary perhaps, becomes the standby; see :func:`xcat_ha.recovery.prepare_rejoin`."""
        return recovery.prepare_rejoin(self._workshop)

    def step_down(self, why: str) -> Result:
        """This node gives the role up at once, asking nobody.

        Raises:
            RefusedError: this machine is none of the pair's nodes.
        """
        return recovery.step_down(self._workshop, self._this_node(), why)

    def guard(self) -> Guard:
        """The guard of this node, see :mod:`xcat_ha.guard`.

        Raises:
            RefusedError: this machine is none of the pair's nodes.
        """
        return Guard(self._workshop, self._this_node())

    def _this_node(self) -> Node:
        if not self._workshop.local:
            raise RefusedError(
                "this machine is none of the pair's nodes", state="nothing was changed", hint="run it on the node it is about"
            )
        return self.pair.node(self._workshop.local)

    def prepare_setup(self) -> Prepared:
        """Make the two nodes a pair. The way to the other node must be open: see :meth:`open_way`.

        Raises:
            RefusedError: ``site.master`` is not the service address, or xcatd does not answer on the primary-to-be.
            UnknownStateError: a node did not answer, or both have the service address.
        """
        state = self._workshop.observe()
        if state.unreachable:
            raise UnreachableError(f"{', '.join(state.unreachable)} did not answer", hint="open the way first: see xcat-ha setup --help")
        primary = self.pair.node(state.require_primary())
        standby = self.pair.other(primary.id)
        site = self._site(primary)
        self._require_master(site)
        recovery.refuse_conflict(state)
        given = self._given("setup", site, self._file_sets(site), _term_for_setup(state, primary))
        config_text = Path(self.pair.source).read_text(encoding="utf-8")
        requires = checks_before_setup(self.pair, self.drivers, primary, standby)
        operation = evolve(plan_setup(given, primary, standby, config_text), requires=requires)
        return self._prepared(operation, given, state, expect_primary=primary.id)

    def open_way(self, *, accepted: frozenset[str], ask: Callable[[str], bool]) -> None:
        """Make ssh work both ways between this node and the other, with xcat-ha's own keys.

        Args:
            accepted: fingerprints (``SHA256:…``) of the other node's host keys that the administrator vouches for.
            ask: shows host keys and asks whether they are right.

        Raises:
            RefusedError: this machine is none of the pair's nodes, keys are not confirmed, or there is no way in.
            UnreachableError: no sshd answers on the other node.
        """
        if not self._workshop.local:
            raise RefusedError("setup has to run on one of the two nodes", hint="run it on the management node that serves now")
        here, there = self.pair.node(self._workshop.local), self.pair.other(self._workshop.local)
        public_key = trust.own_public_key()
        trust.confirm_host_keys(there, accepted, ask)
        trust.open_way(there, public_key)
        host_keys = trust.this_machines_host_keys()
        execute_steps(trust.steps_to_trust_back(here, there, host_keys), self._workshop.runner)
        theirs = self._workshop.runner.run(there.id, trust.question_for_public_key())
        if not theirs.ok:
            raise UnknownStateError(f"the key of {there.id} cannot be read: {theirs.summary}", hint="run setup again")
        execute_steps((trust.step_to_authorise(here, theirs.stdout.strip(), there),), self._workshop.runner)

    def prepare_resume(self) -> Prepared:
        """Go on with the operation that stopped in the middle, from its first phase that is not complete.

        Raises:
            RefusedError: there is none, or it was run on another machine.
            JournalError: its journal cannot be read.
        """
        state = self._workshop.observe()
        record = unfinished(state)
        if record is None:
            raise _nothing_to_resume(state)
        journal = self._journal_here(record, state)
        entries = journal.entries()
        done = frozenset(str(entry["name"]) for entry in entries if entry["event"] == "phase-done")
        site = next((cattrs.structure(entry["site"], Site) for entry in entries if entry["event"] == "site"), Site(known=False))
        term = StoredTerm.parse(record.parameters.get("term", ""))
        if term is None:
            raise RefusedError(f"{record.id} knows no term; another version wrote it", hint="xcat-ha abandon, then run the verb anew")
        given = PlanningInput(self.pair, self.drivers, site, self._file_sets(site), record.id, term)
        operation = self._planned_again(record, given)
        refuse_if_moved(record, term, state)
        workshop = self._workshop.without(_not_needed(record))
        left = [planner for planner in operation.phases if planner.name not in done or not planner.outlives_reboot]
        phases = tuple(planner.plan(state) for planner in left)
        plan = Plan(operation=f"resume {record.operation}", summary=operation.summary, phases=phases)

        def run() -> Result:
            silent = _not_needed(record)
            with locked(workshop, record.operation, record.id, Reach(silent, silent)):
                refuse_if_moved(record, term, workshop.observe())
                journal.write("resumed", host=self._workshop.local)
                return run_operation(workshop, evolve(operation, requires=()), journal, done_phases=done)

        return Prepared(plan, run)

    def abandon(self) -> Record:
        """Give up the operation that stopped in the middle; the state stays as it is, and the journal says so.

        Raises:
            RefusedError: nothing is unfinished.
            UnreachableError: the node that has its journal did not answer.
        """
        state = self._workshop.observe()
        record = unfinished(state)
        if record is None:
            raise RefusedError("nothing is unfinished", state="nothing was changed", hint="xcat-ha history shows what was done")
        keepers = [node_id for node_id, found in state.nodes.items() if any(journal.name == record.id for journal in found.journals)]
        line = json.dumps(
            {
                "event": "end",
                "time": self._workshop.clock.now(),
                "outcome": str(Outcome.ABANDONED),
                "message": recovery.words_of_state(state),
            }
        )
        reach = Reach(frozenset(state.unreachable))
        with locked(self._workshop, "abandon", f"abandon-{record.id}", reach):
            path = f"{STATE_DIR}/journal/{record.id}.jsonl"
            script = 'printf "\\n%s\\n" "$2" >> "$1" && sync "$1"'  # on a line of its own, also after a half-written one
            for host in keepers:
                completed = self._workshop.runner.run(host, changes("sh", "-c", script, "sh", path, line))
                if not completed.ok:
                    raise UnreachableError(
                        f"its journal on {host} cannot be written: {completed.summary}", hint="run xcat-ha abandon again"
                    )
        return record

    # What the verbs share

    def _sides(self, state: PairState) -> tuple[Node, Node]:
        """(primary, standby). An unfinished operation is named first: it is why nobody may be primary now."""
        refuse_if_unfinished(state)
        primary = self.pair.node(state.require_primary())
        return primary, self.pair.other(primary.id)

    def _site(self, node: Node) -> Site:
        """XCAT's site table, asked of the node's xcatd.

        Raises:
            UnknownStateError: xcatd does not answer with data.
        """
        site = interpret_site(self._workshop.runner.read_many(node.id, (site_question(),))[0])
        if not site.known:
            raise UnknownStateError(
                f"xcatd on {node.id} does not answer with its site table ({site.detail})",
                state="nothing was changed",
                hint=f"look at systemctl status xcatd on {node.id}; if an operation stopped in the middle, xcat-ha resume",
            )
        return site

    def _require_master(self, site: Site) -> None:
        identity = self.pair.identity
        allowed = {str(address.ip) for address in identity.addresses} | {identity.hostname, f"{identity.hostname}.{site.domain}"}
        if site.master not in allowed:
            raise RefusedError(
                f"site.master is {site.master}, but the service identity is {identity.hostname} ({', '.join(sorted(allowed))})",
                where=self.pair.source,
                state="nothing was changed",
                hint=f"make {site.master} the service address in [service], and give its machine another address of its own",
            )

    def _file_sets(self, site: Site) -> tuple[FileSet, ...]:
        return recovery.file_sets_of(self.pair, site)

    def _chosen(self, sets: Sequence[str], known: tuple[FileSet, ...]) -> tuple[FileSet, ...]:
        names = {file_set.name for file_set in known}
        for name in sets:
            if name not in {*names, DATABASE, FILES}:
                raise ConfigError(f"no set is called {name!r}", hint=f"known: {DATABASE}, {FILES}, {', '.join(sorted(names))}")
        if not sets or FILES in sets:
            return known
        return tuple(file_set for file_set in known if file_set.name in sets)

    def _given(self, verb: str, site: Site, file_sets: tuple[FileSet, ...], term: StoredTerm) -> PlanningInput:
        return PlanningInput(self.pair, self.drivers, site, file_sets, new_operation_id(verb, self._workshop.clock), term)

    def _journal_here(self, record: Record, state: PairState) -> Journal:
        """The newest copy of an operation's journal, on this machine: the one that is here, or the other node's.

        Raises:
            JournalError: it cannot be read.
        """
        path = JOURNAL_DIR / f"{record.id}.jsonl"
        journal = Journal(path, self._workshop.clock)
        newest = newest_holder(state, record.id)
        if newest and newest != self._workshop.local:
            answer = self._workshop.runner.read_many(newest, (reads("cat", str(path)),))[0]
            if not answer.ok:
                hint = f"run xcat-ha resume on {newest}"
                raise JournalError(f"the journal on {newest} cannot be read: {answer.summary}", where=str(path), hint=hint)
            keep_journal(path, answer.stdout)
        return journal

    def _planned_again(self, record: Record, given: PlanningInput) -> Operation:
        parameters = record.parameters
        if record.operation in {"failover", "failback"} and "unplanned" not in parameters:
            old, new = self.pair.node(parameters["old"]), self.pair.node(parameters["new"])
            return plan_handover(given, old, new, verb=record.operation)
        if record.operation == "setup":
            primary, standby = self.pair.node(parameters["primary"]), self.pair.node(parameters["standby"])
            return plan_setup(given, primary, standby, Path(self.pair.source).read_text(encoding="utf-8"))
        again = recovery.plan_again(record.operation, dict(parameters), given)
        if again is not None:
            return again
        raise RefusedError(f"a {record.operation} needs no resume", hint=f"run xcat-ha {record.operation} again")

    def _prepared(
        self,
        operation: Operation,
        given: PlanningInput,
        state: PairState,
        *,
        expect_primary: str,
        after_failure: Callable[[], None] | None = None,
    ) -> Prepared:
        def why_not(now: PairState) -> str:
            if now.primary == expect_primary:
                return ""
            return f"{expect_primary} was primary when this was planned; now it is {now.primary or 'not known who is'}"

        return prepared(self._workshop, operation, given, state, why_not=why_not, after_failure=after_failure)


def _nothing_to_resume(state: PairState) -> RefusedError:
    """Why there is nothing to go on with: all is done, or what was not done is out of date."""
    stopped = next((record for record in records(state) if record.in_the_way), None)
    if stopped is None:
        return RefusedError("nothing is unfinished", state="nothing was changed", hint="xcat-ha history shows what was done")
    now = "; ".join(f"{node_id} has term {found.term.words()}" for node_id, found in state.nodes.items() if found.term is not None)
    return RefusedError(
        f"{stopped.id} stopped in the middle, but a later operation was completed: the role has moved since (it began in term "
        f"{stopped.parameters.get('term', 'unknown')}; now {now})",
        state="nothing was changed",
        hint="it is out of date and in nobody's way; xcat-ha status shows who is what",
    )


def _term_for_setup(state: PairState, primary: Node) -> StoredTerm:
    """The highest term if it names the primary, else the next one."""
    known = [node_state.term for node_state in state.nodes.values() if node_state.term is not None]
    highest = max(known, key=lambda term: term.counter, default=NO_TERM)
    return highest if highest.holder == primary.id else StoredTerm(highest.counter + 1, primary.id)


def _not_needed(record: Record) -> frozenset[str]:
    """Nodes that the operation was begun without."""
    confirmed = record.parameters.get("unplanned", "").startswith("confirmed")
    return frozenset({record.parameters["old"]}) if confirmed else frozenset()


def load(
    path: str | Path = CONFIG_PATH,
    *,
    observer: Observer | None = None,
    stop_requested: Callable[[], bool] = never,
    clock: Clock | None = None,
    read_only: bool = False,
) -> ManagedPair:
    """The pair that the configuration file at ``path`` describes.

    Args:
        path: the TOML file.
        observer: follows the progress of operations.
        stop_requested: asked between commands; True ends an operation as interrupted.
        clock: where time comes from; the machine's by default.
        read_only: refuse every command that changes something.

    Raises:
        ConfigError: the file cannot be used.
        DriverNotFoundError, DriverBrokenError: a driver cannot be used.
        RefusedError: the program does not run as root.
    """
    pair = load_pair(path)
    drivers = load_drivers(pair)
    if os.geteuid() != 0:
        raise RefusedError("only root can look at a management node", state="nothing was changed", hint="run it as root")
    local = local_node_id(pair)
    runners: dict[str, Runner] = {
        node.id: LocalRunner(COMMANDS_LOCK) if node.id == local else SshRunner(node, COMMANDS_LOCK) for node in pair.nodes
    }
    if pair.witness.host:
        runners[WITNESS] = SshRunner(Node(WITNESS, WITNESS, pair.witness.host, "", ssh_port=pair.witness.ssh_port))
    runner: Runner = RoutingRunner(runners)
    workshop = Workshop(
        pair=pair,
        drivers=drivers,
        runner=ReadOnlyRunner(runner) if read_only else runner,
        local=local,
        clock=clock or SystemClock(),
        observer=observer or SilentObserver(),
        stop_requested=stop_requested,
    )
    return ManagedPair(workshop)


def local_node_id(pair: Pair) -> str:
    """Which of the pair's nodes this machine is; empty if it is none.

    ``/etc/xcat-ha/node`` says so once setup has run; before that, whoever has a node's own address or name, or, on a site with a
    single MN, the service address (that is then the preferred node).
    """
    try:
        stored = Path(NODE_ID_FILE).read_text(encoding="ascii").strip()
    except OSError:
        stored = ""
    if stored in {node.id for node in pair.nodes}:
        return stored
    here = _local_addresses()
    for node in pair.nodes:
        if node.address in here:
            return node.id
    for node in pair.nodes:
        if node.name.partition(".")[0] == socket.gethostname().partition(".")[0]:
            return node.id
    return pair.preferred if any(str(address.ip) in here for address in pair.identity.addresses) else ""


def _local_addresses() -> frozenset[str]:
    try:
        shown = subprocess.run(("ip", "-j", "addr"), capture_output=True, text=True, timeout=10, check=False).stdout
        links = json.loads(shown)
        return frozenset(str(address["local"]) for link in links for address in link.get("addr_info", []) if "local" in address)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return frozenset()
