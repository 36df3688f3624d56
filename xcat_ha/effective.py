"""What a configuration means in full: every key with its value, and whether the file, a default or a driver says so."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from attrs import NOTHING, fields, frozen

from xcat_ha.config import parse_pair
from xcat_ha.config_tables import tables_of
from xcat_ha.errors import DriverBrokenError, DriverNotFoundError
from xcat_ha.models import Pair
from xcat_ha.registry import GROUPS, build_driver

_SECRET = re.compile(r"passw|secret|token|credential|passphrase")


class Origin(StrEnum):
    """Who says so."""

    FILE = "file"
    DEFAULT = "default"
    DRIVER = "driver"
    """It is the default of the driver that the table names."""


@frozen
class Setting:
    """A key of the configuration.

    Attributes:
        key: dotted, as in ``nodes.mna.address``.
        value: what holds; None: a default that only the driver knows.
        origin: who says so.
        note: what else there is to say; a driver that cannot be used, above all.
    """

    key: str
    value: object
    origin: Origin
    note: str = ""


def effective_settings(text: str, where: str) -> tuple[Setting, ...]:
    """Every key of the configuration ``text``.

    Raises:
        ConfigError: it cannot be used; also an option that a driver does not accept.
    """
    pair, data = parse_pair(text, where), tomllib.loads(text)
    found: list[Setting] = []
    for name, shape in tables_of(data):
        found += _of_table(name, shape, _below(data, name))
    for table in GROUPS:
        found += _of_driver(table, pair, written=_below(data, table))
    return tuple(found)


def _below(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value: Any = data
    for part in name.split("."):
        value = value.get(part, {})
    return value if isinstance(value, Mapping) else {}


def _of_table(name: str, shape: Any, table: Mapping[str, Any]) -> Iterator[Setting]:
    for attribute in fields(shape):
        if attribute.name in table:
            yield Setting(f"{name}.{attribute.name}", table[attribute.name], Origin.FILE)
        elif attribute.default is not NOTHING:
            default = attribute.default.factory() if hasattr(attribute.default, "factory") else attribute.default
            yield Setting(f"{name}.{attribute.name}", default, Origin.DEFAULT)


def _of_driver(table: str, pair: Pair, written: Mapping[str, Any]) -> Iterator[Setting]:
    choice = getattr(pair, table)
    try:
        driver = build_driver(table, pair)
    except (DriverNotFoundError, DriverBrokenError) as error:
        yield Setting(f"{table}.driver", choice.name, Origin.FILE if "driver" in written else Origin.DEFAULT, f"{error.what}; {error.hint}")
        for option in sorted(choice.options):
            yield Setting(f"{table}.{option}", _shown(option, choice.options[option]), Origin.FILE)
        return
    yield Setting(f"{table}.driver", choice.name, Origin.FILE if "driver" in written else Origin.DEFAULT)
    known: Mapping[str, object] = getattr(driver, "effective_options", choice.options)
    for option in sorted(driver.option_names | set(choice.options)):
        if option in choice.options:
            yield Setting(f"{table}.{option}", _shown(option, choice.options[option]), Origin.FILE)
        else:
            yield Setting(f"{table}.{option}", _shown(option, known.get(option)), Origin.DRIVER)


def _shown(option: str, value: object) -> object:
    """An option's value as JSON can hold it; a secret is not shown, wherever a driver may keep one."""
    if _SECRET.search(option) and not option.endswith(("_file", "_path", "_dir")):
        return "(not shown)"
    plain: object = json.loads(json.dumps(value, default=str))
    return plain
