"""Answers for people, on stdout: rich tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from xcat_ha.maintenance import moment
from xcat_ha.steps import Command, Effect, Plan, Ref, Step, Verdict

if TYPE_CHECKING:
    from xcat_ha.effective import Setting
    from xcat_ha.journal import Record
    from xcat_ha.operations import Result
    from xcat_ha.planning.images import NodeImages
    from xcat_ha.planning.requirements import Finding
    from xcat_ha.registry import DriverInfo
    from xcat_ha.status import AtWork, NodeReport, Status

_WIDTH_OF_A_PIPE = 160


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """A table; cells wrap on a terminal and are never cut."""
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import, and --help does not need it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        if title:
            print(title)  # noqa: T201
        for row in rows:
            print("  ".join(cell for cell in row if cell))  # noqa: T201
        return
    shown = Table(*headings, title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        shown.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.print(shown)


_STYLES = {"holds": "green", "FAILS": "bold red", "unknown": "yellow", "primary": "bold green", "standby": "green"}


def say(text: str = "") -> None:
    """A line of the answer."""
    print(text)  # noqa: T201


def show_findings(findings: Sequence[Finding]) -> None:
    """One line a question, with the hint of those that do not hold."""
    words = {Verdict.HOLDS: "holds", Verdict.FAILS: "FAILS", Verdict.UNKNOWN: "unknown"}
    rows = [(words[finding.verdict], finding.topic, finding.question, _short(finding)) for finding in findings]
    table(("", "topic", "question", "detail"), rows)
    bad = [finding for finding in findings if finding.verdict is not Verdict.HOLDS]
    hints: dict[str, list[str]] = {}
    for finding in bad:
        if finding.hint:
            hints.setdefault(finding.hint, []).append(finding.question)
    for hint, questions in hints.items():
        more = f" (and {len(questions) - 1} more)" if len(questions) > 1 else ""
        say(f"hint: {questions[0]}{more}: {hint}")
    fails = sum(finding.verdict is Verdict.FAILS for finding in findings)
    say(f"{len(findings) - len(bad)} hold, {fails} fail, {len(bad) - fails} unknown")


def show_images(reports: Sequence[NodeImages]) -> None:
    """One line for every thing an image lacks, one for every image that lacks nothing."""
    words = {Verdict.HOLDS: "complete", Verdict.FAILS: "FAILS", Verdict.UNKNOWN: "unknown"}
    for report in reports:
        if report.detail:
            say(f"{report.node}: not known: {report.detail}")
            continue
        rows: list[tuple[str, ...]] = []
        for image in report.images:
            rows += [(words[image.verdict], image.name, lack.role, lack.path, lack.problem) for lack in image.lacks]
            if not image.lacks:
                rows.append((words[image.verdict], image.name, "", "", image.detail))
        table(("", "image", "what", "path", "problem"), rows, title=f"{report.node}, compared with {report.compared_with}")
        say(f"{report.node}: {len(report.images) - len(report.lacking)} of {len(report.images)} images lack nothing")


def _short(finding: Finding) -> str:
    return finding.judgement.detail.replace("\n", " ")[:160]


def show_status(status: Status) -> None:
    """The pair at a glance; an unfinished operation and problems first."""
    _show_what_is_urgent(status)
    say(f"pair {status.pair}: primary is {status.primary or 'not known or nobody'}, preferred is {status.preferred}")
    table(("node", "role", "hostname", "service address", "database", "services"), [_node_row(node) for node in status.nodes])
    for node in status.nodes:
        if node.term or node.guard:
            say(f"{node.id}: term {node.term}" + (f"; guard {node.guard}" if node.guard else ""))
    if status.witness:
        say(f"witness: {status.witness}")
    for node in status.nodes:
        if node.id != status.primary:
            for name, age_s in sorted(node.file_sets.items()):
                say(f"{node.id}: files {name} synced {'never' if age_s is None else age(age_s) + ' ago'}")
    if status.primary is not None:
        lost = "unknown" if status.would_lose_s is None else f"what was written in the last {age(status.would_lose_s)}"
        say(f"would be lost if {status.primary} died now: {lost}")


def _show_what_is_urgent(status: Status) -> None:
    if status.maintenance is not None:
        say(_maintenance_line(status.maintenance))
    if status.running:
        say(f"running now: {status.running}")
    for problem in status.problems:
        say(f"{'unknown' if problem.unknown else 'PROBLEM'}: {problem.what}")
        say(f"    hint: {problem.hint}")


def _maintenance_line(work: AtWork) -> str:
    until, since = moment(work.until), moment(work.since)
    head = f"MAINTENANCE EXPIRED at {until}" if work.expired else f"MAINTENANCE until {until}"
    effect = "scheduled syncs run again" if work.expired else "scheduled syncs are paused"
    return f"{head}: {work.reason} (by {work.by} since {since}); {effect}"


def _node_row(node: NodeReport) -> tuple[str, ...]:
    if node.trouble:
        return (node.id, str(node.role), "?", "?", "?", "?")
    addresses = "?" if node.service_addresses is None else (", ".join(node.service_addresses) or "-")
    services = "; ".join(f"{name} {words}" for name, words in sorted(node.services.items()))
    copy = node.copy + (f" ({age(node.copy_age_s)} old)" if node.copy_age_s is not None else "")
    return (node.id, str(node.role), node.hostname or "?", addresses, copy, services)


def age(seconds: float) -> str:
    """Seconds in words of a fitting size."""
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} s"


def show_history(records: Sequence[Record]) -> None:
    """One line an operation, newest first."""
    rows = []
    for record in records:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.began))
        took = f"{record.ended - record.began:.1f} s" if record.ended is not None else ""
        outcome = str(record.outcome) if record.outcome is not None else "running"
        words = " ".join(f"{key}={value}" for key, value in record.parameters.items())
        message = record.message.splitlines()[0] if record.message and outcome != "done" else ""
        rows.append((began, record.operation, outcome, took, record.host, record.user, words, message))
    table(("began", "operation", "outcome", "took", "on", "by", "what", "said"), rows)


def show_drivers(drivers: Sequence[DriverInfo]) -> None:
    """One line a driver, with what is wrong with it."""
    rows = [(info.group, info.name, info.distribution, info.problem or "ok") for info in drivers]
    table(("interface", "driver", "from", "state"), rows)


def show_settings(settings: Sequence[Setting]) -> None:
    """One line a key: value as the file would hold it, and who says so."""
    rows = []
    for setting in settings:
        value = "(the driver's own default)" if setting.value is None else json.dumps(setting.value, ensure_ascii=False)
        rows.append((setting.key, value, str(setting.origin), setting.note))
    table(("key", "value", "from", "note"), rows)


def show_result(result: Result) -> None:
    """What took how long."""
    for phase in result.phases:
        say(f"{phase.name}: {phase.seconds:.1f} s")
    if not result.changed:
        say("nothing had to be changed")
    for note in result.notes:
        say(note)
    say(f"{result.operation} done in {result.seconds:.1f} s ({result.operation_id})")


def show_plan(plan: Plan) -> None:
    """Every command, per host, in order; what is known only later is said to be so."""
    for number, phase in enumerate(plan.phases):
        later = "" if number == 0 else "  (planned anew from what is observed when it begins)"
        say(f"phase {phase.name}: {phase.why}{later}")
        for stage in phase.stages:
            beside = "  side by side:" if len(stage.lanes) > 1 else ""
            if beside:
                say(beside)
            for step in stage:
                _show_step(step)


def _show_step(step: Step) -> None:
    say(f"  {step.host}: {step.name}: {step.why}")
    say(f"      unless already: {step.done_when.question}")
    for check in step.only_if:
        say(f"      only if: {check.question}")
    for command in step.commands:
        say(f"      # {command_line(command)}")
    for command in step.cleanup:
        say(f"      # afterwards: {command_line(command)}")


def command_line(command: Command) -> str:
    """A command as one would type it; captured values show where they come from, text for stdin only its size."""
    words = [f"<known after {word.name}>" if isinstance(word, Ref) else shlex.quote(word) for word in command.argv]
    fed = f" < ({len(command.stdin.encode('utf-8', 'surrogateescape'))} bytes)" if command.stdin else ""
    user = f"runuser -u {command.user} -- " if command.user else ""
    reads = "" if command.effect is Effect.CHANGES else "  (reads only)"
    return f"{user}{' '.join(words)}{fed}{reads}"
