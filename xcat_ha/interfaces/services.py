"""Stopping, starting and disabling the services of the role."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from enum import StrEnum

from attrs import frozen

from xcat_ha.interfaces._driver import Driver
from xcat_ha.models import Node
from xcat_ha.steps import Steps


class Service(StrEnum):
    """What the role consists of beside address and database. Which unit serves it is found out on each node."""

    XCATD = "xcatd"
    DHCP = "dhcp"
    DNS = "dns"
    CONSOLE = "console"
    TFTP = "tftp"
    HTTP = "http"
    NFS = "nfs"


ROLE_SERVICES = (Service.XCATD, Service.DHCP, Service.DNS, Service.CONSOLE, Service.TFTP)
"""Run on the primary only; stopped and disabled on the standby."""


@frozen
class UnitState:
    """A service on a node. None means unknown.

    Attributes:
        unit: name of the unit that serves it here; empty when no unit does (in.tftpd, which xcatd starts by itself).
        running: whether it runs now.
        enabled: whether it would start at boot by itself.
    """

    unit: str
    running: bool | None
    enabled: bool | None


@frozen
class ServiceStates:
    """All services of a node. A service that is not installed is absent from ``services``; ``known`` False: node not asked."""

    known: bool
    services: Mapping[Service, tuple[UnitState, ...]]

    def running(self, service: Service) -> bool | None:
        """Whether any unit of the service runs; None when unknown."""
        if not self.known:
            return None
        states = [unit.running for unit in self.services.get(service, ())]
        if any(states):
            return True
        return None if None in states else False

    def enabled(self, service: Service) -> bool | None:
        """Whether any unit of the service starts at boot; None when unknown."""
        if not self.known:
            return None
        states = [unit.enabled for unit in self.services.get(service, ())]
        if any(states):
            return True
        return None if None in states else False


@frozen
class Daemon:
    """A program of xcat-ha that runs from boot to shutdown.

    Attributes:
        name: kebab-case; the service is called ``xcat-ha-NAME``.
        argv: absolute program and arguments.
        why: shown by the service manager.
    """

    name: str
    argv: tuple[str, ...]
    why: str


class ServiceControl(Driver[ServiceStates]):
    """Controls services by what they do, not by unit name. See :class:`~xcat_ha.interfaces.Driver` for the contract of all steps.

    ``states`` is a fresh observation of ``node``; services that are not installed there yield no steps.
    """

    @abstractmethod
    def steps_to_stop(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """Stop them, in the order given; done when neither unit nor process is there any more (in.tftpd included for TFTP)."""

    @abstractmethod
    def steps_to_start(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """Start them, in the order given; done when they run. They are not enabled."""

    @abstractmethod
    def steps_to_disable(self, node: Node, services: tuple[Service, ...], states: ServiceStates) -> Steps:
        """Make sure none of them starts at boot by itself; done when read back. Running ones go on running."""

    def steps_to_keep_running(self, node: Node, daemon: Daemon) -> Steps:
        """Install the daemon, start it now and at every boot, before the role's services; it is restarted when it dies.

        By default none: then the role has to be started by hand after a reboot (``xcat-ha activate``).
        """
        del node, daemon
        return ()
