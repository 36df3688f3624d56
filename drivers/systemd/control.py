"""The driver: which steps stop, start and disable the services of the role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xcat_ha.errors import UnknownStateError
from xcat_ha.interfaces import Daemon, Service, ServiceControl, ServiceStates, UnitState
from xcat_ha.models import Node
from xcat_ha.steps import Check, Command, Completed, Probe, SaysVerdict, Step, Steps, changes, reads
from xcat_ha.xcat.services import UNIT_CANDIDATES, xcatd_is_stopped
from xcat_ha_drivers.systemd.daemon import step_to_keep
from xcat_ha_drivers.systemd.units import PROPERTIES, RC_LINKS_SCRIPT, Unit, parse_show, rc_started

PROGRAM = "xcat_ha_drivers.systemd.node_side"
START_TIMEOUT_S = 700.0
"""``systemctl start xcatd`` may block 600 s (facts: xCAT 2.2), and its unit is not the only one of a step."""
STOP_TIMEOUT_S = 180.0
DISABLE_TIMEOUT_S = 120.0
TFTP_PORT = 69

PROCESSES: dict[Service, tuple[str, ...]] = {
    Service.XCATD: ("xcatd",),
    Service.DHCP: ("dhcpd", "kea-dhcp4", "kea-dhcp6", "kea-dhcp-ddns", "kea-ctrl-agent"),
    Service.DNS: ("named",),
    Service.CONSOLE: ("conserver", "goconserver"),
    Service.TFTP: ("in.tftpd",),
}
"""Names of the processes that must be gone when a service is stopped, whether a unit started them or not."""

# in.tftpd is asked for apart: the one that xcatd starts belongs to no unit.
_BESIDE_UNITS_SCRIPT = f"""\
root=${{XCAT_HA_ROOT:-}}
root=${{root%/}}
{RC_LINKS_SCRIPT}
for program in "$root/usr/sbin/in.tftpd" "$root/usr/bin/in.tftpd"; do [ ! -x "$program" ] || echo tftpd installed; done
mine=$(readlink "$root/proc/self/ns/net")
for name in "$root/proc/"[0-9]*/comm; do
  read -r comm < "$name" 2>/dev/null || continue
  [ "$comm" = in.tftpd ] && [ "$(readlink "${{name%comm}}ns/net")" = "$mine" ] && echo tftpd running
done
echo end
"""


class Systemd(ServiceControl):
    """Units are looked for on each node among those that distributions use; what a unit does not own is found among the processes.

    Debian's ``conserver-server`` reads ``/etc/conserver/conserver.cf``, while xCAT writes ``/etc/conserver.cf``: starting it places a
    drop-in below ``/run/systemd/system`` (gone after a reboot) that makes it read xCAT's file, unless ``OPTS`` in
    ``/etc/conserver/server.conf`` names a file already.
    """

    def questions(self, node: Node) -> tuple[Command, ...]:
        """All candidates in one ``systemctl show``; SysV links and in.tftpd beside it."""
        del node
        names = [name for candidates in UNIT_CANDIDATES.values() for name in candidates]
        units = [f"{name}.service" for name in names] + [f"{name}.socket" for name in UNIT_CANDIDATES[Service.TFTP]]
        return (reads("systemctl", "show", "-p", PROPERTIES, "--", *units), reads("sh", "-c", _BESIDE_UNITS_SCRIPT))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ServiceStates:
        """What is installed, runs and starts at boot."""
        del node
        shown, beside = answers
        lines = beside.stdout.splitlines()
        if not shown.ok or not beside.ok or "end" not in lines:
            return ServiceStates(known=False, services={})
        try:
            units = parse_show(shown.stdout)
        except ValueError:
            return ServiceStates(known=False, services={})
        sysv = rc_started(beside.stdout)
        found = {service: _states(service, units, sysv) for service in UNIT_CANDIDATES}
        if "tftpd installed" in lines or "tftpd running" in lines:
            lone = UnitState(unit="", running="tftpd running" in lines, enabled=False)
            found[Service.TFTP] = (*found[Service.TFTP], lone)
        return ServiceStates(known=True, services={service: states for service, states in found.items() if states})

    def steps_to_stop(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """Xcatd by itself, because it restarts others; everything between in one step."""
        return tuple(
            _stop_xcatd(node) if group == (Service.XCATD,) else _stop(node, group, states)
            for group in _groups(_installed(node, services, states))
        )

    def steps_to_start(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """Likewise: xcatd by itself, everything between in one step."""
        return tuple(_start(node, group, states) for group in _groups(_installed(node, services, states)))

    def steps_to_disable(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """All in one step; masked units are disabled already."""
        units = [name for service in _installed(node, services, states) for name in _unit_names(service, states)]
        if not units:
            return ()
        return (
            Step(
                name="disable-role-services",
                why=f"A boot of {node.id} must not start anything of the role by itself.",
                host=node.id,
                done_when=_verdict(
                    node, f"no service of the role starts at boot on {node.id}", "disabled", *_flags("--unit", units),
                    hint=f"systemctl disable {' '.join(units)} (on {node.id}); a static unit that a target wants has to be masked",
                ),
                commands=(changes("systemctl", "disable", *units, timeout_s=DISABLE_TIMEOUT_S),),
            ),
        )  # fmt: skip

    def steps_to_keep_running(self, node: Node, daemon: Daemon) -> Steps:
        """A unit in ``/etc/systemd/system``, the one thing of xcat-ha that starts at boot."""
        return (step_to_keep(node, daemon),)


def _states(service: Service, units: Sequence[Unit], sysv: frozenset[str]) -> tuple[UnitState, ...]:
    names = UNIT_CANDIDATES[service]
    by_name = {unit.id: unit for unit in units if unit.installed}
    mine = [by_name[full] for name in names for full in (f"{name}.service", f"{name}.socket") if full in by_name]
    return tuple(UnitState(unit=unit.id, running=unit.running, enabled=unit.starts_at_boot(sysv)) for unit in mine)


def _installed(node: Node, services: tuple[Service, ...], states: ServiceStates) -> tuple[Service, ...]:
    if not states.known:
        raise UnknownStateError(
            f"which services {node.id} has is not known", where=node.id, hint=f"make sure that {node.id} answers, then try again"
        )
    return tuple(service for service in services if states.services.get(service))


def _groups(services: Sequence[Service]) -> Iterator[tuple[Service, ...]]:
    group: list[Service] = []
    for service in services:
        if service is not Service.XCATD:
            group.append(service)
            continue
        if group:
            yield tuple(group)
        yield (service,)
        group = []
    if group:
        yield tuple(group)


def _unit_names(service: Service, states: ServiceStates) -> list[str]:
    return [state.unit for state in states.services[service] if state.unit]


def _stop_xcatd(node: Node) -> Step:
    return Step(
        name="stop-xcatd",
        why=f"xcatd of {node.id} must not change the database or answer nodes any more.",
        host=node.id,
        done_when=xcatd_is_stopped(node),
        commands=(_change(node, "stop", "--unit", "xcatd.service", "--process", "xcatd", timeout_s=STOP_TIMEOUT_S),),
        settle_s=10.0,
    )


def _stop(node: Node, group: tuple[Service, ...], states: ServiceStates) -> Step:
    # A socket first, else it would start its service again for the next client.
    units = sorted((name for service in group for name in _unit_names(service, states)), key=lambda name: not name.endswith(".socket"))
    processes = [name for service in group for name in PROCESSES.get(service, ())]
    words = [*_flags("--unit", units), *_flags("--process", processes)]
    port = ("--udp-port", str(TFTP_PORT)) if Service.TFTP in group else ()
    names = ", ".join(group)
    return Step(
        name=f"stop-{'-'.join(group)}",
        why=f"{names} of {node.id} must not answer the cluster any more.",
        host=node.id,
        done_when=_verdict(
            node, f"stopped on {node.id}, units and processes: {names}", "stopped", *words, *port,
            hint=f"see: systemctl status {' '.join(units)} (on {node.id})",
        ),
        commands=(_change(node, "stop", *words, timeout_s=STOP_TIMEOUT_S),),
        settle_s=5.0,
    )  # fmt: skip


def _start(node: Node, group: tuple[Service, ...], states: ServiceStates) -> Step:
    words = [word for service in group for word in ("--service", f"{service}={','.join(_unit_names(service, states))}")]
    names = ", ".join(group)
    return Step(
        name=f"start-{'-'.join(group)}",
        why=f"{node.id} serves the cluster: {names}.",
        host=node.id,
        done_when=_verdict(
            node, f"running on {node.id}: {names}", "running", *words,
            hint=f"see: journalctl -b on {node.id} for the unit named; once it runs, xcat-ha resume",
        ),
        commands=(_change(node, "start", *words, timeout_s=START_TIMEOUT_S * len(group)),),
        settle_s=5.0,
    )  # fmt: skip


def _flags(flag: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]


def _verdict(node: Node, question: str, verb: str, *words: str, hint: str) -> Check:
    command = reads(node.python, "-m", PROGRAM, verb, *words)
    return Check(question=question, probes=(Probe(node.id, command),), rule=SaysVerdict(), hint=hint)


def _change(node: Node, verb: str, *words: str, timeout_s: float) -> Command:
    return changes(node.python, "-m", PROGRAM, verb, *words, timeout_s=timeout_s)
