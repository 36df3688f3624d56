"""The contracts of the built-in drivers on two real machines.

What a simulated pair answers as well (plans, wording, what is made of garbage) is proven there and left out here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import pytest

from tests.contract import (
    test_linux_contract,
    test_rsync_contract,
    test_sqlite_copy_contract,
    test_systemd_contract,
    test_systemd_timer_contract,
)
from tests.lab import Lab, Layer
from tests.lab.lab_site import LabSite
from xcat_ha.interfaces import Service
from xcat_ha.models import IdentityMode
from xcat_ha.testing import Deed

EVERY_DRIVER = {
    "test_observing_changes_nothing",
    "test_a_host_that_cannot_be_reached_is_unknown",
    "test_a_second_run_changes_nothing",
    "test_it_ends_the_same_when_its_caller_dies_in_the_middle",
}
Contract = TypeVar("Contract", bound=type[Any])


@pytest.fixture(scope="session")
def lab_layers() -> Sequence[Layer]:
    """Nothing of the product: the drivers' programs are put in place by the site."""
    return ()


@pytest.fixture(scope="module")
def lab_site(pair: Lab) -> Iterator[LabSite]:
    """Both nodes, made ready once."""
    site = LabSite(pair)
    yield site
    site.close()


class OnTheLab:
    """Takes the place of the simulated pair."""

    @pytest.fixture
    def site(self, lab_site: LabSite) -> LabSite:
        lab_site.fresh()
        return lab_site


def without(*names: str, deeds: tuple[str, ...] = ()) -> Any:
    """Leave out tests of a contract: those of every driver that are not in EVERY_DRIVER, those named, and other deeds."""

    def change(contract: Contract) -> Contract:
        for name in dir(contract):
            generic = any(name in base.__dict__ for base in contract.__mro__ if base.__name__ == "DriverContract")
            if name.startswith("test_") and ((generic and name not in EVERY_DRIVER) or name in names):
                setattr(contract, name, None)
        if deeds:
            every = contract.deeds

            def chosen(self: Any) -> tuple[Deed[Any], ...]:
                return tuple(deed for deed in every(self) if deed.name in deeds)

            contract.deeds = chosen
        return contract

    return change


@without(deeds=("sync", "hand-over", "promote"))
class TestSqliteCopyOnTheLab(OnTheLab, test_sqlite_copy_contract.TestSqliteCopy):
    """Real sshd, real rsync, real /proc."""


@without()
class TestRsyncOnTheLab(OnTheLab, test_rsync_contract.TestRsync):
    """Real sshd, real mounts."""


@without()
class TestLinuxOnTheLab(OnTheLab, test_linux_contract.TestLinuxIdentity):
    """Real kernels, real ARP, real reboots. Mode replace: ``test_linux_replace.py``, because this site restores only the other one."""

    modes = (IdentityMode.SERVICE_ADDRESS,)


@without(deeds=("stop", "start", "disable"))
class TestSystemdOnTheLab(OnTheLab, test_systemd_contract.TestSystemd):
    """Real systemd. The base tree has console servers installed, but no NFS server."""

    absent = Service.NFS


@without()
class TestSystemdTimerOnTheLab(OnTheLab, test_systemd_timer_contract.TestSystemdTimer):
    """Real systemd."""
