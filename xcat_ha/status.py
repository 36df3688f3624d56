"""What a pair's state means for its administrator: who is what, what would be lost now, what is wrong, what to do."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from xcat_ha.errors import ExitCode
from xcat_ha.history import running_words, unfinished
from xcat_ha.interfaces import ROLE_SERVICES, ReplicaRole, Service
from xcat_ha.journal import Outcome, Record
from xcat_ha.models import Pair
from xcat_ha.observation import NodeState, PairState, Role
from xcat_ha.planning.witness import WitnessWord
from xcat_ha.problems import Problem, identity_problems, maintenance_problems, not_yet_standby, problems_of_witness, silent, term_problems

_LATE_FACTOR = 3
"""A copy older than this many intervals is late."""


@frozen
class NodeReport:
    """One node.

    Attributes:
        id: its id.
        role: what it is, as observed.
        trouble: why it did not answer; empty when it did.
        hostname: running hostname; None if unknown.
        service_addresses: those it has now; None if unknown.
        services: service name -> ``running``, ``stopped`` or ``unknown``, with ``, enabled`` if it would start at boot.
        copy: one line on its database.
        copy_age_s: seconds since the newest good copy began, on a standby; None if there is none or it is unknown.
        file_sets: set name -> seconds since the last complete sync it received; None: never.
        clock_offset_s: seconds its clock is ahead of this machine's.
        term: counter, holder and who yielded it, as stored there; ``unknown`` if it cannot be read.
        guard: what its guard says; empty if none has spoken.
    """

    id: str
    role: Role
    trouble: str
    hostname: str | None
    service_addresses: tuple[str, ...] | None
    services: Mapping[str, str]
    copy: str
    copy_age_s: float | None
    file_sets: Mapping[str, float | None]
    clock_offset_s: float | None
    term: str = ""
    guard: str = ""


@frozen
class AtWork:
    """Administrators are at work on the pair. Times are seconds since the epoch.

    Attributes:
        reason: why.
        by: who said so.
        since: when it was said.
        until: when it is expected to end.
        expired: that time is past: scheduled syncs run again.
    """

    reason: str
    by: str
    since: float
    until: float
    expired: bool


@frozen
class Status:
    """A pair now.

    Attributes:
        pair: its name.
        primary: id of the node that has the service address; None if none or not exactly one is known to.
        preferred: id of the node that has the role in peace.
        unfinished: the operation that stopped in the middle, if any.
        running: words on the operation that runs now; empty if none.
        would_lose_s: if the primary died now, what was written in about this many seconds would be lost; None: unknown.
        nodes: both nodes.
        problems: what is wrong, the worst first.
        witness: what the witness says, in words; empty if none is configured.
        maintenance: administrators are at work, or said so and are late; None if not, or if that is not known (then it is a problem).
    """

    pair: str
    primary: str | None
    preferred: str
    unfinished: Record | None
    running: str
    would_lose_s: float | None
    nodes: tuple[NodeReport, ...]
    problems: tuple[Problem, ...]
    witness: str = ""
    maintenance: AtWork | None = None

    @property
    def exit_code(self) -> ExitCode:
        """DONE: healthy. FAILED: something is wrong. UNKNOWN: something could not be found out, and nothing known is wrong."""
        if any(not problem.unknown for problem in self.problems):
            return ExitCode.FAILED
        return ExitCode.UNKNOWN if self.problems else ExitCode.DONE


def report_status(pair: Pair, state: PairState, witness: WitnessWord | None = None) -> Status:
    """The status made of an observation. ``witness``: what it said; None if none is configured."""
    standby = _standby(pair, state)
    age_s = _copy_age_s(state, standby) if standby is not None else None
    return Status(
        pair=pair.name,
        primary=state.primary,
        preferred=pair.preferred,
        unfinished=unfinished(state) if not running_words(state) else None,
        running=running_words(state),
        would_lose_s=age_s,
        nodes=tuple(_node_report(state, node_state) for node_state in state.nodes.values()),
        problems=(*_problems(pair, state, standby, age_s), *problems_of_witness(state, witness)),
        witness=witness.words if witness is not None else "",
        maintenance=_at_work(state),
    )


def _standby(pair: Pair, state: PairState) -> NodeState | None:
    return state.nodes[pair.other(state.primary).id] if state.primary is not None else None


def _copy_age_s(state: PairState, node_state: NodeState) -> float | None:
    last = node_state.replica.last_good
    return None if last is None or node_state.replica.role is ReplicaRole.SOURCE else max(state.observed_at - last, 0.0)


def _node_report(state: PairState, node_state: NodeState) -> NodeReport:
    addresses = node_state.holding.service_addresses
    return NodeReport(
        id=node_state.node.id,
        role=node_state.role,
        trouble=node_state.trouble,
        hostname=node_state.holding.hostname,
        service_addresses=None if addresses is None else tuple(str(address) for address in addresses),
        services={str(service): _service_words(node_state, service) for service in node_state.services.services},
        copy=node_state.replica.detail,
        copy_age_s=_copy_age_s(state, node_state),
        file_sets={
            name: None if set_state.last_sync is None else state.observed_at - set_state.last_sync
            for name, set_state in node_state.files.sets.items()
        },
        clock_offset_s=node_state.clock_offset_s,
        term="unknown" if node_state.term is None else node_state.term.words(),
        guard=f"{node_state.guard.state}: {node_state.guard.why}" if node_state.guard is not None else "",
    )


def _service_words(node_state: NodeState, service: Service) -> str:
    running = node_state.services.running(service)
    words = "unknown" if running is None else ("running" if running else "stopped")
    return f"{words}, enabled" if node_state.services.enabled(service) else words


def _problems(pair: Pair, state: PairState, standby: NodeState | None, age_s: float | None) -> tuple[Problem, ...]:
    found: list[Problem] = []
    record = unfinished(state)
    if record is not None and not running_words(state):
        ended = "its program died" if record.outcome is Outcome.DIED else str(record.outcome or f"{record.host} does not answer")
        found.append(Problem(f"the {record.operation} of {record.id} is unfinished: {ended}", "xcat-ha resume, or xcat-ha abandon"))
    found += [silent(node_state) for node_state in state.nodes.values() if not node_state.reachable]
    found += identity_problems(pair, state)
    found += maintenance_problems(state)
    found += term_problems(pair, state)
    for node_state in state.nodes.values():
        found += _node_problems(pair, state, node_state)
        found += _source_problems(node_state) if node_state.node.id == state.primary else []
    if standby is not None and standby.reachable:
        returned = not_yet_standby(state, standby)
        found += [returned] if returned is not None else _copy_problems(pair, standby, age_s)
    return tuple(found)


def _at_work(state: PairState) -> AtWork | None:
    word = state.maintenance
    if word is None or not word.on:
        return None
    return AtWork(word.reason, word.by, word.since, word.until, word.expired(state.observed_at))


def _node_problems(pair: Pair, state: PairState, node_state: NodeState) -> list[Problem]:
    found: list[Problem] = []
    node = node_state.node
    enabled = [str(service) for service in ROLE_SERVICES if node_state.services.enabled(service)]
    if enabled:
        found.append(Problem(f"{', '.join(enabled)} would start by itself when {node.id} boots", "xcat-ha setup disables it again"))
    if node_state.holding.persistent:
        found.append(Problem(f"{node.id}'s boot-time configuration has a service address", "xcat-ha setup takes it out"))
    if node_state.role is Role.PARTIAL:
        has = "the service address but no xcatd" if node_state.holding.holds_none() is False else "xcatd but not the service address"
        found.append(Problem(f"{node.id} has {has}", "look at systemctl status xcatd there"))
    if node_state.reachable and node_state.role is Role.UNKNOWN:
        found.append(Problem(f"it cannot be told what {node.id} is", "look at ip address and systemctl there", unknown=True))
    offset = node_state.clock_offset_s
    if offset is not None and abs(offset) > pair.max_clock_skew_s:
        found.append(Problem(f"the clock of {node.id} is {offset:+.1f} s off against this machine", "let chrony or ntpd keep the time"))
    found += _unknown_problems(node_state)
    if node.id == state.primary:
        found += _schedule_problems(node_state)
        found += _serving_problems(node_state) if node_state.role is Role.PRIMARY else []
    return found


def _serving_problems(node_state: NodeState) -> list[Problem]:
    """What ran when the node took the role, and does not any more."""
    found, name = [], node_state.node.id
    for service in (service for service in ROLE_SERVICES if service in (node_state.served or ())):
        units = " ".join(unit.unit for unit in node_state.services.services.get(service, ()) if unit.unit) or service
        running = node_state.services.running(service)
        if running is False:
            what = f"{service} is stopped on {name}, the primary, and ran when it took the role"
            hint = f"look at systemctl status {units} on {name} and start it; if it is not wanted any more, xcat-ha setup notes that"
            found.append(Problem(what, hint))
        elif running is None:
            what = f"it is not known whether {service} runs on {name}, the primary"
            found.append(Problem(what, f"look at systemctl status {units} on {name}", unknown=True))
    return found


def _unknown_problems(node_state: NodeState) -> list[Problem]:
    """What a node that answers does not tell: silence is never fine."""
    if not node_state.reachable:
        return []
    node, services = node_state.node, node_state.services
    unknown = [str(service) for service in ROLE_SERVICES if services.enabled(service) is None]
    unknown += ["the service address"] if node_state.holding.persistent is None else []
    what = f"it is not known whether {', '.join(unknown)} would start by itself when {node.id} boots"
    return [Problem(what, "xcat-ha check tells more", unknown=True)] if unknown and node_state.role is not Role.UNKNOWN else []


def _source_problems(primary: NodeState) -> list[Problem]:
    """A primary whose database is out of order serves nobody, whatever else of it runs."""
    replica, name = primary.replica, primary.node.id
    if not primary.reachable or replica.healthy is True:
        return []
    if replica.healthy is False:
        return [Problem(f"the database of {name}, the primary, is out of order: {replica.detail}", f"mend it on {name}, or fail over")]
    what = f"it is not known how the database of {name}, the primary, is: {replica.detail}"
    return [Problem(what, "xcat-ha check tells more", unknown=True)]


def _schedule_problems(node_state: NodeState) -> list[Problem]:
    name, jobs = node_state.node.id, node_state.schedule.jobs
    if node_state.schedule.known and not jobs:
        return [Problem(f"no sync is scheduled on {name}, the primary", "xcat-ha setup installs the jobs")]
    inactive = sorted(job for job, job_state in jobs.items() if job_state.active is False)
    if inactive:
        return [Problem(f"{', '.join(inactive)} is not scheduled on {name}, the primary", "xcat-ha setup installs the jobs")]
    if not node_state.schedule.known or any(job_state.active is None for job_state in jobs.values()):
        return [Problem(f"it is not known whether syncs are scheduled on {name}, the primary", "xcat-ha check tells more", unknown=True)]
    return []


def _copy_problems(pair: Pair, standby: NodeState, age_s: float | None) -> list[Problem]:
    name = standby.node.id
    found: list[Problem] = []
    running = [str(service) for service in ROLE_SERVICES if standby.services.running(service)]
    if running:
        found.append(Problem(f"{', '.join(running)} runs on {name}, the standby", "xcat-ha setup stops it"))
    unknown = [str(service) for service in ROLE_SERVICES if standby.services.running(service) is None]
    if unknown and standby.role is not Role.UNKNOWN:
        what = f"it is not known whether {', '.join(unknown)} runs on {name}, the standby"
        found.append(Problem(what, "look at systemctl there", unknown=True))
    if standby.replica.role in {ReplicaRole.SOURCE, ReplicaRole.NONE}:
        found.append(Problem(f"{name} has no copy of the primary's database: {standby.replica.detail}", "xcat-ha sync, or setup"))
    elif standby.replica.healthy is not True:
        what = f"the copy of the database on {name} is not known to be good: {standby.replica.detail}"
        found.append(Problem(what, "xcat-ha sync", unknown=standby.replica.healthy is None))
    elif standby.replica.last_good is None:
        found.append(Problem(f"it is not known of when the copy on {name} is", "xcat-ha sync", unknown=True))
    elif age_s is not None and age_s > pair.sync_database_every_s * _LATE_FACTOR:
        found.append(Problem(f"the copy on {name} is {age_s:.0f} s old", "xcat-ha sync; then look at the scheduled job on the primary"))
    return found
