"""From what was observed to what an administrator is told: who is what, what is wrong, what is merely not known, and the exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from tests.unit.test_core_toys import IDENTITY, MNA, MNB, toy_pair
from xcat_ha.errors import ExitCode, LockedError, UnfinishedError, UnknownStateError
from xcat_ha.history import refuse_if_unfinished
from xcat_ha.interfaces import (
    ROLE_SERVICES,
    Holding,
    JobState,
    ReplicaRole,
    ReplicaState,
    ScheduleState,
    Service,
    ServiceStates,
    SetState,
    SyncState,
    UnitState,
)
from xcat_ha.kept import GuardWord, JournalText, LockState
from xcat_ha.models import Node
from xcat_ha.observation import NodeState, PairState, Role
from xcat_ha.planning.requirements import findings_of_state
from xcat_ha.planning.witness import WitnessWord
from xcat_ha.problems import Problem
from xcat_ha.status import Status, report_status
from xcat_ha.steps import Verdict
from xcat_ha.term import NO_TERM, StoredTerm

NOW = 1_700_000_000.0
PAIR = toy_pair()
ADDRESS = IDENTITY.primary_address


def services(*running: Service, enabled: tuple[Service, ...] = (), unknown: tuple[Service, ...] = ()) -> ServiceStates:
    def unit(service: Service) -> UnitState:
        if service in unknown:
            return UnitState(service, running=None, enabled=None)
        return UnitState(service, running=service in running, enabled=service in enabled)

    return ServiceStates(known=True, services={service: (unit(service),) for service in ROLE_SERVICES})


def primary(node: Node = MNA, **changed: Any) -> NodeState:
    """A healthy primary."""
    state = NodeState(
        node=node,
        trouble="",
        clock_offset_s=0.1,
        holding=Holding((ADDRESS,), own_address=True, hostname="mn", stored_hostname=node.name, interface_exists=True, persistent=()),
        replica=ReplicaState(ReplicaRole.SOURCE, healthy=True, detail="73 tables"),
        files=SyncState(known=True, sets={}),
        services=services(*ROLE_SERVICES),
        schedule=ScheduleState(known=True, jobs={"sync-database": JobState(active=True)}),
        lock=None,
        journals=(),
        term=StoredTerm(1, "mna"),
        guard=GuardWord("active", "has the role", "", NOW),
    )
    return evolve(state, **changed)


def standby(node: Node = MNB, **changed: Any) -> NodeState:
    """A healthy standby."""
    state = primary(
        node,
        holding=Holding((), own_address=True, hostname=node.name, stored_hostname=node.name, interface_exists=True, persistent=()),
        replica=ReplicaState(ReplicaRole.COPY, healthy=True, last_good=NOW - 60, detail="a copy"),
        files=SyncState(known=True, sets={"hosts": SetState(last_sync=NOW - 600)}),
        services=services(),
        schedule=ScheduleState(known=True, jobs={}),
    )
    return evolve(state, **changed)


def silent(node: Node) -> NodeState:
    """A node that does not answer: everything about it is unknown."""
    return NodeState(
        node=node,
        trouble="unreachable: no route to host",
        clock_offset_s=None,
        holding=Holding(service_addresses=None),
        replica=ReplicaState(role=None, healthy=None, detail="not known"),
        files=SyncState(known=False, sets={}),
        services=ServiceStates(known=False, services={}),
        schedule=ScheduleState(known=False, jobs={}),
        lock=None,
        journals=(),
        term=None,
    )


def holding_unknown(state: NodeState) -> NodeState:
    return evolve(state, holding=Holding(service_addresses=None))


def status_of(first: NodeState, second: NodeState) -> Status:
    return report_status(PAIR, PairState({"mna": first, "mnb": second}, NOW))


def units(state: NodeState, *running: Service, **more: tuple[Service, ...]) -> NodeState:
    return evolve(state, services=services(*running, **more))


def copy(**facts: Any) -> NodeState:
    return standby(replica=evolve(ReplicaState(ReplicaRole.COPY, healthy=True, last_good=NOW - 60, detail="a copy"), **facts))


SERVED = frozenset({"dhcp", "dns", "console", "tftp"})
D, F, U = ExitCode.DONE, ExitCode.FAILED, ExitCode.UNKNOWN
P, S, H, Q = Role.PRIMARY, Role.STANDBY, Role.PARTIAL, Role.UNKNOWN

# name: (mna, mnb, roles, primary, exit code, what the problems say, one for each; "?" marks one that is merely not known)
TABLE: dict[str, tuple[NodeState, NodeState, tuple[Role, Role], str | None, ExitCode, tuple[str, ...]]] = {
    "healthy": (primary(), standby(), (P, S), "mna", D, ()),
    "healthy, the other way round": (
        standby(MNA, term=StoredTerm(2, "mnb", "mna")),
        primary(MNB, term=StoredTerm(2, "mnb", "mna")),
        (S, P),
        "mnb",
        D,
        (),
    ),
    "the standby is silent": (primary(), silent(MNB), (P, Q), "mna", U, ("?mnb does not answer",)),
    "the primary is silent": (silent(MNA), standby(), (Q, S), None, U, ("?mna does not answer",)),
    "both are silent": (silent(MNA), silent(MNB), (Q, Q), None, U, ("?mna does not answer", "?mnb does not answer")),
    "both hold the address": (primary(), primary(MNB), (P, P), None, F, ("BOTH nodes have a service address (192.0.2.11)",)),
    "nobody holds it": (standby(MNA), standby(), (S, S), None, F, ("no node has the service address",)),
    "the address without xcatd": (
        units(primary(), Service.DNS),
        standby(),
        (H, S),
        "mna",
        F,
        ("mna has the service address but no xcatd",),
    ),
    "nobody serves consoles any more": (
        units(primary(served=SERVED), Service.XCATD, Service.DHCP, Service.DNS, Service.TFTP),
        standby(),
        (P, S),
        "mna",
        F,
        ("console is stopped on mna, the primary, and ran when it took the role",),
    ),
    "dhcp and boot files are not served any more": (
        units(primary(served=SERVED), Service.XCATD, Service.CONSOLE, Service.DNS),
        standby(),
        (P, S),
        "mna",
        F,
        ("dhcp is stopped on mna", "tftp is stopped on mna"),
    ),
    "what never ran is not missed": (units(primary(served=frozenset()), Service.XCATD), standby(), (P, S), "mna", D, ()),
    "what ran is not known": (units(primary(served=None), Service.XCATD), standby(), (P, S), "mna", D, ()),
    "the standby once served": (primary(), standby(served=SERVED), (P, S), "mna", D, ()),
    "whether consoles are served is not known": (
        units(primary(served=SERVED), *ROLE_SERVICES, unknown=(Service.CONSOLE,)),
        standby(),
        (P, S),
        "mna",
        U,
        ("?whether console would start by itself when mna boots", "?whether console runs on mna, the primary"),
    ),
    "xcatd on both": (
        primary(),
        units(standby(), Service.XCATD),
        (P, H),
        "mna",
        F,
        ("mnb has xcatd but not the service address", "xcatd runs on mnb, the standby"),
    ),
    "dhcp on both": (primary(), units(standby(), Service.DHCP), (P, S), "mna", F, ("dhcp runs on mnb, the standby",)),
    "xcatd would start at boot on the standby": (
        primary(),
        units(standby(), enabled=(Service.XCATD,)),
        (P, S),
        "mna",
        F,
        ("xcatd would start by itself when mnb boots",),
    ),
    "dns would start at boot on the primary": (
        units(primary(), *ROLE_SERVICES, enabled=(Service.DNS,)),
        standby(),
        (P, S),
        "mna",
        F,
        ("dns would start by itself when mna boots",),
    ),
    "the address is in the boot configuration": (
        evolve(primary(), holding=evolve(primary().holding, persistent=(ADDRESS,))),
        standby(),
        (P, S),
        "mna",
        F,
        ("mna's boot-time configuration has a service address",),
    ),
    "the copy is a minute old": (primary(), copy(), (P, S), "mna", D, ()),
    "the copy is late": (primary(), copy(last_good=NOW - 1000), (P, S), "mna", F, ("the copy on mnb is 1000 s old",)),
    "the primary's database is out of order": (
        primary(replica=ReplicaState(ReplicaRole.SOURCE, healthy=False, detail="xCAT cannot log in")),
        standby(),
        (P, S),
        "mna",
        F,
        ("the database of mna, the primary, is out of order: xCAT cannot log in",),
    ),
    "the primary's database is silent": (
        primary(replica=ReplicaState(role=None, healthy=None, detail="no answer")),
        standby(),
        (P, S),
        "mna",
        ExitCode.UNKNOWN,
        ("?it is not known how the database of mna, the primary, is: no answer",),
    ),
    "the primary's database cannot be judged": (
        primary(replica=ReplicaState(ReplicaRole.SOURCE, healthy=None, detail="xcat-ha is not installed on this node")),
        standby(),
        (P, S),
        "mna",
        ExitCode.UNKNOWN,
        ("?it is not known how the database of mna, the primary, is: xcat-ha is not installed",),
    ),
    "the copy is bad": (primary(), copy(healthy=False, detail="table site damaged"), (P, S), "mna", F, ("table site damaged",)),
    "the copy cannot be judged": (
        primary(),
        copy(healthy=None),
        (P, S),
        "mna",
        U,
        ("?the copy of the database on mnb is not known to be good",),
    ),
    "no sync is scheduled": (
        evolve(primary(), schedule=ScheduleState(known=True, jobs={})),
        standby(),
        (P, S),
        "mna",
        F,
        ("no sync is scheduled on mna",),
    ),
    "one of two jobs is dead": (
        evolve(primary(), schedule=ScheduleState(known=True, jobs={"a": JobState(active=True), "b": JobState(active=False)})),
        standby(),
        (P, S),
        "mna",
        F,
        ("b is not scheduled on mna",),
    ),
    "whether a sync is scheduled is not known": (
        evolve(primary(), schedule=ScheduleState(known=True, jobs={"a": JobState(active=None)})),
        standby(),
        (P, S),
        "mna",
        U,
        ("?whether syncs are scheduled on mna",),
    ),
    "the scheduler did not answer": (
        evolve(primary(), schedule=ScheduleState(known=False, jobs={})),
        standby(),
        (P, S),
        "mna",
        U,
        ("?whether syncs are scheduled on mna",),
    ),
    "the clock is off": (primary(), standby(clock_offset_s=-3.0), (P, S), "mna", F, ("the clock of mnb is -3.0 s off",)),
    "the clock is not known": (primary(), standby(clock_offset_s=None), (P, S), "mna", D, ()),
    "the address of a node that answers is not known": (
        primary(),
        holding_unknown(standby()),
        (P, Q),
        "mna",
        U,
        ("?it cannot be told what mnb is",),
    ),
    "the state of xcatd is not known": (
        primary(),
        units(standby(), unknown=(Service.XCATD,)),
        (P, Q),
        "mna",
        U,
        ("?it cannot be told what mnb is",),
    ),
    "the state of dhcp on the standby is not known": (
        primary(),
        units(standby(), unknown=(Service.DHCP,)),
        (P, S),
        "mna",
        U,
        ("?whether dhcp would start by itself when mnb boots", "?whether dhcp runs on mnb, the standby"),
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_an_observation_means(case: str) -> None:
    first, second, roles, who, code, said = TABLE[case]
    status = status_of(first, second)
    assert tuple(node.role for node in status.nodes) == roles
    assert status.primary == who
    shown = [f"{'?' if problem.unknown else ''}{problem.what}" for problem in status.problems]
    assert len(shown) == len(said), shown
    for words, problem in zip(said, shown, strict=True):
        assert words.removeprefix("?") in problem
        assert problem.startswith("?") is words.startswith("?")
    assert status.exit_code is code
    assert all(problem.hint for problem in status.problems)


def test_one_of_two_console_servers_is_enough_and_a_disinstalled_one_is_missed_too() -> None:
    served = services(*ROLE_SERVICES)
    both = (UnitState("conserver.service", running=False, enabled=False), UnitState("goconserver.service", running=True, enabled=False))

    def problems(console: tuple[UnitState, ...]) -> tuple[Problem, ...]:
        states = evolve(served, services={**served.services, Service.CONSOLE: console})
        return status_of(primary(services=states, served=SERVED), standby()).problems

    assert problems(both) == ()
    (problem,) = problems(tuple(evolve(unit, running=False) for unit in both))
    assert "systemctl status conserver.service goconserver.service on mna" in problem.hint
    (gone,) = problems(())
    assert gone.what.startswith("console is stopped")


A1, B2 = StoredTerm(1, "mna"), StoredTerm(2, "mnb")


@pytest.mark.parametrize(
    ("word", "code", "says", "hint"),
    [
        (None, ExitCode.DONE, "", ""),
        (WitnessWord(A1), ExitCode.DONE, "", ""),
        (
            WitnessWord(None, "unreachable: no route"),
            ExitCode.UNKNOWN,
            "?the witness does not answer: unreachable: no route",
            "bring it back",
        ),
        (WitnessWord(NO_TERM), ExitCode.FAILED, "the witness remembers no term, the nodes term 1 of mna: it lags", "xcat-ha setup"),
        (WitnessWord(B2), ExitCode.FAILED, "the witness remembers term 2 of mnb, the nodes term 1 of mna", "may have moved to mnb"),
        (WitnessWord(StoredTerm(1, "mnb")), ExitCode.FAILED, "the witness remembers term 1 of mnb", "may have moved to mnb"),
    ],
)
def test_a_witness_that_cannot_help_is_a_problem(word: WitnessWord | None, code: ExitCode, says: str, hint: str) -> None:
    status = report_status(PAIR, PairState({"mna": primary(), "mnb": standby()}, NOW), word)
    assert status.exit_code is code
    shown = [f"{'?' if problem.unknown else ''}{problem.what} ({problem.hint})" for problem in status.problems]
    assert len(shown) == bool(says)
    assert all(says in problem and hint in problem for problem in shown)
    assert bool(status.witness) is (word is not None)


def test_before_there_is_a_pair_the_witness_has_nothing_to_say() -> None:
    state = PairState({"mna": primary(term=NO_TERM), "mnb": standby(term=NO_TERM)}, NOW)
    problems = report_status(PAIR, state, WitnessWord(None, "silent")).problems
    assert not [problem for problem in problems if "witness" in problem.what]


def test_a_standby_without_a_copy_is_not_healthy() -> None:
    for replica in ({"role": ReplicaRole.SOURCE, "last_good": None}, {"last_good": None}, {"role": ReplicaRole.NONE}):
        status = status_of(primary(), copy(**replica))
        assert status.exit_code is not ExitCode.DONE, replica


def test_silence_is_never_down() -> None:
    for first, second in ((primary(), silent(MNB)), (silent(MNA), standby()), (silent(MNA), silent(MNB))):
        said = " ".join(problem.what for problem in status_of(first, second).problems)
        assert "is down" not in said
        assert "nobody is primary" not in said


def test_both_holding_comes_before_lesser_things() -> None:
    status = status_of(primary(clock_offset_s=9.0), primary(MNB))
    assert status.problems[0].what.startswith("BOTH nodes")


@pytest.mark.parametrize(
    ("second", "lost"),
    [
        (standby(), 60.0),
        (copy(last_good=NOW + 5), 0.0),
        (silent(MNB), None),
        (copy(last_good=None), None),
        (copy(role=ReplicaRole.SOURCE), None),
    ],
)
def test_what_would_be_lost_is_the_age_of_the_standby_s_copy(second: NodeState, lost: float | None) -> None:
    assert status_of(primary(), second).would_lose_s == lost


def test_nothing_is_said_about_loss_while_nobody_is_primary() -> None:
    assert status_of(standby(MNA), standby()).would_lose_s is None


def test_what_each_node_has_is_shown() -> None:
    status = status_of(units(primary(), Service.XCATD, enabled=(Service.XCATD,), unknown=(Service.DHCP,)), standby())
    here, there = status.nodes
    assert here.service_addresses == ("192.0.2.11",)
    assert there.service_addresses == ()
    assert here.services["xcatd"] == "running, enabled"
    assert here.services["dhcp"] == "unknown"
    assert here.services["dns"] == "stopped"
    assert there.copy_age_s == 60.0
    assert there.file_sets == {"hosts": 600.0}
    assert status_of(primary(), silent(MNB)).nodes[1].service_addresses is None


# Operations in the journals


def journal(name: str, *events: str, time: float = NOW - 100) -> JournalText:
    """``journal("X-failover", "started", "end-failed")``."""
    begin = {"event": "begin", "time": time, "operation": name.split("-")[1], "host": "mna", "user": "root", "pid": 7, "must_finish": True}
    lines: list[dict[str, object]] = [begin]
    for event in events:
        if event.startswith("end-"):
            lines.append({"event": "end", "time": time + 9, "outcome": event.removeprefix("end-"), "message": "closing words"})
        else:
            lines.append({"event": "step", "time": time, "state": event})
    return JournalText(name, "\n".join(json.dumps(line) for line in lines))


def locked_by(name: str, *, alive: bool | None) -> LockState:
    return LockState({"id": name, "operation": "failover", "node": "mna"}, holder_alive=alive)


def test_an_unfinished_operation_comes_first_and_is_in_the_way() -> None:
    state = PairState({"mna": primary(journals=(journal("1-failover", "started", "end-failed"),), clock_offset_s=9), "mnb": standby()}, NOW)
    status = report_status(PAIR, state)
    assert status.problems[0].what == "the failover of 1-failover is unfinished: failed"
    assert "xcat-ha resume" in status.problems[0].hint
    assert "xcat-ha abandon" in status.problems[0].hint
    assert status.unfinished is not None
    assert status.exit_code is ExitCode.FAILED
    with pytest.raises(UnfinishedError, match="1-failover") as caught:
        refuse_if_unfinished(state)
    assert "closing words" in caught.value.what
    assert "nothing was changed" in caught.value.state
    assert caught.value.exit_code is ExitCode.REFUSED


def test_a_program_that_died_is_said_to_have_died() -> None:
    """The lock names it, and its process is gone; or there is no lock any more (the node was booted)."""
    for lock in (None, locked_by("1-failover", alive=False)):
        status = status_of(primary(journals=(journal("1-failover", "started"),), lock=lock), standby())
        assert status.problems[0].what == "the failover of 1-failover is unfinished: its program died"
        assert status.running == ""


def test_an_operation_that_runs_is_not_unfinished() -> None:
    for here, there in ((True, None), (None, True), (None, None)):
        first = primary(journals=(journal("1-failover", "started"),), lock=locked_by("1-failover", alive=here))
        status = status_of(first, standby(lock=locked_by("1-failover", alive=there)))
        assert status.running == "failover by root on mna (process 7)"
        assert status.unfinished is None
        assert status.problems == ()
        assert status.exit_code is ExitCode.DONE


def test_a_process_proven_gone_on_its_own_node_outweighs_the_other_node_s_lock() -> None:
    first = primary(journals=(journal("1-failover", "started"),), lock=locked_by("1-failover", alive=False))
    status = status_of(first, standby(lock=locked_by("1-failover", alive=None)))
    assert status.running == ""
    assert "its program died" in status.problems[0].what


def test_a_program_is_dead_once_its_machine_has_booted_again() -> None:
    """The machine lost its own copy of the lock; the other node's names a boot that is over."""
    lock = LockState({"id": "1-failover", "operation": "failover", "node": "mna", "boot_id": "the-old-one"}, holder_alive=None)
    first = primary(journals=(journal("1-failover", "started"),), boot_id="the-new-one")
    for second in (standby(lock=lock), standby(lock=lock, journals=first.journals)):
        status = status_of(first, second)
        assert status.running == ""
        assert status.problems[0].what == "the failover of 1-failover is unfinished: its program died"
    unasked = status_of(evolve(first, boot_id=""), standby(lock=lock))
    assert unasked.running, "what is not known is not dead"


def test_who_runs_the_operation_that_is_in_the_way_is_said() -> None:
    content = {"id": "1-failover", "operation": "failover", "node": "mna", "host": "mn1", "user": "alice", "pid": 7, "since": NOW}
    lock = LockState(content, holder_alive=True)
    state = PairState({"mna": primary(journals=(journal("1-failover", "started"),), lock=lock), "mnb": standby()}, NOW)
    with pytest.raises(LockedError, match="failover by alice on mn1 \\(process 7\\)") as caught:
        refuse_if_unfinished(state)
    assert caught.value.exit_code is ExitCode.REFUSED
    assert "resume" not in caught.value.hint
    silent_holder = evolve(standby(lock=evolve(lock, holder_alive=None), journals=(journal("1-failover", "started"),)))
    with pytest.raises(UnfinishedError, match="perhaps still running on mna, which does not answer"):
        refuse_if_unfinished(PairState({"mna": silent(MNA), "mnb": silent_holder}, NOW))


@pytest.mark.parametrize(
    ("journals", "in_the_way"),
    [
        ((journal("1-failover", "started", "end-done"),), None),
        ((journal("1-failover", "started", "end-abandoned"),), None),
        ((journal("1-failover", "end-failed"),), None),  # nothing had begun
        ((journal("1-failover", "started", "end-failed"), journal("2-failover", "started", "end-done", time=NOW - 50)), None),
        ((journal("1-failover", "started", "end-done"), journal("2-failback", "started", "end-failed", time=NOW - 50)), "2-failback"),
        ((JournalText("3-failover", "not JSON"), journal("1-failover", "started", "end-interrupted")), "1-failover"),
    ],
)
def test_what_is_in_the_way_of_the_next_operation(journals: tuple[JournalText, ...], in_the_way: str | None) -> None:
    status = status_of(primary(journals=journals), standby())
    assert (status.unfinished.id if status.unfinished else None) == in_the_way


def test_the_journals_of_both_nodes_count() -> None:
    status = status_of(primary(), standby(journals=(journal("1-failover", "started", "end-failed"),)))
    assert status.unfinished is not None


# Who is primary, for verbs that have to know


@pytest.mark.parametrize(
    ("first", "second", "said", "hint"),
    [
        (primary(), primary(MNB), "both nodes have the service address (mna, mnb)", "at once"),
        (silent(MNA), standby(), "no node is known to have the service address; mna did not answer", "bring mna back"),
        (standby(MNA), standby(), "no node is known to have the service address", "resume"),
    ],
)
def test_a_verb_that_needs_the_primary_says_why_it_is_not_known(first: NodeState, second: NodeState, said: str, hint: str) -> None:
    with pytest.raises(UnknownStateError) as caught:
        PairState({"mna": first, "mnb": second}, NOW).require_primary()
    assert said in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.exit_code is ExitCode.UNKNOWN


# check: the same observation as questions with three answers


def answers(first: NodeState, second: NodeState) -> dict[str, Verdict]:
    return {finding.question: finding.verdict for finding in findings_of_state(PAIR, PairState({"mna": first, "mnb": second}, NOW))}


def test_everything_holds_of_a_healthy_pair() -> None:
    found = answers(primary(), standby())
    assert set(found.values()) == {Verdict.HOLDS}
    assert "the role's services are stopped on mnb, the standby" in found
    assert "mnb has a good copy of the database" in found


CHECKS = {
    "silence": (primary(), silent(MNB), "exactly one node has the service address", Verdict.UNKNOWN),
    "silence about boot": (primary(), silent(MNB), "nothing of the role starts by itself when mnb boots", Verdict.UNKNOWN),
    "silence about the copy": (primary(), silent(MNB), "mnb has a good copy of the database", Verdict.UNKNOWN),
    "silence about services": (primary(), silent(MNB), "the role's services are stopped on mnb, the standby", Verdict.UNKNOWN),
    "silence about the clock": (primary(), silent(MNB), "the clock of mnb is right within 2 s", Verdict.UNKNOWN),
    "silence about its address": (primary(), silent(MNB), "mnb has its own address 192.0.2.22", Verdict.UNKNOWN),
    "two holders": (primary(), primary(MNB), "exactly one node has the service address", Verdict.FAILS),
    "no holder": (standby(MNA), standby(), "exactly one node has the service address", Verdict.FAILS),
    "enabled": (primary(), units(standby(), enabled=(Service.TFTP,)), "nothing of the role starts by itself when mnb boots", Verdict.FAILS),
    "one unit not known": (
        primary(),
        units(standby(), unknown=(Service.DHCP,)),
        "nothing of the role starts by itself when mnb boots",
        Verdict.UNKNOWN,
    ),
    "one service not known": (
        primary(),
        units(standby(), unknown=(Service.DHCP,)),
        "the role's services are stopped on mnb, the standby",
        Verdict.UNKNOWN,
    ),
    "one known to run, one not known": (
        primary(),
        units(standby(), Service.DNS, unknown=(Service.DHCP,)),
        "the role's services are stopped on mnb, the standby",
        Verdict.FAILS,
    ),
    "a bad copy": (primary(), copy(healthy=False), "mnb has a good copy of the database", Verdict.FAILS),
    "a clock off": (primary(), standby(clock_offset_s=2.1), "the clock of mnb is right within 2 s", Verdict.FAILS),
}


def test_a_database_of_its_own_is_no_copy() -> None:
    assert answers(primary(), copy(role=ReplicaRole.SOURCE))["mnb has a good copy of the database"] is Verdict.FAILS


@pytest.mark.parametrize("case", CHECKS)
def test_an_observation_answers_a_question(case: str) -> None:
    first, second, question, verdict = CHECKS[case]
    assert answers(first, second)[question] is verdict
