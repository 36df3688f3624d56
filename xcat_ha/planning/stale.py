"""Stale pointers: the questions of ``check`` about them, and the phase of ``setup`` that mends what can be mended.

A table's cell is changed with xCAT's own commands, and only while it still holds what was shown. Generated files are made anew, never
edited. Each step's ``done_when`` looks again with the program that found it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

import cattrs

from xcat_ha.interfaces import Mend, StalePointer
from xcat_ha.models import Node, Pair
from xcat_ha.planning.operation import PlanningInput
from xcat_ha.planning.requirements import Finding
from xcat_ha.planning.xcat_steps import DHCP_NODES, steps_for_dhcp
from xcat_ha.steps import Check, Command, Judgement, Phase, Probe, SaysVerdict, Step, Steps, Verdict, changes, reads, side_by_side
from xcat_ha.xcat.commands import CHDEF, CHTAB, MAKEDHCP, MKDEF
from xcat_ha.xcat.stale import StaleReport

SHOWN = 200
"""At most so many stale pointers are shown one by one."""
LOOK_LIMIT_S = 300.0
_RENEW_LIMIT_S = 3600.0
_PROGRAM = "xcat_ha.xcat.stale_scan"
TOPIC = "stale"


def _argv(pair: Pair, node: Node, verb: str, *words: str) -> tuple[str, ...]:
    own = [each.address for each in pair.nodes]
    names = [name for each in pair.nodes for name in dict.fromkeys((each.name, each.name.partition(".")[0]))]
    asked = (*(f"--word={word}" for word in own), *(f"--name={name}" for name in names))
    return (node.python, "-m", _PROGRAM, verb, *asked, *words)


def question_for_stale(pair: Pair, node: Node) -> Command:
    """Asks the node's xcatd and files; :func:`xcat_ha.xcat.stale.report_of` understands the answer. A minute on a large site."""
    return reads(*_argv(pair, node, "look", "--xcat-dir", pair.xcat_dir), timeout_s=LOOK_LIMIT_S)


def question_for_cfgloc(pair: Pair, node: Node) -> Command:
    """As :func:`question_for_stale`, but for a node whose xcatd does not run: only which database host its cfgloc names."""
    return reads(*_argv(pair, node, "cfgloc", "--xcat-dir", pair.xcat_dir))


# --- check


def findings_of_cfgloc(pair: Pair, node: Node, pointers: tuple[StalePointer, ...] | None) -> tuple[Finding, ...]:
    """The standby's cfgloc counts when it takes the role. None: not known."""
    question = f"{pair.xcat_dir}/cfgloc of {node.id} names the service identity"
    if pointers is None:
        return (Finding(TOPIC, question, Judgement(Verdict.UNKNOWN, "it could not be read"), f"look at it on {node.id}"),)
    holds = (Finding(TOPIC, question, Judgement(Verdict.HOLDS)),)
    return tuple(Finding(TOPIC, question, Judgement(Verdict.FAILS, one.where), hint_of(one)) for one in pointers) or holds


def findings_of_stale(pair: Pair, primary: Node, report: StaleReport, others: tuple[StalePointer, ...] | None) -> tuple[Finding, ...]:
    """One finding per stale pointer, one per place that could not be looked at, and one per kind of place where nothing was found.

    ``others``: what the replication driver found; None: not known.
    """
    single = (f"{pair.xcat_dir}/cert/server-cert.pem", f"{pair.xcat_dir}/cfgloc")
    troubles = {place: why for place, why in report.troubles.items() if place != primary.id}
    of_tables = {place: why for place, why in troubles.items() if place.startswith("table ")}
    of_files = {place: why for place, why in troubles.items() if place not in {*of_tables, *single}}
    of_certificate, of_cfgloc = ({path: troubles[path]} if path in troubles else {} for path in single)
    parts: tuple[tuple[str, tuple[StalePointer, ...] | None, Mapping[str, str]], ...] = (
        ("xCAT's tables name the service identity, not one node, as management node", report.tables, of_tables),
        ("what xCAT has generated for nodes names the service identity", report.files, of_files),
        ("the server certificate is for the service hostname", report.certificate, of_certificate),
        (f"{pair.xcat_dir}/cfgloc names the service identity", report.cfgloc, of_cfgloc),
        ("the database's own access rules name the service identity", others, {}),
    )
    found: list[Finding] = []
    for question, pointers, unread in parts:
        if pointers is None:
            why = "; ".join(unread.values()) or report.troubles.get(primary.id, "it could not be read")
            found.append(Finding(TOPIC, question, Judgement(Verdict.UNKNOWN, why), f"try it on {primary.id}"))
            continue
        found += [_finding(one) for one in pointers[:SHOWN]]
        found += [_rest(question, len(pointers) - SHOWN)] if len(pointers) > SHOWN else []
        found += [
            Finding(TOPIC, f"{place} can be read", Judgement(Verdict.UNKNOWN, why), f"look at it on {primary.id}")
            for place, why in unread.items()
        ]
        if not pointers and not unread:
            found.append(Finding(TOPIC, question, Judgement(Verdict.HOLDS)))
    return tuple(found)


def _rest(question: str, number: int) -> Finding:
    return Finding(TOPIC, question, Judgement(Verdict.FAILS, f"{number} more places are not shown"), "mend those shown and check again")


def _finding(one: StalePointer) -> Finding:
    where = one.place if not one.key else f"{one.place}, {one.key}"
    question = f"{where}: {one.item or 'the line'} names the service identity, not one node ({one.word})"
    return Finding(TOPIC, question, Judgement(Verdict.FAILS, one.where), hint_of(one))


def hint_of(one: StalePointer) -> str:
    """What to do about it."""
    if one.mend is Mend.BY_HAND:
        return f"by hand: {one.advice}"
    how = shlex.join(str(word) for command in _commands(one) for word in command.argv) or one.advice
    return f"xcat-ha setup --mend-stale mends it: {how}"


# --- setup


def words_of(pointers: Sequence[StalePointer]) -> str:
    """The pointers as one word for the journal, so that ``resume`` mends the same; empty if there is none."""
    return json.dumps([cattrs.unstructure(one) for one in pointers]) if pointers else ""


def from_words(words: str) -> tuple[StalePointer, ...]:
    """What :func:`words_of` wrote."""
    return tuple(cattrs.structure(one, StalePointer) for one in json.loads(words)) if words else ()


def mendable(pointers: Iterable[StalePointer]) -> tuple[StalePointer, ...]:
    """Those that xcat-ha can put right."""
    return tuple(one for one in pointers if one.mend is not Mend.BY_HAND)


def sentences(pointers: Sequence[StalePointer]) -> tuple[str, ...]:
    """All of them for the administrator, before he is asked; those that only he can mend come last."""
    able = [f"{one.where} -> {_becomes(one)}" for one in mendable(pointers)]
    unable = [f"{one.where} (by hand: {one.advice})" for one in pointers if one.mend is Mend.BY_HAND]
    rest = (*able, *unable)[SHOWN:]
    return (*(able + unable)[:SHOWN], *((f"and {len(rest)} more",) if rest else ()))


def _becomes(one: StalePointer) -> str:
    if one.mend is Mend.TABLE:
        return one.wanted
    if one.mend is Mend.POLICY:
        return f"one more rule, {one.row['priority']}, for {one.row['name']}"
    if one.mend is Mend.DHCP:
        return "made anew by makedhcp -n and -a; the DHCP server starts anew"
    return "made anew by the database's driver" if one.mend is Mend.BACKEND else f"made anew by {one.mend}"


def phase_to_mend(given: PlanningInput, primary: Node, pointers: Sequence[StalePointer]) -> Phase:
    """Tables first: what is generated is generated from them."""
    kinds = {one.mend for one in pointers}
    cells = tuple(_step_for_cell(given.pair, primary, one) for one in pointers if one.mend in {Mend.TABLE, Mend.POLICY})
    files = tuple(_step_to_renew(given.pair, primary, kind) for kind in (Mend.MKNB, Mend.NODESET) if kind in kinds)
    backend = given.drivers.replication.steps_to_mend_stale(primary, given.pair.identity) if Mend.BACKEND in kinds else ()
    dhcp = _steps_for_dhcp(given, primary) if Mend.DHCP in kinds else ()
    return Phase(
        name="mend-stale",
        why="What names one node goes wrong as soon as the other one serves.",
        stages=(side_by_side(cells), side_by_side(dhcp, backend), side_by_side(files)),
    )


def _commands(one: StalePointer) -> tuple[Command, ...]:
    if one.mend is Mend.TABLE and one.place == "table site":
        return (changes(CHDEF, "-t", "site", f"{one.item}={one.wanted}"),)
    if one.mend is Mend.TABLE:
        return (changes(CHTAB, one.key, f"{_table(one)}.{one.item}={one.wanted}"),)
    if one.mend is Mend.POLICY:
        columns = [f"{name}={value}" for name, value in one.row.items() if name != "priority"]
        return (changes(MKDEF, "-t", "policy", "-o", one.row["priority"], *columns),)
    return ()


def _table(one: StalePointer) -> str:
    return one.place.removeprefix("table ")


def _says(pair: Pair, node: Node, question: str, verb: str, *words: str, hint: str = "") -> Check:
    command = reads(*_argv(pair, node, verb, *words), timeout_s=LOOK_LIMIT_S)
    return Check(question=question, probes=(Probe(node.id, command),), rule=SaysVerdict(), hint=hint)


def _step_for_cell(pair: Pair, node: Node, one: StalePointer) -> Step:
    if one.mend is Mend.POLICY:
        words = [f"--row={name}={value}" for name, value in one.row.items() if name != "priority"]
        done = _says(pair, node, f"there is a rule for {one.row['name']} like that for {one.value}", "policy", *words)
        only_if: tuple[Check, ...] = ()
    else:
        key = (f"key={one.item}",) if one.place == "table site" else tuple(one.key.split(","))
        column = "value" if one.place == "table site" else one.item
        cell = (*(f"--key={part}" for part in key), "--table", _table(one), "--column", column)
        done = _says(pair, node, f"{one.place} names no node of its own there: {one.key or one.item}", "cell", *cell)
        hint = "somebody changed it meanwhile: run xcat-ha check again"
        only_if = (_says(pair, node, f"{one.place} still holds {one.value}", "cell", *cell, f"--is={one.value}", hint=hint),)
    return Step(
        name=_kebab(f"mend {_table(one)} {one.key} {one.item}"),
        why=f"{one.where}: that is {_owner(pair, one.word)}, and the role moves.",
        host=node.id,
        done_when=done,
        only_if=only_if,
        commands=_commands(one),
        settle_s=5.0,
    )


def _owner(pair: Pair, word: str) -> str:
    for node in pair.nodes:
        if word.lower() in {node.address, node.name.lower()} or word.lower().startswith(f"{node.name.partition('.')[0].lower()}."):
            return f"{node.id}'s own"
    return "one node's own"


def _kebab(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _step_to_renew(pair: Pair, node: Node, kind: Mend) -> Step:
    return Step(
        name=f"renew-by-{kind}",
        why="Generated files are made anew, never edited; nodes that run from their own disk are left alone.",
        host=node.id,
        done_when=_says(
            pair, node, f"nothing that {kind} may write anew names a node's own address or name", "renewed", "--kind", kind.value
        ),
        commands=(changes(*_argv(pair, node, "renew", "--kind", kind.value), timeout_s=_RENEW_LIMIT_S),),
        settle_s=5.0,
    )


def _steps_for_dhcp(given: PlanningInput, node: Node) -> Steps:
    again = Step(
        name="renew-by-makedhcp",
        why="The DHCP configuration is made anew from the mended tables.",
        host=node.id,
        done_when=_says(given.pair, node, "the DHCP configuration names the service identity", "renewed", "--kind", "dhcp"),
        commands=(changes("rm", "-f", DHCP_NODES), changes(MAKEDHCP, "-n", timeout_s=_RENEW_LIMIT_S)),
        settle_s=10.0,
    )
    return (again, steps_for_dhcp(given, node)[-1])
