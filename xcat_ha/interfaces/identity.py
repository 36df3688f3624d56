"""Which node has the service address and hostname."""

from __future__ import annotations

from abc import abstractmethod

from attrs import frozen

from xcat_ha.interfaces._driver import Driver
from xcat_ha.models import IPAddress, Node, ServiceIdentity
from xcat_ha.steps import Check, Steps


@frozen
class Holding:
    """What a node holds of the service identity, and what is its own. None means unknown.

    Attributes:
        service_addresses: the service addresses the node has now.
        own_address: whether the node's own address is on it.
        hostname: running hostname (short).
        stored_hostname: hostname after the next boot (short).
        interface_exists: whether the configured interface is there.
        persistent: service addresses that the node's boot-time configuration would set (a violation), as found.
    """

    service_addresses: tuple[IPAddress, ...] | None
    own_address: bool | None = None
    hostname: str | None = None
    stored_hostname: str | None = None
    interface_exists: bool | None = None
    persistent: tuple[IPAddress, ...] | None = None

    def holds_all(self, identity: ServiceIdentity) -> bool | None:
        """Whether every service address is here; None when unknown."""
        if self.service_addresses is None:
            return None
        return {address.ip for address in identity.addresses} <= set(self.service_addresses)

    def holds_none(self) -> bool | None:
        """Whether no service address is here; None when unknown."""
        return None if self.service_addresses is None else not self.service_addresses


class NetworkIdentity(Driver[Holding]):
    """Moves the service identity. See :class:`~xcat_ha.interfaces.Driver` for the contract of all steps.

    Nothing it does may survive a reboot: a machine that boots holds only its own name and address.
    """

    @abstractmethod
    def steps_to_acquire(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Duplicate address detection, take the addresses and the running hostname, announce them (ARP/ND).

        The steps fail, with nothing taken, if another machine answers for a service address.
        """

    @abstractmethod
    def steps_to_release(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Give addresses and hostname back; read back that they are gone and the node's own are there."""

    @abstractmethod
    def address_is_free(self, node: Node, identity: ServiceIdentity) -> Check:
        """Asked from ``node``: nobody on the segment answers for any service address. FAILS when somebody does."""

    @abstractmethod
    def steps_to_make_own(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Turn a node whose *persistent* address or hostname is the service identity into one with its own (``setup``'s migration).

        The service address stays reachable on the node throughout (as a non-persistent address). No steps if nothing is to be done.
        """

    def checks(self, node: Node, identity: ServiceIdentity) -> tuple[Check, ...]:
        """What has to hold of ``node`` for its identity to work beyond what the core asks of every pair; by default nothing.

        ``check`` asks them of both nodes, whichever has the role.
        """
        del node, identity
        return ()
