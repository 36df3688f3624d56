"""Keeping files equal on both nodes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from attrs import frozen

from xcat_ha.interfaces._driver import Driver
from xcat_ha.models import FileSet, Node
from xcat_ha.steps import Steps


@frozen
class SetState:
    """A file set on a node as observed.

    Attributes:
        last_sync: seconds since the epoch of the last complete sync *received* by this node; None: never or unknown.
        source: id of the node it came from; empty when unknown.
        detail: one line for the administrator.
    """

    last_sync: float | None = None
    source: str = ""
    detail: str = ""


@frozen
class SyncState:
    """All file sets of a node. ``known`` is False when the node could not be asked."""

    known: bool
    sets: Mapping[str, SetState]


class FileSyncer(Driver[SyncState]):
    """Keeps file sets equal. See :class:`~xcat_ha.interfaces.Driver` for the contract of all steps.

    The delete guard: nothing is deleted on the target unless the source was proven present, mounted where it must be and not empty,
    and the deletions, counted in a dry run first, are under the set's limit.
    """

    @abstractmethod
    def steps_to_sync(self, source: Node, target: Node, file_sets: Sequence[FileSet]) -> Steps:
        """Make each set on ``target`` equal to ``source``. One or more steps per set, named ``sync-<set>…``."""
