"""Running syncs again and again on the primary."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from attrs import frozen

from xcat_ha.interfaces._driver import Driver
from xcat_ha.models import Node
from xcat_ha.steps import Steps


@frozen
class Job:
    """One scheduled sync.

    Attributes:
        name: kebab-case; names the timer.
        argv: absolute program and arguments.
        every_s: seconds between starts.
        why: shown by the scheduler.
    """

    name: str
    argv: tuple[str, ...]
    every_s: int
    why: str


@frozen
class JobState:
    """A job on a node: whether it is waiting for its next start, and when and how it ran last (epoch seconds, exit status)."""

    active: bool | None
    last_run: float | None = None
    last_exit: int | None = None


@frozen
class ScheduleState:
    """All of xcat-ha's jobs found on a node. ``known`` False: node not asked."""

    known: bool
    jobs: Mapping[str, JobState]


class Schedule(Driver[ScheduleState]):
    """Keeps sync jobs on the primary. See :class:`~xcat_ha.interfaces.Driver` for the contract of all steps.

    Jobs do not start by themselves at boot: a node that boots has no role, and so nothing to send.
    """

    @abstractmethod
    def steps_to_start(self, node: Node, jobs: tuple[Job, ...]) -> Steps:
        """Install and start exactly these jobs."""

    @abstractmethod
    def steps_to_stop(self, node: Node) -> Steps:
        """Stop all of xcat-ha's jobs on the node; a job that is running is waited for, not cut off."""
