"""Options of the configuration that are no numbers."""

from __future__ import annotations

from collections.abc import Mapping

from xcat_ha.errors import ConfigError
from xcat_ha.models import Pair


def word(pair: Pair, options: Mapping[str, object], name: str, default: str = "") -> str:
    """A text.

    Raises:
        ConfigError: it is something else.
    """
    value = options.get(name, default)
    if not isinstance(value, str):
        raise ConfigError(f"option {name!r} must be a string, not {value!r}", where=pair.source, hint=f'for example {name} = "…"')
    return value


def directory(pair: Pair, options: Mapping[str, object], name: str, *, example: str) -> str:
    """An absolute path; empty if it is not given.

    Raises:
        ConfigError: it is something else.
    """
    path = options.get(name, "")
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise ConfigError(f"option {name!r} must be an absolute path, not {path!r}", where=pair.source, hint=f"for example {example}")
    return path
