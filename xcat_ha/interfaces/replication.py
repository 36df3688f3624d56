"""Keeping the standby's copy of the xCAT database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar

from attrs import frozen

from xcat_ha.interfaces._driver import Driver
from xcat_ha.interfaces.stale import StalePointer
from xcat_ha.models import Engine, Node, ServiceIdentity
from xcat_ha.steps import Command, Completed, Steps


class Capability(StrEnum):
    """What a backend can do beyond keeping copies."""

    STREAMING = "streaming"
    SYNCHRONOUS = "synchronous"
    REWIND = "rewind"
    READABLE_STANDBY = "readable-standby"


class ReplicaRole(StrEnum):
    """What the database on a node is now."""

    SOURCE = "source"
    """Writable, xcatd may work on it."""
    COPY = "copy"
    """A copy fed from the other node."""
    NONE = "none"
    """No database, or an unseeded one."""


@frozen
class ReplicaState:
    """A node's database as observed. None means unknown.

    Attributes:
        role: see :class:`ReplicaRole`; copy-based backends report COPY when the newest generation in place came from the peer.
        healthy: whether it can be used as it is (integrity proven as far as a quick look can).
        last_good: time of the newest verified copy on this node, as seconds since the epoch; for a SOURCE None.
        generation: word naming that copy (a checksum, a LSN, a timestamp).
        lag_bytes / lag_s: how far behind the source; None when unknown or not applicable.
        detail: one line for the administrator.
    """

    role: ReplicaRole | None
    healthy: bool | None
    last_good: float | None = None
    generation: str = ""
    lag_bytes: int | None = None
    lag_s: float | None = None
    detail: str = ""


@frozen
class Contents:
    """What a database holds, for comparing two of them.

    Attributes:
        tables: table -> a digest of each of its rows.
        nodes: names of the xCAT nodes that are defined.
    """

    tables: Mapping[str, frozenset[str]]
    nodes: frozenset[str]


class ReplicationBackend(Driver[ReplicaState]):
    """Keeps the standby's copy of the xCAT database. See :class:`~xcat_ha.interfaces.Driver` for the contract of all steps.

    Steps that replace the target's database must carry, as ``only_if``, a check that the target's xcatd is stopped
    (``xcat_ha.xcat.services.xcatd_is_stopped``).
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    engines: ClassVar[frozenset[Engine]]
    """Database engines (as cfgloc names them) this backend serves."""

    @abstractmethod
    def steps_to_seed(self, source: Node, target: Node) -> Steps:
        """Make ``target`` a copy of ``source``, from nothing or from an old primary whose divergence was saved."""

    @abstractmethod
    def steps_to_sync(self, source: Node, target: Node) -> Steps:
        """Bring the standby up to now while the source's xcatd works on. Nothing is sent when nothing changed."""

    @abstractmethod
    def steps_to_hand_over(self, old: Node, new: Node) -> Steps:
        """Planned: ``old``'s xcatd is stopped, both nodes are connected. Afterwards ``new`` has everything ``old`` had, and is writable."""

    @abstractmethod
    def steps_to_promote(self, node: Node, *, forced: bool) -> Steps:
        """``node``'s copy becomes the writable database; the old primary is fenced. ``forced``: although something may be lost."""

    def steps_before_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        """What must happen on ``node`` before it takes the service identity; nothing by default."""
        del node, identity
        return ()

    def steps_after_identity_change(self, node: Node, identity: ServiceIdentity) -> Steps:
        """What must happen on ``node`` after it took the service identity, before xcatd starts; nothing by default."""
        del node, identity
        return ()

    def steps_while_serving(self, node: Node) -> Steps:
        """What the guard of ``node``, which has the role, sees to at each of its looks, every few seconds; nothing by default.

        They take no lock of the pair's, so they change what is ``node``'s own only, and are quick.
        """
        del node
        return ()

    def steps_when_superseded(self, node: Node) -> Steps:
        """What the guard of ``node``, which had the role until the other node took it in a higher term, sees to at each of its looks: that
        nobody writes to a database that will be replaced. Nothing by default.

        They take no lock of the pair's, keep every row, and are undone by ``steps_to_promote``.
        """
        del node
        return ()

    @abstractmethod
    def steps_to_save_divergence(self, node: Node) -> Steps:
        """Save ``node``'s own database as a restorable, verified copy before it is discarded."""

    @abstractmethod
    def question_for_record(self, node: Node, name: str) -> Command:
        """A READS command for ``node`` that prints ``present`` or ``absent``: is an xCAT node called ``name`` defined in the node's
        database or copy? It asks the data itself, not xcatd, which does not run on a standby.
        """

    def question_for_site(self, node: Node) -> Command | None:
        """A READS command for ``node``, whose xcatd does not run, that prints rows of xCAT's site table as ``lsdef -t site -c`` does
        (``clustersite: key=value``), from the node's own database or copy.

        None (the default): xCAT itself is asked to read its files. To be given where cfgloc may lead to a server elsewhere than the node.
        """
        del node
        return None

    def question_for_contents(self, node: Node) -> Command | None:
        """A READS command for ``node`` whose answer :meth:`interpret_contents` understands; None (the default): cannot be compared."""
        del node
        return None

    def interpret_contents(self, answer: Completed) -> Contents | None:
        """What the node's database holds; None when that is not known."""
        del answer
        return None

    def question_for_schema(self, node: Node) -> Command | None:
        """A READS command for ``node`` whose answer :meth:`interpret_schema` understands; None (the default): nodes cannot differ in it, or
        it cannot be compared. ``check`` asks it of both nodes: an upgrade of xCAT on one of them changes tables.
        """
        del node
        return None

    def interpret_schema(self, answer: Completed) -> Mapping[str, frozenset[str]] | None:
        """Table -> names of its columns, of the node's database or copy; None when that is not known."""
        del answer
        return None

    def questions_for_stale(self, node: Node, identity: ServiceIdentity) -> tuple[Command, ...]:
        """READS commands for ``node``: which of the database's own access rules (``pg_hba.conf``, grants, listening addresses) name a
        node where the service identity has to be. None by default.
        """
        del node, identity
        return ()

    def interpret_stale(self, node: Node, answers: Sequence[Completed]) -> tuple[StalePointer, ...] | None:
        """The stale pointers in the answers to :meth:`questions_for_stale`; None: not known. Pure, and never an error."""
        del node, answers
        return ()

    def steps_to_mend_stale(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Put right what :meth:`interpret_stale` gave with :attr:`Mend.BACKEND <xcat_ha.interfaces.Mend.BACKEND>`; none by default.

        Run while xcatd works on ``node``, so nothing may be restarted under it.
        """
        del node, identity
        return ()
