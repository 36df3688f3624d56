"""Going on with an operation that stopped in the middle, or giving it up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import cattrs
from attrs import evolve

from xcat_ha.config import read_text
from xcat_ha.errors import JournalError, RefusedError, UnreachableError
from xcat_ha.history import newest_holder, records, refuse_if_moved, unfinished
from xcat_ha.journal import JOURNAL_DIR, Journal, Outcome, Record, keep_journal
from xcat_ha.models import STATE_DIR
from xcat_ha.observation import PairState
from xcat_ha.operations import Prepared, Reach, Result, Workshop, locked, run_operation
from xcat_ha.planning import Operation, PlanningInput
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.maintenance import maintenance_words
from xcat_ha.planning.rejoin import plan_rejoin
from xcat_ha.planning.setup import plan_setup
from xcat_ha.planning.stale import from_words
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.steps import Plan, changes, reads
from xcat_ha.term import StoredTerm
from xcat_ha.verbs.basis import file_sets_of
from xcat_ha.verbs.images import with_closing_list
from xcat_ha.verbs.rejoin import with_files
from xcat_ha.xcat.site import Site


def prepare_resume(workshop: Workshop) -> Prepared:
    """Go on with the operation that stopped in the middle, from its first phase that is not complete.

    Raises:
        RefusedError: there is none, or it was run on another machine.
        JournalError: its journal cannot be read.
    """
    state = workshop.observe()
    record = unfinished(state)
    if record is None:
        raise _nothing_to_resume(state)
    entries = _journal_here(workshop, record, state).entries()
    done = _phases_done(entries)
    site = next((cattrs.structure(entry["site"], Site) for entry in entries if entry["event"] == "site"), Site(known=False))
    term = StoredTerm.parse(record.parameters.get("term", ""))
    if term is None:
        raise RefusedError(f"{record.id} knows no term; another version wrote it", hint="xcat-ha abandon, then run the verb anew")
    given = PlanningInput(workshop.pair, workshop.drivers, site, file_sets_of(workshop.pair, site), record.id, term)
    operation = _planned_again(record, given)
    refuse_if_moved(record, term, state)
    silent = _not_needed(record, state)
    reduced = workshop.without(silent)
    left = [planner for planner in operation.phases if planner.name not in done or not planner.outlives_reboot]
    phases = tuple(planner.plan(state) for planner in left)
    plan = Plan(operation=f"resume {record.operation}", summary=(*maintenance_words(state), *operation.summary), phases=phases)

    def run() -> Result:
        with locked(reduced, record.operation, record.id, Reach(silent, silent)):
            now = reduced.observe()
            refuse_if_moved(record, term, now)
            _refuse_if_finished(record, now)
            # Another resume may have gone further meanwhile, and have stopped too.
            journal = _journal_here(workshop, record, now)
            phases_done = _phases_done(journal.entries())
            journal.write("resumed", host=workshop.local)
            result = run_operation(reduced, evolve(operation, requires=()), journal, done_phases=phases_done)
        if record.operation != "rejoin":
            return result
        primary, returned = (workshop.pair.node(record.parameters[side]) for side in ("primary", "returned"))
        return with_files(workshop, result, primary, returned)

    resumed = Prepared(plan, run)
    return with_closing_list(reduced, resumed, given.pair.node(record.parameters["new"])) if "new" in record.parameters else resumed


def _phases_done(entries: Sequence[Mapping[str, object]]) -> frozenset[str]:
    return frozenset(str(entry["name"]) for entry in entries if entry["event"] == "phase-done")


def _refuse_if_finished(record: Record, now: PairState) -> None:
    """Between the plan and the lock (an administrator may take long to say yes) another resume or abandon may have come first.

    Raises:
        RefusedError: it is not unfinished any more.
    """
    left = unfinished(now)
    if left is None or left.id != record.id:
        raise RefusedError(
            f"the {record.operation} of {record.id} is not unfinished any more: it was resumed or abandoned meanwhile",
            state="nothing was changed",
            hint="xcat-ha status shows who is what; xcat-ha history what was done",
        )


def abandon(workshop: Workshop) -> Record:
    """Give up the operation that stopped in the middle; the state stays as it is, and the journal says so.

    Raises:
        RefusedError: nothing is unfinished.
        UnreachableError: the node that has its journal did not answer.
    """
    state = workshop.observe()
    record = unfinished(state)
    if record is None:
        raise RefusedError("nothing is unfinished", state="nothing was changed", hint="xcat-ha history shows what was done")
    keepers = [node_id for node_id, found in state.nodes.items() if any(journal.name == record.id for journal in found.journals)]
    line = json.dumps(
        {
            "event": "end",
            "time": workshop.clock.now(),
            "outcome": str(Outcome.ABANDONED),
            "message": words_of_state(state),
        }
    )
    reach = Reach(frozenset(state.unreachable))
    with locked(workshop, "abandon", f"abandon-{record.id}", reach):
        path = f"{STATE_DIR}/journal/{record.id}.jsonl"
        script = 'printf "\\n%s\\n" "$2" >> "$1" && sync "$1"'  # on a line of its own, also after a half-written one
        for host in keepers:
            completed = workshop.runner.run(host, changes("sh", "-c", script, "sh", path, line))
            if not completed.ok:
                raise UnreachableError(f"its journal on {host} cannot be written: {completed.summary}", hint="run xcat-ha abandon again")
    return record


def _journal_here(workshop: Workshop, record: Record, state: PairState) -> Journal:
    """The newest copy of an operation's journal, on this machine: the one that is here, or the other node's.

    Raises:
        JournalError: it cannot be read.
    """
    path = JOURNAL_DIR / f"{record.id}.jsonl"
    journal = Journal(path, workshop.clock)
    newest = newest_holder(state, record.id)
    if newest and newest != workshop.local:
        answer = workshop.runner.read_many(newest, (reads("cat", str(path)),))[0]
        if not answer.ok:
            hint = f"run xcat-ha resume on {newest}"
            raise JournalError(f"the journal on {newest} cannot be read: {answer.summary}", where=str(path), hint=hint)
        keep_journal(path, answer.stdout)
    return journal


def _planned_again(record: Record, given: PlanningInput) -> Operation:
    parameters, pair = record.parameters, given.pair
    if record.operation == "failover" and "unplanned" in parameters:
        old, new = pair.node(parameters["old"]), pair.node(parameters["new"])
        confirmed = parameters["unplanned"].startswith("confirmed")
        return plan_takeover(given, old, new, confirmed=confirmed, announced=parameters.get("loss", ""))
    if record.operation in {"failover", "failback"}:
        return plan_handover(given, pair.node(parameters["old"]), pair.node(parameters["new"]), verb=record.operation)
    if record.operation == "setup":
        primary, standby = pair.node(parameters["primary"]), pair.node(parameters["standby"])
        text = read_text(pair.source)
        mended = from_words(parameters.get("mend", ""))
        return plan_setup(given, primary, standby, text, boot_id=parameters.get("boot", ""), stale=mended)
    if record.operation == "rejoin":
        return plan_rejoin(given, pair.node(parameters["primary"]), pair.node(parameters["returned"]), parameters.get("lost", ""))
    raise RefusedError(f"a {record.operation} needs no resume", hint=f"run xcat-ha {record.operation} again")


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


def _not_needed(record: Record, state: PairState) -> frozenset[str]:
    """Nodes that the operation was begun without, or that it has fenced: a node without power does not answer."""
    unplanned = record.parameters.get("unplanned", "")
    if not unplanned:
        return frozenset()
    old = record.parameters["old"]
    return frozenset({old}) if unplanned.startswith("confirmed") or not state.nodes[old].reachable else frozenset()


def words_of_unfinished(state: PairState) -> str:
    """The unfinished operation in words; empty if there is none."""
    record = unfinished(state)
    return f"the {record.operation} of {record.id}" if record is not None else ""


def words_of_state(state: PairState) -> str:
    """The state that an abandoned operation leaves, for its journal and its administrator."""
    found = []
    for node_id, node_state in state.nodes.items():
        if not node_state.reachable:
            found.append(f"{node_id} does not answer")
            continue
        term = "unreadable" if node_state.term is None else node_state.term.words()
        database = "unknown" if node_state.replica.role is None else str(node_state.replica.role)
        found.append(f"{node_id} is {node_state.role}, term {term}, database: {database}")
    return "given up as it stood: " + "; ".join(found)
