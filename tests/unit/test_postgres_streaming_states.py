"""What the driver ``postgres-streaming`` makes of what a node's server says: each trouble has a line of its own, and nothing is guessed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import ReplicaRole
from xcat_ha.testing import example_pair
from xcat_ha_drivers.postgres_streaming import PostgresStreaming
from xcat_ha_drivers.postgres_streaming._account import is_verifier_of, verifier_of
from xcat_ha_drivers.postgres_streaming._wal import Control, follows, lsn, lsn_text, read_control, switch_points
from xcat_ha_drivers.postgres_streaming.states import state_of

NOW = 1_800_000_000.0
MIB = 1 << 20
_COMMON: Mapping[str, Any] = {
    "node": "mnb",
    "peer": "mna",
    "peer_address": "10.77.0.21",
    "peer_slot": "xcat_ha_mna",
    "now": NOW,
    "database": "xcatdb",
    "databases": ["postgres", "xcatdb"],
    "runs": True,
    "signal": False,
    "own": True,
    "system": "77",
    "state": "in production",
    "standby": None,
    "proof": None,
    "handed_over": None,
    "promoted": None,
    "sync_commit": "on",
}


def primary(**changed: object) -> dict[str, Any]:
    sender = {"name": "xcat_ha_mna", "state": "streaming", "sync_state": "async", "replayed": 900, "lag_s": 0.1}
    slot = {"name": "xcat_ha_mna", "active": True, "status": "reserved", "safe_bytes": 512 * MIB}
    facts = {
        "in_recovery": False,
        "flushed": 1000,
        "senders": [sender],
        "slots": [slot],
        "waiting": 0,
        "sync_names": "",
        "login_refused": "",
    }
    return {**_COMMON, **facts, **changed}


def standby(**changed: object) -> dict[str, Any]:
    connection = {"status": "streaming", "host": "10.77.0.21", "end": 1000, "end_time": NOW - 5, "heard": NOW - 1}
    facts = {"in_recovery": True, "signal": True, "own": False, "sync_names": "", "received": 1000, "replayed": 1000}
    facts |= {"replay_time": NOW - 50, "connection": connection, "paused": False, "proof": {"time": NOW - 40, "system": "77"}}
    return {**_COMMON, **facts, **changed}


def unfed(**source: object) -> dict[str, Any]:
    """A standby that does not stream, and what its source answered."""
    fine = {"system": "77", "in_recovery": False, "slot": "reserved", "keeps_from": 0, "segment_bytes": 16 * MIB}
    return standby(connection=None, source=source if "trouble" in source else {**fine, **source})


def test_a_primary_with_a_standby_is_healthy_and_says_how_far_it_is_ahead() -> None:
    state = state_of(primary())
    assert (state.role, state.healthy, state.last_good) == (ReplicaRole.SOURCE, True, None)
    assert "100 bytes behind" in state.detail


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (primary(standby={"required": True, "degraded_since": NOW - 60}, sync_names=""), "DEGRADED since"),
        (primary(sync_names="xcat_ha_mna", senders=[], waiting=3), "every commit waits for it; 3 wait now"),
        (primary(sync_names="xcat_ha_mna", sync_commit="local"), "synchronous_commit is local"),
        (primary(login_refused="the password in cfgloc is not that of role xcatadm"), "xCAT does not get in: the password in cfgloc"),
        (primary(slots=[{"name": "xcat_ha_mna", "active": False, "status": "lost", "safe_bytes": None}]), "slot of mna is LOST"),
    ],
    ids=["degraded", "waiting", "commits-do-not-wait", "login", "slot-lost"],
)
def test_what_is_wrong_with_a_primary_is_named(facts: dict[str, Any], words: str) -> None:
    state = state_of(facts)
    assert (state.role, state.healthy) == (ReplicaRole.SOURCE, False)
    assert words in state.detail


def test_a_missing_standby_is_no_fault_of_an_asynchronous_primary_and_its_limit_is_said() -> None:
    slot = {"name": "xcat_ha_mna", "active": False, "status": "reserved", "safe_bytes": 300 * MIB}
    state = state_of(primary(senders=[], slots=[slot]))
    assert state.healthy is True
    assert "300 MiB may be written until its slot is lost" in state.detail


def test_a_streaming_copy_is_as_good_as_what_the_primary_sent_last() -> None:
    state = state_of(standby())
    assert (state.role, state.healthy, state.lag_bytes, state.lag_s) == (ReplicaRole.COPY, True, 0, 0.0)
    assert state.last_good == NOW - 5


def test_a_copy_that_lags_is_only_as_good_as_what_it_has_replayed() -> None:
    state = state_of(standby(replayed=400))
    assert (state.lag_bytes, state.lag_s) == (600, 40.0)
    assert state.last_good == NOW - 40, "what was sent and not replayed does not count"


def test_a_proof_of_another_cluster_counts_nothing() -> None:
    assert state_of(standby(connection=None, replay_time=None, proof={"time": NOW, "system": "78"})).last_good is None


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (unfed(trouble="refused", words="mna refuses the password of xcat_ha"), "mna refuses the password of xcat_ha"),
        (unfed(trouble="refused", words="pg_hba.conf of mna does not let xcat_ha in from here"), "pg_hba.conf of mna"),
        (unfed(system="78"), "ANOTHER CLUSTER: mna's system identifier is 78"),
        (unfed(in_recovery=True), "standby itself"),
        (unfed(slot=None), "replication slot that mna kept for it is gone"),
        (unfed(slot="lost"), "SLOT LOST"),
        (unfed(keeps_from=64 * MIB), "LOG GONE"),
        (unfed(flushed=999), "AHEAD of mna"),
        (standby(paused=True), "replay is paused"),
    ],
    ids=["password", "hba", "other-cluster", "no-primary", "no-slot", "slot-lost", "log-gone", "ahead", "paused"],
)
def test_what_does_not_mend_itself_makes_a_copy_unhealthy_and_is_named(facts: dict[str, Any], words: str) -> None:
    state = state_of(facts)
    assert (state.role, state.healthy) == (ReplicaRole.COPY, False)
    assert words in state.detail
    assert "\n" not in state.detail


@pytest.mark.parametrize("kind", ["down", "silent", "unknown"])
def test_a_copy_whose_primary_is_away_is_still_a_good_copy_of_a_known_age(kind: str) -> None:
    state = state_of(unfed(trouble=kind, words="mna (10.77.0.21) does not answer"))
    assert (state.role, state.healthy, state.lag_bytes) == (ReplicaRole.COPY, True, None)
    assert state.last_good == NOW - 40
    assert "does not answer" in state.detail


def test_broken_for_two_days_is_said_in_days() -> None:
    facts = unfed(trouble="silent", words="mna does not answer") | {"replay_time": NOW - 172_800, "proof": None}
    assert "2.0 days ago" in state_of(facts).detail


@pytest.mark.parametrize(
    ("facts", "role", "words"),
    [
        ({"runs": False, "signal": True}, ReplicaRole.COPY, "does not run"),
        ({"runs": False, "own": False, "promoted": {"position": "x"}}, ReplicaRole.SOURCE, "when it is this node's turn"),
        ({"runs": False, "own": False, "handed_over": {"position": "x"}}, ReplicaRole.SOURCE, "given up"),
        ({"runs": False, "own": False}, None, "nobody knows which databases"),
        ({"down": "PostgreSQL 15 (port 5432) does not answer: starting up"}, ReplicaRole.SOURCE, "starting up"),
    ],
    ids=["copy", "own", "given-up", "unknown", "starting"],
)
def test_a_stopped_server_is_never_healthy(facts: dict[str, Any], role: ReplicaRole | None, words: str) -> None:
    state = state_of({**_COMMON, **facts})
    assert state.role is role
    assert state.healthy is not True
    assert words in state.detail


def test_a_server_without_the_database_has_none() -> None:
    assert state_of(primary(databases=["postgres"])).role is ReplicaRole.NONE


def test_a_synchronous_pair_needs_a_decision_about_waiting() -> None:
    with pytest.raises(ConfigError) as refusal:
        PostgresStreaming(example_pair(), {"mode": "synchronous"})
    assert "no default" in refusal.value.what
    assert "wait" in refusal.value.hint
    assert "degrade" in refusal.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "sometimes"},
        {"mode": "synchronous", "when_standby_gone": "panic"},
        {"when_standby_gone": "wait"},
        {"mode": 1},
        {"max_slot_wal_mib": 0},
        {"data_directory": "main"},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as refusal:
        PostgresStreaming(example_pair(), options)
    assert refusal.value.hint


CONTROL = """\
Database system identifier:           7711710888041633383
Database cluster state:               shut down
Latest checkpoint location:           0/1500718
Latest checkpoint's TimeLineID:       2
wal_log_hints setting:                on
Data page checksum version:           0
"""


def test_a_control_file_is_read() -> None:
    control = read_control(CONTROL)
    assert control == Control("7711710888041633383", "shut down", 2, 0x1500718, checksums=False, log_hints=True)
    assert control is not None
    assert control.position == "7711710888041633383/2/0/1500718"


@pytest.mark.parametrize("line", range(6))
def test_a_control_file_that_lacks_a_line_is_not_understood(line: int) -> None:
    lines = CONTROL.splitlines()
    assert read_control("\n".join(lines[:line] + lines[line + 1 :])) is None


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_positions_survive_being_written(position: int) -> None:
    assert lsn(lsn_text(position)) == position


def test_a_history_file_says_where_timelines_ended() -> None:
    text = "1\t0/3000060\tno recovery target specified\n\n2\t0/5000000\tno recovery target specified\n"
    assert switch_points(text) == {1: 0x3000060, 2: 0x5000000}
    assert switch_points("1\tnowhere") is None


@pytest.mark.parametrize(
    ("timeline", "checkpoint", "can"),
    [(1, 0x3000000, True), (1, 0x3000060, False), (1, 0x3100000, False), (2, 0x4000000, True), (3, 0x9000000, True), (4, 0x100, False)],
    ids=["all-taken-over", "its-last-record-was-not", "it-went-on", "second", "same", "unheard-of"],
)
def test_an_old_primary_follows_only_if_the_new_one_has_everything(timeline: int, checkpoint: int, can: bool) -> None:
    control = Control("77", "shut down", timeline, checkpoint, checksums=False, log_hints=True)
    assert follows(control, timeline=3, points={1: 0x3000060, 2: 0x5000000}) is can


def test_the_server_is_told_a_verifier_as_the_standard_makes_it() -> None:
    """RFC 7677, section 3: user, password "pencil", salt W22ZaJ0SNY7soEsUEjb6gQ==, 4096 iterations; its proof follows from these keys."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    verifier = verifier_of("pencil", salt)
    stored, server = verifier.rpartition("$")[2].split(":")
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.digest(base64.b64decode(server), message, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signed = hmac.digest(base64.b64decode(stored), message, "sha256")
    client_key = bytes(left ^ right for left, right in zip(proof, signed, strict=True))
    assert hashlib.sha256(client_key).digest() == base64.b64decode(stored)
    assert is_verifier_of(verifier, "pencil")
    assert not is_verifier_of(verifier, "pencils")
    assert not is_verifier_of("md5abc", "pencil")
