"""The driver: steps that start and stop sync jobs, and what is known of their last runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Job, JobState, Schedule, ScheduleState
from xcat_ha.models import Node, Pair
from xcat_ha.steps import Check, Command, Completed, Probe, SaysVerdict, Step, Steps, changes, reads
from xcat_ha_drivers.cron.crontab import block, why_unusable

PROGRAM = "xcat_ha_drivers.cron.node_side"
DEFAULT_WAIT_S = 900


class Cron(Schedule):
    """One line in root's crontab, which calls a program that runs what is due, one job after the other; other lines are left alone.

    Intervals count in whole minutes. Option ``stop_wait_s``: seconds that a job at work is waited for when jobs are stopped (900).
    """

    option_names = frozenset({"stop_wait_s"})

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self._wait_s = self.option("stop_wait_s", DEFAULT_WAIT_S)

    def questions(self, node: Node) -> tuple[Command, ...]:
        """The program's own word: a crontab alone does not tell whether its jobs belong to this boot."""
        return (reads(node.python, "-m", PROGRAM, "--python", node.python, "show"),)

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ScheduleState:
        """The jobs of this boot."""
        del node
        (answer,) = answers
        try:
            jobs = {name: _job(found) for name, found in json.loads(answer.stdout)["jobs"].items()} if answer.ok else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            jobs = None
        return ScheduleState(known=False, jobs={}) if jobs is None else ScheduleState(known=True, jobs=jobs)

    def steps_to_start(self, node: Node, jobs: tuple[Job, ...]) -> Steps:
        """Exactly these jobs; one step.

        Raises:
            ConfigError: cron cannot run a job.
        """
        for job in jobs:
            reason = why_unusable(job.name, job.argv, job.every_s)
            if reason:
                raise ConfigError(reason, where=f"job {job.name}", hint="name jobs like sync-files, with an absolute program, in minutes")
        try:
            block(node.python, [])
        except ValueError as error:
            raise ConfigError(
                str(error), where=f"{self.pair.source}: bin_dir of node {node.id}", hint="for example /opt/xcat-ha/bin"
            ) from None
        stdin = json.dumps([{"name": job.name, "argv": list(job.argv), "every_s": job.every_s, "why": job.why} for job in jobs])
        return (
            Step(
                name="start-sync-jobs",
                why=f"{node.id} sends its data to the standby regularly: {', '.join(job.name for job in jobs) or 'nothing'}.",
                host=node.id,
                done_when=_check(node, f"the sync jobs are scheduled on {node.id}", "started", stdin),
                commands=(self._change(node, "start", stdin=stdin),),
            ),
        )

    def steps_to_stop(self, node: Node) -> Steps:
        """No new one begins; one at work is waited for."""
        return (
            Step(
                name="stop-sync-jobs",
                why=f"{node.id} must not send data any more; a job at work is waited for, up to {self._wait_s} s.",
                host=node.id,
                done_when=_check(node, f"no sync job is left on {node.id}", "stopped"),
                commands=(self._change(node, "stop"),),
            ),
        )

    def _change(self, node: Node, verb: str, stdin: str | None = None) -> Command:
        words = ("--python", node.python, "--wait-s", str(self._wait_s))
        return changes(node.python, "-m", PROGRAM, *words, verb, timeout_s=self._wait_s + 120.0, stdin=stdin)


def _check(node: Node, question: str, verb: str, stdin: str | None = None) -> Check:
    command = reads(node.python, "-m", PROGRAM, "--python", node.python, verb, stdin=stdin)
    return Check(
        question=question, probes=(Probe(node.id, command),), rule=SaysVerdict(), hint=f"look at: crontab -l (as root on {node.id})"
    )


def _job(found: Mapping[str, Any]) -> JobState:
    active, last_run, last_exit = found["active"], found["last_run"], found["last_exit"]
    if not isinstance(active, bool) or not isinstance(last_exit, int | None) or not isinstance(last_run, int | float | None):
        raise TypeError("not the state of a job")
    if last_run is not None and not math.isfinite(last_run):
        raise ValueError("not a moment")
    return JobState(active=active, last_run=last_run, last_exit=last_exit)
