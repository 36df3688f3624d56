"""Recording that administrators are at work, or have ended."""

from __future__ import annotations

from xcat_ha.maintenance import MAINTENANCE_FILE, NO_MAINTENANCE, Maintenance, moment
from xcat_ha.models import Node
from xcat_ha.observation import PairState
from xcat_ha.planning.operation import Operation, PhasePlanner
from xcat_ha.planning.setup import step_to_write_file
from xcat_ha.steps import Phase, side_by_side

_TOLD = "Whoever works on the pair says so on both nodes: either may be primary when somebody asks."


def plan_maintenance(nodes: tuple[Node, ...], word: Maintenance, untold: tuple[str, ...] = ()) -> Operation:
    """Store ``word`` on ``nodes``. ``untold``: ids of nodes that do not answer."""

    def record(_state: PairState) -> Phase:
        steps = [step_to_write_file("record-maintenance", _TOLD, node, MAINTENANCE_FILE, word.text()) for node in nodes]
        # Nothing was ever said, and nothing is to be said: no file says the same.
        lanes = () if word == NO_MAINTENANCE else tuple((step,) for step in steps)
        return Phase(name="record", why=_TOLD, stages=(side_by_side(*lanes),) if lanes else ())

    parameters = {"state": "on" if word.on else "off"}
    summary: tuple[str, ...] = ("Scheduled syncs run again. After an upgrade: xcat-ha check, then xcat-ha sync.",)
    if word.on:
        summary = (
            f"Scheduled syncs pause until {moment(word.until)}: what is written meanwhile is lost if the primary dies.",
            "The guards go on: they start the role after a boot where it belongs, and step down when it has moved.",
        )
        parameters |= {"reason": word.reason, "until": moment(word.until)}
    missing = tuple(f"{name} does not answer and is not told: run this again when it is back." for name in untold)
    return Operation(
        name="maintenance",
        summary=(*summary, *missing),
        phases=(PhasePlanner("record", record, needs_observation=False),),
        parameters=parameters,
    )


def maintenance_words(state: PairState) -> tuple[str, ...]:
    """What has to be said before the question "go on?" while administrators are at work on the pair."""
    word = state.maintenance
    if word is None:
        return ("It is NOT KNOWN whether there is maintenance: the record of it cannot be read.",)
    if not word.on:
        return ()
    return (f"ATTENTION, {word.words(state.observed_at)}. Go on only if that work does not mind.",)
