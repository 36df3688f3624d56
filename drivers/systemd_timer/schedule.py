"""The driver: steps that start and stop sync jobs, and what is known of their last runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Job, JobState, Schedule, ScheduleState
from xcat_ha.models import Node, Pair
from xcat_ha.steps import Check, Command, Completed, Probe, SaysVerdict, Step, Steps, changes, reads
from xcat_ha_drivers.systemd_timer.unit_files import PREFIX, why_unusable

PROGRAM = "xcat_ha_drivers.systemd_timer.node_side"
DEFAULT_WAIT_S = 900
PROPERTIES = "Id,ActiveState,ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic,ExecMainCode,ExecMainStatus"

# The moments of systemd's monotonic clock become times of the day by the node's own two clocks.
_SCRIPT = f"""\
root=${{XCAT_HA_ROOT:-}}
date +%s.%N || exit 3
cat "${{root%/}}/proc/uptime" 2>/dev/null || echo unknown
systemctl show -p {PROPERTIES} '{PREFIX}*.timer' '{PREFIX}*.service'
"""


class SystemdTimer(Schedule):
    """One timer and one oneshot service per job in ``/run/systemd/system``.

    Option ``stop_wait_s``: seconds that a job at work is waited for when jobs are stopped (900).
    """

    option_names = frozenset({"stop_wait_s"})

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        self._wait_s = self.option("stop_wait_s", DEFAULT_WAIT_S)

    def questions(self, node: Node) -> tuple[Command, ...]:
        """One script: both clocks, and the loaded units of all jobs."""
        del node
        return (reads("sh", "-c", _SCRIPT),)

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ScheduleState:
        """The jobs whose timer is loaded."""
        del node
        (answer,) = answers
        if not answer.ok:
            return ScheduleState(known=False, jobs={})
        try:
            return ScheduleState(known=True, jobs=_jobs(answer.stdout))
        except (ValueError, KeyError, IndexError):
            return ScheduleState(known=False, jobs={})

    def steps_to_start(self, node: Node, jobs: tuple[Job, ...]) -> Steps:
        """Exactly these jobs; one step.

        Raises:
            ConfigError: a job cannot be made a timer.
        """
        for job in jobs:
            reason = why_unusable(job.name, job.argv, job.every_s)
            if reason:
                raise ConfigError(reason, where=f"job {job.name}", hint="name jobs like sync-files, with an absolute program")
        stdin = json.dumps([{"name": job.name, "argv": list(job.argv), "every_s": job.every_s, "why": job.why} for job in jobs])
        check = _check(node, f"the sync jobs are scheduled on {node.id}", reads(node.python, "-m", PROGRAM, "started", stdin=stdin))
        return (
            Step(
                name="start-sync-jobs",
                why=f"{node.id} sends its data to the standby regularly: {', '.join(job.name for job in jobs) or 'nothing'}.",
                host=node.id,
                done_when=check,
                commands=(self._change(node, "start", stdin=stdin),),
            ),
        )

    def steps_to_stop(self, node: Node) -> Steps:
        """Timers first, then wait for jobs at work."""
        return (
            Step(
                name="stop-sync-jobs",
                why=f"{node.id} must not send data any more; a job at work is waited for, up to {self._wait_s} s.",
                host=node.id,
                done_when=_check(node, f"no sync job is left on {node.id}", reads(node.python, "-m", PROGRAM, "stopped")),
                commands=(self._change(node, "stop"),),
            ),
        )

    def _change(self, node: Node, verb: str, stdin: str | None = None) -> Command:
        wait = ("--wait-s", str(self._wait_s))
        return changes(node.python, "-m", PROGRAM, verb, *wait, timeout_s=self._wait_s + 120.0, stdin=stdin)


def _check(node: Node, question: str, command: Command) -> Check:
    hint = f"see: systemctl list-timers '{PREFIX}*' (on {node.id})"
    return Check(question=question, probes=(Probe(node.id, command),), rule=SaysVerdict(), hint=hint)


def _jobs(text: str) -> dict[str, JobState]:
    now, uptime, *rest = text.split("\n", 2)
    boot = None if uptime == "unknown" else float(now) - float(uptime.split()[0])
    blocks = ("".join(rest)).strip().split("\n\n")
    facts = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks if block.strip()]
    units = {fact["Id"]: fact for fact in facts}
    timers = [name for name in units if name.endswith(".timer")]
    return {
        name.removeprefix(PREFIX).removesuffix(".timer"): _job(units[name], units.get(f"{name.removesuffix('.timer')}.service"), boot)
        for name in timers
    }


def _job(timer: Mapping[str, str], service: Mapping[str, str] | None, boot: float | None) -> JobState:
    active = timer["ActiveState"] == "active"
    started_us = int(service["ExecMainStartTimestampMonotonic"]) if service else 0
    if service is None or not started_us:
        return JobState(active=active)
    ended = int(service["ExecMainExitTimestampMonotonic"]) >= started_us
    killed = service["ExecMainCode"] in {"2", "3"}  # CLD_KILLED, CLD_DUMPED: the status is the signal's number
    status = int(service["ExecMainStatus"]) + (128 if killed else 0)
    began = None if boot is None else boot + started_us / 1e6
    return JobState(active=active, last_run=began, last_exit=status if ended else None)
