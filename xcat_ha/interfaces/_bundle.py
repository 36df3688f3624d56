"""The drivers of one pair."""

from __future__ import annotations

from attrs import frozen

from xcat_ha.interfaces.fencing import Fence
from xcat_ha.interfaces.files import FileSyncer
from xcat_ha.interfaces.identity import NetworkIdentity
from xcat_ha.interfaces.images import OsImageProvisioner
from xcat_ha.interfaces.replication import ReplicationBackend
from xcat_ha.interfaces.schedule import Schedule
from xcat_ha.interfaces.services import ServiceControl


@frozen
class Drivers:
    """One driver per interface, as the configuration chose them."""

    replication: ReplicationBackend
    files: FileSyncer
    identity: NetworkIdentity
    services: ServiceControl
    schedule: Schedule
    fence: Fence | None = None
    """None only in programs that never fence."""
    images: OsImageProvisioner | None = None
    """None only in programs that never look at images."""
