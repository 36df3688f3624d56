"""What every driver promises, whatever its interface. The interfaces' own contracts are built on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from attrs import frozen

from xcat_ha.errors import ConfigError, XcatHaError
from xcat_ha.interfaces import Driver
from xcat_ha.models import Pair
from xcat_ha.planfile import steps_from_json, steps_to_json
from xcat_ha.steps import Effect, Ref, Steps, Trouble
from xcat_ha.testing._contract_parts import GARBAGE, answer_of, assert_plain, commands_of, digests, spoilt
from xcat_ha.testing.site import SimulatedSite, Site
from xcat_ha.testing.watch import SimulatedPowerCut

_SITE = pytest.StashKey[Site]()
D = TypeVar("D", bound=Driver[Any])


@frozen
class Deed(Generic[D]):
    """Something a driver can do, in a situation in which there is something to do.

    Attributes:
        name: shown by pytest.
        arrange: brings a fresh site into the situation.
        steps: plans, as the tool would, from what can be observed now.
        outcome: what must be equal after an interrupted and repeated run, if that is not :meth:`DriverContract.outcome`.
    """

    name: str
    arrange: Callable[[Site, D], None]
    steps: Callable[[Site, D], Steps]
    outcome: Callable[[Site, D], object] | None = None


class DriverContract(Generic[D]):
    """Base of all contracts.

    Subclass the contract of your driver's interface in a test module and say how your driver is made::

        class TestMyDriver(ReplicationContract):
            def make_driver(self, pair: Pair) -> ReplicationBackend:
                return MyDriver(pair, {"keep": 3})

    Every test gets a ``site`` (two simulated hosts unless you override :meth:`make_site`, where you also teach them the programs
    that only your driver calls) and the ``driver``.
    """

    takes_options: ClassVar[bool] = True
    """Whether the class is constructed as ``Driver(pair, options)``: set it to False only for a driver made by other means."""

    def make_driver(self, pair: Pair) -> D:
        """The driver to be proven, for this configuration."""
        raise NotImplementedError(f"{type(self).__name__} has to say how its driver is made: override make_driver(pair)")

    def make_site(self) -> Site:
        """Where the tests run."""
        return SimulatedSite()

    def deeds(self) -> tuple[Deed[D], ...]:
        """All that the interface can do; filled in by the interface's contract."""
        return ()

    def outcome(self, site: Site, driver: D) -> object:
        """What must be equal after an undisturbed and after an interrupted and repeated run: facts, no times or names of copies."""
        raise NotImplementedError

    def assert_unknown(self, state: Any) -> None:
        """Fail unless an observation claims nothing."""
        raise NotImplementedError

    def assert_nothing_good(self, state: Any) -> None:
        """Fail if an observation made of garbage claims that something is as it should be."""
        self.assert_unknown(state)

    @pytest.fixture
    def site(self, request: pytest.FixtureRequest) -> Site:
        """Two fresh nodes. The site is made once for the class."""
        holder = request.node.getparent(pytest.Class)
        site: Site | None = holder.stash.get(_SITE, None)
        if site is None:
            site = holder.stash[_SITE] = self.make_site()
            holder.addfinalizer(site.close)
        else:
            site.fresh()
        return site

    @pytest.fixture
    def driver(self, site: Site) -> D:
        """The driver, built for the site's pair."""
        return self.make_driver(site.pair)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that wants a ``deed`` once for every one."""
        if "deed" in metafunc.fixturenames:
            deeds = self.deeds()
            metafunc.parametrize("deed", deeds, ids=[deed.name for deed in deeds])

    # --- construction and observation

    def test_unknown_options_are_refused_with_a_hint(self, driver: D, site: Site) -> None:
        if self.takes_options:
            with pytest.raises(ConfigError) as refusal:
                type(driver)(site.pair, {"no-such-option-of-any-driver": 1})
            assert refusal.value.hint

    def test_questions_are_plain_reads(self, driver: D, site: Site) -> None:
        for node in site.pair.nodes:
            questions = driver.questions(node)
            assert isinstance(questions, tuple)
            assert questions == driver.questions(node), "questions() must give the same each time it is asked"
            for question in questions:
                assert question.effect is Effect.READS, f"{question.argv} is declared as {question.effect}"
                assert_plain(question)
        assert not site.runner.log, "questions() ran a command"

    def test_observing_changes_nothing(self, driver: D, site: Site) -> None:
        for deed in (None, *self.deeds()):
            site.fresh()
            if deed is not None:
                self.arrange(site, driver, deed)
            before = digests(site)
            for node in site.pair.nodes:
                driver.observe(node, site.runner)
            assert digests(site) == before

    def test_silence_is_unknown(self, driver: D, site: Site) -> None:
        for node in site.pair.nodes:
            for trouble in Trouble:
                answers = [answer_of(question, None, "", trouble) for question in driver.questions(node)]
                self.assert_unknown(driver.interpret(node, answers))

    def test_a_host_that_cannot_be_reached_is_unknown(self, driver: D, site: Site) -> None:
        for deed in self.deeds()[:1]:
            self.arrange(site, driver, deed)
        site.cut(site.second.id)
        self.assert_unknown(driver.observe(site.second, site.runner))

    @pytest.mark.parametrize("code", [0, 1, 127])
    def test_garbage_is_never_believed_and_never_an_error(self, driver: D, site: Site, code: int) -> None:
        node = site.first
        for text in GARBAGE:
            answers = [answer_of(question, code, text) for question in driver.questions(node)]
            self.assert_nothing_good(driver.interpret(node, answers))

    def test_a_partly_missing_answer_is_never_an_error(self, driver: D, site: Site) -> None:
        for deed in self.deeds():
            site.fresh()
            self.arrange(site, driver, deed)
            for node in site.pair.nodes:
                questions = driver.questions(node)
                answers = site.runner.read_many(node.id, questions)
                for some in spoilt(answers):
                    driver.interpret(node, some)

    def test_interpreting_is_pure(self, driver: D, site: Site) -> None:
        for deed in self.deeds():
            site.fresh()
            self.arrange(site, driver, deed)
            node = site.first
            answers = site.runner.read_many(node.id, driver.questions(node))
            site.runner.forget()
            states = [one.interpret(node, answers) for one in (driver, driver, self.make_driver(site.pair))]
            assert states[0] == states[1] == states[2], "the same answers were interpreted in different ways"
            assert not site.runner.log, "interpret() ran a command"

    # --- steps

    def test_there_is_something_to_do(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        steps = deed.steps(site, driver)
        assert steps, "no steps although there is something to do"
        site.runner.forget()
        site.execute(steps)
        assert site.runner.changes, "the steps ran without a single CHANGES command: their done_when held although nothing was done"

    def test_steps_are_plain_data(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        steps = deed.steps(site, driver)
        assert isinstance(steps, tuple)
        assert steps_from_json(steps_to_json(steps)) == steps, "steps do not survive JSON"
        captured: set[str] = set()
        for step in steps:
            for command in commands_of(step):
                assert_plain(command)
            for command in (*step.commands, *step.cleanup):
                missing = {word.name for word in command.argv if isinstance(word, Ref)} - captured
                assert not missing, f"{step.name}: {missing} is used before it is captured"
                captured |= {command.capture} if command.capture else set()

    def test_planning_touches_nothing(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        before = digests(site)
        site.runner.forget()
        steps = deed.steps(site, driver)
        assert not site.runner.changes, "planning ran a CHANGES command"
        assert steps == deed.steps(site, driver), "planning twice from the same observation gives different steps"
        assert digests(site) == before

    def test_steps_are_worded_for_an_administrator(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        steps = deed.steps(site, driver)
        hosts = {node.id for node in site.pair.nodes}
        names = [(step.name, step.host) for step in steps]
        assert len(set(names)) == len(names), f"names repeat: {names}"
        for step in steps:
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", step.name), f"{step.name!r} is not kebab-case"
            assert len(step.why.split()) >= 4, f"{step.name}: {step.why!r} is no sentence"
            assert step.host in hosts, f"{step.name}: {step.host!r} is no node of the pair"
            for check in (step.done_when, *step.only_if):
                assert check.question, f"{step.name}: a check without a question"
                assert check.probes, f"{step.name}: a check that asks nothing"
                assert {probe.host for probe in check.probes} <= hosts

    def test_checks_only_read(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        for step in deed.steps(site, driver):
            for check in (step.done_when, *step.only_if):
                for probe in check.probes:
                    assert probe.command.effect is Effect.READS, f"{step.name}: a check runs a CHANGES command"

    def test_success_without_effect_is_noticed(self, driver: D, site: Site, deed: Deed[D]) -> None:
        """Exit status 0 is not "done": a command that only says so must not satisfy ``done_when``."""
        self.arrange(site, driver, deed)
        steps = deed.steps(site, driver)
        site.runner.pretend_changes = True
        with pytest.raises(XcatHaError):
            site.execute(steps)

    def test_a_second_run_changes_nothing(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        steps = deed.steps(site, driver)
        site.execute(steps)
        before = digests(site)
        site.runner.forget()
        site.execute(steps)
        site.execute(deed.steps(site, driver))
        assert not site.runner.changes, f"run again, it issued {[ran.argv for ran in site.runner.changes]}"
        assert digests(site) == before

    def test_a_dry_run_changes_nothing(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        before = digests(site)
        site.runner.refuse_changes = True
        with pytest.raises(XcatHaError):
            site.execute(deed.steps(site, driver))
        assert digests(site) == before

    def test_it_ends_the_same_when_its_caller_dies_in_the_middle(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self._die_everywhere(driver, site, deed, site.kill_points, then=lambda: None)

    def test_it_ends_the_same_when_a_node_loses_power_in_the_middle(self, driver: D, site: Site, deed: Deed[D]) -> None:
        def power_cycle() -> None:
            host = site.runner.changes[-1].host
            site.power_off(host)
            site.power_on(host)

        # What a boot takes away differs most between "just begun" and "all but done".
        self._die_everywhere(driver, site, deed, lambda count: sorted({1, count}), then=power_cycle)

    def test_an_unreachable_host_is_unknown_and_nothing_is_changed(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        steps = deed.steps(site, driver)
        before = digests(site)
        site.runner.forget()
        site.cut(steps[0].host)
        with pytest.raises(XcatHaError) as stop:
            site.execute(steps)
        assert stop.value.exit_code == 4, f"silence was taken for an answer: {stop.value}"
        assert not site.runner.changes
        assert digests(site) == before

    def test_no_secret_is_in_a_command(self, driver: D, site: Site, deed: Deed[D]) -> None:
        self.arrange(site, driver, deed)
        steps = deed.steps(site, driver)
        site.execute(steps)
        planned = steps_to_json(steps)
        for secret in site.secrets:
            assert secret not in planned
            for ran in site.runner.log:
                assert secret not in " ".join(ran.argv), f"a secret is in the words of {ran.argv[0]}"
                assert secret not in (ran.command.stdin or ""), f"a secret is in the stdin of {ran.argv[0]}, which is journalled"
                if ran.command.capture and ran.completed:
                    assert secret not in ran.completed.stdout, "a secret is captured, and so journalled"

    # --- for subclasses

    def arrange(self, site: Site, driver: D, deed: Deed[D]) -> None:
        """Bring fresh nodes into a deed's situation."""
        site.situation(f"deed {deed.name}", lambda: deed.arrange(site, driver))

    def goes_through(self, site: Site, steps: Steps) -> bool:
        """Run steps that may stop with an error; whether they did not."""
        try:
            site.execute(steps)
        except XcatHaError:
            return False
        return True

    def refusal(self, site: Site, steps: Steps) -> XcatHaError:
        """Run steps that must not succeed; the reason they stopped."""
        with pytest.raises(XcatHaError) as stop:
            site.execute(steps)
        assert stop.value.hint, "an error without a hint"
        return stop.value

    def _die_everywhere(
        self, driver: D, site: Site, deed: Deed[D], points: Callable[[int], Sequence[int]], *, then: Callable[[], None]
    ) -> None:
        outcome = deed.outcome or self.outcome
        self.arrange(site, driver, deed)
        site.execute(deed.steps(site, driver))
        count = len(site.runner.changes)
        wanted = outcome(site, driver)
        for number in points(count):
            site.fresh()
            self.arrange(site, driver, deed)
            site.runner.die_after(number)
            with pytest.raises(SimulatedPowerCut):
                site.execute(deed.steps(site, driver))
            then()
            site.runner.revive()
            site.execute(deed.steps(site, driver))
            assert outcome(site, driver) == wanted, f"after a death behind change {number} of {count}"
