"""Options of the configuration that are no numbers."""

from __future__ import annotations

from collections.abc import Mapping

from xcat_ha.errors import ConfigError
from xcat_ha.models import Pair

_GONE = ("wait", "degrade")


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


def when_standby_gone(pair: Pair, options: Mapping[str, object], waiting: str) -> str:
    """``wait`` or ``degrade``; empty for an asynchronous standby. ``waiting``: what the mode is called in which commits wait for it.

    Raises:
        ConfigError: the mode is not known, or nobody decided between waiting and losing.
    """
    modes = ("asynchronous", waiting)
    mode, gone = word(pair, options, "mode", modes[0]), word(pair, options, "when_standby_gone")
    if mode not in modes:
        raise ConfigError(f"option 'mode' is {mode!r}", where=pair.source, hint=f"use one of: {', '.join(modes)}")
    if mode != waiting:
        if gone:
            hint = f'take when_standby_gone out, or set mode = "{waiting}"'
            raise ConfigError(f"option 'when_standby_gone' means nothing without a {waiting} standby", where=pair.source, hint=hint)
        return ""
    if gone not in _GONE:
        said = f"is {gone!r}" if gone else "is missing, and there is no default for it"
        hint = '"wait": xCAT stands still while the standby is gone; "degrade": it goes on, and may lose what it writes then'
        raise ConfigError(f"mode is {waiting}, and option 'when_standby_gone' {said}", where=pair.source, hint=hint)
    return gone
