"""The target's side: fetch the source's snapshot, prove it, keep it as a generation, put it in place."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from xcat_ha_drivers.postgres import location
from xcat_ha_drivers.postgres.daemon import refuse_if_xcatd_runs
from xcat_ha_drivers.postgres.disk import (
    made,
    no_room,
    remove_directory,
    remove_leftovers,
    sha256_of,
    sync_directory,
    sync_file,
    writing_below,
)
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres_dump._access import read_access
from xcat_ha_drivers.postgres_dump._apply import Hands, put_in_place
from xcat_ha_drivers.postgres_dump._diverged import save
from xcat_ha_drivers.postgres_dump._manifest import ACCESS, DUMP, MANIFEST, Manifest, read_manifest, write_manifest
from xcat_ha_drivers.postgres_dump._node import Here, InPlace
from xcat_ha_drivers.postgres_dump._places import Generation, base, diverged, generations, incoming, newest, prune

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


def receive(xcat_dir: str, data_directory: str, order: Order, hands: Hands) -> Manifest:
    """Make this node's database the source's newest snapshot. A seed also brings cfgloc to a node that has none for PostgreSQL.

    Raises:
        PostgresError: this node must not receive, nothing usable came, or there is no room; the last good copy is as it was.
    """
    refuse_if_xcatd_runs()
    is_new = order.over_own and location.read(xcat_dir).location.engine != location.ENGINE
    if not is_new:
        _require_copy(Here(xcat_dir, data_directory), order)
    good = newest()
    untouched = f"the last good copy ({good.path.name if good else 'none yet'}) is as it was"
    for directory in (made(generations()), base(), diverged()):
        remove_leftovers(directory)
    remove_directory(incoming())
    try:
        with writing_below(base(), untouched):
            incoming().mkdir(mode=0o700)
            fetch = partial(_fetch, order, hands, untouched)
            fetch(MANIFEST, ACCESS)
            credentials = read_access(incoming() / ACCESS).credentials if is_new else None
            here = Here(xcat_dir, data_directory, credentials)
            copy = _arrive(here, order, good, fetch, untouched)
        found = here.in_place()
        if found.is_somebodys:
            save(order.node, here, hands)
        put_in_place(here, copy, found, hands)
        prune(order.keep)
    finally:
        remove_directory(incoming())
    return copy.manifest


def _require_copy(here: Here, order: Order) -> None:
    """Only a seed replaces a node's own database."""
    if here.in_place().kind == "own" and not order.over_own:
        raise PostgresError(
            f"the database {here.database} is this node's own, not a copy of {order.source}'s",
            hint="if it may be discarded: xcat-ha setup, or xcat-ha rejoin (they save it first)",
        )


def _arrive(here: Here, order: Order, good: Generation | None, fetch: Callable[[str], None], untouched: str) -> Generation:
    """The manifest is there: if it is of what we have, there is nothing to fetch but the time."""
    manifest = read_manifest(incoming())
    if manifest.source != order.source:
        raise PostgresError(
            f"the copy says it is of {manifest.source!r}, expected {order.source!r}", hint="check the node ids on both nodes"
        )
    _require_fit(here, manifest)
    if good is not None and manifest.id == good.manifest.id and good.manifest.source == manifest.source and _is_whole(good):
        manifest = manifest._replace(dump_sha256=good.manifest.dump_sha256)
        write_manifest(good.path, manifest)
        return Generation(good.path, manifest)
    _guard_vanished(order, manifest, here.in_place(), good, untouched)
    fetch(DUMP)
    for name, wanted in ((ACCESS, manifest.access_sha256), (DUMP, manifest.dump_sha256)):
        if not (incoming() / name).exists() or sha256_of(incoming() / name) != wanted:
            raise PostgresError(
                f"{name} arrived with another checksum than its manifest says",
                state=untouched,
                hint=f"run it again; if it stays so, remove the outgoing directory on {manifest.source}",
            )
        sync_file(incoming() / name)
    sync_file(incoming() / MANIFEST)
    sync_directory(incoming())
    return Generation(incoming(), manifest)


def _is_whole(generation: Generation) -> bool:
    """Whether a copy on our own disk is still what it was; a broken one is fetched again."""
    try:
        return all(
            sha256_of(generation.path / name) == wanted
            for name, wanted in ((ACCESS, generation.manifest.access_sha256), (DUMP, generation.manifest.dump_sha256))
        )
    except OSError:
        return False


def _require_fit(here: Here, manifest: Manifest) -> None:
    ours, theirs = int(here.server.layout.version.partition(".")[0]), manifest.version // 10000
    if ours != theirs:
        raise PostgresError(
            f"PostgreSQL is {theirs} on {manifest.source} and {ours} here", hint="install the same major version on both nodes"
        )
    if manifest.database != here.database:
        raise PostgresError(
            f"xCAT's database is {manifest.database} on {manifest.source} and {here.database} here",
            hint="make cfgloc name the same on both",
        )


def _guard_vanished(order: Order, manifest: Manifest, found: InPlace, good: Generation | None, untouched: str) -> None:
    """A source that lost many tables at once is more likely broken than tidied up."""
    if order.over_own or good is None or found.kind != "copy":
        return
    present = set(good.manifest.contents.tables)
    vanished = sorted(present - set(manifest.contents.tables))
    if len(vanished) > max(MAX_VANISHED_ALWAYS, MAX_VANISHED_SHARE * len(present)):
        raise PostgresError(
            f"{len(vanished)} of {len(present)} tables are gone on {order.source} ({', '.join(vanished[:3])} ...)",
            state=untouched,
            hint="look at the database there; if it is right, seed this node anew",
        )


def _fetch(order: Order, hands: Hands, untouched: str, *names: str) -> None:
    argv = ["rsync", "-L", "--chmod=F600", "--info=progress2", f"--timeout={RSYNC_SILENCE_S}", "-e", order.rsh or "ssh"]
    done = subprocess.run(  # the argv holds no input of a stranger: addresses and paths are the configuration's
        [*argv, *(f"{order.address}{name}" for name in names), f"{incoming()}/"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(hands.lock,),
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return
    said = " ".join(done.stderr.split())
    if "No space left on device" in said or "Disk quota exceeded" in said:
        raise no_room(incoming(), untouched, "the disk is full")
    raise PostgresError(
        f"rsync from {order.source} ended with {done.returncode} ({said[:150]})",
        state=untouched,
        hint=f"try: ssh to {order.source} with xcat-ha's key; is rsync installed on both nodes?",
    )
