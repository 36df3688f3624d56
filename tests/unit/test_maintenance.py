"""Administrators at work: said on both nodes, shown first, syncs wait, whoever moves the role is told, and nobody forgets it for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given as for_any
from hypothesis import strategies as st

from tests.unit.test_cli_site import CliSite
from tests.unit.test_core_status import NOW, primary, silent, standby, status_of
from tests.unit.test_core_toys import MNB
from xcat_ha.errors import ExitCode
from xcat_ha.maintenance import NO_MAINTENANCE, Maintenance, parse_until

ON = Maintenance(on=True, reason="new xCAT", until=NOW + 3600, since=NOW - 60, by="root on mna")
OFF = Maintenance(on=False, since=NOW - 30, by="root on mna")


@pytest.fixture
def in_berlin() -> Iterator[None]:
    """A zone whose clock is changed twice a year."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("2026-11-24 18:00", "2026-11-24 18:00"),
        ("2026-11-24T18:00", "2026-11-24 18:00"),
        ("18:00", "2026-11-24 18:00"),
        ("9:30", "2026-11-25 09:30"),  # it is past nine already
        ("+90min", "2026-11-24 13:30"),
        ("+90m", "2026-11-24 13:30"),
        ("+2 h", "2026-11-24 14:00"),
        ("+1d", "2026-11-25 12:00"),
    ],
)
def test_a_time_in_the_words_of_administrators(text: str, until: str) -> None:
    now = time.mktime(time.strptime("2026-11-24 12:00", "%Y-%m-%d %H:%M"))
    assert time.strftime("%Y-%m-%d %H:%M", time.localtime(parse_until(text, now))) == until


@pytest.mark.usefixtures("in_berlin")
def test_tomorrow_is_tomorrow_on_the_long_day_too() -> None:
    now = time.mktime(time.strptime("2026-10-24 23:30", "%Y-%m-%d %H:%M"))
    until = parse_until("23:00", now)
    assert time.strftime("%Y-%m-%d %H:%M", time.localtime(until)) == "2026-10-25 23:00"
    assert until - now == pytest.approx(24.5 * 3600)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-11-24", "25:00", "18:61", "2020-01-01 10:00", "2099-01-01 10:00", "+0h", "2 h", "+2w", "-2h", "2026-13-01 10:00"],
)
def test_a_time_that_is_none_or_past_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_until(text, 1_795_000_000.0)


@for_any(st.booleans(), st.text(), st.floats(0, 1e11), st.text())
def test_what_is_stored_is_what_is_read(on: bool, reason: str, when: float, by: str) -> None:
    stored = Maintenance(on=on, reason=reason, until=when, since=when, by=by)
    assert stored.text().count("\n") == 1
    found = Maintenance.from_text(stored.text())
    assert found is not None
    assert (found.on, found.until, found.since) == (on, when, when)
    assert (found.reason + found.by).isprintable()


@for_any(
    st.text()
    | st.sampled_from(
        [
            "null",
            "[]",
            "{}",
            '{"on": 1}',
            '{"on": true, "until": "x"}',
            '{"on": true, "since": NaN}',
            '{"on": true, "until": 1e400}',
            "[" * 9999,
        ]
    )
)
def test_what_is_no_record_is_not_known(text: str) -> None:
    assert Maintenance.from_text(text) is None


# What status says of it


def test_being_at_work_is_shown_and_is_no_problem() -> None:
    status = status_of(primary(maintenance=ON), standby(maintenance=ON))
    assert status.maintenance is not None
    assert (status.maintenance.reason, status.maintenance.by, status.maintenance.expired) == ("new xCAT", "root on mna", False)
    assert status.exit_code is ExitCode.DONE


def test_being_late_is_a_problem() -> None:
    late = evolve(ON, until=NOW - 1)
    status = status_of(primary(maintenance=late), standby(maintenance=late))
    assert status.maintenance is not None
    assert status.maintenance.expired
    assert status.exit_code is ExitCode.FAILED
    assert "scheduled syncs run again" in status.problems[0].what


def test_a_node_that_was_away_does_not_bring_an_old_word_back() -> None:
    status = status_of(primary(maintenance=OFF), standby(maintenance=ON))
    assert status.maintenance is None
    assert [problem.what for problem in status.problems] == ["mnb does not know that there is no maintenance"]
    status = status_of(primary(maintenance=NO_MAINTENANCE), standby(maintenance=ON))
    assert status.maintenance is not None
    assert [problem.what for problem in status.problems] == ["mna does not know that there is maintenance"]


def test_a_silent_node_hides_nothing_of_what_the_other_says() -> None:
    status = status_of(primary(maintenance=ON), evolve(silent(MNB), maintenance=None))
    assert status.maintenance is not None


def test_a_record_that_cannot_be_read_is_not_known() -> None:
    status = status_of(primary(maintenance=None), standby())
    assert status.maintenance is None
    assert status.exit_code is ExitCode.UNKNOWN
    assert "whether there is maintenance (mna)" in status.problems[0].what


# The verb


@pytest.fixture
def site(tmp_path: Path) -> CliSite:
    return CliSite(tmp_path)


def on(site: CliSite, until: str = "+2h") -> None:
    done = site("maintenance", "on", "--reason", "new xCAT", "--until", until, "--yes")
    assert done.code == ExitCode.DONE, done.err


def records(site: CliSite) -> list[str]:
    return [(site.base / name / "maintenance.json").read_text() for name in ("lib", "mnb-lib")]


def test_both_nodes_are_told_and_history_remembers(site: CliSite) -> None:
    on(site)
    first, second = records(site)
    assert first == second
    assert json.loads(first)["reason"] == "new xCAT"
    operation = site("history", "--json").json["operations"][0]
    assert (operation["operation"], operation["outcome"], operation["parameters"]["reason"]) == ("maintenance", "done", "new xCAT")
    assert site("maintenance", "off", "--yes").code == ExitCode.DONE
    assert [json.loads(text)["on"] for text in records(site)] == [False, False]


def test_status_says_it_first(site: CliSite) -> None:
    on(site)
    done = site("status")
    assert done.code == ExitCode.DONE, done.out
    assert done.out.startswith("MAINTENANCE until ")
    assert "new xCAT (by " in done.out.splitlines()[0]
    work = site("status", "--json").json["status"]["maintenance"]
    assert (work["reason"], work["expired"]) == ("new xCAT", False)
    site("maintenance", "off", "--yes")
    assert "MAINTENANCE" not in site("status").out


def test_scheduled_syncs_wait_and_others_do_not(site: CliSite) -> None:
    on(site)
    before = site.facts("mnb")
    done = site("sync", "database", "hosts", "--scheduled", "--yes")
    assert done.code == ExitCode.DONE
    assert "maintenance until" in done.err
    assert site.facts("mnb") == before
    assert site("sync", "hosts", "--yes").code == ExitCode.DONE
    assert "set-hosts" in site.facts("mnb")


def test_when_the_time_is_over_syncs_run_again(site: CliSite) -> None:
    on(site)
    past = [evolve(word, until=time.time() - 5).text() for text in records(site) if (word := Maintenance.from_text(text))]
    for name, text in zip(("lib", "mnb-lib"), past, strict=True):
        (site.base / name / "maintenance.json").write_text(text)
    assert site("sync", "hosts", "--scheduled", "--yes").code == ExitCode.DONE
    assert "set-hosts" in site.facts("mnb")
    done = site("status")
    assert done.code == ExitCode.FAILED
    assert done.out.startswith("MAINTENANCE EXPIRED at ")


def test_a_record_that_cannot_be_read_stops_scheduled_syncs(site: CliSite) -> None:
    (site.base / "mnb-lib/maintenance.json").write_text("{")
    assert site("sync", "hosts", "--scheduled", "--yes").code == ExitCode.UNKNOWN
    assert "set-hosts" not in site.facts("mnb")
    assert site("maintenance", "off", "--yes").code == ExitCode.DONE
    assert site("sync", "hosts", "--scheduled", "--yes").code == ExitCode.DONE


def test_whoever_moves_the_role_is_told_before_the_question(site: CliSite) -> None:
    on(site)
    refused = site.on_a_terminal("failover", stdin="\n")
    assert refused.code == ExitCode.REFUSED
    assert refused.out.index("ATTENTION, maintenance until") < refused.out.index("Go on? [y/N]")
    assert "running-xcatd" in site.facts("mna")
    plan = site("failover", "--dry-run", "--json").json["plan"]
    assert "new xCAT" in plan["summary"][0]
    assert site("failover", "--yes").code == ExitCode.DONE
    assert "running-xcatd" in site.facts("mnb")


def test_said_while_a_node_is_silent_it_holds_for_the_other(site: CliSite) -> None:
    (site.base / "mnb-is-silent").touch()
    done = site("maintenance", "on", "--reason", "mnb gets new disks", "--until", "+2h", "--yes")
    assert done.code == ExitCode.DONE, done.err
    assert "mnb does not answer and is not told" in done.err
    assert site("status").out.startswith("MAINTENANCE until ")
    (site.base / "mnb-is-silent").unlink()
    assert site("sync", "hosts", "--scheduled", "--yes").code == ExitCode.DONE
    assert "set-hosts" not in site.facts("mnb")
    assert "mnb does not know that there is maintenance" in site("status").out


def test_off_when_nothing_is_on_changes_nothing(site: CliSite) -> None:
    done = site("maintenance", "off", "--yes")
    assert done.code == ExitCode.DONE
    assert "nothing had to be changed" in done.out
    assert not (site.base / "lib/maintenance.json").exists()
    on(site)
    site("maintenance", "off", "--yes")
    before = records(site)
    assert "nothing had to be changed" in site("maintenance", "off", "--yes").out
    assert records(site) == before


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("pause",),
        ("on",),
        ("on", "--reason", "x"),
        ("on", "--until", "+2h"),
        ("on", "--reason", " \x1b", "--until", "+2h"),
        ("on", "--reason", "x", "--until", "yesterday"),
        ("on", "--reason", "x", "--until", "2020-01-01 10:00"),
        ("off", "--reason", "x"),
    ],
)
def test_a_wrong_command_line_changes_nothing(words: tuple[str, ...], site: CliSite) -> None:
    before = site.everything()
    done = site("maintenance", *words, *(("--yes",) if words else ()))
    assert done.code == ExitCode.USAGE, done.err
    assert site.everything() == before


def test_without_a_yes_nothing_is_said(site: CliSite) -> None:
    done = site("maintenance", "on", "--reason", "x", "--until", "+2h")
    assert done.code == ExitCode.REFUSED
    assert "what is written meanwhile is lost" in done.err
    assert not (site.base / "lib/maintenance.json").exists()
