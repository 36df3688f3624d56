"""What the driver ``mysql`` understands: positions of both servers, their words, cfgloc, and what a node's facts mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import ReplicaRole
from xcat_ha.testing import example_pair
from xcat_ha_drivers.mysql import Mysql
from xcat_ha_drivers.mysql._account import native_hash
from xcat_ha_drivers.mysql._dialect import Dialect, dialect_of
from xcat_ha_drivers.mysql._location import parse
from xcat_ha_drivers.mysql._server import literal, login_options
from xcat_ha_drivers.mysql.errors import MysqlError
from xcat_ha_drivers.mysql.server_ids import server_ids
from xcat_ha_drivers.mysql.states import state_of

MARIADB = dialect_of("10.11.6-MariaDB-0+deb12u1")
MYSQL = dialect_of("8.4.3")
A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4f22fa47-71ca-11e1-9e33-c80aa9429562"
MARIADB_ROW: dict[str, str | None] = {
    "Master_Host": "10.77.0.21",
    "Slave_IO_Running": "Connecting",
    "Slave_SQL_Running": "Yes",
    "Last_IO_Errno": "2003",
    "Last_IO_Error": "error connecting to master",
    "Last_SQL_Errno": "0",
    "Last_SQL_Error": "",
    "Seconds_Behind_Master": None,
    "Gtid_IO_Pos": "0-1-7",
}
# From the reference manual of MySQL 8.4, "SHOW REPLICA STATUS Statement"; not seen on a server.
MYSQL_ROW: dict[str, str | None] = {
    "Source_Host": "10.77.0.21",
    "Replica_IO_Running": "Yes",
    "Replica_SQL_Running": "Yes",
    "Last_IO_Errno": "0",
    "Last_IO_Error": "",
    "Last_SQL_Errno": "0",
    "Last_SQL_Error": "",
    "Seconds_Behind_Source": "3",
    "Retrieved_Gtid_Set": f"{A}:1-7",
}


@pytest.mark.parametrize(
    ("dialect", "have", "known", "errant"),
    [
        (MARIADB, "0-1-7", "0-1-7,0-2-9", []),
        (MARIADB, "0-1-10", "0-1-8,0-2-12", ["0-1-10"]),  # the old primary wrote 9 and 10, nobody else has them
        (MARIADB, "0-1-7,0-3-8", "0-1-9", ["0-3-8"]),  # a server the source never heard of
        (MARIADB, "", "0-1-9", []),
        (MYSQL, f"{A}:1-7", f"{A}:1-9", []),
        (MYSQL, f"{A}:1-10", f"{A}:1-8,\n{B}:1-4", [f"{A}:1-10"]),
        (MYSQL, f"{A}:1-3:5", f"{A}:1-5", []),
        (MYSQL, f"{A}:1-5", f"{A}:1-3:5", [f"{A}:1-5"]),
        (MYSQL, f"{A}:tag:1-2", f"{A}:1-5", [f"{A}:tag:1-2"]),
    ],
)
def test_transactions_that_only_one_side_has_are_named(dialect: Dialect, have: str, known: str, errant: list[str]) -> None:
    assert dialect.errant(have, known) == errant


@pytest.mark.parametrize("dialect", [MARIADB, MYSQL])
@pytest.mark.parametrize("text", ["garbage", "0-1", "ERROR 1045"])
def test_a_position_that_is_none_is_an_error_and_never_an_empty_one(dialect: Dialect, text: str) -> None:
    with pytest.raises(ValueError, match="GTID"):
        dialect.errant(text, "")


@pytest.mark.parametrize(
    ("dialect", "have", "wanted", "holds"),
    [
        (MARIADB, "0-2-9", "0-1-8", True),
        (MARIADB, "0-1-8", "0-2-9", False),
        (MARIADB, "0-1-8", "0-1-8,1-1-1", False),
        (MYSQL, f"{A}:1-9,{B}:1", f"{A}:1-8", True),
        (MYSQL, f"{A}:1-7", f"{A}:1-8", False),
    ],
)
def test_whether_one_position_contains_another(dialect: Dialect, have: str, wanted: str, holds: bool) -> None:
    assert dialect.has_all(have, wanted) is holds


def test_both_servers_rows_mean_the_same() -> None:
    left, right = MARIADB.replica_of(MARIADB_ROW), MYSQL.replica_of(MYSQL_ROW)
    assert (left.host, left.io, left.io_errno, left.received, left.lag_s) == ("10.77.0.21", "Connecting", 2003, "0-1-7", None)
    assert (right.host, right.io, right.io_errno, right.received, right.lag_s) == ("10.77.0.21", "Yes", 0, f"{A}:1-7", 3.0)


def test_each_server_is_told_its_own_words() -> None:
    """MySQL's as its manual has them; not run."""
    marias, told = (one.follow(host="10.77.0.21", port=3306, user="xcat_ha", password="", ca="/ca") for one in (MARIADB, MYSQL))
    assert "MASTER_USE_GTID=slave_pos" in marias
    assert told.startswith("CHANGE REPLICATION SOURCE TO SOURCE_HOST=")
    assert "SOURCE_AUTO_POSITION=1" in told
    assert "MASTER" not in told
    for one in (marias, told):
        assert "_SSL=1" in one
        assert "_SSL_VERIFY_SERVER_CERT=1" in one
    assert dialect_of("8.0.36").reset_binlog == "RESET MASTER;"
    assert dialect_of("9.1.0").reset_binlog == "RESET BINARY LOGS AND GTIDS;"


@pytest.mark.parametrize("version", ["5.7.44", "8.0.25", "10.4.32-MariaDB", "garbage", ""])
def test_a_server_that_is_too_old_or_unknown_is_refused(version: str) -> None:
    with pytest.raises(MysqlError):
        dialect_of(version)


def test_what_mariadb_logs_is_a_hash() -> None:
    """The hash of ``mariadb`` is in MariaDB's documentation of PASSWORD()."""
    assert native_hash("mariadb") == "*54958E764CE10E50764C2EECBB71D01F08549980"
    assert "secret" not in MARIADB.identified("secret", native_hash("secret"))


def test_cfgloc_keeps_its_password_and_says_nothing_of_it() -> None:
    login = parse("mysql:dbname=xcatdb;host=10.1.0.1|xcatadmin|a|b;c")
    assert login.line("10.77.0.11", 3306) == "mysql:dbname=xcatdb;host=10.77.0.11|xcatadmin|a|b;c"
    assert login.line("10.77.0.11", 3307).startswith("mysql:dbname=xcatdb;host=10.77.0.11;port=3307|")
    assert "a|b" not in repr(login)


@pytest.mark.parametrize(
    "line", ["", "Pg:dbname=xcatdb;host=h|xcatadm|S3cret", "mysql:host=h|xcatadmin|S3cret", "mysql:dbname=x`y;host=h|u|S3cret", "S3cret"]
)
def test_a_cfgloc_for_something_else_is_refused_without_its_password(line: str) -> None:
    with pytest.raises(MysqlError) as refusal:
        parse(line)
    assert "S3cret" not in str(refusal.value)


def test_texts_reach_the_server_as_they_are() -> None:
    assert literal("x'; DROP").startswith("CONVERT(X'78273b")
    assert "DROP" not in literal("x'; DROP")
    assert 'password="a\\"b\\\\c"' in login_options("u", 'a"b\\c')


# --- options


def test_waiting_or_losing_is_decided_by_nobody_but_the_administrator() -> None:
    pair = example_pair()
    with pytest.raises(ConfigError, match="there is no default"):
        Mysql(pair, {"mode": "semi-synchronous"})
    with pytest.raises(ConfigError, match="means nothing"):
        Mysql(pair, {"when_standby_gone": "wait"})
    with pytest.raises(ConfigError, match="mode"):
        Mysql(pair, {"mode": "synchronous"})
    Mysql(pair, {"mode": "semi-synchronous", "when_standby_gone": "degrade"})


def test_server_ids_differ_and_stay() -> None:
    pair = example_pair()
    ids = server_ids(pair)
    assert len(set(ids.values())) == 2
    assert ids == server_ids(pair)
    assert all(0 < number < 2**32 for number in ids.values())


# --- states

_REPLICA: dict[str, Any] = MARIADB.replica_of(
    {**MARIADB_ROW, "Slave_IO_Running": "Yes", "Last_IO_Errno": "0", "Last_IO_Error": ""}
)._asdict()
COPY: dict[str, Any] = {
    "node": "mnb",
    "peer": "mna",
    "peer_address": "10.77.0.21",
    "now": 2000.0,
    "server_id_wanted": 2,
    "server_id": 2,
    "semi_sync": "",
    "role": {"role": "copy"},
    "proof": {"time": 1000.0},
    "handed_over": None,
    "seeding": None,
    "standby": None,
    "database": "xcatdb",
    "there": True,
    "writable": False,
    "position": "0-1-7",
    "feeds": 0,
    "commits_wait": False,
    "binlog_bytes": 1,
    "replica": _REPLICA,
    "source": {"time": 1990.0, "has_all": True, "writable": True, "server_id": 1, "errant": []},
}
SOURCE: dict[str, Any] = {**COPY, "replica": None, "writable": True, "role": {"role": "own"}, "feeds": 1}


def broken(**replica: object) -> dict[str, Any]:
    return {**COPY, "replica": {**_REPLICA, **replica}, "source": {**COPY["source"], "has_all": False}}


def test_a_copy_that_has_everything_is_of_the_moment_its_source_was_asked() -> None:
    state = state_of(json.loads(json.dumps(COPY)))
    assert (state.role, state.healthy, state.last_good, state.lag_s) == (ReplicaRole.COPY, True, 1990.0, 0.0)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (broken(io="No", io_errno=1236, io_error="could not find next log"), "BINARY LOG GONE"),
        (broken(sql="No", sql_errno=1062, sql_error="Duplicate entry 'node7'"), "DUPLICATE KEY"),
        (broken(sql="No", sql_errno=1032, sql_error="Can't find record"), "ROW CHANGED BY HAND"),
        (broken(sql="No", sql_errno=1950, sql_error="out of order"), "WRITTEN BY HAND"),
        (broken(sql="No"), "applying is stopped"),
        (broken(host="10.77.0.99"), "follows 10.77.0.99"),
        (broken(io="No", io_errno=1593, io_error="equal MySQL server ids"), "WRONG SERVER ID"),
        ({**COPY, "server_id": 9}, "WRONG SERVER ID"),
        ({**COPY, "writable": True}, "WRITABLE"),
        ({**COPY, "source": {**COPY["source"], "errant": ["0-2-8"]}}, "0-2-8"),
    ],
)
def test_a_copy_that_somebody_has_to_mend_is_not_healthy_and_says_why(facts: dict[str, Any], words: str) -> None:
    state = state_of(facts)
    assert (state.role, state.healthy) == (ReplicaRole.COPY, False)
    assert words in state.detail
    assert state.last_good == 1000.0, "it claims to be of a moment that nobody proved"


def test_a_copy_whose_source_is_away_is_as_old_as_its_last_proof() -> None:
    state = state_of({**broken(io="Connecting", io_errno=2003, io_error="error connecting"), "source": {"trouble": "no route"}})
    assert (state.role, state.healthy, state.last_good, state.lag_s) == (ReplicaRole.COPY, True, 1000.0, 1000.0)


def test_a_silent_fallback_of_semi_synchronous_replication_is_shown_as_degraded() -> None:
    required = {**SOURCE, "semi_sync": "degrade", "standby": {"required": True}}
    assert state_of({**required, "commits_wait": True}).healthy is True
    state = state_of(required)
    assert state.healthy is False
    assert "DEGRADED" in state.detail


@pytest.mark.parametrize(
    ("facts", "role", "healthy"),
    [
        (SOURCE, ReplicaRole.SOURCE, True),
        ({**SOURCE, "writable": False}, ReplicaRole.SOURCE, False),
        ({**SOURCE, "there": False}, ReplicaRole.NONE, False),
        ({**SOURCE, "seeding": {"position": "0-1-7"}}, ReplicaRole.NONE, False),
        ({"none": "no unit"}, ReplicaRole.NONE, False),
        ({"error": "denied"}, None, None),
        ({**SOURCE, "down": "no answer", "role": None}, None, None),
        ({**SOURCE, "down": "no answer"}, ReplicaRole.SOURCE, False),
        ({**COPY, "down": "no answer"}, ReplicaRole.COPY, False),
    ],
)
def test_the_role_is_what_the_server_says(facts: dict[str, Any], role: ReplicaRole | None, healthy: bool | None) -> None:
    state = state_of(facts)
    assert (state.role, state.healthy) == (role, healthy)
