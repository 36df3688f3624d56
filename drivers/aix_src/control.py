"""The driver: which steps stop, start and disable the services of the role, and keep a daemon by the inittab."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xcat_ha.errors import ConfigError, UnknownStateError
from xcat_ha.interfaces import Daemon, Service, ServiceControl, ServiceStates, UnitState
from xcat_ha.models import Node
from xcat_ha.steps import Check, Command, Completed, Probe, SaysVerdict, Step, Steps, changes, reads
from xcat_ha_drivers.aix_src.reading import inittab, sections, started_by, subsystems

PROGRAM = "xcat_ha_drivers.aix_src.node_side"
SUBSYSTEMS: dict[Service, tuple[str, ...]] = {
    Service.XCATD: ("xcatd",),
    Service.DHCP: ("dhcpsd",),
    Service.DNS: ("named",),
    Service.CONSOLE: ("conserver",),
}
"""Facts: AIX 2. TFTP and bootp are inetd's business there and are not controlled; NFS and HTTP are not either (see ``docs/aix.rst``)."""
STOP_TIMEOUT_S = 150.0
START_TIMEOUT_S = 120.0
XCATD_PORT = 3001
INITTAB_ID_LENGTH = 14
_PLAIN = re.compile(r"[A-Za-z0-9/._=@+-]+")

_QUESTION = """\
root=${XCAT_HA_ROOT:-}
root=${root%/}
echo '--- src'
lssrc -a || exit 3
echo '--- inittab'
lsitab -a || exit 3
echo '--- rc.tcpip'
[ ! -e "$root/etc/rc.tcpip" ] || cat "$root/etc/rc.tcpip" || exit 3
echo '--- end'
"""


class AixSrc(ServiceControl):
    """Subsystems are asked for with ``lssrc`` and started and stopped with ``startsrc`` and ``stopsrc``.

    What starts one at a boot is an entry of the inittab or a line of ``/etc/rc.tcpip``; disabling switches the entry to ``off`` and
    comments the line out. A daemon is kept by an inittab entry with the action ``respawn``.
    """

    def questions(self, node: Node) -> tuple[Command, ...]:
        """All subsystems, and both places that start some at a boot."""
        del node
        return (reads("sh", "-c", _QUESTION),)

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ServiceStates:
        """What is on file with SRC, runs and starts at boot."""
        del node
        (answer,) = answers
        unknown = ServiceStates(known=False, services={})
        if not answer.ok:
            return unknown
        try:
            said = sections(answer.stdout)
            there, entries, script = subsystems(said["src"]), inittab(said["inittab"]), said["rc.tcpip"]
        except (ValueError, KeyError):
            return unknown
        found = {
            service: tuple(
                UnitState(unit=name, running=there[name].runs, enabled=bool(started_by(there[name], entries, script)))
                for name in names
                if name in there
            )
            for service, names in SUBSYSTEMS.items()
        }
        return ServiceStates(known=True, services={service: states for service, states in found.items() if states})

    def steps_to_stop(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """A step each."""
        return tuple(_stop(node, service, _names(service, states)) for service in _installed(node, services, states))

    def steps_to_start(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """A step each."""
        return tuple(_start(node, service, _names(service, states)) for service in _installed(node, services, states))

    def steps_to_disable(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """All in one step. What else an entry or a line starts is not touched: such a one has to be edited by hand."""
        words = [word for service in _installed(node, services, states) for word in _names(service, states)]
        if not words:
            return ()
        return (
            Step(
                name="disable-role-services",
                why=f"A boot of {node.id} must not start anything of the role by itself.",
                host=node.id,
                done_when=_verdict(
                    node, f"no service of the role starts at boot on {node.id}", "disabled", *words,
                    hint=f"look at lsitab -a and /etc/rc.tcpip on {node.id}",
                ),
                commands=(_change(node, "disable", *words, timeout_s=60.0),),
            ),
        )  # fmt: skip

    def steps_to_keep_running(self, node: Node, daemon: Daemon) -> Steps:
        """An entry of the inittab with the action ``respawn``.

        Raises:
            ConfigError: the inittab or the shell could misread a word of the command.
        """
        name = f"xcatha{daemon.name}".replace("-", "")[:INITTAB_ID_LENGTH]
        for word in daemon.argv:
            if not _PLAIN.fullmatch(word):
                hint = "use paths of plain letters and digits"
                raise ConfigError(f"the inittab may misread {word!r}", where=f"daemon {daemon.name}", hint=hint)
        options, words = ("--id", name), ("--", *daemon.argv)
        return (
            Step(
                name=f"keep-{daemon.name}-running",
                why=f"From boot to shutdown it {daemon.why}.",
                host=node.id,
                done_when=_verdict(
                    node, f"{daemon.name} is in the inittab of {node.id} and runs", "kept", *words, options=options,
                    hint=f"look at: lsitab {name} and ps -ef (on {node.id}); init pauses an entry that ends again and again",
                ),
                commands=(_change(node, "keep", *words, options=options, timeout_s=60.0),),
                settle_s=10.0,
            ),
        )  # fmt: skip


def _installed(node: Node, services: tuple[Service, ...], states: ServiceStates) -> tuple[Service, ...]:
    if not states.known:
        hint = f"make sure that {node.id} answers, and that lssrc -a and lsitab -a work there, then try again"
        raise UnknownStateError(f"which services {node.id} has is not known", where=node.id, hint=hint)
    return tuple(service for service in services if states.services.get(service))


def _names(service: Service, states: ServiceStates) -> tuple[str, ...]:
    return tuple(state.unit for state in states.services[service])


def _stop(node: Node, service: Service, names: tuple[str, ...]) -> Step:
    port = ("--tcp-port", str(XCATD_PORT)) if service is Service.XCATD else ()
    return Step(
        name=f"stop-{service}",
        why=f"{service} of {node.id} must not answer the cluster any more.",
        host=node.id,
        done_when=_verdict(
            node, f"{service} is stopped on {node.id}, subsystem and processes", "stopped", *names, options=port,
            hint=f"look at: lssrc -s {names[0]} and ps -ef (on {node.id}); a process that SRC did not start has to be ended by hand",
        ),
        commands=(_change(node, "stop", *names, timeout_s=STOP_TIMEOUT_S),),
        settle_s=5.0,
    )  # fmt: skip


def _start(node: Node, service: Service, names: tuple[str, ...]) -> Step:
    return Step(
        name=f"start-{service}",
        why=f"{node.id} serves the cluster: {service}.",
        host=node.id,
        done_when=_verdict(
            node, f"{service} runs on {node.id}", "running", *names,
            hint=f"look at: lssrc -s {names[0]} and the log of {service} (on {node.id}); once it runs, xcat-ha resume",
        ),
        commands=(_change(node, "start", *names, timeout_s=START_TIMEOUT_S),),
        settle_s=5.0,
    )  # fmt: skip


def _verdict(node: Node, question: str, verb: str, *words: str, hint: str, options: tuple[str, ...] = ()) -> Check:
    command = reads(node.python, "-m", PROGRAM, *options, verb, *words)
    return Check(question=question, probes=(Probe(node.id, command),), rule=SaysVerdict(), hint=hint)


def _change(node: Node, verb: str, *words: str, timeout_s: float, options: tuple[str, ...] = ()) -> Command:
    return changes(node.python, "-m", PROGRAM, *options, verb, *words, timeout_s=timeout_s)
