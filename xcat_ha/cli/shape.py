"""The JSON shape of every answer; versioned, documented in ``docs/json.rst``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from typing import Any

import cattrs

from xcat_ha.errors import ExitCode, XcatHaError
from xcat_ha.journal import Record
from xcat_ha.operations import Result
from xcat_ha.planfile import to_data
from xcat_ha.planning.images import NodeImages
from xcat_ha.planning.requirements import Finding
from xcat_ha.registry import DriverInfo
from xcat_ha.status import Status
from xcat_ha.steps import Plan

FORMAT = 1
"""Raised when a key changes its meaning or goes away; new keys may come without."""


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_unstructure_hook(Enum, lambda value: value.value)
    return converter


_CONVERTER = _converter()


def document(verb: str, exit_code: ExitCode, **content: Any) -> str:
    """One answer: ``format``, ``verb``, ``exit_code``, ``outcome`` (the exit code's word) and the verb's own keys."""
    head = {"format": FORMAT, "verb": verb, "exit_code": int(exit_code), "outcome": exit_code.name.lower()}
    return json.dumps(head | content, ensure_ascii=True)


def error_data(error: XcatHaError) -> dict[str, str]:
    """An error's four facts and its kind."""
    return {
        "kind": type(error).__name__.removesuffix("Error"),
        "what": error.what,
        "where": error.where,
        "state": error.state,
        "hint": error.hint,
    }


def data_of(value: Status | Result | Plan | Sequence[Record] | Sequence[Finding] | Sequence[DriverInfo] | Sequence[NodeImages]) -> Any:
    """Plain data of a library's answer."""
    if isinstance(value, Plan):
        return to_data(value)
    if isinstance(value, Sequence):
        return [_CONVERTER.unstructure(item) for item in value]
    return _CONVERTER.unstructure(value)
