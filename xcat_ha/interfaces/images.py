"""Serving operating system images, and what the nodes that use this MN notice when the role moves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from xcat_ha.interfaces._driver import Driver
from xcat_ha.models import Node, OsImage
from xcat_ha.steps import Steps


@frozen
class ImageFile:
    """A file or directory that an image names or is made of, as found on a node.

    Attributes:
        path: absolute.
        role: one word for what it is (``kernel``, ``initrd``, ``rootimg``, ``template``, ``pkgdir`` …).
        size: bytes; for a directory the number of its entries; None: it is not there.
        directory: whether it is, or should be, a directory.
        needed: whether the image is of no use without it.
    """

    path: str
    role: str
    size: int | None
    directory: bool = False
    needed: bool = True


@frozen
class ImageState:
    """An image of the database with its files. ``unknown``: why nothing can be said of it; empty when it was looked at."""

    image: OsImage
    files: tuple[ImageFile, ...] = ()
    unknown: str = ""


@frozen
class WaitingNode:
    """A node that the database sends to an installation that has not happened yet.

    Attributes:
        name: the node.
        image: the image it shall get.
        state: what the database says it boots next.
        trouble: why nothing may be run for it by a program, for the administrator to decide; empty if it may.
    """

    name: str
    image: str
    state: str
    trouble: str = ""


@frozen
class Mount:
    """A client that has something of this node mounted. ``path`` is empty where the server does not tell (NFS version 4)."""

    client: str
    path: str = ""


@frozen
class ImageStates:
    """The images of the database on a node, and who depends on it. ``known`` False: not known; then everything else is empty.

    Attributes:
        missing: image name -> paths it lacks here, of those that it needs. An image that lacks nothing may be absent.
        images: all of them, with their files.
        noted: the images as the primary had them when files were last copied to this node.
        noted_at: when that was noted, seconds since the epoch; None: never.
        waiting: nodes that wait to be installed.
        unready: nodes whose boot file here is not what the database says they boot.
        diskless: node -> why it hangs while nobody serves its root file system.
        mounts: what clients have mounted from this node now.
        exports: directories this node exports now; None: it is no NFS server, or not known.
        configured_exports: directories that its configuration exports.
        http_trouble: why its HTTP server does not give out an image; empty if it does, None if there was nothing to ask for.
        detail: why it is not known.
    """

    known: bool
    missing: Mapping[str, tuple[str, ...]]
    images: tuple[ImageState, ...] = ()
    noted: tuple[ImageState, ...] = ()
    noted_at: float | None = None
    waiting: tuple[WaitingNode, ...] = ()
    unready: tuple[str, ...] = ()
    diskless: Mapping[str, str] = field(factory=dict)
    mounts: tuple[Mount, ...] = ()
    exports: tuple[str, ...] | None = None
    configured_exports: tuple[str, ...] = ()
    http_trouble: str | None = None
    detail: str = ""


class OsImageProvisioner(Driver[ImageStates]):
    """Makes a new primary able to install and boot nodes. See :class:`~xcat_ha.interfaces.Driver` for the contract of all steps."""

    @abstractmethod
    def steps_to_serve(self, images: Sequence[OsImage], node: Node) -> Steps:
        """What must be run again on ``node``, whose xcatd runs, so that it serves ``images``.

        Nodes are told to install only if they are among an image's ``nodes`` and the database still says so at that very moment: a
        node that runs is never sent to an installation.
        """

    def steps_to_withdraw(self, node: Node) -> Steps:
        """Planned: ``node``, which serves, exports nothing any more, before its address goes away; nothing by default."""
        del node
        return ()

    def steps_to_export(self, node: Node) -> Steps:
        """``node``, which has the address, exports what its configuration says; nothing by default."""
        del node
        return ()

    def steps_to_note(self, node: Node, installdir: str) -> Steps:
        """Write down below ``installdir`` (``site.installdir``) of ``node``, which serves, what its images are; nothing by default.

        The note is copied with that directory, so that truncated files are known for what they are when ``node`` cannot be asked any more.
        Files are copied also when what the images are cannot be told: then there is no note rather than an old one.
        """
        del node, installdir
        return ()
