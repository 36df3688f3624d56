"""What the journals and locks on both nodes tell: what was done, what runs now, what stopped in the middle and is in the way."""

from __future__ import annotations

from xcat_ha.errors import RefusedError, UnfinishedError
from xcat_ha.journal import Outcome, Record, parse_lines, summarise
from xcat_ha.kept import LockState
from xcat_ha.lock import locked_error
from xcat_ha.observation import PairState
from xcat_ha.term import StoredTerm


def records(state: PairState) -> tuple[Record, ...]:
    """The newest journals of both nodes, newest first. An operation without an end lives only while a living lock names it."""
    living = {str(lock.content.get("id")) for lock in living_locks(state)}
    texts: dict[str, str] = {}
    for node_state in state.nodes.values():
        for journal in node_state.journals:
            # The same journal on both nodes: one is the mirror, and whoever went on with it wrote last.
            if journal.name not in texts or _last_time(journal.text) > _last_time(texts[journal.name]):
                texts[journal.name] = journal.text
    found = [record for name, text in texts.items() if (record := summarise(name, text, alive=name in living)) is not None]
    return tuple(sorted(found, key=lambda record: record.began, reverse=True))


def living_locks(state: PairState) -> tuple[LockState, ...]:
    """The locks found whose holder is not proven gone: by its own node, or by that node's having booted since."""
    locks = [node_state.lock for node_state in state.nodes.values() if node_state.lock is not None]
    gone = [lock.content for lock in locks if lock.holder_alive is False or _of_another_boot(lock, state)]
    return tuple(lock for lock in locks if lock.content not in gone)


def _of_another_boot(lock: LockState, state: PairState) -> bool:
    """A machine that boots loses its own copy of the lock, while the other node's stays."""
    there, held_in = state.nodes.get(str(lock.content.get("node"))), lock.content.get("boot_id")
    return there is not None and bool(there.boot_id) and isinstance(held_in, str) and held_in != there.boot_id


def running_words(state: PairState) -> str:
    """The operation that runs now, in words; empty if none does."""
    for record in records(state):
        # A lock left by a node that is silent now tells nothing of the process that held it.
        if record.outcome is None and record.host not in state.unreachable:
            return f"{record.operation} by {record.user} on {record.host or 'another machine'} (process {record.pid})"
    return ""


def _last_time(text: str) -> float:
    entries = parse_lines(text)
    times = [entry["time"] for entry in entries if isinstance(entry.get("time"), int | float)]
    return float(times[-1]) if times else 0.0


def newest_holder(state: PairState, operation_id: str) -> str:
    """Id of the node whose copy of the journal was written to last; empty if none has it."""
    found = [
        (_last_time(journal.text), node_id)
        for node_id, node_state in state.nodes.items()
        for journal in node_state.journals
        if journal.name == operation_id
    ]
    return max(found)[1] if found else ""


def refuse_if_moved(record: Record, term: StoredTerm, state: PairState) -> None:
    """An operation is not gone on with once the role has moved by another one.

    Args:
        record: the operation.
        term: the term in which it began.
        state: what is stored now.

    Raises:
        RefusedError: a node has a term that is neither that one nor the one the operation itself raises.
    """
    raised = StoredTerm(term.counter + 1, record.parameters["new"]) if "new" in record.parameters else term
    for node_id, node_state in state.nodes.items():
        now = node_state.term
        if now is not None and (now.counter > raised.counter or (now.counter == raised.counter and now.holder != raised.holder)):
            raise RefusedError(
                f"{record.id} began in term {term.counter}; {node_id} has term {now.counter} of {now.holder} now: the role has moved since",
                state="nothing was changed",
                hint="this operation is out of date: xcat-ha abandon; xcat-ha status shows who is what",
            )


def unfinished(state: PairState) -> Record | None:
    """The newest operation that left the pair half-done, unless a later one of its kind was completed or it was abandoned."""
    for record in records(state):
        if record.in_the_way:
            return record
        if record.must_finish and record.outcome is Outcome.DONE:
            return None
    return None


def refuse_if_unfinished(state: PairState, *, void: frozenset[str] = frozenset()) -> None:
    """An unfinished operation is in the way of the next one, unless it was planned with a node that is down now (``void``).

    Raises:
        LockedError: it runs at this moment.
        UnfinishedError: it stopped in the middle, or the machine that ran it does not answer.
    """
    record = unfinished(state)
    if record is not None and (not void or "unplanned" in record.parameters):
        holder = next((lock.content for lock in living_locks(state) if lock.content.get("id") == record.id), None)
        if record.outcome is None and holder is not None and holder.get("node") not in state.unreachable:
            raise locked_error("", holder)
        how = str(record.outcome) if record.outcome is not None else f"perhaps still running on {record.host}, which does not answer"
        said = f": {record.message.splitlines()[0]}" if record.message else ""
        raise UnfinishedError(
            f"an earlier {record.operation} ({record.id}) is not finished ({how}){said}",
            state="nothing was changed now; xcat-ha status shows what each node holds",
            hint="xcat-ha resume goes on with it; xcat-ha abandon gives it up as it stands",
        )
