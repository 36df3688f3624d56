"""Each state of a database x each command: what simulated DB2 answers, in both flavours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simulators.db2.trial import Machine, Pair

DB = "DB XCATDB"
COMMANDS = {
    "primary": f"START HADR ON {DB} AS PRIMARY",
    "standby": f"START HADR ON {DB} AS STANDBY",
    "stop": f"STOP HADR ON {DB}",
    "takeover": f"TAKEOVER HADR ON {DB}",
    "force": f"TAKEOVER HADR ON {DB} BY FORCE",
    "window": f"TAKEOVER HADR ON {DB} BY FORCE PEER WINDOW ONLY",
    "activate": f"ACTIVATE {DB}",
    "deactivate": f"DEACTIVATE {DB}",
    "rollforward": f"ROLLFORWARD {DB} TO END OF LOGS AND COMPLETE",
    "backup": f"BACKUP {DB} TO /backup",
}
OK = "DB20000I"
# In the order of COMMANDS. "SQL1768N 7": code and reason code.
TABLE = {
    "standard inactive": f"{OK} | SQL1767N 1 | SQL1769N 1 | SQL1770N 4 | SQL1770N 4 | SQL1770N 4 | {OK} | SQL1496W | SQL1261N | Backup",
    "standard pending": f"SQL1117N | {OK} | SQL1769N 1 | SQL1770N 4 | SQL1770N 4 | SQL1770N 4 | SQL1117N | SQL1496W | {OK} | SQL1117N",
    "standard active": f"{OK} | SQL1767N 3 | SQL1769N 1 | SQL1770N 4 | SQL1770N 4 | SQL1770N 4 | SQL1490W | {OK} | SQL1035N | SQL1035N",
    "primary inactive": f"{OK} | {OK} | {OK} | SQL1770N 4 | SQL1770N 4 | SQL1770N 4 | {OK} | SQL1496W | SQL1261N | Backup",
    "primary active": f"SQL1777N | SQL1767N 3 | {OK} | SQL1770N 4 | SQL1770N 4 | SQL1770N 4 | SQL1490W | {OK} | SQL1035N | SQL1035N",
    "standby inactive": f"SQL1767N 2 | {OK} | {OK} | SQL1770N 5 | SQL1770N 5 | SQL1770N 5 | {OK} | SQL1496W | SQL1776N 1 | SQL1776N 1",
    "standby active": f"SQL1767N 2 | SQL1777N | SQL1769N 2 | {OK} | {OK} | {OK} | SQL1490W | {OK} | SQL1776N 1 | SQL1776N 1",
}
CODES = {"I": 0, "W": 2, "N": 4}


class Site:
    """A pair whose databases go from state to state without its instances being started anew."""

    def __init__(self, folder: Path, flavour: str) -> None:
        self.pair = Pair(folder, flavour)
        self.pair.start()
        self.pair.seed()
        self.pair.configure(timeout_s=2, window_s=30)
        self.image = self.pair.a.must(f"BACKUP {DB} TO /backup").text

    def fresh(self) -> None:
        """A: standard, inactive. B: restored from A's image, so roll-forward pending."""
        for machine in self.pair.machines:
            machine.quick(f"DEACTIVATE {DB}")
            machine.quick(f"STOP HADR ON {DB}")
            self.pair.copy(self.pair.a, machine, self.image)
        self.pair.a.must(COMMANDS["rollforward"])
        self.pair.configure(timeout_s=2, window_s=30)

    def joined(self) -> None:
        self.fresh()
        self.pair.b.must(COMMANDS["standby"])
        self.pair.a.must(COMMANDS["primary"])
        self.pair.b.wait_for("STANDBY", "PEER")

    def reach(self, state: str) -> Machine:
        """Bring a database into the state; on which machine it is."""
        a, b = self.pair.machines
        (self.fresh if state.startswith("standard") else self.joined)()
        if state == "standard inactive":
            b.must(COMMANDS["standby"])  # who waits for it, should it become a primary
        if state == "standard active":
            b.must(COMMANDS["standby"])
            a.must(COMMANDS["activate"])
        if state == "primary inactive":
            a.must(COMMANDS["deactivate"])
        if state == "standby inactive":
            b.must(COMMANDS["deactivate"])
        return b if state.startswith("standby") or state == "standard pending" else a


@pytest.fixture(scope="module", params=["97", "11"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("db2"), request.param)
    yield made
    made.pair.stop()


def cases() -> list[tuple[str, str, str]]:
    rows = ((state, [word.strip() for word in row.split("|")]) for state, row in TABLE.items())
    return [(state, command, answer) for state, answers in rows for command, answer in zip(COMMANDS, answers, strict=True)]


@pytest.mark.parametrize(("state", "command", "wanted"), cases())
def test_each_command_in_each_state_gets_the_answer_of_the_table(site: Site, state: str, command: str, wanted: str) -> None:
    machine = site.reach(state)
    before = _role(machine)
    answer = machine.quick(COMMANDS[command])
    said = re.search(r"(DB20000I|Backup successful|SQL\d+[NW])", answer.text)
    assert said, answer
    reason = re.search(r'Reason code = "(\d+)"', answer.text)
    assert " ".join([said[1].removesuffix(" successful"), reason[1] if reason else ""]).strip() == wanted
    assert answer.code == (0 if wanted == "Backup" else CODES[said[1][-1]])
    _check_effect(machine, command, before, done=answer.code == 0)


def _check_effect(machine: Machine, command: str, before: str, *, done: bool) -> None:
    effects: dict[str, Callable[[], str]] = {
        "primary": lambda: "PRIMARY",
        "standby": lambda: "STANDBY",
        "stop": lambda: "STANDARD",
        "takeover": lambda: "PRIMARY",
        "force": lambda: "PRIMARY",
        "window": lambda: "PRIMARY",
    }
    wanted = effects[command]() if done and command in effects else before
    assert _role(machine) == wanted


def _role(machine: Machine) -> str:
    found = re.search(r"HADR database role\s+= (\w+)", machine.quick(f"GET DB CFG FOR {DB.split()[1]}").out)
    assert found
    return found[1]


def test_a_stopped_standby_is_roll_forward_pending_and_a_stopped_primary_stays_online(site: Site) -> None:
    site.joined()
    a, b = site.pair.machines
    assert a.quick(COMMANDS["stop"]).code == 0
    assert "HADR is not active." in a.pd()
    assert b.quick(COMMANDS["deactivate"]).code == 0
    assert b.quick(COMMANDS["stop"]).code == 0
    assert b.quick("CONNECT TO XCATDB").sql == "SQL1117N"
    assert "= DATABASE" in b.quick("GET DB CFG FOR XCATDB").out
    assert b.quick(COMMANDS["rollforward"]).code == 0
    assert b.quick("CONNECT TO XCATDB").code == 0
    assert b.quick(COMMANDS["standby"]).sql in {"SQL1767N 1", "SQL1767N 3"}
