"""Plans as JSON and back: nothing is lost, and what is no plan is said to be none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_core_toys import toy_step
from xcat_ha.errors import ExitCode, ParseError
from xcat_ha.planfile import phase_from_json, plan_from_json, plan_to_json, steps_from_json, steps_to_json, to_data
from xcat_ha.steps import (
    Check,
    Command,
    Effect,
    ExitStatus,
    Matches,
    Phase,
    Plan,
    Prints,
    Probe,
    Ref,
    SamePrinted,
    SaysVerdict,
    Stage,
    Step,
)

# Any text, lone surrogates included: file names of any bytes are carried as such.
TEXT = st.text(st.characters(exclude_categories=[]), max_size=8)
SECONDS = st.floats(0, 1e9, allow_nan=False)
RULES = st.one_of(
    st.builds(ExitStatus, st.lists(st.integers(0, 255), max_size=2).map(tuple), st.lists(st.integers(0, 255), max_size=2).map(tuple)),
    st.builds(Prints, TEXT),
    st.builds(Matches, TEXT, st.booleans()),
    st.just(SamePrinted()),
    st.builds(SaysVerdict, names=TEXT),
)
COMMANDS = st.builds(
    Command,
    argv=st.lists(TEXT | st.builds(Ref, TEXT), min_size=1, max_size=3).map(tuple),
    effect=st.sampled_from(Effect),
    stdin=st.none() | TEXT,
    timeout_s=SECONDS,
    user=st.none() | TEXT,
    capture=st.none() | TEXT,
    ok_codes=st.lists(st.integers(0, 255), max_size=2).map(tuple),
    progress=st.none() | TEXT,
    stall_s=st.none() | SECONDS,
)
CHECKS = st.builds(Check, TEXT, st.lists(st.builds(Probe, TEXT, COMMANDS), max_size=2).map(tuple), RULES, TEXT)
FEW_COMMANDS = st.lists(COMMANDS, max_size=2).map(tuple)
STEPS = st.builds(Step, TEXT, TEXT, TEXT, CHECKS, FEW_COMMANDS, st.lists(CHECKS, max_size=1).map(tuple), FEW_COMMANDS, SECONDS)
LANES = st.lists(st.lists(STEPS, max_size=2).map(tuple), max_size=2).map(tuple)
PHASES = st.builds(Phase, TEXT, TEXT, st.lists(st.builds(Stage, LANES), max_size=2).map(tuple))
PLANS = st.builds(Plan, TEXT, st.lists(TEXT, max_size=2).map(tuple), st.lists(PHASES, max_size=2).map(tuple))


@settings(max_examples=40, deadline=None)
@given(PLANS)
def test_any_plan_survives(plan: Plan) -> None:
    text = plan_to_json(plan)
    assert plan_from_json(text) == plan
    assert text.isascii()
    assert "\n" not in text  # a line of a journal


@settings(max_examples=30, deadline=None)
@given(st.lists(STEPS, max_size=3).map(tuple), PHASES)
def test_any_steps_and_phases_survive(steps: tuple[Step, ...], phase: Phase) -> None:
    assert steps_from_json(steps_to_json(steps)) == steps
    assert phase_from_json(json.dumps(to_data(phase))) == phase


GOOD = json.loads(steps_to_json((toy_step("a"),)))


def changed(*path: str | int, value: object) -> str:
    data = json.loads(json.dumps(GOOD))
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(data)


WRONG = {
    "nothing": "",
    "no JSON": "{",
    "another thing": "7",
    "a step that is none": "[7]",
    "a step without host": json.dumps([{key: value for key, value in GOOD[0].items() if key != "host"}]),
    "a key too many": changed(0, "colour", value="red"),
    "a rule that is none": changed(0, "done_when", "rule", value={"rule": "Hopes"}),
    "a rule without its name": changed(0, "done_when", "rule", value={}),
    "an argument that is a number": changed(0, "commands", 0, "argv", value=[7]),
    "a reference without a name": changed(0, "commands", 0, "argv", value=[{}]),
    "an effect that is none": changed(0, "commands", 0, "effect", value="breaks"),
    "a time that is none": changed(0, "settle_s", value="soon"),
    "brackets without end": "[" * 100_000,
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_plan_is_said_to_be_none(case: str) -> None:
    with pytest.raises(ParseError) as caught:
        steps_from_json(WRONG[case])
    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.UNKNOWN


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD[0], "rule", "argv", "ref", "x"]), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(_JSON, st.sampled_from(sorted(GOOD[0])))
def test_any_json_is_a_plan_or_a_parse_error(value: object, key: str) -> None:
    for text in (json.dumps(value), json.dumps([value]), changed(0, key, value=value)):
        for load in (steps_from_json, phase_from_json, plan_from_json):
            try:
                load(text)
            except ParseError as error:
                assert error.hint  # noqa: PT017 - no error at all is fine too
