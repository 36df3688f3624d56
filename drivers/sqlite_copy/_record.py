"""Whether an xCAT node is defined, asked of the table itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.sqlite_copy._disk import CopyError
from xcat_ha_drivers.sqlite_copy._live import pending_generation, read_marker
from xcat_ha_drivers.sqlite_copy._sqlite import reading, worded
from xcat_ha_drivers.sqlite_copy._tables import HotJournalError, journal_of, look

# xCAT ignores rows whose "disable" is set (Table.pm getAllAttribs).
_RECORD = "SELECT count(*) FROM nodelist WHERE node = ? AND (disable IS NULL OR lower(disable) IN ('', '0', 'no'))"
_NODELIST = "nodelist.sqlite"


def has_node(xcat_dir: str, name: str, wait_s: float) -> bool:
    """Whether an xCAT node of that name is defined in the database in place (or in the generation that is not quite in place).

    Raises:
        CopyError: the table cannot be read; nothing may be concluded.
    """
    path = (pending_generation(read_marker()) or rooted(xcat_dir)) / _NODELIST
    if not path.parent.is_dir():
        raise CopyError(f"{path.parent} is not there", hint="is it mounted?")
    if not path.exists() or look(path).size == 0:
        return False
    if journal_of(path).exists():
        return _has_node_recovered(path, name, wait_s)
    return _query(path, name, wait_s)


def _query(path: Path, name: str, wait_s: float) -> bool:
    with reading(path, wait_s) as live, worded(path):
        found: tuple[int] = live.connection.execute(_RECORD, (name,)).fetchone()
    return found[0] > 0


def _has_node_recovered(path: Path, name: str, wait_s: float) -> bool:
    """Ask a table with a journal: if a live writer owns it, as usual; if it is hot, a private copy that SQLite may roll back."""
    try:
        return _query(path, name, wait_s)
    except HotJournalError:
        pass
    from tempfile import TemporaryDirectory  # noqa: PLC0415  # slow to import, and nearly never needed

    with TemporaryDirectory(prefix="xcat-ha-") as private:
        copy = Path(private) / path.name
        copy.write_bytes(path.read_bytes())
        journal_of(copy).write_bytes(journal_of(path).read_bytes())
        with worded(path):
            connection = sqlite3.connect(copy)
            try:
                return bool(connection.execute(_RECORD, (name,)).fetchone()[0])
            finally:
                connection.close()
