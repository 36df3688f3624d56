"""Steps on xCAT itself: wait until it answers with data, write what is generated, prove that it can be written to.

Exit status 0 of an xCAT command means nothing (facts: xCAT section 0), so every step's ``done_when`` reads the effect with the program
``xcat_ha.xcat.effects`` on the node. What is generated counts only if it is newer than the node's tenure (the moment it took the role).
"""

from __future__ import annotations

from xcat_ha.interfaces import ROLE_SERVICES, Service, ServiceStates
from xcat_ha.kept import SERVED_FILE
from xcat_ha.models import RUN_DIR, Node
from xcat_ha.planning.operation import PlanningInput
from xcat_ha.steps import Check, Prints, Probe, SaysVerdict, Step, Steps, changes, reads
from xcat_ha.xcat.commands import MAKECONSERVERCF, MAKEDHCP, MAKEDNS, MAKEGOCONS

TENURE = f"{RUN_DIR}/tenure"
"""Made when a node takes the role; names the operation; gone with a reboot, as the role is."""

DHCP_NODES = f"{RUN_DIR}/dhcp-nodes"
"""Touched after reservations were made: the server writes its leases file anew at every start, so that file's age tells nothing."""

_GENERATE_S = 1800.0
"""makedns of a large cluster takes minutes (facts: xCAT section 7); this is a bound, not an expectation."""

# Gone with a reboot, as the role is: so it need not be on disk.
_NOTE = 'mkdir -p -m 755 "${1%/*}" && printf "%s\\n" "$2" > "$1.new" && mv "$1.new" "$1"'
_SHOW = 'cat "$1" 2>/dev/null || :'


def _effect(node: Node, question: str, *arguments: str, hint: str = "") -> Check:
    command = reads(node.python, "-m", "xcat_ha.xcat.effects", *arguments, timeout_s=120)
    return Check(question=question, probes=(Probe(node.id, command),), rule=SaysVerdict(), hint=hint)


def step_to_begin_tenure(given: PlanningInput, node: Node) -> Step:
    """Remember on the node, until it reboots, since when and by which operation it has the role."""
    return Step(
        name="begin-tenure",
        why="What xCAT generates has to be newer than this moment.",
        host=node.id,
        done_when=_is_noted(node, TENURE, given.operation_id, f"{node.id} knows that this operation gave it the role"),
        commands=(changes("sh", "-c", _NOTE, "sh", TENURE, given.operation_id),),
    )


def step_to_note_services(node: Node, states: ServiceStates) -> Step:
    """Remember until the next boot what ran when the node took the role: what stops later is missed. On xcatd all depends anyway."""
    served = " ".join(service for service in ROLE_SERVICES if service is not Service.XCATD and states.running(service)) or "none"
    return Step(
        name="note-services",
        why="What this node serves now, status misses when it stops.",
        host=node.id,
        done_when=_is_noted(node, SERVED_FILE, served, f"{node.id} has noted what it serves ({served})"),
        commands=(changes("sh", "-c", _NOTE, "sh", SERVED_FILE, served),),
    )


def _is_noted(node: Node, path: str, word: str, question: str) -> Check:
    return Check(question, (Probe(node.id, reads("sh", "-c", _SHOW, "sh", path)),), Prints(word))


def xcatd_answers(given: PlanningInput, node: Node) -> Check:
    """Xcatd on the node answers with rows: ``site.master`` is what it was, and it is not an empty database."""
    return _effect(
        node,
        f"xcatd on {node.id} answers with data",
        "xcatd",
        "--master",
        given.site.master,
        hint=f"look at systemctl status xcatd and at xCAT's database on {node.id}",
    )


def step_to_await_xcatd(given: PlanningInput, node: Node) -> Step:
    """Wait until xcatd answers with data."""
    return Step(
        name="await-xcatd",
        why="A started daemon is not yet one that has its database.",
        host=node.id,
        done_when=xcatd_answers(given, node),
        commands=(),
        settle_s=120.0,
    )


def step_to_await_tftp(node: Node) -> Step:
    """Xcatd starts the TFTP server by itself (facts: xCAT 2.2); nodes cannot boot before it did."""
    return Step(
        name="await-tftp",
        why="Nodes load their boot files from it; xcatd starts it.",
        host=node.id,
        done_when=_effect(node, f"a TFTP server answers on {node.id}", "tftp", hint="xcatd starts in.tftpd; is tftpd installed?"),
        commands=(),
        settle_s=30.0,
    )


def lanes_to_generate(given: PlanningInput, node: Node, states: ServiceStates) -> tuple[Steps, ...]:
    """DNS, DHCP and console configuration: three lanes that may run together (facts: seen in real failovers)."""
    services = given.drivers.services
    lanes: list[Steps] = []
    if states.services.get(Service.DNS) and not given.site.external_dns:
        dns = _step_for_dns(given, node)
        lanes.append((dns, *services.steps_to_start(node, (Service.DNS,), states)))
    if states.services.get(Service.DHCP) and not given.site.external_dhcp:
        lanes.append((*steps_for_dhcp(given, node), *services.steps_to_start(node, (Service.DHCP,), states)))
    if states.services.get(Service.CONSOLE):
        lanes.append((_step_for_console(node, states), *services.steps_to_start(node, (Service.CONSOLE,), states)))
    return tuple(lanes)


def _step_for_dns(given: PlanningInput, node: Node) -> Step:
    identity = given.pair.identity
    name = identity.hostname if "." in identity.hostname or not given.site.domain else f"{identity.hostname}.{given.site.domain}"
    return Step(
        name="generate-dns",
        why="The name server's zones are written from xCAT's database, not copied.",
        host=node.id,
        done_when=_effect(
            node,
            f"the name server on {node.id} was set up in this tenure and knows {name}",
            "dns",
            "--since",
            TENURE,
            "--name",
            name,
            "--address",
            str(identity.master_address),
            hint=f"run {MAKEDNS} -n on {node.id} and read its last lines; /etc/hosts must contain {name}",
        ),
        commands=(changes(MAKEDNS, "-n", timeout_s=_GENERATE_S),),
        settle_s=30.0,
    )


def steps_for_dhcp(given: PlanningInput, node: Node) -> Steps:
    """The configuration of the DHCP server, then the nodes' reservations; they are of this tenure when they are done."""
    master = str(given.pair.identity.master_address)

    def check(question: str, *arguments: str) -> Check:
        hint = f"run {MAKEDHCP} -n and {MAKEDHCP} -a on {node.id}; site.dhcpinterfaces must name an interface it has ({node.interface})"
        return _effect(node, question, "dhcp", "--since", TENURE, "--address", master, *arguments, hint=hint)

    return (
        Step(
            name="generate-dhcp",
            why="The DHCP server must name the service address as next-server.",
            host=node.id,
            done_when=check(f"the DHCP configuration on {node.id} is of this tenure and names {master}"),
            commands=(changes(MAKEDHCP, "-n", timeout_s=_GENERATE_S),),
            settle_s=10.0,
        ),
        Step(
            name="generate-dhcp-nodes",
            why="Reservations of nodes live only in the server's leases file.",
            host=node.id,
            done_when=check(f"the DHCP server on {node.id} has the nodes' reservations", "--nodes", DHCP_NODES),
            commands=(changes(MAKEDHCP, "-a", timeout_s=_GENERATE_S), changes("touch", DHCP_NODES)),
            settle_s=30.0,
        ),
    )


def _step_for_console(node: Node, states: ServiceStates) -> Step:
    units = [unit.unit for unit in states.services.get(Service.CONSOLE, ())]
    goconserver = any("goconserver" in unit for unit in units)
    program = MAKEGOCONS if goconserver else MAKECONSERVERCF
    return Step(
        name="generate-console",
        why="The console server trusts the addresses this node has now.",
        host=node.id,
        done_when=_effect(
            node,
            f"the console configuration on {node.id} is of this tenure",
            "console",
            "--since",
            TENURE,
            hint=f"run {program} on {node.id}",
        ),
        commands=(changes(program, timeout_s=_GENERATE_S),),
        settle_s=10.0,
    )


def step_to_prove_writable(given: PlanningInput, node: Node) -> Step:
    """Write a record through xcatd, read it back, take it away again."""
    return Step(
        name="prove-writable",
        why="A database that only looks writable accepts a record and loses it (facts: xCAT 2.5).",
        host=node.id,
        done_when=_effect(node, f"a record was written to {node.id}'s xCAT and read back in this operation", "proved", given.operation_id),
        commands=(changes(node.python, "-m", "xcat_ha.xcat.effects", "prove", given.operation_id, timeout_s=300),),
    )
