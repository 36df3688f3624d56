"""What a driver's programs remember on a node between two runs, one small file a note."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xcat_ha_drivers.database.disk import made, rooted, sync_directory, write_durably
from xcat_ha_drivers.database.errors import DatabaseError


class Notes(NamedTuple):
    """The notes of a driver.

    Attributes:
        directory: the driver's own directory on a node.
        hint: what to do with a note that cannot be understood.
    """

    directory: str
    hint: str

    def _path(self, name: str) -> Path:
        return rooted(self.directory) / f"{name}.json"

    def read(self, name: str) -> Mapping[str, Any] | None:
        """A note of an earlier run; None if there is none.

        Raises:
            DatabaseError: it is there and cannot be read; what it says may be what keeps the data safe.
        """
        path = self._path(name)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unusable(path) from error
        if not isinstance(found, dict):
            raise self._unusable(path)
        return found

    def _unusable(self, path: Path) -> DatabaseError:
        return DatabaseError(f"the note {path} is not usable", hint=self.hint)

    def write(self, name: str, **facts: object) -> None:
        """Keep a note, durably."""
        made(rooted(self.directory))
        write_durably(self._path(name), json.dumps(facts))

    def forget(self, name: str) -> None:
        """Remove a note; harmless if there is none."""
        path = self._path(name)
        if path.exists():
            path.unlink()
            sync_directory(path.parent)


def set_mark(path: str) -> None:
    """Make a mark that the next boot removes."""
    place = rooted(path)
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    place.touch(mode=0o644)


def is_marked(path: str) -> bool:
    """Whether a mark is there."""
    return rooted(path).exists()


def clear_mark(path: str) -> None:
    """Remove a mark."""
    rooted(path).unlink(missing_ok=True)
