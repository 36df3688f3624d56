"""Prove a driver: contract tests for every interface, and a simulated pair of hosts to run them on. Needs the extra ``testing`` (pytest).

For a driver of your own write one test module::

    from xcat_ha.models import Pair
    from xcat_ha.testing import FileSyncerContract
    from my_package import MySyncer

    class TestMySyncer(FileSyncerContract):
        def make_driver(self, pair: Pair) -> MySyncer:
            return MySyncer(pair, {})

and run pytest. Each contract's docstring says what else it has to be told. The tests run on a :class:`SimulatedPair`, in temporary
directories and without root. Programs that only your driver calls are taught to the simulated hosts in ``make_site``::

        def make_site(self) -> SimulatedSite:
            site = SimulatedSite()
            for host in site.simulated.hosts.values():
                host.handle("mytool", my_tool)
            return site

    def my_tool(host: SimulatedHost, call: Call) -> Answer:
        if call.words[:1] == ("arm",):
            host.write("/var/lib/mytool/armed", "yes")
        return Answer(0, "armed" if host.path("/var/lib/mytool/armed").exists() else "idle")

To run the same tests on real machines, implement :class:`Site` for them and return it from ``make_site``.
"""

import pytest

_CONTRACTS = ("driver", "replication", "files", "identity", "services", "schedule", "fence", "images")
for _name in _CONTRACTS:
    pytest.register_assert_rewrite(f"{__name__}.{_name}_contract")

from xcat_ha.testing.driver_contract import Deed, DriverContract  # noqa: E402 - pytest has to be told before they are imported
from xcat_ha.testing.fence_contract import FenceContract, HandFenceContract  # noqa: E402
from xcat_ha.testing.files_contract import FileSyncerContract  # noqa: E402
from xcat_ha.testing.host import Answer, Call, Handler, SimulatedHost  # noqa: E402
from xcat_ha.testing.identity_contract import IdentityContract  # noqa: E402
from xcat_ha.testing.images_contract import ImagesContract  # noqa: E402
from xcat_ha.testing.machine import Address, Machine, Process, Unit  # noqa: E402
from xcat_ha.testing.pair import ReadThatChangedError, SimulatedPair, example_pair  # noqa: E402
from xcat_ha.testing.records import RecordStore, SqliteTables  # noqa: E402
from xcat_ha.testing.replication_contract import ReplicationContract  # noqa: E402
from xcat_ha.testing.schedule_contract import ScheduleContract  # noqa: E402
from xcat_ha.testing.services_contract import ServiceControlContract  # noqa: E402
from xcat_ha.testing.site import SimulatedClock, SimulatedSite, Site  # noqa: E402
from xcat_ha.testing.tree import Entry, digest, entries  # noqa: E402
from xcat_ha.testing.watch import Ran, SimulatedPowerCut, WatchedRunner  # noqa: E402

__all__ = [
    "Address",
    "Answer",
    "Call",
    "Deed",
    "DriverContract",
    "Entry",
    "FenceContract",
    "FileSyncerContract",
    "HandFenceContract",
    "Handler",
    "IdentityContract",
    "ImagesContract",
    "Machine",
    "Process",
    "Ran",
    "ReadThatChangedError",
    "RecordStore",
    "ReplicationContract",
    "ScheduleContract",
    "ServiceControlContract",
    "SimulatedClock",
    "SimulatedHost",
    "SimulatedPair",
    "SimulatedPowerCut",
    "SimulatedSite",
    "Site",
    "SqliteTables",
    "Unit",
    "WatchedRunner",
    "digest",
    "entries",
    "example_pair",
]
