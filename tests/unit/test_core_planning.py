"""The order of things, as a transcript: one line a stage, lanes beside each other; the drivers are toys, the order is the point."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from attrs import evolve

from tests.unit.test_core_status import primary, services, standby
from tests.unit.test_core_toys import MNA, MNB, SETS, toy_drivers, toy_pair
from xcat_ha.interfaces import Service, ServiceStates, UnitState
from xcat_ha.models import IdentityMode, Node, ServiceIdentity
from xcat_ha.observation import PairState
from xcat_ha.planfile import plan_from_json, plan_to_json
from xcat_ha.planning import Operation, PlanningInput
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.jobs import sync_jobs
from xcat_ha.planning.setup import plan_setup
from xcat_ha.planning.sync import plan_sync
from xcat_ha.planning.verify import plan_verify
from xcat_ha.steps import Command, Effect, Plan, Ref, Step
from xcat_ha.term import StoredTerm
from xcat_ha.xcat.site import Site

PAIR = toy_pair()
SITE = Site(known=True, master="192.0.2.11", domain="cluster.example")
GIVEN = PlanningInput(PAIR, toy_drivers(PAIR), SITE, SETS, "20260101T000000-failover-abcd", StoredTerm(1, "mna"))
STATE = PairState({"mna": primary(), "mnb": standby()}, 0.0)


def transcript(plan: Plan) -> list[str]:
    """``phase`` on a line of its own, then one line a stage: ``host:step host:step | host:step`` with a bar between lanes."""
    lines: list[str] = []
    for phase in plan.phases:
        lines.append(phase.name)
        for stage in phase.stages:
            shown = " | ".join(" ".join(f"{step.host}:{step.name}" for step in lane) for lane in stage.lanes)
            if shown:
                lines.append(f"  {shown}")
    return lines


def names(plan: Plan) -> list[str]:
    return [f"{step.host}:{step.name}" for phase in plan.phases for step in phase.steps]


HANDOVER = """\
catch-up
  mnb:sync-database | mnb:sync-credentials | mnb:sync-hosts
yield
  mna:store-term
  mnb:store-term
stop-xcatd
  mna:stop-xcatd
last-copy
  mnb:hand-over-database | mnb:sync-credentials | mnb:sync-hosts | mna:stop-console
release
  mna:stop-dhcp | mna:stop-dns | mna:stop-tftp | mna:stop-jobs
  mna:release-address
acquire
  mnb:before-identity-change
  mnb:acquire-address
  mnb:after-identity-change mnb:begin-tenure
start-xcatd
  mnb:start-xcatd
  mnb:await-xcatd
serve
  mnb:generate-dns mnb:start-dns | mnb:generate-dhcp mnb:generate-dhcp-nodes mnb:start-dhcp \
| mnb:generate-console mnb:start-console | mnb:await-tftp
settle
  mna:disable-xcatd mna:disable-dhcp mna:disable-dns mna:disable-console mna:disable-tftp \
| mnb:disable-xcatd mnb:disable-dhcp mnb:disable-dns mnb:disable-console mnb:disable-tftp | mnb:start-jobs | mnb:prove-writable \
| mnb:note-services
"""


def handover(state: PairState = STATE, given: PlanningInput = GIVEN) -> Plan:
    return plan_handover(given, MNA, MNB).preview(state)


def test_the_hand_over() -> None:
    assert transcript(handover()) == HANDOVER.splitlines()


def test_failing_back_is_the_same_with_the_sides_changed() -> None:
    state = PairState({"mna": standby(MNA), "mnb": primary(MNB)}, 0.0)
    mirrored = {"mna": "mnb", "mnb": "mna"}
    back = plan_handover(GIVEN, MNB, MNA, verb="failback")
    assert back.name == "failback"
    assert back.parameters == {"old": "mnb", "new": "mna", "term": "1 mna -"}
    expected = ["".join(mirrored.get(word, word) for word in _words(line)) for line in HANDOVER.splitlines()]
    # The two "disable" lanes of the last stage stand in the order old, new.
    assert transcript(back.preview(state)) == expected


def _words(line: str) -> list[str]:
    out, word = [], ""
    for char in line:
        if char.isalnum():
            word += char
        else:
            out += [word, char]
            word = ""
    return [*out, word]


# (what comes first, what comes after it)
ORDER = [
    ("mna:store-term", "mnb:store-term"),
    ("mnb:store-term", "mna:stop-xcatd"),
    ("mna:stop-xcatd", "mnb:hand-over-database"),
    ("mna:stop-xcatd", "mna:release-address"),
    ("mnb:hand-over-database", "mna:release-address"),
    ("mna:stop-dhcp", "mna:release-address"),
    ("mna:stop-console", "mna:release-address"),
    ("mna:release-address", "mnb:acquire-address"),
    ("mnb:before-identity-change", "mnb:acquire-address"),
    ("mnb:acquire-address", "mnb:after-identity-change"),
    ("mnb:acquire-address", "mnb:begin-tenure"),
    ("mnb:begin-tenure", "mnb:start-xcatd"),
    ("mnb:after-identity-change", "mnb:start-xcatd"),
    ("mnb:hand-over-database", "mnb:start-xcatd"),
    ("mnb:start-xcatd", "mnb:await-xcatd"),
    ("mnb:await-xcatd", "mnb:generate-dhcp"),
    ("mnb:generate-dns", "mnb:start-dns"),
    ("mnb:generate-dhcp", "mnb:generate-dhcp-nodes"),
    ("mnb:generate-dhcp", "mnb:start-dhcp"),
    ("mnb:await-xcatd", "mnb:prove-writable"),
    ("mna:stop-jobs", "mnb:start-jobs"),
]


@pytest.mark.parametrize(("first", "second"), ORDER)
def test_what_must_come_before_what(first: str, second: str) -> None:
    assert names(handover()).index(first) < len(names(handover())) - 1 - names(handover())[::-1].index(second)


def test_nothing_but_disabling_happens_on_the_old_node_once_the_new_one_has_the_address() -> None:
    after = itertools.dropwhile(lambda name: name != "mnb:acquire-address", names(handover()))
    assert {name for name in after if name.startswith("mna:")} == {
        f"mna:disable-{service}" for service in ("xcatd", "dhcp", "dns", "console", "tftp")
    }


def test_no_copy_from_the_old_node_begins_after_it_gave_its_address_up() -> None:
    after = itertools.dropwhile(lambda name: name != "mna:release-address", names(handover()))
    assert [name for name in after if "sync" in name or "hand-over" in name] == []


def test_nothing_on_the_old_node_stops_before_the_last_that_can_be_copied_beforehand_is_copied() -> None:
    before = itertools.takewhile(lambda name: name != "mna:stop-xcatd", names(handover()))
    assert [name for name in before if name.startswith("mna:")] == ["mna:store-term"]


def test_services_that_a_node_does_not_have_are_left_out() -> None:
    state = PairState({"mna": primary(services=_without(Service.DNS)), "mnb": standby(services=_without(Service.CONSOLE))}, 0.0)
    shown = names(handover(state))
    assert "mna:stop-dns" not in shown
    assert "mnb:generate-console" not in shown
    assert "mnb:start-console" not in shown
    assert "mnb:generate-dns" in shown


def _without(*missing: Service) -> ServiceStates:
    states = services()
    return evolve(states, services={service: units for service, units in states.services.items() if service not in missing})


@pytest.mark.parametrize(("site", "missing"), [({"external_dns": True}, "dns"), ({"external_dhcp": True}, "dhcp")])
def test_what_another_machine_serves_is_not_set_up_here(site: dict[str, Any], missing: str) -> None:
    shown = names(handover(given=evolve(GIVEN, site=evolve(SITE, **site))))
    assert f"mnb:generate-{missing}" not in shown
    assert f"mnb:start-{missing}" not in shown


def test_goconserver_is_set_up_by_its_own_command() -> None:
    def program(unit: str) -> object:
        states = services()
        console = {Service.CONSOLE: (UnitState(unit, running=False, enabled=False),)}
        state = PairState({"mna": primary(), "mnb": standby(services=evolve(states, services={**states.services, **console}))}, 0.0)
        (step,) = [step for phase in handover(state).phases for step in phase.steps if step.name == "generate-console"]
        return step.commands[0].argv[0]

    assert program("conserver.service") == "/opt/xcat/sbin/makeconservercf"
    assert program("goconserver.service") == "/opt/xcat/sbin/makegocons"


def test_each_phase_can_be_planned_whatever_is_observed() -> None:
    unknown = PairState(
        {
            "mna": primary(services=ServiceStates(known=False, services={})),
            "mnb": standby(services=ServiceStates(known=False, services={})),
        },
        0.0,
    )
    assert "mnb:acquire-address" in names(handover(unknown))


SETUP = """\
know-each-other
  mna:write-node-id mna:write-config mna:store-term | mnb:write-node-id mnb:write-config mnb:store-term
standby-off
  mnb:stop-xcatd
  mnb:stop-dhcp | mnb:stop-dns | mnb:stop-console | mnb:stop-tftp
own-addresses
  mnb:make-own-address
  mna:make-own-address mna:acquire-address
  mna:begin-tenure
nothing-at-boot
  mna:disable-xcatd mna:disable-dhcp mna:disable-dns mna:disable-console mna:disable-tftp \
| mnb:disable-xcatd mnb:disable-dhcp mnb:disable-dns mnb:disable-console mnb:disable-tftp | mna:note-services
serve-again
first-copy
  mnb:save-divergence mnb:seed | mnb:sync-credentials | mnb:sync-hosts
schedule
  mnb:stop-jobs | mna:start-jobs
"""


SERVE_AGAIN = """\
  mna:start-xcatd
  mna:await-xcatd
  mna:generate-dns mna:start-dns | mna:generate-dhcp mna:generate-dhcp-nodes mna:start-dhcp \
| mna:generate-console mna:start-console | mna:await-tftp
  mna:disable-xcatd mna:disable-dhcp mna:disable-dns mna:disable-console mna:disable-tftp
"""


def setup() -> Operation:
    return plan_setup(GIVEN, MNA, MNB, "[pair]\n")


def test_the_setup() -> None:
    assert transcript(setup().preview(STATE)) == SETUP.splitlines()


def test_a_primary_that_booted_in_the_middle_of_setup_serves_again() -> None:
    """Its services were disabled at boot by then; the copy and the schedule alone would leave a site without xCAT."""
    began = plan_setup(GIVEN, MNA, MNB, "[pair]\n", boot_id="the-old-one")

    def said(boot_id: str) -> list[str]:
        state = evolve(STATE, nodes={**STATE.nodes, "mna": evolve(STATE.nodes["mna"], boot_id=boot_id)})
        lines = transcript(began.preview(state))
        return lines[lines.index("serve-again") + 1 : lines.index("first-copy")]

    assert said("the-old-one") == []
    assert said("the-new-one") == SERVE_AGAIN.splitlines()


def test_setup_stops_nothing_on_the_node_that_serves() -> None:
    assert [name for name in names(setup().preview(STATE)) if name.startswith("mna:stop")] == []


def test_a_sync_of_everything_and_of_some() -> None:
    assert transcript(plan_sync(GIVEN, MNA, MNB, database=True).preview(STATE)) == [
        "copy",
        "  mnb:sync-database | mnb:sync-credentials | mnb:sync-hosts",
    ]
    some = plan_sync(evolve(GIVEN, file_sets=SETS[1:]), MNA, MNB, database=False)
    assert transcript(some.preview(STATE)) == ["copy", "  mnb:sync-hosts"]
    assert some.parameters == {"source": "mna", "target": "mnb", "sets": "hosts"}


def test_the_round_trip() -> None:
    assert transcript(plan_verify(GIVEN, MNA, MNB).preview(STATE)) == [
        "write-record",
        "  mna:write-record",
        "copy-with-record",
        "  mnb:sync-database",
        "see-record-present",
        "  mnb:see-record-present",
        "remove-record",
        "  mna:remove-record",
        "copy-without-record",
        "  mnb:sync-database",
        "see-record-absent",
        "  mnb:see-record-absent",
    ]


OPERATIONS = {
    "failover": plan_handover(GIVEN, MNA, MNB),
    "setup": setup(),
    "sync": plan_sync(GIVEN, MNA, MNB, database=True),
    "verify": plan_verify(GIVEN, MNA, MNB),
}


@pytest.mark.parametrize("verb", OPERATIONS)
def test_every_plan_is_complete_and_survives_json(verb: str) -> None:
    operation = OPERATIONS[verb]
    plan = operation.preview(STATE)
    assert plan_from_json(plan_to_json(plan)) == plan
    assert [phase.name for phase in plan.phases] == [planner.name for planner in operation.phases]
    assert len({phase.name for phase in plan.phases}) == len(plan.phases)
    assert operation.summary
    json.dumps(dict(operation.parameters))
    for phase in plan.phases:
        assert phase.why
        keys = [(step.host, step.name) for step in phase.steps]
        assert len(set(keys)) == len(keys)
        for step in phase.steps:
            _check_step(step)


def _check_step(step: Step) -> None:
    assert step.name == step.name.lower().replace("_", "-").replace(" ", "-")
    assert step.why.endswith((".", "?")) or " " in step.why
    assert step.host in {"mna", "mnb"}
    assert step.done_when.question
    for probe in (probe for check in (step.done_when, *step.only_if) for probe in check.probes):
        assert probe.command.effect is Effect.READS
    assert not [word for command in step.commands for word in command.argv if isinstance(word, Ref)]


@pytest.mark.parametrize(("verb", "must"), [("failover", True), ("setup", True), ("sync", False), ("verify", False)])
def test_what_must_not_be_left_half_done(verb: str, must: object) -> None:
    assert OPERATIONS[verb].must_finish is must


def test_the_summary_says_what_moves_and_what_it_costs() -> None:
    text = " ".join(OPERATIONS["failover"].summary)
    for said in ("mna", "mnb", "mn ", "192.0.2.11", "does not answer from the moment", "Nothing that was written is lost"):
        assert said in text
    text = " ".join(OPERATIONS["setup"].summary)
    for said in ("mna keeps the management role", "mnb becomes its standby", "files of mnb are replaced"):
        assert said in text


def _step(name: str, given: PlanningInput = GIVEN) -> Step:
    (step,) = [step for phase in handover(given=given).phases for step in phase.steps if step.name == name]
    return step


def _probe_words(step: Step) -> tuple[object, ...]:
    return step.done_when.probes[0].command.argv


def test_what_xcat_generates_is_judged_by_the_ipv4_service_address_and_this_tenure() -> None:
    import ipaddress  # noqa: PLC0415

    addresses = (ipaddress.ip_interface("fd00::11/64"), ipaddress.ip_interface("192.0.2.11/24"))
    given = evolve(GIVEN, pair=evolve(PAIR, identity=ServiceIdentity("mn", addresses, IdentityMode.REPLACE)))
    for name in ("generate-dns", "generate-dhcp", "generate-dhcp-nodes"):
        words = _probe_words(_step(name, given))
        assert words[words.index("--address") + 1] == "192.0.2.11"
        assert words[words.index("--since") + 1] == "/run/xcat-ha/tenure"
    assert "mn.cluster.example" in _probe_words(_step("generate-dns"))
    assert _probe_words(_step("await-xcatd"))[-2:] == ("--master", "192.0.2.11")
    assert _probe_words(_step("begin-tenure"))
    assert GIVEN.operation_id in _step("begin-tenure").commands[0].argv


def test_long_xcat_commands_are_given_the_time_they_need() -> None:
    def longest(commands: tuple[Command, ...]) -> float:
        return max(command.timeout_s for command in commands)

    assert longest(_step("generate-dns").commands) >= 1200  # makedns of a large cluster takes minutes
    assert _step("await-xcatd").settle_s >= 60


def test_the_jobs_of_a_primary_sync_without_asking() -> None:
    database, files = sync_jobs(
        evolve(PAIR, sync_database_every_s=60, sync_files_every_s=600), Node("mna", "mna", "192.0.2.21", "en1", bin_dir="/srv/bin")
    )
    assert database.argv == ("/srv/bin/xcat-ha", "sync", "--config", "/etc/xcat-ha/pair.toml", "--scheduled", "--yes", "database")
    assert files.argv[-1] == "files"
    assert (database.every_s, files.every_s) == (60, 600)
    assert database.name != files.name
