"""Plans as data: commands, checks, steps, phases. Nothing here runs anything; see :mod:`xcat_ha.execution`.

Everything is frozen, hashable where it can be, and survives JSON (:mod:`xcat_ha.planfile`), because a plan is journalled, shown by a
dry run and written as a runbook.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TypeAlias

from attrs import field, frozen


class Effect(StrEnum):
    """Whether a command may change the host it runs on."""

    READS = "reads"
    CHANGES = "changes"


@frozen
class Ref:
    """Stands in an argv for an output captured by an earlier command of the same phase (``Command.capture``)."""

    name: str


Arg: TypeAlias = str | Ref


@frozen
class Command:
    """One process on one host.

    Attributes:
        argv: program and arguments, each one word; never a shell string made of input. A *constant* ``sh -c`` script with input as
            positional arguments is fine.
        effect: READS commands must change nothing; a dry run executes only those.
        stdin: text given to the process. Not for secrets: it is journalled. A secret is read by the command itself from a 0600 file.
        timeout_s: after this many seconds the command is ended and its outcome is unknown.
        user: run as this user (``runuser -u``), None for root.
        capture: name under which the stripped stdout is journalled and can be used by later references.
        ok_codes: exit codes that count as success; for CHANGES the step's ``done_when`` still has the last word.
        progress: name of a parser in :data:`xcat_ha.progress.PARSERS` for this command's output, or None.
        stall_s: with ``progress``: silence longer than this is reported to the caller; None for no report.
    """

    argv: tuple[Arg, ...]
    effect: Effect = Effect.READS
    stdin: str | None = None
    timeout_s: float = 60.0
    user: str | None = None
    capture: str | None = None
    ok_codes: tuple[int, ...] = (0,)
    progress: str | None = None
    stall_s: float | None = None


def reads(*argv: Arg, timeout_s: float = 30.0, stdin: str | None = None) -> Command:
    """A command that changes nothing."""
    return Command(argv=argv, effect=Effect.READS, timeout_s=timeout_s, stdin=stdin)


def changes(*argv: Arg, timeout_s: float = 60.0, stdin: str | None = None, capture: str | None = None) -> Command:
    """A command that changes something."""
    return Command(argv=argv, effect=Effect.CHANGES, timeout_s=timeout_s, stdin=stdin, capture=capture)


class Trouble(StrEnum):
    """Why a command has no exit status."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed out"
    HOST_KEY = "host key"
    NOT_RUN = "not run"


@frozen
class Completed:
    """What came of a command.

    ``returncode`` is None exactly when ``trouble`` says why: then nothing is known of what the command did.
    ``stdout`` and ``stderr`` are decoded as UTF-8 with ``surrogateescape``.
    """

    argv: tuple[str, ...]
    returncode: int | None
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0
    trouble: Trouble | None = None

    @property
    def ok(self) -> bool:
        """Whether the command ran and exited with 0."""
        return self.returncode == 0

    @property
    def summary(self) -> str:
        """One line: how it ended, with the last line of what it said."""
        said = (self.stderr.strip() or self.stdout.strip()).splitlines()
        ended = f"{self.trouble}" if self.returncode is None else f"exit {self.returncode}"
        return f"{ended}: {said[-1][:300]}" if said else ended


class Verdict(StrEnum):
    """Answer of a check. Silence is UNKNOWN, never "down" and never "fine"."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"


@frozen
class Judgement:
    """A verdict with the reason, worded for an administrator."""

    verdict: Verdict
    detail: str = ""


@frozen
class ExitStatus:
    """Rule: the exit status decides. Statuses in neither list are UNKNOWN."""

    holds: tuple[int, ...] = (0,)
    fails: tuple[int, ...] = (1,)

    def judge(self, answers: Sequence[Completed]) -> Judgement:
        """The verdict on the answers of the probes."""
        answer = answers[0]
        if answer.returncode in self.holds:
            return Judgement(Verdict.HOLDS, answer.stdout.strip()[:300])
        if answer.returncode in self.fails:
            return Judgement(Verdict.FAILS, answer.summary)
        return Judgement(Verdict.UNKNOWN, answer.summary)


@frozen
class Prints:
    """Rule: HOLDS if the command exits with 0 and its stripped stdout is ``text``; any other text FAILS."""

    text: str

    def judge(self, answers: Sequence[Completed]) -> Judgement:
        """The verdict on the answers of the probes."""
        answer = answers[0]
        if not answer.ok:
            return Judgement(Verdict.UNKNOWN, answer.summary)
        said = answer.stdout.strip()
        return Judgement(Verdict.HOLDS if said == self.text else Verdict.FAILS, f"printed {said[:200]!r}")


@frozen
class Matches:
    """Rule: HOLDS if the command exits with 0 and ``pattern`` is found (``re.MULTILINE``) in its stdout.

    With ``absent`` it HOLDS if the pattern is *not* found.
    """

    pattern: str
    absent: bool = False

    def judge(self, answers: Sequence[Completed]) -> Judgement:
        """The verdict on the answers of the probes."""
        answer = answers[0]
        if not answer.ok:
            return Judgement(Verdict.UNKNOWN, answer.summary)
        found = re.search(self.pattern, answer.stdout, re.MULTILINE)
        line = found.group(0)[:200] if found else ""
        holds = (found is None) if self.absent else (found is not None)
        detail = f"found {line!r}" if found else f"nothing matches {self.pattern!r}"
        return Judgement(Verdict.HOLDS if holds else Verdict.FAILS, detail)


@frozen
class SamePrinted:
    """Rule: all probes exit with 0 and print the same, non-empty text."""

    def judge(self, answers: Sequence[Completed]) -> Judgement:
        """The verdict on the answers of the probes."""
        for answer in answers:
            if not answer.ok:
                return Judgement(Verdict.UNKNOWN, answer.summary)
        texts = [answer.stdout.strip() for answer in answers]
        if not all(texts):
            return Judgement(Verdict.UNKNOWN, "a probe printed nothing")
        if len(set(texts)) == 1:
            return Judgement(Verdict.HOLDS, texts[0][:200])
        return Judgement(Verdict.FAILS, " / ".join(text[:100] for text in texts))


@frozen
class SaysVerdict:
    """Rule: the last line of stdout is ``HOLDS``, ``FAILS`` or ``UNKNOWN``, optionally followed by ``: reason``.

    For probes that are programs of xcat-ha or of a driver, run on the node. Anything else is UNKNOWN.

    Attributes:
        names: if not empty, HOLDS counts only if its reason begins with this word: the answer has to say whom it is about.
    """

    names: str = ""

    def judge(self, answers: Sequence[Completed]) -> Judgement:
        """The verdict on the answers of the probes."""
        answer = answers[0]
        lines = answer.stdout.strip().splitlines()
        if not answer.ok or not lines:
            return Judgement(Verdict.UNKNOWN, answer.summary)
        word, _, reason = lines[-1].partition(":")
        try:
            verdict = Verdict(word.strip().lower())
        except ValueError:
            return Judgement(Verdict.UNKNOWN, f"not a verdict: {lines[-1][:200]!r}")
        if verdict is Verdict.HOLDS and self.names and reason.split()[:1] != [self.names]:
            return Judgement(Verdict.UNKNOWN, f"the answer is not about {self.names}: {lines[-1][:200]!r}")
        return Judgement(verdict, reason.strip())


Rule: TypeAlias = ExitStatus | Prints | Matches | SamePrinted | SaysVerdict


@frozen
class Probe:
    """A READS command on a host (a node id)."""

    host: str
    command: Command


@frozen
class Check:
    """A question with three answers.

    Attributes:
        question: a statement that holds or fails ("xcatd is stopped on mnb").
        probes: what to ask; two probes may ask two hosts.
        rule: how the answers become a verdict.
        hint: what to do when it fails.
    """

    question: str
    probes: tuple[Probe, ...]
    rule: Rule
    hint: str = ""

    def judge(self, answers: Sequence[Completed]) -> Judgement:
        """The verdict on ``answers``, one per probe in order. A probe without an exit status makes it UNKNOWN."""
        for probe, answer in zip(self.probes, answers, strict=True):
            if answer.returncode is None:
                return Judgement(Verdict.UNKNOWN, f"{probe.host}: {answer.summary}")
        return self.rule.judge(answers)


@frozen
class Step:
    """One named, idempotent unit of change on one host.

    Attributes:
        name: kebab-case imperative (``stop-xcatd``), unique within its phase together with ``host``.
        why: a sentence an administrator understands.
        host: id of the node whose state it changes.
        done_when: HOLDS -> there is nothing (left) to do. Asked before, and polled after the commands up to ``settle_s``.
        commands: run in order on ``host``; the first exit code outside ``ok_codes`` fails the step.
        only_if: all must HOLD right before the commands, else nothing is run and the step fails.
        cleanup: run after the commands, whatever came of them, and again by resume; must be harmless when there is nothing to clean.
        settle_s: seconds ``done_when`` may take to become true after the commands.
    """

    name: str
    why: str
    host: str
    done_when: Check
    commands: tuple[Command, ...]
    only_if: tuple[Check, ...] = ()
    cleanup: tuple[Command, ...] = ()
    settle_s: float = 0.0


Steps: TypeAlias = tuple[Step, ...]


@frozen
class Stage:
    """Lanes of steps. Lanes are independent and run side by side; within a lane steps run in order."""

    lanes: tuple[Steps, ...]

    def __iter__(self) -> Iterator[Step]:
        for lane in self.lanes:
            yield from lane


def in_order(*steps: Step) -> Stage:
    """A stage of one lane."""
    return Stage(lanes=(steps,))


def side_by_side(*lanes: Steps) -> Stage:
    """A stage of several lanes; empty lanes are dropped."""
    return Stage(lanes=tuple(lane for lane in lanes if lane))


@frozen
class Phase:
    """Steps planned together from one observation; stages run one after the other."""

    name: str
    why: str
    stages: tuple[Stage, ...] = ()

    @property
    def steps(self) -> Steps:
        """All steps in order of their stages and lanes."""
        return tuple(step for stage in self.stages for step in stage)


@frozen
class Plan:
    """All phases of an operation, as far as they can be known when it is made.

    Attributes:
        operation: the verb.
        summary: sentences shown before the question "go on?".
        phases: in order. When the plan is executed each phase is planned anew when it begins.
    """

    operation: str
    summary: tuple[str, ...]
    phases: tuple[Phase, ...] = field(factory=tuple)
