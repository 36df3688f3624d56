"""Plans, phases and steps as JSON and back, without loss."""

from __future__ import annotations

import json
from typing import Any

import cattrs
from cattrs.errors import BaseValidationError
from cattrs.strategies import configure_tagged_union

from xcat_ha.errors import ParseError
from xcat_ha.steps import Arg, Phase, Plan, Ref, Rule, Step, Steps


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    configure_tagged_union(Rule, converter, tag_name="rule")

    def arg_to_json(arg: Arg) -> Any:
        return {"ref": arg.name} if isinstance(arg, Ref) else arg

    def arg_from_json(value: Any, _type: Any) -> Arg:
        if isinstance(value, dict):
            return Ref(value["ref"])
        if isinstance(value, str):
            return value
        raise TypeError(f"an argument must be a string or a reference, not {value!r}")

    converter.register_unstructure_hook(Arg, arg_to_json)
    converter.register_structure_hook(Arg, arg_from_json)
    converter.register_unstructure_hook(Ref, arg_to_json)
    return converter


_CONVERTER = _converter()


def to_data(value: Plan | Phase | Step | Steps) -> Any:
    """Plain lists and dictionaries, ready for :func:`json.dumps`."""
    if isinstance(value, tuple):
        return [_CONVERTER.unstructure(step) for step in value]
    return _CONVERTER.unstructure(value)


def plan_to_json(plan: Plan) -> str:
    """One JSON document."""
    return json.dumps(to_data(plan), ensure_ascii=True)


def plan_from_json(text: str) -> Plan:
    """The plan in ``text``.

    Raises:
        ParseError: it is not JSON, or not a plan.
    """
    plan: Plan = _load(text, Plan)
    return plan


def phase_from_json(text: str) -> Phase:
    """The phase in ``text``.

    Raises:
        ParseError: it is not JSON, or not a phase.
    """
    phase: Phase = _load(text, Phase)
    return phase


def steps_to_json(steps: Steps) -> str:
    """One JSON array."""
    return json.dumps(to_data(steps), ensure_ascii=True)


def steps_from_json(text: str) -> Steps:
    """The steps in ``text``.

    Raises:
        ParseError: it is not JSON, or not a list of steps.
    """
    steps: Steps = _load(text, tuple[Step, ...])
    return steps


def _load(text: str, shape: Any) -> Any:
    try:
        return _CONVERTER.structure(json.loads(text), shape)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BaseValidationError) as error:
        raise ParseError(
            f"this is not a plan as xcat-ha writes it: {type(error).__name__}",
            hint="the file was written by another version or changed by hand; make a new plan",
        ) from error
