"""Stale pointers in ``check`` and ``setup``: what is said about them, which commands mend them, in which order, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.unit.test_core_planning import GIVEN
from tests.unit.test_core_toys import MNA, MNB
from xcat_ha.interfaces import Mend, StalePointer
from xcat_ha.planning import stale
from xcat_ha.planning.setup import plan_setup
from xcat_ha.steps import Effect, Verdict
from xcat_ha.xcat.stale import StaleReport

CELL = StalePointer("mna", "table noderes", "node=compute", "xcatmaster", "mna", "mna", Mend.TABLE, wanted="mn1")
SITE = StalePointer("mna", "table site", "", "master", "10.0.0.1", "10.0.0.1", Mend.TABLE, wanted="10.0.0.9")
NETWORK = StalePointer("mna", "table networks", "net=10.0.0.0,mask=255.0.0.0", "gateway", "mna", "mna", Mend.TABLE, wanted="mn1")
RULE = StalePointer(
    "mna", "table policy", "priority=1.2", "name", "mna", "mna", Mend.POLICY,
    row={"priority": "1.21", "name": "mn1", "rule": "trusted"}, advice="add a rule like it for mn1",
)  # fmt: skip
BOOT = StalePointer("mna", "/tftpboot/boot/grub2/cn1", "line 3", "", "set root=tftp,10.0.0.1", "10.0.0.1", Mend.NODESET, advice="anew")
NETS = evolve(BOOT, place="/tftpboot/xcat/xnba/nets/10.0.0.0_8", mend=Mend.MKNB)
DHCP = evolve(BOOT, place="/etc/dhcp/dhcpd.conf", mend=Mend.DHCP)
HAND = evolve(BOOT, place="/tftpboot/boot/grub2/cn2", mend=Mend.BY_HAND, advice="run nodeset cn2")
CLEAN = StaleReport((), (), (), (), {})


def findings(report: StaleReport, backend: tuple[StalePointer, ...] | None = ()) -> dict[str, tuple[Verdict, str, str]]:
    found = stale.findings_of_stale(GIVEN.pair, MNA, report, backend)
    assert all(one.topic == "stale" for one in found)
    assert len({one.question for one in found}) == len(found)
    return {one.question: (one.verdict, one.judgement.detail, one.hint) for one in found}


def verdicts(found: Mapping[str, tuple[Verdict, str, str]]) -> list[Verdict]:
    return [verdict for verdict, _, _ in found.values()]


def test_with_nothing_stale_everything_holds() -> None:
    assert verdicts(findings(CLEAN)) == [Verdict.HOLDS] * 5


def test_each_stale_pointer_is_named_with_place_key_and_value_and_what_to_do() -> None:
    found = findings(StaleReport((SITE, CELL, RULE), (BOOT, HAND), (), (), {}))
    fails = [(detail, hint) for verdict, detail, hint in found.values() if verdict is Verdict.FAILS]
    assert fails == [
        (
            "table site: master = 10.0.0.1",
            "xcat-ha setup --mend-stale mends it: /opt/xcat/bin/chdef -t site master=10.0.0.9",
        ),
        (
            "table noderes, node=compute: xcatmaster = mna",
            "xcat-ha setup --mend-stale mends it: /opt/xcat/sbin/chtab node=compute noderes.xcatmaster=mn1",
        ),
        (
            "table policy, priority=1.2: name = mna",
            "xcat-ha setup --mend-stale mends it: /opt/xcat/bin/mkdef -t policy -o 1.21 name=mn1 rule=trusted",
        ),
        ("/tftpboot/boot/grub2/cn1, line 3: set root=tftp,10.0.0.1", "xcat-ha setup --mend-stale mends it: anew"),
        ("/tftpboot/boot/grub2/cn2, line 3: set root=tftp,10.0.0.1", "by hand: run nodeset cn2"),
    ]
    assert verdicts(found).count(Verdict.HOLDS) == 3


def test_what_is_not_known_is_never_fine() -> None:
    silent = findings(StaleReport(None, None, None, None, {"mna": "mna does not answer"}), None)
    assert verdicts(silent) == [Verdict.UNKNOWN] * 5
    assert "does not answer" in next(iter(silent.values()))[1]
    partly = findings(StaleReport((), (), (), (), {"table noderes": "exit 1", "/install/autoinst": "Permission denied"}))
    assert "table noderes can be read" in partly
    assert not [question for question in partly if "tables name" in question or "generated" in question]
    assert verdicts(partly).count(Verdict.UNKNOWN) == 2


def test_a_file_that_cannot_be_read_is_said_once_and_why() -> None:
    path = "/etc/xcat/cert/server-cert.pem"
    found = findings(StaleReport((), (), None, None, {path: "No such file", "/etc/xcat/cfgloc": "Permission denied"}))
    unknown = [detail for verdict, detail, _ in found.values() if verdict is Verdict.UNKNOWN]
    assert unknown == ["No such file", "Permission denied"]
    assert verdicts(found).count(Verdict.HOLDS) == 3


def test_a_flood_is_cut_and_says_so() -> None:
    many = tuple(evolve(CELL, key=f"node=cn{number}") for number in range(stale.SHOWN + 7))
    found = findings(StaleReport(many, (), (), (), {}))
    assert verdicts(found).count(Verdict.FAILS) == stale.SHOWN + 1
    assert any("7 more" in detail for _, detail, _ in found.values())
    assert stale.sentences(many)[-1] == "and 7 more"


def test_the_standbys_cfgloc() -> None:
    pair = GIVEN.pair
    pointer = StalePointer("mnb", "/etc/xcat/cfgloc", "", "host", "10.0.0.1", "10.0.0.1", Mend.BY_HAND, advice="write")
    for pointers, verdict in (((), Verdict.HOLDS), (None, Verdict.UNKNOWN), ((pointer,), Verdict.FAILS)):
        (found,) = stale.findings_of_cfgloc(pair, MNB, pointers)
        assert found.verdict is verdict


def planned(*pointers: StalePointer) -> Any:
    return stale.phase_to_mend(GIVEN, MNA, pointers)


def argvs(*pointers: StalePointer) -> list[tuple[str, ...]]:
    return [tuple(map(str, command.argv)) for step in planned(*pointers).steps for command in step.commands]


def test_tables_come_first_then_dhcp_then_what_is_made_from_them() -> None:
    names = [[step.name for step in stage] for stage in planned(NETS, DHCP, BOOT, RULE, CELL, SITE).stages]
    assert names == [
        ["mend-policy-priority-1-2-name", "mend-noderes-node-compute-xcatmaster", "mend-site-master"],
        ["renew-by-makedhcp", "generate-dhcp-nodes"],
        ["renew-by-mknb", "renew-by-nodeset"],
    ]


def test_the_commands() -> None:
    assert argvs(CELL) == [("/opt/xcat/sbin/chtab", "node=compute", "noderes.xcatmaster=mn1")]
    assert argvs(NETWORK) == [("/opt/xcat/sbin/chtab", "net=10.0.0.0,mask=255.0.0.0", "networks.gateway=mn1")]
    assert argvs(SITE) == [("/opt/xcat/bin/chdef", "-t", "site", "master=10.0.0.9")]
    assert argvs(DHCP)[1] == ("/opt/xcat/sbin/makedhcp", "-n")
    (renew,) = argvs(BOOT)
    assert renew[-3:] == ("--name=mnb", "--kind", "nodeset")
    assert argvs(HAND) == []


def test_a_cell_is_changed_only_while_it_holds_what_was_shown() -> None:
    (step,) = planned(CELL).steps
    (condition,) = step.only_if
    words = [str(word) for word in condition.probes[0].command.argv]
    assert words[-1] == "--is=mna"
    assert {"--key=node=compute", "--table", "noderes", "--column", "xcatmaster"} <= set(words)
    assert "somebody changed it" in condition.hint


def test_every_step_asks_by_reading_and_names_are_unique() -> None:
    steps = planned(NETS, DHCP, BOOT, RULE, CELL, SITE, NETWORK).steps
    assert len({step.name for step in steps}) == len(steps)
    for step in steps:
        checks = (step.done_when, *step.only_if)
        assert all(probe.command.effect is Effect.READS for check in checks for probe in check.probes)
        assert all(command.effect is Effect.CHANGES for command in step.commands)


@pytest.mark.parametrize("pointers", [(), (CELL, BOOT, HAND)])
def test_setup_mends_before_it_disables_what_makedhcp_enables_and_before_it_copies(pointers: tuple[StalePointer, ...]) -> None:
    operation = plan_setup(GIVEN, MNA, MNB, "text", stale=pointers)
    names = [planner.name for planner in operation.phases]
    assert ("mend-stale" in names) is bool(pointers)
    if pointers:
        assert names.index("own-addresses") < names.index("mend-stale") < names.index("nothing-at-boot") < names.index("first-copy")
        assert any("xcatmaster = mna -> mn1" in sentence for sentence in operation.summary)
    assert stale.from_words(operation.parameters["mend"]) == pointers


def test_only_what_can_be_mended_is_promised() -> None:
    assert stale.mendable((HAND, CELL)) == (CELL,)
    said = stale.sentences((HAND, CELL, RULE, DHCP, NETS))
    assert said[0] == "table noderes, node=compute: xcatmaster = mna -> mn1"
    assert said[1] == "table policy, priority=1.2: name = mna -> one more rule, 1.21, for mn1"
    assert "the DHCP server starts anew" in said[2]
    assert said[-1].endswith("(by hand: run nodeset cn2)")


def test_the_programs_words_are_those_of_both_nodes() -> None:
    words = [str(word) for word in stale.question_for_stale(GIVEN.pair, MNA).argv]
    assert words[1:4] == ["-m", "xcat_ha.xcat.stale_scan", "look"]
    assert {"--name=mna", "--name=mna.example.org", "--name=mnb", "--name=mnb.example.org"} <= set(words)
    assert sum(word.startswith("--word=") for word in words) == 2
    assert Path(words[0]).name == "python3"
