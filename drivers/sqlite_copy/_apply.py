"""Putting a generation in place: all of its tables or none, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xcat_ha_drivers.database.disk import rooted, sync_directory, writing_below
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.marker import Marker
from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
from xcat_ha_drivers.sqlite_copy._disk import SIDE_SUFFIXES, CopyError, copy_durably, side_by_side
from xcat_ha_drivers.sqlite_copy._generations import Generation
from xcat_ha_drivers.sqlite_copy._live import APPLIED, APPLYING, Known, live_table, read_known, write_known, write_marker
from xcat_ha_drivers.sqlite_copy._manifest import Table
from xcat_ha_drivers.sqlite_copy._tables import look, table_paths
from xcat_ha_drivers.sqlite_copy._xcat import wait_until_unused

_PREFIX = ".xcat-ha-"


def put_in_place(generation: Generation, xcat_dir: str, *, wait_s: float) -> None:
    """Make the table files of ``xcat_dir`` those of ``generation``; started again after a crash it ends in the same state.

    The order: every new file written beside the old and fsynced; the marker says ``applying``; journals of the old files removed and the
    directory fsynced (a hot journal beside a new file would be rolled back *into* it); renames; the directory fsynced; the marker says
    ``applied``. Until the first rename the old copy is whole; after it the marker sends every reader to the generation.

    Raises:
        DatabaseError: xcatd runs, a process has a table open, the disk is full, or the generation is damaged.
    """
    refuse_if_xcatd_runs()
    wait_until_unused(xcat_dir, wait_s)
    directory = rooted(xcat_dir)
    directory.mkdir(parents=True, exist_ok=True)
    _remove_temporaries(directory)
    wanted = generation.manifest.tables
    present = {path.name for path in table_paths(xcat_dir)}
    known = read_known(xcat_dir)
    changed = [name for name in wanted if name not in present or not _is(directory / name, wanted[name], known, wait_s)]
    with writing_below(directory, f"the database in place is as it was, generation {generation.path.name} is complete"):
        try:
            side_by_side(lambda name: _write_beside(generation, directory, name), changed)
        except BaseException:
            _remove_temporaries(directory)
            raise
    refuse_if_xcatd_runs()
    with writing_below(directory, f"generation {generation.path.name} is complete, and partly in place: run it again"):
        _put_durably(generation, xcat_dir, changed, sorted(present - set(wanted)))


def _put_durably(generation: Generation, xcat_dir: str, changed: list[str], vanished: list[str]) -> None:
    directory, wanted = rooted(xcat_dir), generation.manifest.tables
    marker = Marker(APPLYING, generation.path.name, generation.manifest.id, generation.manifest.source, generation.manifest.snapshot_time)
    if changed or vanished or _side_files(directory, wanted):
        write_marker(marker)
        _swap(directory, changed, vanished, list(wanted))
    write_known(xcat_dir, {name: (look(directory / name), table.sha256) for name, table in wanted.items()})
    write_marker(marker._replace(state=APPLIED))


def _is(path: Path, wanted: Table, known: Known, wait_s: float) -> bool:
    """Whether a file in place is what it should be, mode and owner included, with nothing pending beside it."""
    if _side_files(path.parent, [path.name]):
        return False
    try:
        found = live_table(path, known, wait_s)
    except DatabaseError:  # not a table, damaged: it is replaced
        return False
    return found._replace(counter=0) == wanted._replace(counter=0)


def _write_beside(generation: Generation, directory: Path, name: str) -> None:
    table = generation.manifest.tables[name]
    sha256 = copy_durably(
        generation.path / name,
        directory / f"{_PREFIX}{name}.tmp",
        mode=table.mode,
        uid=table.uid,
        gid=table.gid,
    )
    if sha256 != table.sha256:
        raise CopyError(
            f"{generation.path / name} does not have the checksum its manifest says",
            state="the database in place is as it was",
            hint=f"its disk is bad, or somebody wrote there; remove {generation.path} and run it again",
        )


def _side_files(directory: Path, names: Iterable[str]) -> list[Path]:
    candidates = (directory / (name + suffix) for name in names for suffix in SIDE_SUFFIXES)
    return [path for path in candidates if path.exists()]


def _swap(directory: Path, changed: list[str], vanished: list[str], names: list[str]) -> None:
    leftovers = _side_files(directory, names + vanished)
    for path in leftovers:
        path.unlink()
    if leftovers:
        sync_directory(directory)
    for name in changed:
        (directory / f"{_PREFIX}{name}.tmp").replace(directory / name)
    for name in vanished:
        (directory / name).unlink()
    sync_directory(directory)


def _remove_temporaries(directory: Path) -> None:
    for path in directory.glob(f"{_PREFIX}*.tmp"):
        path.unlink()
