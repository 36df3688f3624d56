"""What every schedule promises."""

from __future__ import annotations

import time
from typing import ClassVar

from xcat_ha.interfaces import Job, Schedule, ScheduleState
from xcat_ha.testing.driver_contract import Deed, DriverContract
from xcat_ha.testing.site import Site

MARK = Job("sync-database", ("/usr/bin/touch", "/srv/a b", "/srv/50% $HOME $$ %h", "/srv/qu'o\"te\\"), 3600, "Bring the copy up to now.")
OTHER = Job("sync-files", ("/usr/bin/touch", "/srv/other"), 1800, "Keep the files equal.")
FAILING = Job("sync-images", ("/usr/bin/false",), 7200, "Fail, to see how that is told.")


class ScheduleContract(DriverContract[Schedule]):
    """Prove a :class:`~xcat_ha.interfaces.Schedule`. Besides ``make_driver`` say how a job is made to run at once (:meth:`run_now`).

    The shortest interval used is half an hour, so no job comes due by itself while a test runs.
    """

    jobs: ClassVar[tuple[Job, ...]] = (MARK, OTHER)

    def run_now(self, site: Site, name: str) -> None:
        """Make the job of that name run once on ``site.first`` as if it were due, behind the driver's back, and wait for its end."""
        raise NotImplementedError(f"{type(self).__name__} has to say how a job is started at once: override run_now()")

    # --- situations

    def scheduled(self, site: Site, driver: Schedule) -> None:
        """Both jobs are scheduled on ``first``."""
        site.execute(driver.steps_to_start(site.first, self.jobs))

    def changed(self, site: Site, driver: Schedule) -> None:
        """A job is scheduled that is not wanted any more, another one with other arguments and times."""
        old = Job(OTHER.name, ("/usr/bin/touch", "/srv/old"), 5400, OTHER.why)
        site.execute(driver.steps_to_start(site.first, (old, FAILING)))

    def deeds(self) -> tuple[Deed[Schedule], ...]:
        """Start, start others, stop."""

        def nothing(site: Site, driver: Schedule) -> None:
            del site, driver

        return (
            Deed("start", nothing, lambda site, driver: driver.steps_to_start(site.first, self.jobs)),
            Deed("start-others", self.changed, lambda site, driver: driver.steps_to_start(site.first, self.jobs)),
            Deed("stop", self.scheduled, lambda site, driver: driver.steps_to_stop(site.first)),
        )

    def outcome(self, site: Site, driver: Schedule) -> object:
        """Which jobs are waiting, on both nodes."""
        return tuple(self.active(site, driver, node.id) for node in site.pair.nodes)

    def active(self, site: Site, driver: Schedule, node_id: str) -> frozenset[str]:
        """Names of the jobs that wait for their next start."""
        state = driver.observe(site.pair.node(node_id), site.runner)
        assert state.known
        return frozenset(name for name, job in state.jobs.items() if job.active)

    def assert_unknown(self, state: ScheduleState) -> None:
        """No claim."""
        assert not state.known
        assert not state.jobs

    def assert_nothing_good(self, state: ScheduleState) -> None:
        """No job is said to be waiting or to have run well."""
        for name, job in state.jobs.items():
            assert not job.active, f"garbage was taken for job {name} being active"
            assert job.last_exit is None
            assert job.last_run is None

    # --- promises

    def test_exactly_these_jobs_are_scheduled(self, driver: Schedule, site: Site) -> None:
        assert self.active(site, driver, site.first.id) == frozenset()
        self.scheduled(site, driver)
        assert self.active(site, driver, site.first.id) == {job.name for job in self.jobs}

    def test_jobs_not_named_any_more_are_gone(self, driver: Schedule, site: Site) -> None:
        self.changed(site, driver)
        assert self.active(site, driver, site.first.id) == {OTHER.name, FAILING.name}
        self.scheduled(site, driver)
        assert self.active(site, driver, site.first.id) == {MARK.name, OTHER.name}
        self.run_now(site, OTHER.name)
        assert site.path(site.first.id, "/srv/other").exists()
        assert not site.path(site.first.id, "/srv/old").exists()

    def test_a_job_runs_with_its_arguments_unchanged(self, driver: Schedule, site: Site) -> None:
        self.scheduled(site, driver)
        self.run_now(site, MARK.name)
        for name in MARK.argv[1:]:
            assert site.path(site.first.id, name).exists(), f"the job did not get the argument {name!r} as it was given"

    def test_how_a_job_ran_is_observed(self, driver: Schedule, site: Site) -> None:
        site.execute(driver.steps_to_start(site.first, (MARK, FAILING)))
        fresh = driver.observe(site.first, site.runner).jobs
        exits = {name: job.last_exit for name, job in fresh.items()}
        assert exits == {MARK.name: None, FAILING.name: None}, "a job that never ran has an exit status"
        self.run_now(site, MARK.name)
        self.run_now(site, FAILING.name)
        jobs = driver.observe(site.first, site.runner).jobs
        assert jobs[MARK.name].last_exit == 0
        assert jobs[FAILING.name].last_exit == 1
        assert abs((jobs[MARK.name].last_run or 0.0) - time.time()) < 3600

    def test_stopping_leaves_none(self, driver: Schedule, site: Site) -> None:
        self.scheduled(site, driver)
        site.execute(driver.steps_to_stop(site.first))
        assert self.active(site, driver, site.first.id) == frozenset()

    def test_a_node_that_boots_has_no_jobs(self, driver: Schedule, site: Site) -> None:
        self.scheduled(site, driver)
        site.power_off(site.first.id)
        site.power_on(site.first.id)
        assert self.active(site, driver, site.first.id) == frozenset()

    def test_the_other_node_is_left_alone(self, driver: Schedule, site: Site) -> None:
        before = site.digest(site.second.id)
        self.scheduled(site, driver)
        site.execute(driver.steps_to_stop(site.first))
        assert site.digest(site.second.id) == before
