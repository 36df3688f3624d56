"""The interfaces drivers implement. Their docstrings are the contract; ``xcat_ha.testing`` proves a driver against it."""

from xcat_ha.interfaces._bundle import Drivers
from xcat_ha.interfaces._driver import Driver
from xcat_ha.interfaces.fencing import Fence, PowerState
from xcat_ha.interfaces.files import FileSyncer, SetState, SyncState
from xcat_ha.interfaces.identity import Holding, NetworkIdentity
from xcat_ha.interfaces.images import ImageFile, ImageState, ImageStates, Mount, OsImageProvisioner, WaitingNode
from xcat_ha.interfaces.replication import Capability, Contents, ReplicaRole, ReplicaState, ReplicationBackend
from xcat_ha.interfaces.runner import OutputSink, Runner
from xcat_ha.interfaces.schedule import Job, JobState, Schedule, ScheduleState
from xcat_ha.interfaces.services import ROLE_SERVICES, Daemon, Service, ServiceControl, ServiceStates, UnitState
from xcat_ha.interfaces.stale import Mend, StalePointer

__all__ = [
    "ROLE_SERVICES",
    "Capability",
    "Contents",
    "Daemon",
    "Driver",
    "Drivers",
    "Fence",
    "FileSyncer",
    "Holding",
    "ImageFile",
    "ImageState",
    "ImageStates",
    "Job",
    "JobState",
    "Mend",
    "Mount",
    "NetworkIdentity",
    "OsImageProvisioner",
    "OutputSink",
    "PowerState",
    "ReplicaRole",
    "ReplicaState",
    "ReplicationBackend",
    "Runner",
    "Schedule",
    "ScheduleState",
    "Service",
    "ServiceControl",
    "ServiceStates",
    "SetState",
    "StalePointer",
    "SyncState",
    "UnitState",
    "WaitingNode",
]
