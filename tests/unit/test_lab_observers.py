"""The observers' parsing and arithmetic: they judge the product, so they have to be right."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tests.lab.addresses import changes
from tests.lab.leak_probe import events_in, leaks_in
from tests.lab.leaks import parse_report
from tests.lab.observers import (
    AddressEvent,
    Change,
    Interval,
    Leak,
    SecretSampler,
    compare_trees,
    listening_ports,
    parse_addresses,
    parse_monitor,
)
from tests.lab.timelines import gaps, holdings, overlaps

MONITOR = """\
[2026-01-02T00:00:01.500000] 2: en1    inet 10.77.0.11/16 scope global secondary en1
       valid_lft forever preferred_lft forever
[2026-01-02T00:00:02.000000] 2: en1    inet6 fd77::11/64 scope global tentative 
       valid_lft forever preferred_lft forever
[2026-01-02T00:00:03.000000] 2: en1    inet6 fd77::11/64 scope global 
       valid_lft forever preferred_lft forever
[2026-01-02T00:00:04.000000] 2: en1    inet6 fd77::22/64 scope global dadfailed tentative 
       valid_lft forever preferred_lft forever
[2026-01-02T00:00:05.250000] Deleted 2: en1    inet 10.77.0.11/16 scope global secondary en1
       valid_lft forever preferred_lft forever
[2026-01-02T00:00:06.000000] 7: tun0    inet 192.0.2.1 peer 192.0.2.2/32 scope global tun0
"""  # noqa: W291 - as ip prints it
MIDNIGHT_S = 1767312000.0


def test_monitor_lines_become_events() -> None:
    assert parse_monitor(MONITOR, "mna") == [
        AddressEvent(MIDNIGHT_S + 1.5, "mna", added=True, address="10.77.0.11"),
        AddressEvent(MIDNIGHT_S + 2, "mna", added=True, address="fd77::11", usable=False),
        AddressEvent(MIDNIGHT_S + 3, "mna", added=True, address="fd77::11"),
        AddressEvent(MIDNIGHT_S + 4, "mna", added=True, address="fd77::22", usable=False),
        AddressEvent(MIDNIGHT_S + 5.25, "mna", added=False, address="10.77.0.11"),
        AddressEvent(MIDNIGHT_S + 6, "mna", added=True, address="192.0.2.1"),
    ]


def test_an_address_under_detection_is_not_held() -> None:
    events = parse_monitor(MONITOR, "mna")
    assert holdings(changes(events, "fd77::11"), MIDNIGHT_S + 9) == [Interval(MIDNIGHT_S + 3, MIDNIGHT_S + 9, ("mna",))]
    assert holdings(changes(events, "fd77::22"), MIDNIGHT_S + 9) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", frozenset()),
        ('[{"ifname": "lo"}]', frozenset()),
        ('[{"addr_info": [{"local": "10.0.0.1"}, {}]}]', {"10.0.0.1"}),
        ('[{"addr_info": [{"local": "fd77::1", "tentative": true}]}]', frozenset()),
        ('[{"addr_info": [{"local": "fd77::1", "dadfailed": true}]}]', frozenset()),
    ],
)
def test_present_addresses(text: str, expected: frozenset[str]) -> None:
    assert parse_addresses(text) == expected


def on(time_s: float, node: str) -> Change:
    return Change(time_s, node, held=True)


def off(time_s: float, node: str) -> Change:
    return Change(time_s, node, held=False)


@pytest.mark.parametrize(
    ("history", "held", "twice", "nobody"),
    [
        pytest.param([], [], [], [(0, 10)], id="never held"),
        pytest.param([on(0, "a")], [(0, 10, "a")], [], [], id="held all the time"),
        pytest.param(
            [on(0, "a"), off(3, "a"), on(5, "b")],
            [(0, 3, "a"), (5, 10, "b")],
            [],
            [(3, 5)],
            id="moved with a gap",
        ),
        pytest.param(
            [on(0, "a"), on(4, "b"), off(6, "a")],
            [(0, 6, "a"), (4, 10, "b")],
            [(4, 6)],
            [],
            id="moved with an overlap",
        ),
        pytest.param(
            [on(0, "a"), off(5, "a"), on(5, "b")],
            [(0, 5, "a"), (5, 10, "b")],
            [],
            [],
            id="moved at one moment: neither overlap nor gap",
        ),
        pytest.param(
            [on(1, "a"), on(2, "a"), off(3, "a"), off(4, "a")],
            [(1, 3, "a")],
            [],
            [(0, 1), (3, 10)],
            id="repetitions change nothing",
        ),
        pytest.param(
            [on(5, "b"), off(7, "a"), on(0, "a")],
            [(0, 7, "a"), (5, 10, "b")],
            [(5, 7)],
            [],
            id="order of arrival does not matter",
        ),
    ],
)
def test_timelines(
    history: list[Change],
    held: list[tuple[float, float, str]],
    twice: list[tuple[float, float]],
    nobody: list[tuple[float, float]],
) -> None:
    found = holdings(history, 10)
    assert found == [Interval(start, end, (node,)) for start, end, node in held]
    assert overlaps(found) == [Interval(start, end, ("a", "b")) for start, end in twice]
    assert gaps(found, 0, 10) == [Interval(start, end, ()) for start, end in nobody]


def test_three_holders_are_one_overlap_with_changing_members() -> None:
    held = [Interval(0, 5, ("a",)), Interval(1, 4, ("b",)), Interval(2, 3, ("c",))]
    assert overlaps(held) == [
        Interval(1, 2, ("a", "b")),
        Interval(2, 3, ("a", "b", "c")),
        Interval(3, 4, ("a", "b")),
    ]


def test_listening_ports_are_those_in_state_listen() -> None:
    text = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 0B004D0A:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
        "   1: 0B004D0A:0016 01004D0A:D431 01 00000000:00000000 00:00000000 00000000     0\n"
    )
    assert listening_ports(text) == {3001}
    assert listening_ports("") == frozenset()


def test_secrets_are_found_in_argv_and_environment() -> None:
    secrets = {"db": b"s3cret", "other": b"absent"}
    found = leaks_in(b"psql\0-Ws3cret\0", b"A=1\0PW=s3cret\0", secrets)
    assert list(found) == [("db", "argv"), ("db", "environ")]
    assert list(leaks_in(b"", b"", secrets)) == []


def test_reports_of_the_probe_are_parsed() -> None:
    line = '{"secret": "db", "where": "argv", "pid": 7, "argv": ["psql", "-Ws3cret"]}'
    assert parse_report(line) == Leak("db", "argv", 7, ("psql", "-Ws3cret"))


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        SecretSampler({"db": ""})


def test_events_are_split_even_if_their_headers_grow() -> None:
    def event(length: int, descriptor: int, pid: int) -> bytes:
        header = struct.pack("=IBBHQii", length, 3, 0, 24, 0x10000, descriptor, pid)
        return header.ljust(length, b"\0")

    assert list(events_in(event(24, 5, 100) + event(32, 6, 200))) == [(5, 100), (6, 200)]
    assert list(events_in(b"")) == []


def make_tree(top: Path) -> Path:
    top.mkdir(mode=0o755)
    (top / "file").write_text("text")
    (top / "file").chmod(0o640)
    (top / "linked").hardlink_to(top / "file")
    (top / "link").symlink_to("file")
    (top / "sub").mkdir(mode=0o755)
    (top / "sub/empty").touch(mode=0o644)
    return top


def test_equal_trees_have_no_difference(tmp_path: Path) -> None:
    assert compare_trees(make_tree(tmp_path / "a"), make_tree(tmp_path / "b")) == []


def replace(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)
    path.chmod(0o640)


def test_every_kind_of_difference_is_named(tmp_path: Path) -> None:
    left, right = make_tree(tmp_path / "a"), make_tree(tmp_path / "b")
    replace(right / "linked", "TEXT")
    (right / "link").unlink()
    (right / "link").symlink_to("sub")
    (right / "sub").chmod(0o700)
    (right / "sub/empty").unlink()
    (right / "new").mkdir()
    found = {(one.path, one.what) for one in compare_trees(left, right)}
    assert found == {
        ("file", "linked_with"),
        ("link", "target"),
        ("linked", "linked_with"),
        ("linked", "sha256"),
        ("new", "type"),
        ("sub", "mode"),
        ("sub/empty", "type"),
    }


def test_owner_and_extended_attributes_count(tmp_path: Path) -> None:
    left, right = make_tree(tmp_path / "a"), make_tree(tmp_path / "b")
    try:
        os.setxattr(right / "file", "user.note", b"x")
    except OSError:
        pytest.fail("this test needs a file system with extended attributes below the temp dir")
    found = {(one.path, one.what) for one in compare_trees(left, right)}
    assert found == {("file", "xattrs"), ("linked", "xattrs")}


def test_ignored_paths_do_not_count(tmp_path: Path) -> None:
    left, right = make_tree(tmp_path / "a"), make_tree(tmp_path / "b")
    (right / "sub/empty").write_text("not any more")
    assert compare_trees(left, right, ignore=["sub/*"]) == []


def test_a_missing_tree_is_an_error_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        compare_trees(make_tree(tmp_path / "a"), tmp_path / "nowhere")
