"""What every provisioner of operating system images promises."""

from __future__ import annotations

from collections.abc import Iterable

from xcat_ha.interfaces import ImageStates, OsImageProvisioner
from xcat_ha.models import OsImage
from xcat_ha.planfile import steps_from_json, steps_to_json
from xcat_ha.steps import Effect
from xcat_ha.testing.driver_contract import Deed, DriverContract
from xcat_ha.testing.site import Site


class ImagesContract(DriverContract[OsImageProvisioner]):
    """Prove an :class:`~xcat_ha.interfaces.OsImageProvisioner`. Besides ``make_driver`` say how a node comes to have images.

    * :meth:`define`: write ``images`` into the database of a node, as xCAT has them;
    * :meth:`put_files`: make all the files of an image be there;
    * :meth:`remove_file`: take one of them away; returns its path;
    * :meth:`is_served`: the truth, whether nodes can be installed from or booted with the image.
    """

    images: tuple[OsImage, ...] = (
        OsImage("rocky9-x86_64-install-compute", "install", "rocky9", "x86_64"),
        OsImage("rocky9-x86_64-netboot-compute", "netboot", "rocky9", "x86_64"),
    )

    def define(self, site: Site, node_id: str, images: Iterable[OsImage]) -> None:
        """Write the images into the node's database."""
        raise NotImplementedError

    def put_files(self, site: Site, node_id: str, image: OsImage) -> None:
        """Put all files of the image in place."""
        raise NotImplementedError

    def remove_file(self, site: Site, node_id: str, image: OsImage) -> str:
        """Remove a file of the image without which it is of no use; returns its path."""
        raise NotImplementedError

    def is_served(self, site: Site, node_id: str, image: OsImage) -> bool:
        """Whether the node really serves the image."""
        raise NotImplementedError

    # --- situations

    def arrived(self, site: Site, driver: OsImageProvisioner) -> None:
        """All images are defined and their files are there, but nothing was run for them on this node."""
        del driver
        self.define(site, site.first.id, self.images)
        for image in self.images:
            self.put_files(site, site.first.id, image)

    def deeds(self) -> tuple[Deed[OsImageProvisioner], ...]:
        """Serve all images."""
        return (Deed("serve", self.arrived, lambda site, driver: driver.steps_to_serve(self.images, site.first)),)

    def outcome(self, site: Site, driver: OsImageProvisioner) -> object:
        """What is missing and what is served."""
        served = tuple(self.is_served(site, site.first.id, image) for image in self.images)
        return driver.observe(site.first, site.runner), served

    def assert_unknown(self, state: ImageStates) -> None:
        """No claim."""
        assert not state.known
        assert not state.missing

    def assert_nothing_good(self, state: ImageStates) -> None:
        """No image is said to be complete."""
        for name, paths in state.missing.items():
            assert paths, f"garbage was taken for image {name} being complete"

    # --- promises

    def test_complete_images_lack_nothing(self, driver: OsImageProvisioner, site: Site) -> None:
        self.arrived(site, driver)
        state = driver.observe(site.first, site.runner)
        assert state.known
        assert not any(state.missing.values())

    def test_a_missing_file_is_named(self, driver: OsImageProvisioner, site: Site) -> None:
        self.arrived(site, driver)
        gone = self.remove_file(site, site.first.id, self.images[0])
        state = driver.observe(site.first, site.runner)
        assert gone in state.missing[self.images[0].name]
        assert not state.missing.get(self.images[1].name)

    def test_images_are_served_afterwards(self, driver: OsImageProvisioner, site: Site) -> None:
        self.arrived(site, driver)
        site.execute(driver.steps_to_serve(self.images, site.first))
        assert all(self.is_served(site, site.first.id, image) for image in self.images)

    def test_only_the_images_named_are_touched(self, driver: OsImageProvisioner, site: Site) -> None:
        self.arrived(site, driver)
        site.execute(driver.steps_to_serve(self.images[:1], site.first))
        assert [self.is_served(site, site.first.id, image) for image in self.images] == [True, False]

    def test_steps_that_a_driver_may_leave_out_are_plain_data_too(self, driver: OsImageProvisioner, site: Site) -> None:
        self.arrived(site, driver)
        node = site.first
        steps = (*driver.steps_to_withdraw(node), *driver.steps_to_export(node), *driver.steps_to_note(node, "/install"))
        assert steps_from_json(steps_to_json(steps)) == steps
        assert not site.runner.log, "planning ran a command"
        for step in steps:
            assert step.host == node.id
            assert all(probe.command.effect is Effect.READS for probe in step.done_when.probes)

    def test_no_images_need_no_steps(self, driver: OsImageProvisioner, site: Site) -> None:
        assert driver.steps_to_serve((), site.first) == ()
