"""A plan as a shell script that does the job without xcat-ha: for the night when the tool itself is the problem.

Pure: from an :class:`Outline` and the sources it carries to text. The script is what ``execution`` is to a plan: per step it asks
``done_when``, then ``only_if``, runs the commands, and polls until the effect is there. What judges an answer, and what has to run on the
nodes, is carried inside (:mod:`xcat_ha.carried`); the part that never changes is ``runbook.sh`` beside this module.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping

import cattrs
from attrs import frozen

from xcat_ha.carried import FIND_PYTHON
from xcat_ha.errors import RefusedError
from xcat_ha.journal import FORMAT
from xcat_ha.kept import question_for_term
from xcat_ha.lock import ALIVE_SCRIPT, DROP_SCRIPT, TAKE_SCRIPT
from xcat_ha.models import COMMANDS_LOCK, RUN_DIR, STATE_DIR, Node, Pair
from xcat_ha.observation import PairState
from xcat_ha.planning import Operation
from xcat_ha.planning.setup import NODE_ID_FILE
from xcat_ha.planning.witness import witness_node
from xcat_ha.shell_text import Wording, comment, function, here_document, line, members, quoted
from xcat_ha.ssh_command import ssh_argv
from xcat_ha.steps import Check, Command, Matches, Phase, Plan, Prints, Probe, Step
from xcat_ha.term import StoredTerm
from xcat_ha.xcat.site import Site

JUDGE = "xcat_ha.judge"


@frozen
class Outline:
    """What a runbook is made of.

    Attributes:
        pair: the configuration.
        operation: what is to be done.
        plan: its phases, planned from ``state``.
        state: what was observed when it was planned.
        operation_id: name of its journal, the same that the steps name.
        site: xCAT's site table, for the journal: xcat-ha can resume what the runbook began.
        term: the term in which the operation begins.
        left_out: ids of nodes that it does without.
    """

    pair: Pair
    operation: Operation
    plan: Plan
    state: PairState
    operation_id: str
    site: Site
    term: StoredTerm
    left_out: frozenset[str] = frozenset()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that take part."""
        return tuple(node for node in self.pair.nodes if node.id not in self.left_out)

    @property
    def directory(self) -> str:
        """Where the runbook unpacks what it carries, on each node."""
        return f"{STATE_DIR}/runbook/{self.operation_id}"


def node_programs(outline: Outline) -> frozenset[str]:
    """The ``python3 -m`` programs that the runbook has to carry.

    Raises:
        RefusedError: a step needs xcat-ha's own command, which a runbook cannot carry.
    """
    pythons = {node.python for node in outline.pair.nodes}
    own = {f"{node.bin_dir}/xcat-ha" for node in outline.pair.nodes}
    found = {JUDGE}
    for command in _commands(outline):
        words = [word for word in command.argv if isinstance(word, str)]
        if own & set(words):
            raise RefusedError(
                f"a step needs xcat-ha itself: {shlex.join(words)[:200]}",
                state="nothing was written",
                hint="this plan can be run by xcat-ha only; xcat-ha failover --dry-run shows its commands",
            )
        found |= {words[at + 2] for at in range(len(words) - 2) if words[at] in pythons and words[at + 1] == "-m"}
    return frozenset(found)


def runbook(outline: Outline, carried: Mapping[str, str], functions: str, *, version: str) -> str:
    """The script.

    Args:
        outline: what it does.
        carried: path below a directory for PYTHONPATH -> text, see :func:`xcat_ha.carried.carried_sources`.
        functions: the shell functions it is made with, see :func:`xcat_ha.carried.shell_functions`.
        version: of xcat-ha, for the reader.
    """
    parts = (
        _head(outline, version),
        _constants(outline),
        functions,
        _questions_before(outline),
        *_phases(outline),
        _unpack(carried),
        '# Nothing was done up to here: a file that was cut off does nothing.\nmain "$@"\n',
    )
    return "\n".join(parts)


# --- the head


def _head(outline: Outline, version: str) -> str:
    operation = outline.operation
    sides = f"{operation.name} ({', '.join(f'{key} {value}' for key, value in operation.parameters.items() if key != 'term')})"
    said = (
        f"A runbook: {sides}.",
        f"Written by xcat-ha {version} from what was observed at {_moment(outline)}.",
        "",
        *operation.summary,
        "",
        f"Run it as root on {' or '.join(node.id for node in outline.nodes)}: sh FILE. It needs no xcat-ha, but Python 3.11 or newer",
        "on each node, and reaches the other node by ssh with the keys that xcat-ha setup made. sh FILE --check asks all that has",
        "to hold before the first step, and changes nothing. Ctrl-C stops it between two commands; run again it goes on.",
        "",
        "Each step is made of functions: what tells that it is done, what must hold before it, its commands. A step counts as",
        "done when its effect was read back. If a question gets no answer, or the wrong one, the script stops and says so; its",
        "exit codes are those of xcat-ha.",
        "",
        "All steps were planned from the observation above; xcat-ha plans each phase anew when it begins. If services were",
        "installed or removed since, or the configuration was changed, export a new one. If the role has moved since, this one",
        "refuses to begin. Where xcat-ha works side by side this script works in order, so it takes longer.",
        "",
        f"What it did is in {STATE_DIR}/journal/{outline.operation_id}.jsonl: xcat-ha history shows it, xcat-ha resume can go on with it.",
    )
    return "#!/bin/sh\n" + "".join(comment(line) for line in said) + "set -u\numask 077\n"


def _constants(outline: Outline) -> str:
    operation, down = outline.operation, "".join(sorted(outline.left_out))
    parameters = dict(operation.parameters) | {"by": "runbook"}
    begin = {"format": FORMAT, "operation": operation.name, "parameters": parameters, "must_finish": operation.must_finish}
    witness = witness_node(outline.pair)
    ways = "".join(_way(host) for host in (*outline.nodes, *((witness,) if witness is not None else ())))
    values = {
        "ID": outline.operation_id,
        "OPERATION": operation.name,
        "NODES": " ".join(sorted(node.id for node in outline.nodes)),
        "DOWN": down,
        "USAGE": f"--confirm-down {down} --allow-data-loss" if down else "",
        "AFTERWARDS": "When xcat-ha is back: xcat-ha status, and what it says",
        "STATE_DIR": STATE_DIR,
        "RUN_DIR": RUN_DIR,
        "COMMANDS_LOCK": COMMANDS_LOCK,
        "NODE_ID_FILE": NODE_ID_FILE,
        "SSH_SCRIPT": f"socket=$1 words=$2\nshift 2\ncase $0 in\n{ways}  *) exit 255 ;;\nesac",
        "LOCK_TAKE": TAKE_SCRIPT,
        "LOCK_DROP": DROP_SCRIPT,
        "LOCK_ALIVE": ALIVE_SCRIPT,
        "FIND_PYTHON": FIND_PYTHON,
        "JOURNAL_BEGIN": members(begin),
        "JOURNAL_SITE": members({"site": cattrs.unstructure(outline.site)}),
    }
    said = "".join(f"say {line(sentence)}" for sentence in _summary(outline))
    lines = "".join(f"{name}={line(value)}" for name, value in values.items())
    return f"{lines}\n{function('summary', said)}"


def _way(host: Node) -> str:
    *options, destination = ssh_argv(host)
    return f'  {quoted(host.id)}) exec {shlex.join(options)} -o ControlPath="$socket" "$@" {quoted(destination)} ${{words:+"$words"}} ;;\n'


def _summary(outline: Outline) -> Iterator[str]:
    """What is shown before the first step. What an unplanned change of primary loses was known only for the moment of writing."""
    loss = outline.operation.parameters.get("loss", "")
    yield from (sentence for sentence in outline.operation.summary if sentence != loss)
    if outline.left_out:
        yield "WHAT WAS NOT COPIED BY NOW IS LOST. How old the copy is now, this script cannot tell."
    if loss:
        yield f"When it was written, at {_moment(outline)}, this was true: {loss}"


def _moment(outline: Outline) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(outline.state.observed_at))


# --- before the first step


def _questions_before(outline: Outline) -> str:
    """What has to hold before a first run, and before one that goes on."""
    first = [_term_is_as_it_was(outline, node) for node in outline.nodes] + list(outline.operation.requires)
    again = [_term_is_ours(outline, node) for node in outline.nodes]
    wording = _wording(outline)
    parts = (("before", first), ("still_ours", again))
    return "\n".join(function(name, "".join(map(wording.required, checks))) for name, checks in parts)


def _term_is_as_it_was(outline: Outline, node: Node) -> Check:
    """The role has not moved since the runbook was written.

    Raises:
        RefusedError: the term was not known then.
    """
    term = outline.state.nodes[node.id].term
    if term is None:
        raise RefusedError(f"the term of {node.id} is not known", state="nothing was written", hint=f"look at {node.id}: xcat-ha status")
    return Check(
        question=f"{node.id} has the term it had when this was written ({term.words()})",
        probes=(Probe(node.id, question_for_term()),),
        rule=Prints(term.text() if term.counter else "none"),
        hint="the role has moved since: export a new runbook",
    )


def _term_is_ours(outline: Outline, node: Node) -> Check:
    """The role has not been moved by somebody else since the runbook began."""
    before = outline.state.nodes[node.id].term
    raised = StoredTerm(outline.term.counter + 1, outline.operation.parameters.get("new", ""))
    allowed = {re.escape(term.text()) for term in (before, outline.term) if term is not None}
    if raised.holder:
        allowed.add(rf'\{{"counter": {raised.counter}, "holder": {re.escape(json.dumps(raised.holder))}, .*\}}')
    return Check(
        question=f"the role has not moved by another operation ({node.id} is asked)",
        probes=(Probe(node.id, question_for_term()),),
        rule=Matches(f"^({'|'.join(sorted(allowed))})$"),
        hint="this runbook is out of date: xcat-ha status",
    )


# --- phases and steps


def _phases(outline: Outline) -> Iterator[str]:
    wording = _wording(outline)
    done_steps, calls = 0, ""
    for number, (phase, planner) in enumerate(zip(outline.plan.phases, outline.operation.phases, strict=True), start=1):
        kind = "keeps" if planner.outlives_reboot else "reboots"
        calls += f"phase {number} {line(phase.name, kind, phase.why)}"
        yield comment(f"--- phase {number}: {phase.name}") + comment(phase.why)
        performed = ""
        for step_number, step in enumerate(phase.steps, start=done_steps + 1):
            yield _step(step_number, step, wording)
            performed += _perform(step_number, phase, step)
        done_steps += len(phase.steps)
        yield function(f"phase_{number}", performed)
    yield function("phases", calls)


def _perform(number: int, phase: Phase, step: Step) -> str:
    facts = members({"phase": phase.name, "step": step.name, "host": step.host})
    settle = str(round(step.settle_s))
    return f"perform {line(str(number), step.name, step.host, settle, step.done_when.question, step.done_when.hint, facts)}"


def _step(number: int, step: Step, wording: Wording) -> str:
    conditions = "".join(map(wording.required, step.only_if))
    asked = "".join(comment(f"Only if: {check.question}", "  ") for check in step.only_if)
    return (
        comment(f"{step.name} on {step.host}: {step.why}")
        + function(f"done_{number}", wording.check(step.done_when), comment(f"Done if: {step.done_when.question}", "  "))
        + function(f"only_if_{number}", conditions, asked)
        + function(f"run_{number}", "".join(wording.change(command, step.host) for command in step.commands))
        + function(f"clean_{number}", "".join(wording.clean(command, step.host) for command in step.cleanup))
    )


def _wording(outline: Outline) -> Wording:
    captured = sorted({command.capture for command in _commands(outline) if command.capture})
    return Wording(
        pythons=frozenset(node.python for node in outline.pair.nodes),
        carried_python=f"{outline.directory}/python3",
        refs={name: number for number, name in enumerate(captured, start=1)},
    )


def _commands(outline: Outline) -> Iterator[Command]:
    """Every command of the plan, those of checks included."""
    for check in outline.operation.requires:
        yield from (probe.command for probe in check.probes)
    for step in (step for phase in outline.plan.phases for step in phase.steps):
        yield from (*step.commands, *step.cleanup)
        yield from (probe.command for check in (step.done_when, *step.only_if) for probe in check.probes)


# --- what it carries


def _unpack(carried: Mapping[str, str]) -> str:
    """A function that writes what the nodes need below a directory."""
    directories = sorted({path.rpartition("/")[0] for path in carried})
    return (
        comment("What the nodes need: the programs of xcat-ha and of the drivers that run on them, as they are.")
        + f'unpack() {{\n  (cd "$1" && mkdir -p {shlex.join(directories)}) || return 1\n'
        + "".join(here_document(path, text) for path, text in carried.items())
        + "}\n"
    )
