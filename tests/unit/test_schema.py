"""After an upgrade of one node ``check`` tells which tables and columns differ."""

from __future__ import annotations

import pytest

from xcat_ha.planning.schema import Schema, schema_finding
from xcat_ha.steps import Verdict

OLD: dict[str, frozenset[str]] = {"site": frozenset({"key", "value"}), "nodelist": frozenset({"node", "groups"})}


@pytest.mark.parametrize(
    ("theirs", "verdict", "detail"),
    [
        (OLD, Verdict.HOLDS, "2 tables"),
        (OLD | {"pdu": frozenset({"node"})}, Verdict.FAILS, "only mnb has table pdu"),
        ({"site": OLD["site"]}, Verdict.FAILS, "only mna has table nodelist"),
        (OLD | {"site": OLD["site"] | {"comments"}}, Verdict.FAILS, "only mnb has column site.comments"),
        (
            OLD | {f"t{number}": frozenset({"x"}) for number in range(9)},
            Verdict.FAILS,
            "only mnb has table t0; only mnb has table t1; only mnb has table t2; only mnb has table t3; only mnb has table t4; and 4 more",
        ),
        (None, Verdict.UNKNOWN, "not known of mnb"),
        ({}, Verdict.FAILS, "only mna has table nodelist; only mna has table site"),
    ],
)
def test_two_databases(theirs: Schema | None, verdict: Verdict, detail: str) -> None:
    finding = schema_finding({"mna": OLD, "mnb": theirs})
    assert (finding.verdict, finding.judgement.detail) == (verdict, detail)
    assert finding.hint


def test_two_databases_without_a_table_are_not_the_same() -> None:
    assert schema_finding({"mna": {}, "mnb": {}}).verdict is Verdict.UNKNOWN
