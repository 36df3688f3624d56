"""What points at one node although the cluster should follow the service identity."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen


class Mend(StrEnum):
    """What puts a stale pointer right."""

    TABLE = "table"
    """One cell of one of xCAT's tables gets another value."""
    POLICY = "policy"
    """A row like it is added for the service hostname; the one that is there stays."""
    DHCP = "dhcp"
    """``makedhcp`` writes the file anew."""
    NODESET = "nodeset"
    """``nodeset`` writes the file anew, for a node that is to be installed or boots over the network anyway."""
    MKNB = "mknb"
    """``mknb`` writes the file anew."""
    BACKEND = "backend"
    """The replication driver does it."""
    BY_HAND = "by-hand"
    """Only the administrator can; ``advice`` says how."""


@frozen
class StalePointer:
    """A place that names a node's own address or name where the service identity should stand.

    Attributes:
        node: id of the node on which it was found.
        place: ``table networks``, or the path of a file.
        key: which row (``net=10.77.0.0,mask=255.255.0.0``) or line (``line 7``); empty if the place has one of it only.
        item: column or attribute; empty for a line of a file.
        value: what stands there, or the part of it around the word (never a whole line of a file that may hold secrets).
        word: the address or name that is wrong there.
        mend: what puts it right.
        wanted: the value it gets, for ``Mend.TABLE``.
        advice: what to do; for the administrator.
        row: for ``Mend.POLICY``: columns of the row to add.
    """

    node: str
    place: str
    key: str
    item: str
    value: str
    word: str
    mend: Mend
    wanted: str = ""
    advice: str = ""
    row: Mapping[str, str] = field(factory=dict)

    @property
    def where(self) -> str:
        """Table or file, key and value, in one line."""
        item = f"{self.item} = {self.value}" if self.item else self.value
        return f"{self.place}, {self.key}: {item}" if self.key else f"{self.place}: {item}"
