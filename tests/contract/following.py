"""The published contract for backends whose standby follows by itself: what "written after the last copy" means for them."""

from __future__ import annotations

from attrs import evolve

from tests.relayed_site import RelayedSite
from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.testing import Deed, RecordStore, ReplicationContract, Site


class FollowingContract(ReplicationContract):
    """Everything that is published, and where that does not fit, the same promise in other words."""

    def deeds(self) -> tuple[Deed[ReplicationBackend], ...]:
        """Whether a server that lost power runs, or is writable, is decided at its node's turn, not at boot: no outcome of a save."""
        return tuple(evolve(deed, outcome=self.saved) if deed.name == "save-divergence" else deed for deed in super().deeds())

    def saved(self, site: Site, driver: ReplicationBackend) -> object:
        """What is saved, the roles, and which records both databases hold."""
        nodes = site.pair.nodes
        roles = [driver.observe(node, site.runner).role for node in nodes]
        records = [self.has(site, driver, node, name) for node in nodes for name in ("node1", "node3")]
        return self.saved_records(site, driver, site.first), roles, records

    def test_divergence_is_saved_and_restorable(self, driver: ReplicationBackend, site: Site, store: RecordStore) -> None:
        """As published, but what follows has no "written after the last copy": the write is made while the network is cut."""
        assert isinstance(site, RelayedSite)
        self.seeded(site, driver)
        site.cut_link()
        store.write(site, site.first.id, "node3")
        site.execute(driver.steps_to_promote(site.second, forced=True))
        store.write(site, site.second.id, "node4")
        site.fresh_link()
        site.execute(driver.steps_to_save_divergence(site.first))
        assert self.saved_records(site, driver, site.first) == {"node1", "node2", "node3"}
        site.execute(driver.steps_to_seed(site.second, site.first))
        assert [self.has(site, driver, site.first, name) for name in ("node3", "node4")] == [False, True]
        assert self.saved_records(site, driver, site.first) == {"node1", "node2", "node3"}
