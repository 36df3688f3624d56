"""Two simulated DB2 databases with HADR: what is lost and what is not when the network, a process or a person gets in between."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.db2.db2sim.client import ClientError, Connection
from tests.simulators.db2.trial import Machine, Pair, wait_until

START = "START HADR ON DB XCATDB AS"
TAKEOVER = "TAKEOVER HADR ON DB XCATDB"
WINDOW_ONLY = f"{TAKEOVER} BY FORCE PEER WINDOW ONLY"


class Cable:
    """What lies between the standby and its primary: carries bytes, until it is cut."""

    def __init__(self, own: str, target: str, port: int) -> None:
        self._target = (target, port)
        self._listener = socket.create_server((own, 0))
        self.port: int = self._listener.getsockname()[1]
        self.whole = threading.Event()
        self.whole.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.whole.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry_both, args=(near,), daemon=True).start()

    def _carry_both(self, near: socket.socket) -> None:
        self.whole.wait()
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
        self._carry(far, near)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        """Nothing that arrives at a cut cable is carried later: a connection that was cut is dead."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.whole.is_set():
                    return
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(params=["97", "11"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path, request.param)
    pair.start()
    yield pair
    pair.stop()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Pair]:
    """Where both flavours are the same."""
    pair = Pair(tmp_path, "97")
    pair.start()
    yield pair
    pair.stop()


@pytest.fixture
def cable(pair: Pair) -> Iterator[Cable]:
    cable = Cable(pair.b.address, pair.a.address, 55001)
    yield cable
    cable.close()


def join_by(cable: Cable, pair: Pair, *, window_s: int) -> None:
    """To Peer, with the cable between them. A time-out long enough for a busy machine, short enough to wait for."""
    pair.seed()
    pair.configure(timeout_s=2, window_s=window_s)
    pair.b.must(f"UPDATE DB CFG FOR XCATDB USING HADR_REMOTE_HOST {pair.b.address} HADR_REMOTE_SVC {cable.port}")
    pair.b.must(f"{START} STANDBY")
    pair.a.must(f"{START} PRIMARY")
    pair.b.wait_for("STANDBY", "PEER", "CONNECTED")


def with_table(machine: Machine) -> Connection:
    client = machine.connect()
    client.execute("CREATE TABLE site (key VARCHAR(128) PRIMARY KEY, value TEXT)")
    return client


def add(client: Connection, key: str) -> None:
    client.execute("INSERT INTO site VALUES (?, 'x')", [key])


def keys(machine: Machine) -> list[str]:
    client = machine.connect()
    found = [row[0] for row in client.execute("SELECT key FROM site ORDER BY key")[1]]
    client.close()
    return found


class Writer(threading.Thread):
    """Adds one row; `done` when that was acknowledged."""

    def __init__(self, client: Connection, key: str) -> None:
        super().__init__(daemon=True)
        self.client, self.key = client, key
        self.done = threading.Event()
        self.error = ""
        self.start()

    def run(self) -> None:
        try:
            add(self.client, self.key)
            self.done.set()
        except ClientError as error:
            self.error = error.code


ALONE = {"97": "REMOTE_CATCHUP_PENDING", "11": "DISCONNECTED"}
"""A primary without its standby."""


# --- in peace


def test_rows_go_along_and_the_role_there_and_back(pair: Pair) -> None:
    a, b = pair.machines
    pair.join()
    client = with_table(a)
    add(client, "one")
    assert b.quick("CONNECT TO XCATDB").sql == "SQL1776N 1"
    assert b.quick(TAKEOVER).text == "DB20000I The TAKEOVER HADR ON DATABASE command completed successfully."
    with pytest.raises(ClientError, match="SQL1224N"):
        add(client, "late")
    a.wait_for("STANDBY", "PEER", "CONNECTED")
    b.wait_for("PRIMARY", "PEER", "CONNECTED")
    other = b.connect()
    add(other, "two")
    assert a.quick(TAKEOVER).code == 0
    b.wait_for("STANDBY", "PEER", "CONNECTED")
    assert keys(a) == ["one", "two"]


def test_both_sides_print_what_the_real_ones_print(pair: Pair) -> None:
    a, b = pair.machines
    pair.join(timeout_s=3, window_s=120)
    add(with_table(a), "one")
    texts = [machine.shell("db2pd -d xcatdb -hadr").out for machine in (a, b)]
    texts += [machine.db2("GET SNAPSHOT FOR DB ON XCATDB").out for machine in (a, b)]
    sample = SAMPLE_97 if pair.a.flavour == "97" else SAMPLE_11
    assert shape(texts[0]) == shape(sample)
    assert shape(texts[1]) == shape(sample.replace("-- Active --", "-- Standby --").replace("Primary Peer", "Standby Peer"))
    wanted = shape(SAMPLE_SNAPSHOT)
    assert [shape(text)[-len(wanted) :] for text in texts[2:]] == [wanted, wanted]
    assert [
        re.findall(r"(?:Role +=|HADR_ROLE =|^)\s*(Primary|Standby|PRIMARY|STANDBY)\b", text, re.MULTILINE)[0].upper() for text in texts
    ] == [
        "PRIMARY",
        "STANDBY",
    ] * 2


def shape(text: str) -> list[str]:
    """The lines without their values: words for words, values for values."""
    lines = [line.rstrip() for line in text.replace("STANDBY", "PRIMARY").splitlines()]
    lines = [re.sub(r" = .*", " = *", re.sub(r"-- Date [-\d/. :]+", "-- <date>", line)) for line in lines]
    lines = [re.sub(r"\b\d+\.\d+\.\d+\.\d+ *", "<ip> ", line) for line in lines]
    lines = [re.sub(r"\w{3} \w{3} +\d+ [\d:]{8} \d{4} \(\d+\)", "<time>", line) for line in lines]
    lines = [re.sub(r"DB2_HADR_\d|0x[0-9A-F]+|Database HADRDB|Database XCATDB|\d\d:\d\d:\d\d", "<v>", line) for line in lines]
    lines = [re.sub(r"(?<=[ .G])\d+ *|S000000\d.LOG|Standby|Primary(?= Peer)", "<n>", line) for line in lines]
    return [re.sub(r"PRIMARY_|PRIMARY", "P", line) for line in lines if line]


SAMPLE_97 = """
Database Partition 0 -- Database XCATDB -- Active -- Up 0 days 01:17:11

HADR Information:
Role    State                SyncMode HeartBeatsMissed   LogGapRunAvg (bytes)
Primary Peer                 Nearsync 0                  0

ConnectStatus ConnectTime                           Timeout
Connected     Thu Aug  5 20:33:00 2010 (1281011580) 3

PeerWindowEnd                         PeerWindow
Thu Aug  5 21:52:07 2010 (1281016327) 120

LocalHost                                LocalService
9.114.47.103                             DB2_HADR_1

RemoteHost                               RemoteService      RemoteInstance
9.114.47.104                             DB2_HADR_2         xcatdb

PrimaryFile  PrimaryPg  PrimaryLSN
S0000002.LOG 66         0x000000000FA4869D

StandByFile  StandByPg  StandByLSN
S0000002.LOG 66         0x000000000FA4869D
"""
SAMPLE_11 = """
Database Member 0 -- Database HADRDB -- Active -- Up 0 days 00:23:17 -- Date 06/08/2011 13:57:23

                              HADR_ROLE = PRIMARY
                            REPLAY_TYPE = PHYSICAL
                          HADR_SYNCMODE = SYNC
                             STANDBY_ID = 1
                          LOG_STREAM_ID = 0
                             HADR_STATE = PEER
                             HADR_FLAGS = TCP_PROTOCOL
                    PRIMARY_MEMBER_HOST = hostP.ibm.com
                       PRIMARY_INSTANCE = db2inst
                         PRIMARY_MEMBER = 0
                    STANDBY_MEMBER_HOST = hostS1.ibm.com
                       STANDBY_INSTANCE = db2inst
                         STANDBY_MEMBER = 0
                    HADR_CONNECT_STATUS = CONNECTED
               HADR_CONNECT_STATUS_TIME = 06/08/2011 13:38:10.199479 (1307565490)
            HEARTBEAT_INTERVAL(seconds) = 25
                       HEARTBEAT_MISSED = 0
                     HEARTBEAT_EXPECTED = 24
                  HADR_TIMEOUT(seconds) = 100
          TIME_SINCE_LAST_RECV(seconds) = 3
               PEER_WAIT_LIMIT(seconds) = 0
             LOG_HADR_WAIT_CUR(seconds) = 0.000
      LOG_HADR_WAIT_RECENT_AVG(seconds) = 0.006298
     LOG_HADR_WAIT_ACCUMULATED(seconds) = 0.516
                    LOG_HADR_WAIT_COUNT = 82
  SOCK_SEND_BUF_REQUESTED,ACTUAL(bytes) = 0, 50772
  SOCK_RECV_BUF_REQUESTED,ACTUAL(bytes) = 0, 87616
              PRIMARY_LOG_FILE,PAGE,POS = S0000009.LOG, 1, 49262315
              STANDBY_LOG_FILE,PAGE,POS = S0000009.LOG, 1, 49262315
                    HADR_LOG_GAP(bytes) = 0
       STANDBY_REPLAY_LOG_FILE,PAGE,POS = S0000009.LOG, 1, 49262315
         STANDBY_RECV_REPLAY_GAP(bytes) = 0
                       PRIMARY_LOG_TIME = 06/08/2011 13:49:19.000000 (1307566159)
                       STANDBY_LOG_TIME = 06/08/2011 13:49:19.000000 (1307566159)
                STANDBY_REPLAY_LOG_TIME = 06/08/2011 13:49:19.000000 (1307566159)
           STANDBY_RECV_BUF_SIZE(pages) = 16
               STANDBY_RECV_BUF_PERCENT = 0
             STANDBY_SPOOL_LIMIT(pages) = 0
                  STANDBY_SPOOL_PERCENT = NULL
                     STANDBY_ERROR_TIME = NULL
                   PEER_WINDOW(seconds) = 120
                        PEER_WINDOW_END = 02/06/2019 15:40:25.000000 (1549467625)
               READS_ON_STANDBY_ENABLED = N
"""
SAMPLE_SNAPSHOT = """
HADR Status
  Role                   = Primary
  State                  = Peer
  Synchronization mode   = Nearsync
  Connection status      = Connected, 08/05/2010 20:33:00.412948
  Peer window end        = 08/05/2010 21:03:07.000000 (1281013387)
  Peer window (seconds)  = 120
  Heartbeats missed      = 0
  Local host             = 9.114.47.103
  Local service          = DB2_HADR_1
  Remote host            = 9.114.47.104
  Remote service         = DB2_HADR_2
  Remote instance        = xcatdb
  timeout(seconds)       = 3
  Primary log position(file, page, LSN) = S0000002.LOG, 18, 000000000FA18D7C
  Standby log position(file, page, LSN) = S0000002.LOG, 18, 000000000FA18D7C
  Log gap running average(bytes) = 0
"""


def test_a_standby_that_is_stopped_in_order_opens_no_window_and_catches_up_later(pair: Pair) -> None:
    a, b = pair.machines
    pair.join(window_s=300)
    client = with_table(a)
    assert b.quick("DEACTIVATE DB XCATDB").code == 0
    a.wait_for("PRIMARY", ALONE[pair.a.flavour], "DISCONNECTED")
    add(client, "alone")  # would wait for five minutes
    assert b.quick("ACTIVATE DB XCATDB").code == 0
    b.wait_for("STANDBY", "PEER")
    assert b.quick(TAKEOVER).code == 0
    assert keys(b) == ["alone"]


def test_an_online_backup_seeds_a_standby(old: Pair) -> None:
    a, b = old.machines
    old.seed()
    client = with_table(a)
    add(client, "before")
    said = a.must("BACKUP DB XCATDB ONLINE TO /backup INCLUDE LOGS").text
    add(client, "after")
    client.close()
    old.copy(a, b, said)
    old.configure(timeout_s=3)
    b.must(f"{START} STANDBY")
    a.must(f"{START} PRIMARY")
    b.wait_for("STANDBY", "PEER")
    assert b.quick(TAKEOVER).code == 0
    assert keys(b) == ["after", "before"]


# --- starting


def test_a_primary_starts_only_with_its_standby_unless_forced(old: Pair) -> None:
    a, b = old.machines
    old.seed()
    old.configure(timeout_s=1)
    assert a.quick(f"{START} PRIMARY").sql == "SQL1768N 7"
    assert "= STANDARD" in a.quick("GET DB CFG FOR XCATDB").out
    assert a.quick(f"{START} PRIMARY BY FORCE").code == 0
    assert a.quick("DEACTIVATE DB XCATDB").code == 0
    assert a.quick("ACTIVATE DB XCATDB").sql == "SQL1768N 7"
    assert a.quick("CONNECT TO XCATDB").sql == "SQL1768N 7"
    assert b.quick(f"{START} STANDBY").code == 0
    assert a.quick("CONNECT TO XCATDB").code == 0


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("HADR_REMOTE_SVC 55009", ""),
        ("HADR_LOCAL_SVC 55008", "is not HADR_REMOTE_HOST, HADR_REMOTE_SVC"),
        ("HADR_TIMEOUT 2", "HADR_TIMEOUT, HADR_PEER_WINDOW or HADR_SYNCMODE differ"),
        ("HADR_PEER_WINDOW 60", "HADR_TIMEOUT, HADR_PEER_WINDOW or HADR_SYNCMODE differ"),
    ],
)
def test_a_standby_that_is_set_up_wrongly_starts_and_never_meets_its_primary(old: Pair, change: str, seen: str) -> None:
    a, b = old.machines
    old.seed()
    old.configure(timeout_s=1)
    b.must(f"UPDATE DB CFG FOR XCATDB USING {change}")
    assert b.quick(f"{START} STANDBY").code == 0
    assert a.quick(f"{START} PRIMARY").sql == "SQL1768N 7"
    assert b.stands() == ("STANDBY", "REMOTE_CATCHUP_PENDING", "DISCONNECTED")
    assert a.quick(f"{START} PRIMARY BY FORCE").code == 0
    wait_until(lambda: seen in b.diag(), f"db2diag.log says: {seen}")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("LOGARCHMETH1 OFF", "1"),
        ("HADR_LOCAL_HOST 192.0.2.7", "4"),
        ("HADR_LOCAL_SVC nonsense", "5"),
        ("HADR_REMOTE_SVC nonsense", "6"),
        ("HADR_REMOTE_INST NULL", "8"),
        ("HADR_REMOTE_HOST ::1", "11"),
        ("HADR_REMOTE_HOST no.such.host", "12"),
        ("HADR_LOCAL_SVC 50001", "21"),
        ("HADR_LOCAL_SVC DB2_xcatdb_1", "22"),
        ("HADR_TARGET_LIST mna:1", "14"),
        ("HADR_TARGET_LIST nowhere:1", "15"),
        ("HADR_TARGET_LIST nonsense", "16"),
        ("HADR_REPLAY_DELAY 5", "17"),
        ("HADR_SYNCMODE SUPERASYNC HADR_REPLAY_DELAY 5", "18"),
    ],
)
def test_a_parameter_that_cannot_be_is_named_by_its_reason_code(one_seeded: Pair, change: str, code: str) -> None:
    a = one_seeded.a
    one_seeded.configure(timeout_s=1)
    words = change.split()
    before = {name: re.search(rf"\({name}\) = (.*)", a.quick("GET DB CFG FOR XCATDB").out) for name in words[::2]}
    a.must(f"UPDATE DB CFG FOR XCATDB USING {change}")
    assert a.quick(f"{START} PRIMARY").sql == f"SQL1768N {code}"
    for name, value in before.items():
        assert value
        a.must(f"UPDATE DB CFG FOR XCATDB USING {name} {value[1].strip() or 'NULL'}")
    if "OFF" in change:
        a.must("BACKUP DB XCATDB TO /backup")


@pytest.fixture(scope="module")
def one_seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("one"), "11")
    pair.start()
    pair.seed()
    yield pair
    pair.stop()


def test_an_address_that_went_away_stops_no_takeover_but_the_next_start(old: Pair) -> None:
    """The port that is open stays open; HADR_LOCAL_HOST is looked at when HADR starts."""
    a, b = old.machines
    old.join()
    assert b.quick("UPDATE DB CFG FOR XCATDB USING HADR_LOCAL_HOST 192.0.2.7").text.startswith("SQL1363W")
    assert b.quick(TAKEOVER).code == 0
    a.wait_for("STANDBY", "PEER")
    b.must("DEACTIVATE DB XCATDB")
    assert b.quick("ACTIVATE DB XCATDB").sql == "SQL1768N 4"


# --- the network


def test_a_cut_cable_holds_commits_for_the_window_and_then_lets_them_go(pair: Pair, cable: Cable) -> None:
    a, b = pair.machines
    join_by(cable, pair, window_s=7)
    client = with_table(a)
    add(client, "before")
    cable.whole.clear()
    writer = Writer(client, "within")
    a.wait_for("PRIMARY", "DISCONNECTED_PEER", "DISCONNECTED")
    b.wait_for("STANDBY", "DISCONNECTED_PEER", "DISCONNECTED")
    assert not writer.done.is_set()
    assert b.quick(TAKEOVER).sql == "SQL1770N 1"
    a.wait_for("PRIMARY", ALONE[a.flavour], "DISCONNECTED")
    assert writer.done.wait(60)
    b.wait_for("STANDBY", "REMOTE_CATCHUP_PENDING", "DISCONNECTED")
    assert b.quick(WINDOW_ONLY).sql == "SQL1770N 9"
    cable.whole.set()
    b.wait_for("STANDBY", "PEER", "CONNECTED")
    assert b.quick(TAKEOVER).code == 0
    assert keys(b) == ["before", "within"]


def test_a_takeover_over_a_cable_that_was_just_cut_fails_and_changes_no_role(pair: Pair, cable: Cable) -> None:
    a, b = pair.machines
    join_by(cable, pair, window_s=0)
    cable.whole.clear()
    assert b.quick(TAKEOVER).sql in {"SQL1770N 7", "SQL1770N 1"}
    assert b.stands()[0] == "STANDBY"
    assert a.stands()[0] == "PRIMARY"


def test_a_forced_takeover_loses_what_the_old_primary_wrote_alone_and_its_log_is_refused(pair: Pair, cable: Cable) -> None:
    a, b = pair.machines
    join_by(cable, pair, window_s=0)
    client = with_table(a)
    add(client, "both")
    cable.whole.clear()
    a.wait_for("PRIMARY", ALONE[a.flavour], "DISCONNECTED")
    add(client, "only a")
    b.wait_for("STANDBY", "REMOTE_CATCHUP_PENDING")
    assert b.quick(f"{TAKEOVER} BY FORCE").code == 0
    assert b.stands() == ("PRIMARY", ALONE[a.flavour], "DISCONNECTED")
    assert a.stands()[0] == "PRIMARY"  # nobody told it
    assert (keys(b), keys(a)) == (["both"], ["both", "only a"])
    a.kill()
    a.start()
    b.must(f"UPDATE DB CFG FOR XCATDB USING HADR_REMOTE_HOST {a.address} HADR_REMOTE_SVC DB2_HADR_1")
    assert a.quick("ACTIVATE DB XCATDB").sql == "SQL1776N 6"
    assert a.quick(f"{START} STANDBY").code == 0
    # B runs with the parameters it was started with, which lead to the cable: it is A that connects.
    b.must("DEACTIVATE DB XCATDB")
    b.must(f"{START} PRIMARY BY FORCE")
    wait_until(lambda: "not activated" in a.pd(), "the diverged standby shuts itself down")
    assert "ADM12500E" in a.diag()
    assert a.quick("GET DB CFG FOR XCATDB").out.count("= STANDBY") == 1
    reseed(pair, b, a)
    a.wait_for("STANDBY", "PEER", "CONNECTED")
    assert a.quick(TAKEOVER).code == 0
    assert keys(a) == ["both"]


def reseed(pair: Pair, source: Machine, target: Machine) -> None:
    said = source.must("BACKUP DB XCATDB ONLINE TO /backup").text
    pair.copy(source, target, said)
    target.configure(source, timeout_s=2, window_s=0)
    target.must(f"{START} STANDBY")


# --- processes


def test_a_killed_primary_loses_nothing_in_the_window_and_comes_back_as_standby(pair: Pair) -> None:
    a, b = pair.machines
    pair.join(window_s=60)
    client = with_table(a)
    add(client, "one")
    a.kill()
    b.wait_for("STANDBY", "DISCONNECTED_PEER", "DISCONNECTED")
    assert b.quick(TAKEOVER).sql == "SQL1770N 1"
    assert b.quick(WINDOW_ONLY).code == 0
    assert keys(b) == ["one"]
    a.start()
    assert a.quick("ACTIVATE DB XCATDB").sql == "SQL1776N 6"
    assert a.quick("CONNECT TO XCATDB").sql == "SQL1776N 6"
    started = a.quick(f"{START} PRIMARY")
    assert started.sql == ("SQL1768N 7" if a.flavour == "97" else "SQL1768N 19")
    assert a.quick(f"{START} STANDBY").code == 0
    a.wait_for("STANDBY", "PEER", "CONNECTED")
    b.wait_for("PRIMARY", "PEER", "CONNECTED")


def test_a_primary_that_is_told_of_a_forced_takeover_stops_but_keeps_its_role(old: Pair) -> None:
    a, b = old.machines
    old.join(window_s=0)
    client = with_table(a)
    assert b.quick(f"{TAKEOVER} BY FORCE").code == 0
    wait_until(lambda: a.quick("CONNECT TO XCATDB").sql == "SQL1776N 6", "the old primary lets nobody in")
    with pytest.raises(ClientError, match="SQL1224N"):
        add(client, "late")
    assert "HADR database role                                      = PRIMARY" in a.quick("GET DB CFG FOR XCATDB").out
    assert a.shell("db2stop force").code == 0
    a.start()
    assert a.quick(f"{START} STANDBY").code == 0
    a.wait_for("STANDBY", "PEER")


@pytest.mark.parametrize(("mode", "waits"), [("SYNC", True), ("NEARSYNC", True), ("ASYNC", False), ("SUPERASYNC", False)])
def test_whether_a_commit_waits_for_a_standby_that_hangs_is_a_matter_of_the_mode(old: Pair, mode: str, waits: bool) -> None:
    a, b = old.machines
    old.join(mode=mode, timeout_s=60, window_s=0)
    client = with_table(a)
    wait_until(lambda: gap(a) == 0, "the table is there too")
    os.kill(b.pid, signal.SIGSTOP)
    writer = Writer(client, "one")
    if waits:
        wait_until(lambda: gap(a) > 0, "the row was written, and sent")
        assert not writer.done.is_set()
        os.kill(b.pid, signal.SIGCONT)
    assert writer.done.wait(60)
    if not waits:
        assert gap(a) > 0
        os.kill(b.pid, signal.SIGCONT)
    wait_until(lambda: gap(a) == 0, "the standby has it")


def gap(machine: Machine) -> int:
    found = re.search(r"Log gap running average\(bytes\) = (\d+)", machine.quick("GET SNAPSHOT FOR DB ON XCATDB").out)
    assert found
    return int(found[1])


def test_superasync_is_never_in_peer_and_hands_over_from_remote_catchup(old: Pair) -> None:
    a, b = old.machines
    old.join(mode="SUPERASYNC", window_s=60)
    add(with_table(a), "one")
    assert a.stands()[1] == "REMOTE_CATCHUP"
    assert b.quick(TAKEOVER).code == 0
    assert keys(b) == ["one"]


def test_a_killed_standby_comes_back_with_all_it_missed(old: Pair) -> None:
    a, b = old.machines
    old.join(window_s=0)
    client = with_table(a)
    b.kill()
    add(client, "one")
    b.start()
    assert b.quick("ACTIVATE DB XCATDB").code == 0
    b.wait_for("STANDBY", "PEER", "CONNECTED")
    assert b.quick(TAKEOVER).code == 0
    assert keys(b) == ["one"]


def test_a_primary_killed_before_it_could_send_keeps_a_tail_that_is_refused_later(old: Pair) -> None:
    a, b = old.machines
    old.join(timeout_s=60, window_s=60, mode="SYNC")  # NEARSYNC: the table might be lost, too
    client = with_table(a)
    os.kill(b.pid, signal.SIGSTOP)
    writer = Writer(client, "never acknowledged")
    wait_until(lambda: gap(a) > 0, "written here")
    a.kill()
    # What is on its way is lost with the host: here, with the sockets of both.
    b.kill()
    writer.join(60)
    assert (writer.done.is_set(), writer.error) == (False, "SQL1224N")
    b.start()
    assert b.quick("ACTIVATE DB XCATDB").code == 0
    assert b.quick(f"{TAKEOVER} BY FORCE").code == 0
    a.start()
    assert a.quick(f"{START} STANDBY").code == 0
    wait_until(lambda: "ADM12500E" in a.diag(), "the logs were compared")
    assert keys(b) == []


def test_a_primary_given_up_in_disconnected_peer_says_so(old: Pair) -> None:
    a, b = old.machines
    old.join(window_s=60)
    b.kill()
    a.wait_for("PRIMARY", "DISCONNECTED_PEER")
    answer = a.quick("DEACTIVATE DB XCATDB")
    assert (answer.code, answer.out[:8]) == (2, "SQL1657W")
    assert a.quick("BACKUP DB XCATDB TO /backup").sql == "SQL1015N"
    assert a.quick(f"{START} PRIMARY BY FORCE").code == 0


def test_mon_get_hadr_counts_in_milliseconds(pair: Pair) -> None:
    a, _ = pair.machines
    pair.join(timeout_s=3, window_s=120)
    query = "select HADR_ROLE, HADR_STATE, HADR_TIMEOUT, PEER_WINDOW from table(mon_get_hadr(null)) as t"
    said = a.shell(f"db2 connect to xcatdb >/dev/null; db2 -x '{query}'; db2 terminate >/dev/null").out
    if a.flavour == "11":
        assert said.split() == ["PRIMARY", "PEER", "3000", "120000"]
    else:
        assert "SQL0440N" in said


def test_an_online_backup_without_its_logs_is_whole_only_when_the_primary_has_sent_them(old: Pair) -> None:
    a, b = old.machines
    old.seed()
    client = with_table(a)
    said = a.must("BACKUP DB XCATDB ONLINE TO /backup EXCLUDE LOGS").text
    client.close()
    old.copy(a, b, said)
    old.configure(timeout_s=1)
    assert b.quick("ROLLFORWARD DB XCATDB TO END OF LOGS AND COMPLETE").sql == "SQL1276N"
    b.must(f"{START} STANDBY")
    assert b.quick(f"{TAKEOVER} BY FORCE").sql == "SQL1770N 3"
    a.must(f"{START} PRIMARY")
    b.wait_for("STANDBY", "PEER")
    assert b.quick(TAKEOVER).code == 0


def test_a_primary_that_waits_for_its_standby_can_be_interrupted(old: Pair) -> None:
    a = old.a
    old.seed()
    old.configure(timeout_s=600)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(a.quick(f"{START} PRIMARY").sql))
    thread.start()
    wait_until(lambda: a.quick("BACKUP DB XCATDB TO /backup").sql == "SQL1035N", "it waits")
    assert a.quick("DEACTIVATE DB XCATDB").text.startswith("SQL1496W")
    thread.join(60)
    assert answers == ["SQL1768N 10"]


def test_indexes_that_are_not_logged_are_named_and_no_failure(old: Pair) -> None:
    a = old.a
    old.seed()
    old.configure(timeout_s=1)
    a.must("UPDATE DB CFG FOR XCATDB USING LOGINDEXBUILD OFF")
    started = a.quick(f"{START} PRIMARY BY FORCE")
    assert (started.code, started.out[:8]) == (2, "SQL1766W")
    assert a.stands()[0] == "PRIMARY"
    changed = a.quick("UPDATE DB CFG FOR XCATDB USING INDEXREC SYSTEM")
    assert (changed.code, changed.out[:8]) == (2, "SQL1765W")


def test_a_plain_takeover_of_a_primary_that_hangs_fails_and_leaves_no_two_primaries(old: Pair) -> None:
    """When it goes on it may find the wish and yield to nobody: then there are two standbys, and force is what helps."""
    a, b = old.machines
    old.join(timeout_s=2, window_s=0)
    os.kill(a.pid, signal.SIGSTOP)
    assert b.quick(TAKEOVER).sql in {"SQL1770N 7", "SQL1770N 1"}
    assert b.stands()[0] == "STANDBY"
    os.kill(a.pid, signal.SIGCONT)
    settled = {("PRIMARY", "PEER", "CONNECTED"), ("STANDBY", "REMOTE_CATCHUP_PENDING", "DISCONNECTED")}
    wait_until(lambda: a.stands() in settled, "it goes on")
    if a.stands()[0] == "STANDBY":
        assert b.quick(f"{TAKEOVER} BY FORCE").code == 0
        a.wait_for("STANDBY", "PEER")
