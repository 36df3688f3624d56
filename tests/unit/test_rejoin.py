"""An old primary comes back, on the simulated pair with the real drivers: what becomes of its database and of its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from xcat_ha.clock import SystemClock
from xcat_ha.errors import RefusedError, StepFailedError
from xcat_ha.interfaces import Drivers, ReplicaRole
from xcat_ha.journal import Journal
from xcat_ha.models import COMMANDS_LOCK, DriverChoice, FileSet
from xcat_ha.observation import PairState
from xcat_ha.operations import Result, Workshop
from xcat_ha.runbook import runbook
from xcat_ha.testing import Answer, Call, SimulatedHost, SimulatedSite, SqliteTables
from xcat_ha.verbs.rejoin import prepare_rejoin, with_files
from xcat_ha_drivers.linux import LinuxIdentity
from xcat_ha_drivers.rsync import Rsync
from xcat_ha_drivers.sqlite_copy import SqliteCopy
from xcat_ha_drivers.systemd import Systemd
from xcat_ha_drivers.systemd_timer import SystemdTimer

pytestmark = pytest.mark.slow

FILES = 20
SITE = "clustersite: master=10.77.0.11\nclustersite: domain=example.org\nclustersite: installdir=/install\nclustersite: tftpdir=/tftpboot\n"


def lsdef(host: SimulatedHost, call: Call) -> Answer:
    return Answer(0, SITE) if "site" in call.words else Answer(1)


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedSite]:
    site = SimulatedSite()
    for host in site.simulated.hosts.values():
        host.handle("lsdef", lsdef)
    yield site
    site.close()


@pytest.fixture
def site(simulated: SimulatedSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedSite:
    """Mnb (the second) took the role in term 2 without mna, which is back, with its database and files of before."""
    site = simulated
    site.fresh()
    for node in site.pair.nodes:
        store = SqliteTables()
        store.install(site, node.id)
        store.write(site, node.id, "node1")
        for name in ("/install", "/tftpboot"):
            for number in range(FILES):
                _write(site.path(node.id, f"{name}/file{number}"), f"{number}\n")
        _write(site.path(node.id, "/etc/xcat/ca/key"), "k\n")
        _write(site.path(node.id, "/etc/resolv.conf"), "search example.org\n")
        site.host(node.id).write(COMMANDS_LOCK, "")
    SqliteTables().write(site, site.first.id, "only-there")
    SqliteTables().write(site, site.second.id, "new")
    _write(site.path(site.second.id, "/install/new"), "new\n")
    _write(site.path(site.second.id, "/srv/scripts/run"), "#!/bin/sh\n")
    site.host(site.first.id).write("/var/lib/xcat-ha/term.json", '{"counter": 1, "holder": "mna", "yielded_by": ""}\n')
    site.host(site.second.id).write("/var/lib/xcat-ha/term.json", '{"counter": 2, "holder": "mnb", "yielded_by": ""}\n')
    site.add_address(site.second.id, str(site.pair.identity.addresses[0]))
    site.start_xcatd(site.second.id)
    site.simulated.runner.forget()
    monkeypatch.setattr(Journal.begin.__func__, "__defaults__", (tmp_path / "journal",))  # type: ignore[attr-defined]
    return site


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def workshop(site: SimulatedSite) -> Workshop:
    own = FileSet("scripts", ("/srv/scripts",))
    pair = evolve(site.pair, database=DriverChoice("sqlite-copy"), file_sets=(own,))
    drivers = Drivers(SqliteCopy(pair, {}), Rsync(pair, {}), LinuxIdentity(pair, {}), Systemd(pair, {}), SystemdTimer(pair, {}))
    return Workshop(pair, drivers, site.runner, "", SystemClock())


def rejoin(site: SimulatedSite) -> Result:
    return prepare_rejoin(workshop(site)).run()


def observed(site: SimulatedSite) -> PairState:
    return workshop(site).observe()


def test_database_and_files_are_in_step_afterwards(site: SimulatedSite) -> None:
    ready = prepare_rejoin(workshop(site))
    assert ready.outline is not None, "there is a runbook of it"
    assert [phase.name for phase in ready.plan.phases] == ["stop", "save", "accept-term", "seed", "copy"]
    assert "--- phase 5: copy" in runbook(ready.outline, {}, "", version="0")
    result = rejoin(site)
    assert [phase.name for phase in result.phases] == ["stop", "save", "accept-term", "seed", "copy"]
    assert any("/var/lib/xcat-ha/diverged" in note for note in result.notes)
    assert SqliteTables().names(site, site.first.id) == {"node1", "new"}
    assert site.path(site.first.id, "/install/new").read_text() == "new\n"
    assert site.path(site.first.id, "/srv/scripts/run").exists()
    returned = observed(site).nodes[site.first.id]
    assert returned.replica.role is ReplicaRole.COPY
    assert {name: found.source for name, found in returned.files.sets.items()} == dict.fromkeys(
        ("credentials", "hosts", "install", "scripts", "tftp"), site.second.id
    )


def test_a_primary_that_takes_the_role_up_only_afterwards_is_waited_for(site: SimulatedSite) -> None:
    """As after its reboot in the middle of a rejoin: its guard starts the role once nothing is unfinished."""
    service = str(site.pair.identity.addresses[0])
    first = rejoin(site)
    site.simulated[site.second.id].call("ip", ("address", "del", service, "dev", site.second.interface))

    class Meanwhile(SystemClock):
        def sleep(self, seconds: float) -> None:
            del seconds
            site.add_address(site.second.id, service)

    both = with_files(evolve(workshop(site), clock=Meanwhile()), first, site.second, site.first)
    assert [phase.name for phase in both.phases] == [*(phase.name for phase in first.phases), "copy"]


def test_files_that_must_not_go_stay_and_the_node_is_a_standby_all_the_same(site: SimulatedSite) -> None:
    """The delete guard refuses one set; database and other sets are in step, nothing is unfinished, and what to do is said."""
    precious = [f"/install/precious{number}" for number in range(FILES // 2)]
    for name in precious:
        _write(site.path(site.first.id, name), "made on the old primary, never copied\n")
    with pytest.raises(StepFailedError) as stop:
        rejoin(site)
    assert "mna is the standby of mnb again, but not all of its files are in step" in stop.value.what
    assert "would be deleted" in stop.value.what
    assert "its database is a copy" in stop.value.state
    assert "xcat-ha sync files" in stop.value.hint
    assert all(site.path(site.first.id, name).exists() for name in precious)
    returned = observed(site).nodes[site.first.id]
    assert returned.replica.role is ReplicaRole.COPY
    assert returned.replica.healthy
    assert SqliteTables().names(site, site.first.id) == {"node1", "new"}
    with pytest.raises(RefusedError, match="in step already"):
        prepare_rejoin(workshop(site))
