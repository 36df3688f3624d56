"""What every file syncer promises."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from attrs import evolve

from xcat_ha.errors import XcatHaError
from xcat_ha.interfaces import FileSyncer, SyncState
from xcat_ha.models import FileSet
from xcat_ha.testing.driver_contract import Deed, DriverContract
from xcat_ha.testing.site import Site
from xcat_ha.testing.tree import Entry

TREE = FileSet("tree", ("/srv/tree",), excludes=("*.mine",))
HOSTS = FileSet("names", ("/srv/names",), keep_lines=(r"^10\.77\.0\.2\d\s",))


class FileSyncerContract(DriverContract[FileSyncer]):
    """Prove a :class:`~xcat_ha.interfaces.FileSyncer`. Only ``make_driver`` has to be said. Everything happens below ``/srv``."""

    # --- situations

    def populated(self, site: Site, driver: FileSyncer) -> None:
        """The source has a tree with everything a tree may have; the target has an older one and files of its own."""
        del driver
        source, target = (site.path(node.id, "/srv/tree") for node in (site.first, site.second))
        _fill(source)
        _write(target / "plain.txt", "an older one\n", 0o600)
        _write(target / "old" / "left-behind.txt", "gone on the source\n")
        _write(target / "keep.mine", "the target's own\n")
        for number in range(30):
            _write(target / "many" / f"file{number}", f"{number}\n")
        _write(site.path(site.first.id, "/srv/names"), "127.0.0.1 localhost\n10.77.0.21 mna\n10.1.0.1 node1\n")
        _write(site.path(site.second.id, "/srv/names"), "127.0.0.1 localhost\n10.77.0.22 mnb\n10.1.0.9 gone\n")

    def deeds(self) -> tuple[Deed[FileSyncer], ...]:
        """Sync a tree and a text file."""
        return (Deed("sync", self.populated, lambda site, driver: driver.steps_to_sync(site.first, site.second, (TREE, HOSTS))),)

    def outcome(self, site: Site, driver: FileSyncer) -> object:
        """Both trees, without the times at which this test or a merge wrote files."""
        del driver
        trees = [_comparable(site, node.id) for node in site.pair.nodes]
        return tuple({name: evolve(entry, mtime_s=0) for name, entry in tree.items()} for tree in trees)

    def assert_unknown(self, state: SyncState) -> None:
        """No claim."""
        assert not state.known
        assert not state.sets

    def assert_nothing_good(self, state: SyncState) -> None:
        """No sync is claimed that never was."""
        for name, one in state.sets.items():
            assert one.last_sync is None, f"garbage was taken for a sync of {name}"

    def sync(self, driver: FileSyncer, site: Site, *sets: FileSet) -> None:
        """Sync from the first node to the second."""
        site.execute(driver.steps_to_sync(site.first, site.second, sets))

    def refused(self, driver: FileSyncer, site: Site, one: FileSet) -> None:
        """A sync that must not happen, and must leave the target as it is."""
        before = site.entries(site.second.id, "/srv")
        self.refusal(site, driver.steps_to_sync(site.first, site.second, (one,)))
        assert site.entries(site.second.id, "/srv") == before, "refused, but the target was changed"

    # --- promises

    def test_steps_are_named_after_their_set(self, driver: FileSyncer, site: Site) -> None:
        steps = driver.steps_to_sync(site.first, site.second, (TREE, HOSTS))
        for one in (TREE, HOSTS):
            assert any(step.name.startswith(f"sync-{one.name}") for step in steps)
        assert all(step.name.startswith(("sync-tree", "sync-names")) for step in steps)

    def test_trees_become_equal(self, driver: FileSyncer, site: Site) -> None:
        """Contents, permissions, owners, times, hard links, symlinks, odd names, empty directories; what vanished is gone."""
        self.populated(site, driver)
        self.sync(driver, site, TREE)
        wanted, found = _comparable(site, site.first.id), _comparable(site, site.second.id)
        own = {"/srv/tree/keep.mine", "/srv/tree/other.mine"}
        for name in sorted((wanted.keys() | found.keys()) - own - {"/srv/names"}):
            assert found.get(name) == wanted.get(name), f"{name} differs"

    def test_a_change_of_anything_is_brought_over(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        self.sync(driver, site, TREE)
        source, target = (site.path(node.id, "/srv/tree") for node in (site.first, site.second))
        (source / "plain.txt").chmod(0o640)
        _write(source / "new" / "deep" / "file", "new\n")
        (source / "link").unlink()
        (source / "link").symlink_to("many")
        _write(target / "many" / "file3", "changed on the target\n")
        self.sync(driver, site, TREE)
        assert (target / "plain.txt").stat().st_mode & 0o777 == 0o640
        assert (target / "new/deep/file").read_text() == "new\n"
        assert str((target / "link").readlink()) == "many"
        assert (target / "many/file3").read_text() == "3\n"

    def test_the_source_is_left_alone(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        before = site.entries(site.first.id, "/srv")
        self.sync(driver, site, TREE, HOSTS)
        assert site.entries(site.first.id, "/srv") == before

    def test_excludes_are_left_alone_on_both_sides(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        self.sync(driver, site, TREE)
        target = site.path(site.second.id, "/srv/tree")
        assert (target / "keep.mine").exists(), "an excluded file was deleted on the target"
        assert (target / "keep.mine").read_text() == "the target's own\n"
        assert not (target / "other.mine").exists()

    def test_without_delete_nothing_is_deleted(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        self.sync(driver, site, evolve(TREE, delete=False))
        assert site.path(site.second.id, "/srv/tree/old/left-behind.txt").exists()
        assert site.path(site.second.id, "/srv/tree/plain.txt").read_text() == "plain\n"

    def test_an_empty_source_deletes_nothing(self, driver: FileSyncer, site: Site) -> None:
        _write(site.path(site.second.id, "/srv/tree/precious"), "precious\n")
        site.path(site.first.id, "/srv/tree").mkdir(parents=True)
        self.refused(driver, site, evolve(TREE, max_delete_pct=100.0))

    def test_a_missing_source_deletes_nothing(self, driver: FileSyncer, site: Site) -> None:
        _write(site.path(site.second.id, "/srv/tree/precious"), "precious\n")
        self.refused(driver, site, evolve(TREE, max_delete_pct=100.0))

    def test_too_many_deletions_delete_nothing(self, driver: FileSyncer, site: Site) -> None:
        """Not even up to the limit."""
        self.populated(site, driver)
        for number in range(20):
            _write(site.path(site.second.id, f"/srv/tree/extra/file{number}"), "extra\n")
        self.refused(driver, site, TREE)

    def test_deletions_under_the_limit_go_through(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        for number in range(20):
            _write(site.path(site.second.id, f"/srv/tree/extra/file{number}"), "extra\n")
        self.sync(driver, site, evolve(TREE, max_delete_pct=90.0))
        assert not site.path(site.second.id, "/srv/tree/extra").exists()

    def test_what_must_be_mounted_is_not_copied_unmounted(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        wanted = evolve(TREE, must_be_mounted=True)
        self.refused(driver, site, wanted)
        site.mount(site.first.id, "/srv/tree")
        self.sync(driver, site, wanted)
        assert site.path(site.second.id, "/srv/tree/plain.txt").read_text() == "plain\n"

    def test_lines_to_keep_stay_each_nodes_own(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        self.sync(driver, site, HOSTS)
        lines = site.path(site.second.id, "/srv/names").read_text().splitlines()
        assert sorted(lines) == ["10.1.0.1 node1", "10.77.0.22 mnb", "127.0.0.1 localhost"]

    def test_a_glob_means_what_it_matches_on_the_source(self, driver: FileSyncer, site: Site) -> None:
        keys = FileSet("keys", ("/srv/keys/id_*",), delete=False)
        for name in ("id_rsa", "id_rsa.pub", "known_hosts"):
            _write(site.path(site.first.id, f"/srv/keys/{name}"), f"{name} of the source\n", 0o600)
        _write(site.path(site.second.id, "/srv/keys/known_hosts"), "the target's own\n")
        self.sync(driver, site, keys)
        target = site.path(site.second.id, "/srv/keys")
        assert {path.name: path.read_text() for path in target.iterdir()} == {
            "id_rsa": "id_rsa of the source\n",
            "id_rsa.pub": "id_rsa.pub of the source\n",
            "known_hosts": "the target's own\n",
        }
        assert (target / "id_rsa").stat().st_mode & 0o777 == 0o600

    def test_the_last_sync_is_observed_where_it_was_received(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        before = driver.observe(site.second, site.runner)
        assert before.known
        assert before.sets.get("tree") is None or before.sets["tree"].last_sync is None
        self.sync(driver, site, TREE)
        one = driver.observe(site.second, site.runner).sets["tree"]
        assert one.source == site.first.id
        assert one.last_sync is not None
        assert one.last_sync > 1_000_000_000, "last_sync is in seconds since the epoch"
        there = driver.observe(site.first, site.runner).sets.get("tree")
        assert there is None or there.last_sync is None

    def test_a_refused_sync_is_not_recorded(self, driver: FileSyncer, site: Site) -> None:
        self.refusal(site, driver.steps_to_sync(site.first, site.second, (TREE,)))
        one = driver.observe(site.second, site.runner).sets.get("tree")
        assert one is None or one.last_sync is None

    def test_a_broken_link_is_no_success(self, driver: FileSyncer, site: Site) -> None:
        self.populated(site, driver)
        site.cut_link()
        with pytest.raises(XcatHaError):
            self.sync(driver, site, TREE)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _fill(root: Path) -> None:
    _write(root / "plain.txt", "plain\n")
    _write(root / "secret.key", "k\n", 0o400)
    _write(root / "run.sh", "#!/bin/sh\n", 0o4755)
    _write(root / "with blank" / "ünï *code'\"$x", "odd\n")
    _write(root / "new\nline", "odd\n")
    _write(root / "other.mine", "the source's own\n")
    (root / "empty").mkdir(mode=0o750)
    (root / "link").symlink_to("plain.txt")
    (root / "dangling").symlink_to("/nowhere/at all")
    os.link(root / "plain.txt", root / "twin.txt")
    for number in range(30):
        _write(root / "many" / f"file{number}", f"{number}\n")
    for name in ("plain.txt", "run.sh", "many/file3"):
        os.utime(root / name, (1_600_000_000, 1_600_000_000))


def _comparable(site: Site, node_id: str) -> dict[str, Entry]:
    """Trees without what may differ: the directory ``/srv`` itself."""
    return {name: entry for name, entry in site.entries(node_id, "/srv").items() if name != "/srv"}
