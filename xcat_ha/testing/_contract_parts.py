"""What the tests of :mod:`xcat_ha.testing.driver_contract` are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import evolve

from xcat_ha.steps import Command, Completed, Ref, Step, Trouble
from xcat_ha.testing.site import Site

GARBAGE = (
    "",
    "\n",
    "%$ \x00\x1b[31m\ufffd\udc80",
    "{",
    "[1, 2",
    "null",
    "0",
    "[]",
    "{}",
    "-1",
    "a" * 5000,
    "bash: line 1: no such thing\n" * 3,
    "=\n=\n",
    "HOLDS",
    "Error: [mn01]: Permission denied for request",
    "[[[[[[1]]]]]]",
    '{"nodes": 3, "time": "yesterday"}',
    "NaN",
    "1e999",
)
"""Output no program in its right mind prints; some of it is valid JSON that means nothing."""


def assert_plain(command: Command) -> None:
    assert command.argv, "a command without a program"
    assert all(isinstance(word, str | Ref) for word in command.argv), f"{command.argv}: not only words"
    assert command.timeout_s > 0
    for word in command.argv:
        assert "\0" not in (word if isinstance(word, str) else word.name)


def commands_of(step: Step) -> Iterator[Command]:
    yield from (*step.commands, *step.cleanup)
    for check in (step.done_when, *step.only_if):
        yield from (probe.command for probe in check.probes)


def digests(site: Site) -> tuple[str, ...]:
    return tuple(site.digest(node.id) for node in site.pair.nodes)


def answer_of(question: Command, code: int | None, text: str, trouble: Trouble | None = None) -> Completed:
    return Completed(tuple(str(word) for word in question.argv), code, text, text, trouble=trouble)


def spoilt(answers: Sequence[Completed]) -> Iterator[list[Completed]]:
    """Each answer missing, cut off, or changed in one place, while the others are whole."""
    for index, answer in enumerate(answers):
        size = len(answer.stdout)
        texts = [answer.stdout[: size * part // 8] for part in range(8)]
        texts += [f"{answer.stdout[:place]}\x7f{answer.stdout[place + 1 :]}" for place in range(0, size, max(size // 8, 1))]
        bad = [evolve(answer, stdout=text) for text in texts] + [evolve(answer, returncode=None, trouble=Trouble.TIMED_OUT)]
        for one in bad:
            yield [*answers[:index], one, *answers[index + 1 :]]
