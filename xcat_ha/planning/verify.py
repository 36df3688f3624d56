"""The round trip: a record written on the primary, seen in the standby's copy, and taken away again."""

from __future__ import annotations

from functools import partial

from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.operation import Operation, PhasePlanner, PlanningInput
from xcat_ha.planning.terms import received
from xcat_ha.steps import Check, Matches, Phase, Prints, Probe, Step, Steps, changes, in_order, reads, side_by_side
from xcat_ha.xcat.commands import LSDEF, MKDEF, RMDEF

PROBE_NAME = "xcat-ha-verify"
"""Name of the node definition that is written and removed."""


def plan_verify(given: PlanningInput, source: Node, target: Node) -> Operation:
    """Write, copy, look, remove, copy, look. Both sides are left as they were."""

    def copy(name: str, _state: PairState) -> Phase:
        steps = received(given.drivers.replication.steps_to_sync(source, target), target, source, given.term)
        return Phase(name=name, why=f"{target.id}'s copy is brought up to now.", stages=(side_by_side(steps),))

    def single(step: Step, _state: PairState) -> Phase:
        return Phase(name=step.name, why=step.why, stages=(in_order(step),))

    def phase(step: Step) -> PhasePlanner:
        return PhasePlanner(step.name, partial(single, step), needs_observation=False)

    return Operation(
        name="verify",
        summary=(
            f"Write a node definition {PROBE_NAME} on {source.id}, see it in {target.id}'s copy, and remove it from both.",
            "The database is copied twice; nothing else changes.",
        ),
        phases=(
            phase(step_to_write_record(given, source)),
            PhasePlanner("copy-with-record", partial(copy, "copy-with-record"), needs_observation=False),
            phase(_step_to_see(given, target, present=True)),
            phase(*steps_to_remove_record(source)),
            PhasePlanner("copy-without-record", partial(copy, "copy-without-record"), needs_observation=False),
            phase(_step_to_see(given, target, present=False)),
        ),
        parameters={"source": source.id, "target": target.id},
    )


def _record_question(source: Node) -> Probe:
    # lsdef of an unknown node exits with 1 and says so on stdout (facts: xCAT 4.2); "|| :" keeps that apart from "no answer".
    script = 'out=$("$1" -t node -o "$2" -i usercomment -c 2>/dev/null); rc=$?; [ $rc -le 1 ] || exit $rc; printf "%s\\n" "$out"'
    return Probe(source.id, reads("sh", "-c", script, "sh", LSDEF, PROBE_NAME, timeout_s=120))


def step_to_write_record(given: PlanningInput, source: Node) -> Step:
    """Define the probe node through xcatd, with this operation's id as comment."""
    return Step(
        name="write-record",
        why="Something new has to be seen on the other side.",
        host=source.id,
        done_when=Check(
            question=f"{source.id}'s xCAT has the record {PROBE_NAME} of this run",
            probes=(_record_question(source),),
            rule=Matches(rf"^{PROBE_NAME}: usercomment={given.operation_id}$"),
            hint=f"look at systemctl status xcatd on {source.id}",
        ),
        commands=(
            changes(
                MKDEF, "-t", "node", "-f", "-o", PROBE_NAME, "groups=xcat-ha-probe", f"usercomment={given.operation_id}", timeout_s=120
            ),
        ),
    )


def steps_to_remove_record(source: Node) -> Steps:
    """Remove the probe node through xcatd."""
    return (
        Step(
            name="remove-record",
            why="Both sides are left as they were.",
            host=source.id,
            done_when=Check(
                question=f"{source.id}'s xCAT has no record {PROBE_NAME}",
                probes=(_record_question(source),),
                rule=Matches(rf"^{PROBE_NAME}: ", absent=True),
                hint=f"{RMDEF} -t node -o {PROBE_NAME} on {source.id}",
            ),
            commands=(changes(RMDEF, "-t", "node", "-o", PROBE_NAME, timeout_s=120),),
        ),
    )


def _step_to_see(given: PlanningInput, target: Node, *, present: bool) -> Step:
    word = "present" if present else "absent"
    question = given.drivers.replication.question_for_record(target, PROBE_NAME)
    return Step(
        name=f"see-record-{word}",
        why=f"The copy on {target.id} is read, not xcatd, which does not run there.",
        host=target.id,
        done_when=Check(
            question=f"the record {PROBE_NAME} is {word} in {target.id}'s copy",
            probes=(Probe(target.id, question),),
            rule=Prints(word),
            hint="xcat-ha status shows the state of the copy",
        ),
        commands=(),
    )
