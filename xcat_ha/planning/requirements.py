"""What must hold of a pair: the questions of ``check``, and those a changing verb asks before it acts."""

from __future__ import annotations

import ipaddress
import re

from attrs import frozen

from xcat_ha.interfaces import ROLE_SERVICES, Drivers, ReplicaRole
from xcat_ha.models import Engine, IdentityMode, Node, Pair
from xcat_ha.observation import NodeState, PairState
from xcat_ha.planning.witness import checks_of_reach, checks_that_it_answers
from xcat_ha.ssh_command import ssh_argv
from xcat_ha.steps import Check, ExitStatus, Judgement, Matches, Probe, SamePrinted, SaysVerdict, Verdict, reads
from xcat_ha.xcat.commands import TABDUMP, XCAT_VERSION
from xcat_ha.xcat.services import xcatd_is_stopped

_RESOLVES = 'getent ahosts "$1" | cut -d " " -f 1 | grep -qxF "$2"'
_FREE_MIB = """\
free=$(df -Pk "$1" 2>/dev/null | awk 'NR == 2 {print int($4 / 1024)}')
[ -n "$free" ] || { echo "UNKNOWN: df does not know $1"; exit 0; }
[ "$free" -ge "$2" ] && echo HOLDS || echo "FAILS: $free MiB free on $1, wanted $2"
"""
# A file that is missing, empty, or holds no colon means SQLite (facts: xCAT 1.1). What follows the first colon holds the password.
_ENGINE = 'head -n 1 "$1" 2>/dev/null | sed -n "s/:.*//p" | grep . || echo SQLite'


@frozen
class Finding:
    """A question about the pair with its answer.

    Attributes:
        topic: short word for grouping (``versions``, ``ssh``, ``services`` …).
        question: what was asked, as a statement.
        judgement: HOLDS, FAILS or UNKNOWN, with detail.
        hint: what to do if it does not hold.
    """

    topic: str
    question: str
    judgement: Judgement
    hint: str = ""

    @property
    def verdict(self) -> Verdict:
        """The answer."""
        return self.judgement.verdict


def checks_of_pair(pair: Pair, drivers: Drivers, primary: Node | None) -> tuple[tuple[str, Check], ...]:
    """Questions that compare or probe the two hosts, each with its topic. ``primary``: whose xcatd can be asked, if any."""
    first, second = pair.nodes
    found: list[tuple[str, Check]] = [
        ("versions", _same_xcat(pair)),
        ("versions", _same_tool(pair)),
    ]
    for here, there in ((first, second), (second, first)):
        found += [("ssh", _ssh_works(here, there)), ("names", _resolves(here, there.name, there.address))]
    for node in pair.nodes:
        found += [("names", _resolves(node, pair.identity.hostname, str(pair.identity.primary_address)))]
        found += [("network", check) for check in (*_subnets(pair, node), *drivers.identity.checks(node, pair.identity))]
        found += [("disk", _room(pair, node)), ("database", engine_fits(pair, drivers, node))]
    if primary is not None and drivers.replication.engines == {Engine.SQLITE}:
        found.append(("database", no_service_nodes(pair, primary)))
    return (*found, *(("witness", check) for check in checks_of_reach(pair)))


def _same_xcat(pair: Pair) -> Check:
    probes = tuple(Probe(node.id, reads("sh", "-c", XCAT_VERSION)) for node in pair.nodes)
    return Check("xCAT has the same version on both nodes", probes, SamePrinted(), hint="install the same xCAT on both")


def _same_tool(pair: Pair) -> Check:
    probes = tuple(Probe(node.id, reads(node.python, "-c", _TOOL_VERSION)) for node in pair.nodes)
    hint = "install the same xcat-ha on both: " + ", ".join(f"{node.bin_dir} on {node.id}" for node in pair.nodes)
    return Check(question="xcat-ha has the same version on both nodes", probes=probes, rule=SamePrinted(), hint=hint)


_TOOL_VERSION = "from importlib.metadata import version; print(version('xcat-ha'))"


def _ssh_works(here: Node, there: Node) -> Check:
    return Check(
        question=f"{here.id} reaches {there.id} by ssh",
        probes=(Probe(here.id, reads(*ssh_argv(there), "true")),),
        rule=ExitStatus(holds=(0,), fails=(255, 127)),
        hint="xcat-ha setup makes the keys; then look at sshd on the other side",
    )


def _resolves(node: Node, name: str, address: str) -> Check:
    return Check(
        question=f"on {node.id} the name {name} means {address}",
        probes=(Probe(node.id, reads("sh", "-c", _RESOLVES, "sh", name, address)),),
        rule=ExitStatus(holds=(0,), fails=(1, 2)),
        hint=f"put '{address} {name}' into /etc/hosts on {node.id}",
    )


def _subnets(pair: Pair, node: Node) -> tuple[Check, ...]:
    """The node's interface has an address of its own in the subnet of every service address."""
    found: list[Check] = []
    for address in pair.identity.addresses:
        family = "inet" if address.version == 4 else "inet6"
        own = ipaddress.ip_address(node.address)
        # In mode replace the node that has the role keeps its own address as a host address: the service address has the network.
        exchanged = pair.identity.mode is IdentityMode.REPLACE and address.version == 4
        prefix = f"({address.network.prefixlen}|32)" if exchanged else str(address.network.prefixlen)
        wanted = f"{family} {re.escape(node.address)}/{prefix} " if own.version == address.version else f"{family} "
        if own.version == address.version and own not in address.network:
            wanted = "(?!)"  # whatever the interface has, this cannot hold
        found.append(
            Check(
                question=f"{node.id} is on the subnet of {address.ip} ({address.network}) with {node.interface}",
                probes=(Probe(node.id, reads("ip", "-o", "-f", family, "addr", "show", "dev", node.interface)),),
                rule=Matches(wanted),
                hint=f"the node's own address has to be on {node.interface} with the same prefix length as the service address",
            )
        )
    return tuple(found)


def engine_fits(pair: Pair, drivers: Drivers, node: Node) -> Check:
    """The database that cfgloc names on the node is one that the configured backend serves."""
    engines = drivers.replication.engines
    words = [re.escape(engine) for engine in engines]
    return Check(
        question=f"the database of {node.id} is one that driver {pair.database.name} serves ({', '.join(sorted(engines))})",
        probes=(Probe(node.id, reads("sh", "-c", _ENGINE, "sh", f"{pair.xcat_dir}/cfgloc")),),
        rule=Matches(rf"^({'|'.join(words)})$"),
        hint=f"{pair.xcat_dir}/cfgloc names another database: choose its driver in [database] of {pair.source}",
    )


def no_service_nodes(pair: Pair, primary: Node) -> Check:
    """XCAT does not support SQLite with service nodes: they read the database over the network (facts: xCAT 1.2)."""
    own = "|".join(re.escape(name) for name in (pair.identity.hostname, *(node.name for node in pair.nodes)))
    return Check(
        question="no service nodes are defined (xCAT cannot use SQLite with them)",
        probes=(Probe(primary.id, reads(TABDUMP, "servicenode", timeout_s=120)),),
        rule=Matches(rf'^"(?!(?:{own})")', absent=True),
        hint="move xCAT to PostgreSQL or MySQL first, and choose that driver",
    )


def _room(pair: Pair, node: Node) -> Check:
    return Check(
        question=f"{node.id} has {pair.min_free_mib} MiB free for copies",
        probes=(Probe(node.id, reads("sh", "-c", _FREE_MIB, "sh", "/var/lib", str(pair.min_free_mib))),),
        rule=SaysVerdict(),
        hint="make room, or lower pair.min_free_mib",
    )


def findings_of_state(pair: Pair, state: PairState) -> tuple[Finding, ...]:
    """Questions that the observation already answers."""
    found = [_address_finding(state)]
    for node_state in state.nodes.values():
        found += [_clock(pair, node_state), _nothing_at_boot(node_state), _own_address(node_state)]
    standbys = [node_state for node_state in state.nodes.values() if state.primary not in (None, node_state.node.id)]
    for standby in standbys:
        found += [_stopped(standby), _copy(standby)]
    return tuple(found)


def _address_finding(state: PairState) -> Finding:
    question = "exactly one node has the service address"
    hint = "xcat-ha status shows who has what"
    if len(state.holders) > 1:
        return Finding("identity", question, Judgement(Verdict.FAILS, "both have it"), "take it off the wrong one at once")
    if state.unreachable:
        return Finding("identity", question, Judgement(Verdict.UNKNOWN, f"{', '.join(state.unreachable)} did not answer"), hint)
    if not state.holders:
        return Finding("identity", question, Judgement(Verdict.FAILS, "none has it"), hint)
    return Finding("identity", question, Judgement(Verdict.HOLDS, state.holders[0]))


def _three(value: bool | None, detail: str = "") -> Judgement:  # noqa: FBT001 - this is what it converts
    if value is None:
        return Judgement(Verdict.UNKNOWN, detail or "not known")
    return Judgement(Verdict.HOLDS if value else Verdict.FAILS, detail)


def _clock(pair: Pair, state: NodeState) -> Finding:
    offset = state.clock_offset_s
    near = None if offset is None else abs(offset) <= pair.max_clock_skew_s
    detail = "" if offset is None else f"{offset:+.1f} s against this machine"
    hint = "let chrony or ntpd keep the time on both nodes"
    return Finding("clock", f"the clock of {state.node.id} is right within {pair.max_clock_skew_s:g} s", _three(near, detail), hint)


def _nothing_at_boot(state: NodeState) -> Finding:
    enabled = [str(service) for service in ROLE_SERVICES if state.services.enabled(service)]
    unknown = state.holding.persistent is None or any(state.services.enabled(service) is None for service in ROLE_SERVICES)
    persistent = [str(address) for address in state.holding.persistent or ()]
    reasons = [f"{name} is enabled" for name in enabled] + [f"{address} is in its boot-time configuration" for address in persistent]
    holds = False if reasons else (None if unknown else True)
    hint = "xcat-ha setup disables the services and gives the node an address of its own"
    return Finding("boot", f"nothing of the role starts by itself when {state.node.id} boots", _three(holds, "; ".join(reasons)), hint)


def _own_address(state: NodeState) -> Finding:
    hint = f"xcat-ha setup adds {state.node.address} to {state.node.interface}"
    return Finding("network", f"{state.node.id} has its own address {state.node.address}", _three(state.holding.own_address), hint)


def _stopped(state: NodeState) -> Finding:
    running = [str(service) for service in ROLE_SERVICES if state.services.running(service)]
    unknown = any(state.services.running(service) is None for service in ROLE_SERVICES)
    holds = False if running else (None if unknown else True)
    detail = f"{', '.join(running)} runs" if running else ""
    hint = "xcat-ha setup stops and disables them"
    return Finding("services", f"the role's services are stopped on {state.node.id}, the standby", _three(holds, detail), hint)


def _copy(state: NodeState) -> Finding:
    """A database of the standby's own is none, however sound it is."""
    replica = state.replica
    good = False if replica.role in {ReplicaRole.SOURCE, ReplicaRole.NONE} else (replica.healthy if replica.role is not None else None)
    return Finding("copy", f"{state.node.id} has a good copy of the database", _three(good, replica.detail), "xcat-ha sync")


def checks_before_setup(pair: Pair, drivers: Drivers, primary: Node, standby: Node) -> tuple[Check, ...]:
    """What must hold before two machines are made a pair."""
    found = [
        _same_xcat(pair),
        _same_tool(pair),
        engine_fits(pair, drivers, primary),
        engine_fits(pair, drivers, standby),
        _room(pair, standby),
    ]
    if drivers.replication.engines == {Engine.SQLITE}:
        found.append(no_service_nodes(pair, primary))
    return (*found, *checks_of_reach(pair))


def checks_before_handover(pair: Pair, drivers: Drivers, old: Node, new: Node) -> tuple[Check, ...]:
    """What must hold before a planned change of primary."""
    both_ways = tuple(_ssh_works(here, there) for here, there in ((old, new), (new, old)))
    room = _room(pair, new)
    engines = tuple(engine_fits(pair, drivers, node) for node in (old, new))
    witness = checks_that_it_answers(pair, new)
    return (*both_ways, _same_xcat(pair), _same_tool(pair), *engines, xcatd_is_stopped(new), room, *witness)
