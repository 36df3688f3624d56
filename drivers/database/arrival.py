"""A copy on its way to this node: fetched with rsync, and refused if it lacks too much of what is here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import no_room
from xcat_ha_drivers.database.errors import DatabaseError

RSYNC_SILENCE_S = 60
MAX_VANISHED_SHARE = 0.1
MAX_VANISHED_ALWAYS = 3


class Order(NamedTuple):
    """What to receive.

    Attributes:
        node: id of this node.
        source: id of the node that sends.
        address: what rsync reads (``root@10.77.0.21:/…/``).
        rsh: rsync's ``-e``; empty for a local address.
        keep: generations kept.
        over_own: whether this node's own database may be replaced (seed).
    """

    node: str
    source: str
    address: str
    rsh: str
    keep: int
    over_own: bool


def fetch(  # noqa: PLR0913  # what rsync is told, and what is said if it fails
    order: Order, options: Sequence[str], names: Sequence[str], place: Path, *, lock: int, untouched: str
) -> None:
    """Run rsync. ``names`` are put to the end of the address; ``lock`` is inherited, so it is held while any part is alive.

    Raises:
        DatabaseError: it failed, or the disk is full; ``untouched`` says what is still good.
    """
    import subprocess  # noqa: PLC0415  # slow to import, and the many questions a node is asked do not need it

    words = [*options, "--info=progress2", f"--timeout={RSYNC_SILENCE_S}", *(("-e", order.rsh) if order.rsh else ())]
    done = subprocess.run(  # the argv holds no input of a stranger: addresses and paths are the configuration's
        ["rsync", *words, *(order.address + name for name in names), f"{place}/"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(lock,),
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return
    said = " ".join(done.stderr.split())
    if "No space left on device" in said or "Disk quota exceeded" in said:
        raise no_room(place, untouched, "the disk is full")
    raise DatabaseError(
        f"rsync from {order.source} ended with {done.returncode} ({said[:150]})",
        state=untouched,
        hint=f"try: ssh to {order.source} with xcat-ha's key; is rsync installed on both nodes?",
    )


def refuse_strangers(order: Order, source: str) -> None:
    """Refuse a copy that says it is of another node than the one it was ordered from."""
    if source != order.source:
        raise DatabaseError(f"the copy says it is of {source!r}, expected {order.source!r}", hint="check the node ids on both nodes")


def refuse_vanished(order: Order, present: Iterable[str], coming: Iterable[str], *, untouched: str, look_at: str) -> None:
    """A source that lost many tables at once is more likely broken than tidied up. A seed takes what there is.

    Raises:
        DatabaseError: more than a few of the tables ``present`` here are not ``coming``. ``look_at``: where, for the hint.
    """
    known = set(present)
    vanished = sorted(known - set(coming))
    if not order.over_own and len(vanished) > max(MAX_VANISHED_ALWAYS, MAX_VANISHED_SHARE * len(known)):
        raise DatabaseError(
            f"{len(vanished)} of {len(known)} tables are gone on {order.source} ({', '.join(vanished[:3])} ...)",
            state=untouched,
            hint=f"look at {look_at} there; if it is right, seed this node anew",
        )
