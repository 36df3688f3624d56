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
from attrs import evolve, frozen

from xcat_ha import trust
from xcat_ha.clock import Clock, SystemClock
from xcat_ha.config import load_pair
from xcat_ha.errors import ConfigError, RefusedError, UnknownStateError, UnreachableError, XcatHaError
from xcat_ha.execution import Observer, SilentObserver, execute_steps, judge, never
from xcat_ha.interfaces import Drivers, Runner
from xcat_ha.journal import JOURNAL_DIR, Journal, Outcome, Record, new_operation_id
from xcat_ha.models import CONFIG_PATH, STATE_DIR, FileSet, Node, Pair
from xcat_ha.observation import PairState
from xcat_ha.operations import (
    Result,
    Workshop,
    begin_journal,
    locked,
    records,
    refuse_if_unfinished,
    run_operation,
    unfinished,
)
from xcat_ha.planning import Operation, PlanningInput
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.requirements import Finding, checks_before_handover, checks_before_setup, checks_of_pair, findings_of_state
from xcat_ha.planning.setup import NODE_ID_FILE, plan_setup
from xcat_ha.planning.sync import DATABASE, plan_sync
from xcat_ha.planning.verify import plan_verify, steps_to_remove_record
from xcat_ha.registry import load_drivers
from xcat_ha.runners import LocalRunner, ReadOnlyRunner, RoutingRunner, SshRunner
from xcat_ha.status import Status, report_status
from xcat_ha.steps import Plan, changes
from xcat_ha.xcat.file_sets import standard_file_sets
from xcat_ha.xcat.site import Site, interpret_site, site_question

FILES = "files"
"""In ``sync``: all file sets, without the database."""


@frozen
class Prepared:
    """An operation that is planned but not begun.

    Attributes:
        plan: what it would do, as far as it can be known now.
        run: begin it. Raises what :func:`xcat_ha.operations.run_operation` raises.
    """

    plan: Plan
    run: Callable[[], Result]


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
        if set(sets) == {DATABASE}:
            site = Site(known=False)  # only file sets depend on what the site table says
            chosen: tuple[FileSet, ...] = ()
        else:
            site = self._site(source)
            chosen = self._chosen(sets, self._file_sets(site))
        given = self._given("sync", site, chosen)
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
        given = self._given("verify", self._site(source), ())
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
        site = self._site(old)
        given = self._given(verb, site, self._file_sets(site))
        operation = evolve(plan_handover(given, old, new, verb=verb), requires=checks_before_handover(self.pair, self.drivers, old, new))
        return self._prepared(operation, given, state, expect_primary=old.id)

    def prepare_failback(self) -> Prepared:
        """Move the role back to the preferred node.

        Raises:
            RefusedError: the preferred node has the role already.
            UnknownStateError: it is not known who is primary.
        """
        return self.prepare_failover(to=self.pair.preferred, verb="failback")

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
        given = self._given("setup", site, self._file_sets(site))
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
            raise RefusedError("nothing is unfinished", state="nothing was changed", hint="xcat-ha history shows what was done")
        if record.host != self._workshop.local:
            raise RefusedError(f"{record.id} was run on {record.host or 'another machine'}", hint="run xcat-ha resume there")
        journal = Journal(JOURNAL_DIR / f"{record.id}.jsonl", self._workshop.clock)
        entries = journal.entries()
        done = frozenset(str(entry["name"]) for entry in entries if entry["event"] == "phase-done")
        site = next((cattrs.structure(entry["site"], Site) for entry in entries if entry["event"] == "site"), Site(known=False))
        given = PlanningInput(self.pair, self.drivers, site, self._file_sets(site), record.id)
        operation = self._planned_again(record, given)
        left = [planner for planner in operation.phases if planner.name not in done or not planner.outlives_reboot]
        phases = tuple(planner.plan(state) for planner in left)
        plan = Plan(operation=f"resume {record.operation}", summary=operation.summary, phases=phases)

        def run() -> Result:
            with locked(self._workshop, record.operation, record.id):
                journal.write("resumed", host=self._workshop.local)
                return run_operation(self._workshop, evolve(operation, requires=()), journal, done_phases=done)

        return Prepared(plan, run)

    def abandon(self) -> Record:
        """Give up the operation that stopped in the middle; the state stays as it is, and the journal says so.

        Raises:
            RefusedError: nothing is unfinished.
            UnreachableError: the node that has its journal did not answer.
        """
        record = unfinished(self._workshop.observe())
        if record is None:
            raise RefusedError("nothing is unfinished", state="nothing was changed", hint="xcat-ha history shows what was done")
        line = json.dumps(
            {"event": "end", "time": self._workshop.clock.now(), "outcome": str(Outcome.ABANDONED), "message": "given up as it stood"}
        )
        host = record.host or self._workshop.local
        with locked(self._workshop, "abandon", f"abandon-{record.id}"):
            path = f"{STATE_DIR}/journal/{record.id}.jsonl"
            script = 'printf "\\n%s\\n" "$2" >> "$1" && sync "$1"'  # on a line of its own, also after a half-written one
            completed = self._workshop.runner.run(host, changes("sh", "-c", script, "sh", path, line))
        if not completed.ok:
            raise UnreachableError(f"its journal on {host} cannot be written: {completed.summary}", hint="run xcat-ha abandon there")
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
        # cfgloc holds an address only for network databases; whether it stays valid is their backend's business, not a file set's.
        standard = standard_file_sets(
            installdir=site.installdir, tftpdir=site.tftpdir, xcat_dir=self.pair.xcat_dir, cfgloc_stays_valid=False
        )
        return (*standard, *self.pair.file_sets)

    def _chosen(self, sets: Sequence[str], known: tuple[FileSet, ...]) -> tuple[FileSet, ...]:
        names = {file_set.name for file_set in known}
        for name in sets:
            if name not in {*names, DATABASE, FILES}:
                raise ConfigError(f"no set is called {name!r}", hint=f"known: {DATABASE}, {FILES}, {', '.join(sorted(names))}")
        if not sets or FILES in sets:
            return known
        return tuple(file_set for file_set in known if file_set.name in sets)

    def _given(self, verb: str, site: Site, file_sets: tuple[FileSet, ...]) -> PlanningInput:
        return PlanningInput(self.pair, self.drivers, site, file_sets, new_operation_id(verb, self._workshop.clock))

    def _planned_again(self, record: Record, given: PlanningInput) -> Operation:
        parameters = record.parameters
        if record.operation in {"failover", "failback"}:
            old, new = self.pair.node(parameters["old"]), self.pair.node(parameters["new"])
            return plan_handover(given, old, new, verb=record.operation)
        if record.operation == "setup":
            primary, standby = self.pair.node(parameters["primary"]), self.pair.node(parameters["standby"])
            return plan_setup(given, primary, standby, Path(self.pair.source).read_text(encoding="utf-8"))
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
        refuse_if_unfinished(state)

        def run() -> Result:
            with locked(self._workshop, operation.name, given.operation_id):
                now = self._workshop.observe()
                refuse_if_unfinished(now)
                if now.primary != expect_primary:
                    raise RefusedError(
                        f"{expect_primary} was primary when this was planned; now it is {now.primary or 'not known who is'}",
                        state="nothing was changed",
                        hint="xcat-ha status shows who is what; run the verb again",
                    )
                journal = begin_journal(self._workshop, operation, given.operation_id)
                journal.write("site", site=cattrs.unstructure(given.site))
                try:
                    return run_operation(self._workshop, operation, journal, observed=now)
                except XcatHaError:
                    if after_failure is not None:
                        after_failure()
                    raise

        return Prepared(operation.preview(state), run)


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
    runners: dict[str, Runner] = {node.id: LocalRunner() if node.id == local else SshRunner(node) for node in pair.nodes}
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
