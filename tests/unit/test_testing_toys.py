"""What the toys have in common: small correct drivers, one for each interface, which every contract must accept.

``test_testing_kit`` breaks them one flaw at a time. A flaw is a word; the place where it makes a driver wrong asks ``flawed(word)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

from attrs import evolve

from xcat_ha.interfaces import Driver
from xcat_ha.models import Pair
from xcat_ha.steps import Check, Command, ExitStatus, Probe, Ref, Step, Steps, changes, reads
from xcat_ha.testing import Answer, Call, DriverContract, Handler, SimulatedHost, SimulatedSite

CURRENT: set[str] = set()
"""The flaws the toys have now."""


CHANCE = itertools.count()


def flawed(word: str) -> bool:
    return word in CURRENT


def check(question: str, host: str, *argv: str, rule: Any = None) -> Check:
    return Check(question, (Probe(host, reads(*argv)),), rule or ExitStatus())


State = TypeVar("State")
Toy = TypeVar("Toy", bound=Driver[Any])


def spoil(steps: Steps, pair: Pair) -> Steps:  # noqa: C901, PLR0912 - one branch for each flaw
    """Flaws any driver may have in its plans."""
    first = steps[0]
    if flawed("plans-by-chance"):
        steps = (evolve(first, why=f"{first.why} {next(CHANCE)}"), *steps[1:])
    if flawed("shouted-name"):
        steps = (evolve(first, name="Do It!"), *steps[1:])
    if flawed("same-name-twice"):
        steps = (*steps, first)
    if flawed("wordless"):
        steps = (evolve(first, why="x"), *steps[1:])
    if flawed("stray-host"):
        steps = (evolve(first, host="elsewhere"), *steps[1:])
    if flawed("list-of-steps"):
        return list(steps)  # type: ignore[return-value]
    if flawed("unknown-reference"):
        steps = (evolve(first, commands=(changes("true", Ref("nowhere")), *first.commands)), *steps[1:])
    if flawed("changing-check"):
        probe = Probe(first.host, changes("true"))
        steps = (evolve(first, only_if=(Check("true is true", (probe,), ExitStatus()),)), *steps[1:])
    if flawed("believes-exit-status"):
        steps = tuple(_believing(step) for step in steps)
    if flawed("never-done"):
        steps = tuple(
            evolve(step, commands=(*step.commands, changes("touch", f"/var/{step.name}")), done_when=_touched(step)) for step in steps
        )
    if flawed("nothing-to-do"):
        steps = tuple(evolve(step, done_when=check("it is done", step.host, "true")) for step in steps)
    if flawed("silence-is-done"):
        other = pair.other(first.host).id
        steps = (evolve(first, done_when=check("it is done", other, "test", "-e", "/nowhere"), only_if=()), *steps[1:])
    if flawed("tells-secret"):
        steps = (evolve(first, commands=(*first.commands, changes("true", "Pr1vate-Key-Of-The-Pair"))), *steps[1:])
    if flawed("works-in-probe"):
        steps = (evolve(first, only_if=(*first.only_if, check("it can be done", first.host, "toy-secretly-touch"))), *steps[1:])
    if flawed("trips-over-leftovers"):
        lock = changes("sh", "-c", "[ ! -e /var/toy-lock ] && touch /var/toy-lock")
        unlock = changes("rm", "-f", "/var/toy-lock")
        steps = (evolve(first, commands=(lock, *first.commands, unlock)), *steps[1:])
    return steps


def _touched(step: Step) -> Check:
    return check("it is done once more", step.host, "sh", "-c", "[ -e $1 ] && [ $(wc -c < $1) -gt 999 ]", "sh", f"/var/{step.name}")


def _believing(step: Step) -> Step:
    """Asks once, and takes it for done the next time, whatever came of the commands."""
    return evolve(step, done_when=check("it was tried", step.host, "toy-was-tried", str(next(CHANCE))))


class ToyDriver(Driver[State]):
    """What the toys have in common: flaws of observation."""

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        if flawed("takes-any-option"):
            options = {}
        super().__init__(pair, options)

    def spoilt(self, question: Command) -> tuple[Command, ...]:
        if flawed("question-changes"):
            return (evolve(question, effect=changes("x").effect),)
        if flawed("observing-changes"):
            return (question, reads("toy-secretly-touch"))
        return (question,)


def secretly_touch(host: SimulatedHost, call: Call) -> Answer:
    del call
    host.write("/var/touched", str(host.machine.next_pid))
    return Answer(0, "touched\n")


ASKED: set[str] = set()


def was_tried(host: SimulatedHost, call: Call) -> Answer:
    """No the first time it is asked about something, then yes."""
    word = f"{id(host)} {call.words[0]}"
    known = word in ASKED
    ASKED.add(word)
    return Answer(0 if known else 1)


def alternates(host: SimulatedHost, call: Call) -> Answer:
    """No, then yes, then no again."""
    del host, call
    return Answer(1 - next(CHANCE) % 2)


SiteProgram: TypeAlias = Callable[[SimulatedSite, SimulatedHost, Call], Answer]
"""A simulated program that also looks at the network between the hosts."""


class ToyContract(DriverContract[Any]):
    """A contract for a toy: its class, and the programs its hosts know."""

    toy: ClassVar[type[Any]]
    programs: ClassVar[Mapping[str, Handler]] = {}
    site_programs: ClassVar[Mapping[str, SiteProgram]] = {}

    def make_driver(self, pair: Pair) -> Any:
        return type(self).toy(pair, {})

    def make_site(self) -> SimulatedSite:
        site = SimulatedSite()
        flaws: dict[str, Handler] = {"toy-secretly-touch": secretly_touch, "toy-was-tried": was_tried, "toy-alternates": alternates}
        known = {name: _on_site(site, program) for name, program in self.site_programs.items()}
        for host in site.simulated.hosts.values():
            for name, handler in {**flaws, **self.programs, **known}.items():
                host.handle(name, handler)
        return site


def _on_site(site: SimulatedSite, program: SiteProgram) -> Handler:
    return lambda host, call: program(site, host, call)
