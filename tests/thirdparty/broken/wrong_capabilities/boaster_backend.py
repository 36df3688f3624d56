"""A driver that declares what no driver can."""

from __future__ import annotations

from typing import Any, ClassVar

from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Engine


class Boaster(ReplicationBackend):
    """Nothing of it works, and it says that everything does."""

    capabilities: ClassVar[frozenset[Any]] = frozenset({"time-travel"})
    engines: ClassVar[frozenset[Engine]] = frozenset({Engine.SQLITE})


def _nothing(self: Boaster, *words: object, **options: object) -> Any:
    """Whatever it is asked."""


for _name in tuple(Boaster.__abstractmethods__):
    setattr(Boaster, _name, _nothing)
Boaster.__abstractmethods__ = frozenset()
