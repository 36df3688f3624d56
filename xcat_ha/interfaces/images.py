"""Serving operating system images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from attrs import frozen

from xcat_ha.interfaces._driver import Driver
from xcat_ha.models import Node, OsImage
from xcat_ha.steps import Steps


@frozen
class ImageStates:
    """What each image of the database lacks on a node: image name -> paths that are missing. ``known`` False: node not asked."""

    known: bool
    missing: Mapping[str, tuple[str, ...]]


class OsImageProvisioner(Driver[ImageStates]):
    """Makes a new primary able to install and boot nodes. See :class:`~xcat_ha.interfaces.Driver` for the contract of all steps."""

    @abstractmethod
    def steps_to_serve(self, images: Sequence[OsImage], node: Node) -> Steps:
        """What must be run again on ``node`` so that it serves ``images``."""
