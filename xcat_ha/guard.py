"""The guard of a node: starts the role after a boot where it belongs, and steps down when it has moved. One per node, always running.

What it decides is in :mod:`xcat_ha.planning.turns`; here it looks, acts and says so: on the console, in its own log, and in
``/run/xcat-ha/guard.json``, which ``status`` shows.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from attrs import frozen

from xcat_ha._parallel import side_by_side
from xcat_ha.errors import XcatHaError
from xcat_ha.execution import execute_steps, never
from xcat_ha.kept import GUARD_FILE, LockState, lock_of, lock_question, question_for_term, term_of
from xcat_ha.lock import holder_question
from xcat_ha.models import Node, Pair
from xcat_ha.operations import Workshop
from xcat_ha.planning.turns import Decision, Turn, contradiction, silence, while_idle, while_serving
from xcat_ha.planning.witness import THE_WITNESS
from xcat_ha.term import StoredTerm
from xcat_ha.verbs.activation import prepare_activation
from xcat_ha.verbs.resume import words_of_unfinished
from xcat_ha.verbs.stepdown import step_down
from xcat_ha.verbs.witness import ask_witness

_CONSOLE = Path("/dev/console")
_WORDS = {Turn.SERVE: "active", Turn.STANDBY: "standby", Turn.WAIT: "busy"}


def witness_term(workshop: Workshop) -> dict[str, StoredTerm | None]:
    """The witness's name and the term it remembers, None if it does not answer; empty if none is configured."""
    word = ask_witness(workshop)
    return {} if word is None else {THE_WITNESS: word.term}


def decide_idle(workshop: Workshop, node: Node) -> Decision:
    """Whether ``node``, which does not have the role, should take it up again, from a full observation of both."""
    state = workshop.observe()
    return while_idle(node.id, state, witness_term(workshop), unfinished=words_of_unfinished(state))


@frozen
class Here:
    """The little that is looked at again and again on this node."""

    lock: LockState | None
    term: StoredTerm | None
    holds: bool | None
    """Whether a service address is here; None: not known."""


class Guard:
    """See the module. ``tick`` is one look with what follows from it; ``run`` goes on until it is told to stop."""

    def __init__(self, workshop: Workshop, node: Node, *, say: Callable[[str], None] | None = None) -> None:
        """``workshop`` runs on ``node``. ``say``: where words go besides the console and the state file; stdout by default."""
        self._workshop = workshop
        self._node = node
        self._other = workshop.pair.other(node.id)
        self._say = say or partial(print, flush=True)
        self._last: Decision | None = None
        self._since = workshop.clock.now()
        self._config = _stamp(workshop.pair)

    def run(self, stop_requested: Callable[[], bool] = never) -> None:
        """Look every ``guard_interval_s`` seconds; returns when the configuration changed (it is then started anew)."""
        while not stop_requested() and _stamp(self._workshop.pair) == self._config:
            self.tick()
            self._workshop.clock.sleep(self._workshop.pair.guard_interval_s)

    def tick(self) -> Decision:
        """Look once and do what follows. What goes wrong is said, and tried again next time."""
        try:
            decision = self._decide()
            self._note(decision)
            decision = self._act(decision)
        except XcatHaError as error:
            decision = Decision(Turn.PASSIVE, f"it did not work: {error.what}", error.hint)
        self._note(decision)
        return decision

    def _look(self) -> Here:
        identity = self._workshop.drivers.identity
        questions = (lock_question(), question_for_term(), *identity.questions(self._node))
        lock, term, *holding = self._workshop.runner.read_many(self._node.id, questions)
        none = identity.interpret(self._node, holding).holds_none()
        return Here(lock_of(self._node, lock), term_of(term), None if none is None else not none)

    def _busy(self, here: Here) -> bool:
        """Whether an operation holds the lock and lives. One whose machine does not answer cannot be at work here."""
        if here.lock is None or here.lock.holder_alive is not None:
            return here.lock is not None and here.lock.holder_alive is True
        if here.lock.content.get("node") != self._other.id:
            return True
        answer = self._workshop.runner.read_many(self._other.id, (holder_question(here.lock.content),))[0]
        return answer.ok and answer.stdout.strip() == "alive"

    def _terms(self) -> dict[str, StoredTerm | None]:
        """The others' terms; None where nobody answers or it cannot be read."""
        found: dict[str, StoredTerm | None] = {self._other.id: None}

        def ask_other() -> None:
            found[self._other.id] = term_of(self._workshop.runner.read_many(self._other.id, (question_for_term(),))[0])

        # Side by side: the silence of one must not make the other's answer late.
        side_by_side([ask_other, lambda: found.update(witness_term(self._workshop))])
        return found

    def _decide(self) -> Decision:
        me, here = self._node.id, self._look()
        if self._busy(here):
            return Decision(Turn.WAIT, f"an operation is at work: {here.lock.content.get('operation') if here.lock else ''}")
        if here.holds is None:
            return Decision(Turn.PASSIVE, "it cannot be told whether this node has the service address", "look at ip address")
        if here.holds:
            return self._decide_serving(here)
        if here.term is not None and here.term.holder != me:
            return Decision(Turn.STANDBY, f"the role is {here.term.holder or 'nobody'}'s, term {here.term.counter}")
        others = self._terms()
        if here.term is not None:
            no = contradiction(me, here.term, others) or silence(me, here.term, self._other.id, others)
            if no is not None:
                return no
        return decide_idle(self._workshop, self._node)

    def _decide_serving(self, here: Here) -> Decision:
        others = self._terms()
        decision = while_serving(self._node.id, here.term, others)
        if decision.turn is not Turn.STEP_DOWN:
            return decision
        # A hand-over may have begun since we looked: it stores the term here first, and holds the lock.
        again = self._look()
        if self._busy(again):
            return Decision(Turn.WAIT, "an operation is at work")
        return while_serving(self._node.id, again.term, others)

    def _act(self, decision: Decision) -> Decision:
        if decision.turn is Turn.STEP_DOWN:
            step_down(self._workshop, self._node, decision.why)
            return Decision(Turn.PASSIVE, f"stepped down: {decision.why}", decision.hint)
        if decision.turn is Turn.TAKE:
            prepare_activation(self._workshop, self._node, confirmed_down=False, why=decision.why).run()
            return Decision(Turn.SERVE, f"took the role up: {decision.why}")
        if decision.superseded and not self._busy(self._look()):  # an operation that has begun meanwhile knows what it does
            # It is passive in any case; that it could not be seen to is no reason to say something else.
            with contextlib.suppress(XcatHaError):
                steps = self._workshop.drivers.replication.steps_when_superseded(self._node)
                execute_steps(steps, self._workshop.runner, clock=self._workshop.clock)
        if decision.turn is Turn.SERVE:
            steps = self._workshop.drivers.replication.steps_while_serving(self._node)
            execute_steps(steps, self._workshop.runner, clock=self._workshop.clock)
        return decision

    def _note(self, decision: Decision) -> None:
        """Keep and say it; said only when it changed."""
        now = self._workshop.clock.now()
        if decision != self._last:
            self._since = now
            hint = f" (hint: {decision.hint})" if decision.hint else ""
            self._say(f"{decision.turn}: {decision.why}{hint}")
            if decision.turn in {Turn.PASSIVE, Turn.STEP_DOWN}:
                _tell_console(f"xcat-ha guard on {self._node.id}: {decision.turn}: {decision.why}{hint}")
        self._last = decision
        words = {"state": _WORDS.get(decision.turn, "passive"), "why": decision.why, "hint": decision.hint}
        with contextlib.suppress(OSError):
            _write(Path(GUARD_FILE), json.dumps(words | {"since": round(self._since, 1), "checked": round(now, 1)}))


def _stamp(pair: Pair) -> int:
    """Changes when the configuration file does."""
    try:
        return Path(pair.source).stat().st_mtime_ns
    except OSError:
        return 0


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _tell_console(text: str) -> None:
    """Whoever stands in front of the machine sees it; a machine without console is no error."""
    with contextlib.suppress(OSError), _CONSOLE.open("w", encoding="utf-8", errors="replace") as console:
        console.write(f"{text}\r\n")
