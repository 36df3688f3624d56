"""The tables of the configuration file as classes, and how one is read: an error names file, key, what is wrong and what to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import cattrs
from attrs import field, fields_dict, frozen
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError

from xcat_ha.errors import ConfigError
from xcat_ha.models import DEFAULT_BIN_DIR

_STRINGS = "a list of strings"
_WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


@frozen
class PairSection:
    """``[pair]``, see :doc:`configuration`."""

    name: str
    preferred: str
    xcat_dir: str = "/etc/xcat"
    min_free_mib: int = 512
    max_clock_skew_s: float = 2.0
    sync_database_every_s: int = 300
    sync_files_every_s: int = 3600
    max_loss_s: int = 900
    guard_interval_s: int = 5


@frozen
class WitnessSection:
    """``[witness]``, see :doc:`configuration`."""

    host: str = ""
    user: str = "root"
    file: str = ""
    ssh_port: int = 22


@frozen
class NodeSection:
    """``[nodes.ID]``, see :doc:`configuration`."""

    name: str
    address: str
    interface: str
    bin_dir: str = DEFAULT_BIN_DIR
    ssh_port: int = 22


@frozen
class ServiceSection:
    """``[service]``, see :doc:`configuration`."""

    hostname: str
    addresses: list[str]
    mode: str = "service-address"


@frozen
class SetSection:
    """``[files.own.NAME]``, see :doc:`configuration`."""

    paths: list[str]
    excludes: list[str] = field(factory=list)
    delete: bool = True
    max_delete_pct: float = 10.0
    must_be_mounted: bool = False
    keep_lines: list[str] = field(factory=list)
    numeric_ids: bool = False


def tables_of(data: Mapping[str, Any]) -> tuple[tuple[str, type], ...]:
    """The tables whose keys are xcat-ha's own, with the attrs class that has their names and defaults; ``data``: a configuration."""
    nodes = tuple((f"nodes.{name}", NodeSection) for name in data.get("nodes", ()))
    own = tuple((f"files.own.{name}", SetSection) for name in data.get("files", {}).get("own", ()))
    return (("pair", PairSection), *nodes, ("service", ServiceSection), ("witness", WitnessSection), *own)


class TableReader:
    """Reads tables of one file; knows the file's name for errors."""

    def __init__(self, where: str) -> None:
        """``where``: the file's name."""
        self.where = where
        self._converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
        for wanted in (str, int, float, bool):
            self._converter.register_structure_hook(wanted, self._strict(wanted))
        self._converter.register_structure_hook_func(lambda shape: shape == list[str], self._strings)

    def _strings(self, value: Any, _type: Any) -> list[str]:
        """A string is not a list of its letters."""
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"must be {_STRINGS}, not {value!r}")
        return [self._converter.structure(item, str) for item in value]

    @staticmethod
    def _strict(wanted: type) -> Any:
        """No silent conversions: ``"7"`` is not a number, 1 is not ``true``."""

        def structure(value: Any, _type: Any) -> Any:
            if wanted is float and isinstance(value, int) and not isinstance(value, bool):
                return float(value)
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                raise TypeError(f"must be {_WORDS[wanted]}, not {value!r}")
            if isinstance(value, str) and not value.isprintable():
                raise TypeError(f"must not hold control characters: {value!r}")
            return value

        return structure

    def error(self, key: str, what: str, hint: str) -> ConfigError:
        """Something is wrong with a key."""
        return ConfigError(f"{key}: {what}", where=self.where, hint=hint)

    def section(self, data: Mapping[str, Any], key: str, shape: Any) -> Any:
        """The table ``key`` structured as ``shape``.

        Raises:
            ConfigError: it is missing, no table, or one of its keys is missing, unknown or of the wrong type.
        """
        value: Any = data
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            raise self.error(f"[{key}]", "is missing", f"add the table [{key}] with {_keys_of(shape)}")
        if not isinstance(value, Mapping):
            raise self.error(key, "must be a table", f"write [{key}] on a line of its own, keys below it")
        try:
            return self._converter.structure(value, shape)
        except BaseValidationError as group:
            raise self._first_problem(key, group, shape) from group

    def _first_problem(self, key: str, group: BaseValidationError, shape: Any) -> ConfigError:
        for problem in group.exceptions:
            if isinstance(problem, ForbiddenExtraKeysError):
                extra = ", ".join(sorted(problem.extra_fields))
                return self.error(f"[{key}]", f"unknown key {extra}", f"the keys are: {_keys_of(shape)}")
            if isinstance(problem, KeyError):
                return self.error(f"{key}.{problem.args[0]}", "is missing", f"[{key}] needs it")
            name = _noted(key, problem)
            said = str(problem) if isinstance(problem, TypeError) else f"has the wrong form ({problem})"
            hint = 'write them in brackets: ["…", "…"]' if _STRINGS in said else "see docs/configuration for its form"
            return self.error(name, said, hint)
        return self.error(f"[{key}]", "cannot be understood", "see docs/configuration")


def _keys_of(shape: Any) -> str:
    return ", ".join(fields_dict(shape))


def _noted(key: str, problem: BaseException) -> str:
    """The key's name from cattrs' note on the exception."""
    for note in getattr(problem, "__notes__", ()):
        found = re.search(r"attribute (\w+)$", str(note))
        if found:
            return f"{key}.{found.group(1)}"
    return f"[{key}]"
