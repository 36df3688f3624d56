"""The driver ``aix`` keeps its interface's promises on the simulated AIX, and what only AIX asks of it."""

from __future__ import annotations

import ipaddress

import pytest
from attrs import evolve

from tests.aix_site import AixHost, AixSite
from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Holding
from xcat_ha.models import IdentityMode, Pair, ServiceIdentity
from xcat_ha.steps import Verdict
from xcat_ha.testing import IdentityContract
from xcat_ha_drivers.aix import AixIdentity

DEFAULT_ROUTE = "net,-hopcount,0,,0,10.77.0.1"


def routes(host: AixHost) -> list[str]:
    return [line.split()[1] for line in host.aix("netstat", "-rn").stdout.splitlines() if line.startswith("default")]


def stored(host: AixHost, device: str, name: str) -> list[str]:
    return [line for line in host.aix("lsattr", "-E", "-l", device, "-a", name, "-F", "value").stdout.splitlines() if line]


class TestAixIdentity(IdentityContract):
    def make_driver(self, pair: Pair) -> AixIdentity:
        return AixIdentity(pair, {"own_address_first": True})

    def make_site(self) -> AixSite:
        return AixSite()

    def test_the_mode_in_which_xcat_takes_the_own_address_has_to_be_allowed(self, site: AixSite) -> None:
        with pytest.raises(ConfigError) as refusal:
            AixIdentity(site.pair, {})
        assert "replace" in refusal.value.hint
        AixIdentity(evolve(site.pair, identity=evolve(site.pair.identity, mode=IdentityMode.REPLACE)), {})

    def test_addresses_of_another_kind_are_refused(self, site: AixSite) -> None:
        six = ServiceIdentity("mn", (ipaddress.ip_interface("fd00::11/64"),), IdentityMode.REPLACE)
        with pytest.raises(ConfigError):
            AixIdentity(evolve(site.pair, identity=six), {})

    def test_one_default_route_runs_and_one_is_stored(self, driver: AixIdentity, site: AixSite, identity: ServiceIdentity) -> None:
        host = site.aix(site.first.id)
        site.execute(driver.steps_to_acquire(site.first, identity))
        assert (routes(host), stored(host, "inet0", "route")) == (["10.77.0.1"], [DEFAULT_ROUTE])
        site.execute(driver.steps_to_release(site.first, identity))
        assert (routes(host), stored(host, "inet0", "route")) == (["10.77.0.1"], [DEFAULT_ROUTE])

    def test_a_machine_that_only_remembers_the_address_does_not_count(
        self, driver: AixIdentity, site: AixSite, identity: ServiceIdentity
    ) -> None:
        """An ARP entry of the old primary is still there when it has gone."""
        service = str(identity.primary_address)
        site.add_address(site.second.id, f"{service}/16")
        host = site.aix(site.first.id)
        host.aix("ping", "-c", "1", service)
        site.aix(site.second.id).aix("ifconfig", "en1", "delete", service)
        assert service in host.aix("arp", "-an").stdout
        assert self.check(site, driver.address_is_free(site.first, identity)) is Verdict.HOLDS

    def test_a_stored_alias_is_told(self, driver: AixIdentity, site: AixSite) -> None:
        service = str(site.pair.identity.primary_address)
        site.aix(site.first.id).aix("chdev", "-l", "en0", "-a", f"alias4={service},255.255.0.0", "-P")
        assert [str(one) for one in driver.observe(site.first, site.runner).persistent or ()] == [service]

    def test_a_site_whose_only_management_node_is_the_identity_is_migrated(
        self, driver: AixIdentity, site: AixSite, identity: ServiceIdentity
    ) -> None:
        """Its stored address and name are the service's: they become its own, and the service address answers all the time."""
        host, service = site.aix(site.first.id), str(identity.primary_address)
        host.aix("chdev", "-l", "en1", "-a", f"netaddr={service}", "-a", "netmask=255.255.0.0", "-a", "state=up")
        host.aix("chdev", "-l", "inet0", "-a", "hostname=mn")
        site.path(site.first.id, "/etc/hosts").write_text(f"127.0.0.1 localhost\n{service} mn\n")
        lost: list[str] = []
        site.runner.after_change = lambda node: None if service in site.addresses(node) else lost.append(node)
        site.execute(driver.steps_to_make_own(site.first, identity))
        site.execute(driver.steps_to_acquire(site.first, identity))
        holding = driver.observe(site.first, site.runner)
        assert not lost
        assert (holding.holds_all(identity), holding.own_address, holding.persistent) == (True, True, ())
        assert stored(host, "en1", "netaddr") == [site.first.address]
        site.power_off(site.first.id)
        site.power_on(site.first.id)
        assert site.addresses(site.first.id) == (site.first.address,)
        assert site.hostname(site.first.id) == site.first.name

    @pytest.mark.parametrize("gone", ["--- end\n", "--- running\n", "inet ", "flags="])
    def test_an_answer_with_a_part_missing_is_no_answer(self, driver: AixIdentity, site: AixSite, gone: str) -> None:
        (answer,) = site.runner.read_many(site.first.id, driver.questions(site.first))
        assert driver.interpret(site.first, [answer]).own_address is True
        holding = driver.interpret(site.first, [evolve(answer, stdout=answer.stdout.replace(gone, ""))])
        assert holding == Holding(service_addresses=None)
