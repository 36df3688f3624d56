"""Whether the databases of both nodes have the same tables and columns: an upgrade of xCAT on one of them changes that."""

from __future__ import annotations

from collections.abc import Mapping

from xcat_ha.planning.requirements import Finding
from xcat_ha.steps import Judgement, Verdict

Schema = Mapping[str, frozenset[str]]
_SHOWN = 5


def schema_finding(schemas: Mapping[str, Schema | None]) -> Finding:
    """The finding of ``check``. ``schemas``: node id -> what its database or copy has; None if that is not known. Of two nodes."""
    question = f"the databases of {' and '.join(schemas)} have the same tables and columns"
    hint = "if xCAT was upgraded on the primary only: upgrade the other node too, then xcat-ha sync"
    unknown = [node_id for node_id, schema in schemas.items() if schema is None]
    if unknown:
        return Finding("database", question, Judgement(Verdict.UNKNOWN, f"not known of {', '.join(unknown)}"), hint)
    (first, ours), (second, theirs) = schemas.items()
    differences = [*_more(first, ours, theirs), *_more(second, theirs, ours)]
    if not differences:
        tables = len(ours or ())
        if not tables:
            return Finding("database", question, Judgement(Verdict.UNKNOWN, "neither has any table"), hint)
        return Finding("database", question, Judgement(Verdict.HOLDS, f"{tables} tables"), hint)
    more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    return Finding("database", question, Judgement(Verdict.FAILS, "; ".join(differences[:_SHOWN]) + more), hint)


def _more(node_id: str, ours: Schema | None, theirs: Schema | None) -> list[str]:
    """What a node has and the other one lacks."""
    ours, theirs = ours or {}, theirs or {}
    found = [f"only {node_id} has table {name}" for name in sorted(ours.keys() - theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        found += [f"only {node_id} has column {name}.{column}" for column in sorted(ours[name] - theirs[name])]
    return found
