"""sqlite-copy on two trees: what a sync, a hand-over, a promotion and a seed do, and what they refuse."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from tests.unit.test_sqlite_copy_trees import DATA, WRITER, Trees, die_in_a_transaction, names_in, sha256, write
from xcat_ha.errors import ConfigError, StepFailedError
from xcat_ha.execution import execute_steps
from xcat_ha.interfaces import ReplicaRole
from xcat_ha.models import STATE_DIR
from xcat_ha_drivers.sqlite_copy import SqliteCopy
from xcat_ha_drivers.sqlite_copy._disk import BASE_DIR

SOME = ("nodelist", "nodetype", "site", "hosts")


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path, tables=SOME)


def sync(trees: Trees) -> None:
    execute_steps(trees.backend.steps_to_sync(trees.a, trees.b), trees)


def seed(trees: Trees) -> None:
    execute_steps(trees.backend.steps_to_seed(trees.a, trees.b), trees)


def test_a_seed_from_nothing_makes_both_nodes_equal_byte_for_byte(tmp_path: Path) -> None:
    trees = Trees(tmp_path)
    began = time.time()
    seed(trees)
    assert len(trees.files(trees.b)) == 73
    assert trees.files(trees.b) == trees.files(trees.a)
    state = trees.backend.observe(trees.b, trees)
    assert (state.role, state.healthy) == (ReplicaRole.COPY, True)
    assert state.last_good is not None
    assert began <= state.last_good <= time.time()
    assert trees.backend.observe(trees.a, trees).role is ReplicaRole.SOURCE
    (generation,) = trees.generations(trees.b)
    assert state.generation in generation.name
    assert {path.stat().st_mode & 0o777 for path in trees.xcat(trees.b).iterdir()} == {0o600}


def test_running_a_sync_again_changes_nothing(trees: Trees) -> None:
    seed(trees)
    before = [trees.everything(node) for node in trees.nodes]
    trees.changes.clear()
    sync(trees)
    seed(trees)
    assert trees.changes == []
    assert [trees.everything(node) for node in trees.nodes] == before


def test_observing_changes_nothing(trees: Trees) -> None:
    seed(trees)
    write(trees.xcat(trees.a), "n1")
    die_in_a_transaction(trees.xcat(trees.a))
    before = [trees.everything(node) for node in trees.nodes]
    for node in trees.nodes:
        trees.backend.observe(node, trees)
        assert trees.record(node, "nobody") == "absent"
    assert trees.record(trees.a, "n1") == "present"
    assert trees.record(trees.a, "torn1") == "absent"
    for step in trees.backend.steps_to_sync(trees.a, trees.b):
        for probe in step.done_when.probes:
            trees.run(probe.host, probe.command)
    assert [trees.everything(node) for node in trees.nodes] == before


def test_a_committed_row_reaches_the_standby_and_only_its_table_is_copied(trees: Trees) -> None:
    seed(trees)
    write(trees.xcat(trees.a), "new1")
    sync(trees)
    assert trees.record(trees.b, "new1") == "present"
    assert trees.files(trees.b) == trees.files(trees.a)
    first, second = trees.generations(trees.b)
    shared = {path.name for path in first.glob("*.sqlite") if path.samefile(second / path.name)}
    assert shared == {"hosts.sqlite", "nodetype.sqlite", "site.sqlite"}


def test_a_change_of_equal_size_and_time_is_seen(trees: Trees) -> None:
    seed(trees)
    path = trees.xcat(trees.a) / "nodelist.sqlite"
    before = path.stat()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE nodelist SET status = 'b' || substr(status, 2) WHERE node = (SELECT min(node) FROM nodelist)")
        connection.execute("UPDATE nodelist SET comments = 'x' WHERE node = (SELECT min(node) FROM nodelist)")
    connection.close()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    sync(trees)
    assert trees.files(trees.b) == trees.files(trees.a)


def test_an_old_comparison_is_renewed_without_a_new_generation(tmp_path: Path) -> None:
    trees = Trees(tmp_path, tables=SOME, confirm_s=1)
    seed(trees)
    first = trees.backend.observe(trees.b, trees)
    in_place = {path.name: path.stat().st_ino for path in trees.xcat(trees.b).iterdir()}
    deadline = time.monotonic() + 10
    trees.changes.clear()
    while not trees.changes and time.monotonic() < deadline:
        sync(trees)
    second = trees.backend.observe(trees.b, trees)
    assert first.last_good is not None
    assert second.last_good is not None
    assert second.last_good > first.last_good
    assert second.generation == first.generation
    assert len(trees.generations(trees.b)) == 1
    assert {path.name: path.stat().st_ino for path in trees.xcat(trees.b).iterdir()} == in_place


def test_new_and_vanished_tables_follow(trees: Trees) -> None:
    seed(trees)
    shutil.copyfile(DATA / "mac.sqlite", trees.xcat(trees.a) / "mysite_own.sqlite")
    (trees.xcat(trees.a) / "empty.sqlite").touch()  # as xCAT creates it on first open
    (trees.xcat(trees.a) / "hosts.sqlite").unlink()
    (trees.xcat(trees.a) / "site.sqlite").chmod(0o640)
    sync(trees)
    assert trees.files(trees.b) == trees.files(trees.a)
    assert "hosts.sqlite" not in trees.files(trees.b)
    assert (trees.xcat(trees.b) / "site.sqlite").stat().st_mode & 0o777 == 0o640


def test_names_a_shell_would_stumble_over(trees: Trees) -> None:
    for name in ("a b.sqlite", "-rf.sqlite", "'\"$x.sqlite", "ü.sqlite"):
        shutil.copyfile(DATA / "mac.sqlite", trees.xcat(trees.a) / name)
    seed(trees)
    assert trees.files(trees.b) == trees.files(trees.a)
    write(trees.xcat(trees.a), "--help", "x'y")
    sync(trees)
    assert [trees.record(trees.b, name) for name in ("--help", "x'y", "x''y")] == ["present", "present", "absent"]


def test_mass_disappearance_is_stopped_by_sync(tmp_path: Path) -> None:
    trees = Trees(tmp_path)
    seed(trees)
    for path in sorted(trees.xcat(trees.a).glob("[a-m]*.sqlite")):
        path.unlink()
    with pytest.raises(StepFailedError, match="tables are gone on mna"):
        sync(trees)
    assert len(trees.files(trees.b)) == 73


@pytest.mark.parametrize("how", ["sync", "seed"])
def test_an_empty_source_sends_nothing(trees: Trees, how: str) -> None:
    seed(trees)
    kept = trees.files(trees.b)
    for path in trees.xcat(trees.a).iterdir():
        path.unlink()
    with pytest.raises(StepFailedError, match="there are no table files"):
        {"sync": sync, "seed": seed}[how](trees)
    assert trees.files(trees.b) == kept


def spoil(path: Path) -> None:
    """Damage a page in the middle, as a bad disk does."""
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\x37" * 4096)


def change_wal(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=wal")
    connection.close()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (spoil, "nodelist.sqlite (fails SQLite's integrity check|is damaged)"),
        (lambda path: path.write_text("not a database, but long enough to hold a header of a hundred bytes " * 3), "is not an SQLite file"),
        (lambda path: path.write_text("x"), "is not an SQLite file"),
        (change_wal, "WAL mode"),
        (lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
    ],
)
def test_a_table_that_is_not_sound_on_the_source_stops_everything(trees: Trees, harm: Callable[[Path], object], said: str) -> None:
    seed(trees)
    kept, generations = trees.files(trees.b), trees.generations(trees.b)
    write(trees.xcat(trees.a), "n1", table="nodetype")
    harm(trees.xcat(trees.a) / "nodelist.sqlite")
    with pytest.raises(StepFailedError, match=said) as caught:
        sync(trees)
    assert "hint" in str(caught.value)
    assert trees.files(trees.b) == kept
    assert trees.generations(trees.b) == generations
    assert trees.backend.observe(trees.b, trees).healthy


def test_a_directory_that_cannot_be_read_is_not_an_empty_one(trees: Trees) -> None:
    seed(trees)
    directory = trees.xcat(trees.a)
    shutil.rmtree(directory)
    directory.write_text("not a directory")
    with pytest.raises(StepFailedError, match="cannot read"):
        sync(trees)
    assert trees.backend.observe(trees.a, trees).role is None


@pytest.mark.parametrize(
    ("cfgloc", "said"),
    [
        ("Pg:dbname=xcatdb;host=10.1.0.1|xcatadm|SECRET\n", "'Pg'"),
        ("DB2:xcatdb|xcatdb|SECRET\n", "'DB2'"),
        ("SQLite:/srv/xcat\n", "/srv/xcat"),
        ("/srv/xcat\n", "/srv/xcat"),
    ],
)
def test_another_database_than_sqlite_is_refused(trees: Trees, cfgloc: str, said: str) -> None:
    (trees.xcat(trees.a) / "cfgloc").write_text(cfgloc)
    with pytest.raises(StepFailedError) as caught:
        seed(trees)
    assert said in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert trees.files(trees.b) == {}


def test_the_old_default_directory_counts(trees: Trees) -> None:
    (trees.top / "mna/opt/xcat/cfg").mkdir(parents=True)
    with pytest.raises(StepFailedError, match="xCAT keeps its tables in /opt/xcat/cfg"):
        seed(trees)
    (trees.xcat(trees.a) / "cfgloc").write_text("SQLite:/etc/xcat\n")
    seed(trees)
    assert trees.files(trees.b) == trees.files(trees.a)


def test_the_receiver_refuses_while_xcatd_runs(trees: Trees) -> None:
    seed(trees)
    kept = trees.files(trees.b)
    write(trees.xcat(trees.a), "n1")
    trees.start_xcatd(trees.b)
    with pytest.raises(StepFailedError, match="xcatd is stopped on mnb"):
        sync(trees)
    done = trees.run_words("mnb", trees.receive_words(trees.a, trees.b))
    assert done.returncode == 1
    assert "xcatd runs here" in done.stderr
    assert trees.files(trees.b) == kept
    assert trees.backend.observe(trees.b, trees).role is ReplicaRole.SOURCE


def test_a_table_that_is_open_in_another_process_is_not_replaced(trees: Trees) -> None:
    (trees.top / "mnb/proc" / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    seed(trees)
    write(trees.xcat(trees.a), "n1")
    assert trees.side(trees.a, "snapshot").ok
    with (trees.xcat(trees.b) / "site.sqlite").open("rb"):
        done = trees.run_words("mnb", trees.receive_words(trees.a, trees.b, "--wait-s=1"))
    assert done.returncode == 1
    assert re.search(r"process \d+ has .*site.sqlite open", done.stderr)
    sync(trees)
    assert trees.files(trees.b) == trees.files(trees.a)


def test_a_locked_table_is_waited_for_and_then_named(trees: Trees) -> None:
    seed(trees)
    write(trees.xcat(trees.a), "n1")
    connection = sqlite3.connect(trees.xcat(trees.a) / "nodelist.sqlite", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    done = trees.side(trees.a, "snapshot")
    assert done.returncode == 1
    assert "nodelist.sqlite is locked by another process" in done.stderr
    connection.close()
    assert trees.side(trees.a, "snapshot").ok


def test_a_hot_journal_is_rolled_back_not_copied(trees: Trees) -> None:
    write(trees.xcat(trees.a), "kept1")
    good = names_in(trees.xcat(trees.a) / "nodelist.sqlite")
    die_in_a_transaction(trees.xcat(trees.a))
    seed(trees)
    assert names_in(trees.xcat(trees.b) / "nodelist.sqlite") == good
    assert not (trees.xcat(trees.b) / "nodelist.sqlite-journal").exists()


def test_a_stale_hot_journal_on_the_target_does_not_reach_the_new_file(trees: Trees) -> None:
    seed(trees)
    die_in_a_transaction(trees.xcat(trees.b))
    write(trees.xcat(trees.a), "n1")
    sync(trees)
    good = names_in(trees.xcat(trees.a) / "nodelist.sqlite")
    assert names_in(trees.xcat(trees.b) / "nodelist.sqlite") == good
    assert not list(trees.xcat(trees.b).glob("*-journal"))


def test_a_busy_source_is_synced_to_a_point_in_time(trees: Trees) -> None:
    seed(trees)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(trees.xcat(trees.a))], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(4):
            before = int(writer.stdout.readline())
            sync(trees)
            # The writer commits to nodelist first, then to nodetype: at any one moment they differ by one row at most.
            first, second = (
                sum(name.startswith("busy") for name in names_in(trees.xcat(trees.b) / f"{table}.sqlite"))
                for table in ("nodelist", "nodetype")
            )
            assert first - second in (0, 1)
            assert second >= before
            assert trees.backend.observe(trees.b, trees).healthy
        writer.kill()


def test_a_standby_that_was_written_is_saved_and_healed(trees: Trees) -> None:
    seed(trees)
    write(trees.xcat(trees.b), "stray")
    touched = trees.files(trees.b)["nodelist.sqlite"]
    state = trees.backend.observe(trees.b, trees)
    assert state.role is ReplicaRole.SOURCE
    assert "written here" in state.detail
    sync(trees)
    assert trees.files(trees.b) == trees.files(trees.a)
    (saved,) = trees.diverged(trees.b)
    assert sha256(saved / "nodelist.sqlite") == touched


def test_a_sync_never_replaces_a_nodes_own_database(trees: Trees) -> None:
    shutil.copyfile(DATA / "nodelist.sqlite", trees.xcat(trees.b) / "nodelist.sqlite")
    write(trees.xcat(trees.b), "own")
    with pytest.raises(StepFailedError, match="are this node's own"):
        sync(trees)
    assert trees.record(trees.b, "own") == "present"
    seed(trees)
    assert trees.files(trees.b) == trees.files(trees.a)


def test_hand_over_and_back(trees: Trees) -> None:
    seed(trees)
    write(trees.xcat(trees.a), "last")
    steps = trees.backend.steps_to_hand_over(trees.a, trees.b)
    execute_steps(steps, trees)
    assert trees.record(trees.b, "last") == "present"
    assert [trees.backend.observe(node, trees).role for node in trees.nodes] == [ReplicaRole.COPY, ReplicaRole.SOURCE]
    trees.changes.clear()
    execute_steps(steps, trees)
    assert trees.changes == []
    # mnb works as primary, mna follows it without a new seed, and takes the role back
    trees.start_xcatd(trees.b)
    write(trees.xcat(trees.b), "meanwhile")
    execute_steps(trees.backend.steps_to_sync(trees.b, trees.a), trees)
    assert trees.record(trees.a, "meanwhile") == "present"
    trees.stop_xcatd(trees.b)
    execute_steps(trees.backend.steps_to_hand_over(trees.b, trees.a), trees)
    assert [trees.backend.observe(node, trees).role for node in trees.nodes] == [ReplicaRole.SOURCE, ReplicaRole.COPY]
    assert trees.files(trees.b) == trees.files(trees.a)
    write(trees.xcat(trees.a), "again")
    sync(trees)
    assert trees.record(trees.b, "again") == "present"


def test_a_hand_over_needs_the_old_xcatd_stopped(trees: Trees) -> None:
    seed(trees)
    write(trees.xcat(trees.a), "n1")
    trees.start_xcatd(trees.a)
    with pytest.raises(StepFailedError, match="xcatd is stopped on mna"):
        execute_steps(trees.backend.steps_to_hand_over(trees.a, trees.b), trees)
    assert trees.backend.observe(trees.b, trees).role is ReplicaRole.COPY


def test_promotion_puts_the_newest_generation_in_place_whatever_lies_there(trees: Trees) -> None:
    seed(trees)
    good = trees.files(trees.b)
    (trees.xcat(trees.b) / "nodelist.sqlite").write_bytes(b"rubbish")
    (trees.xcat(trees.b) / "site.sqlite").unlink()
    steps = trees.backend.steps_to_promote(trees.b, forced=False)
    execute_steps(steps, trees)
    assert trees.files(trees.b) == good
    assert trees.backend.observe(trees.b, trees).role is ReplicaRole.SOURCE
    write(trees.xcat(trees.b), "mine")
    trees.changes.clear()
    execute_steps(steps, trees)
    assert trees.changes == []
    assert trees.record(trees.b, "mine") == "present"
    with pytest.raises(StepFailedError, match="are this node's own"):
        sync(trees)


def test_nothing_is_promoted_where_nothing_is(trees: Trees) -> None:
    with pytest.raises(StepFailedError, match="neither a copy nor any table file"):
        execute_steps(trees.backend.steps_to_promote(trees.b, forced=True), trees)
    assert trees.backend.observe(trees.b, trees).role is ReplicaRole.NONE


def test_a_crashed_old_primary_is_saved_then_follows(trees: Trees) -> None:
    seed(trees)
    write(trees.xcat(trees.a), "lost")
    die_in_a_transaction(trees.xcat(trees.a))
    execute_steps(trees.backend.steps_to_promote(trees.b, forced=True), trees)
    write(trees.xcat(trees.b), "won")
    saving = trees.backend.steps_to_save_divergence(trees.a)
    execute_steps(saving, trees)
    (saved,) = trees.diverged(trees.a)
    assert "lost" in names_in(saved / "nodelist.sqlite")
    assert not any(name.startswith("torn") for name in names_in(saved / "nodelist.sqlite"))
    manifest = json.loads((saved / "manifest.json").read_text())
    assert all(sha256(saved / name) == table["sha256"] for name, table in manifest["tables"].items())
    trees.changes.clear()
    execute_steps(saving, trees)
    assert trees.changes == []
    execute_steps(trees.backend.steps_to_seed(trees.b, trees.a), trees)
    assert [trees.record(trees.a, name) for name in ("won", "lost")] == ["present", "absent"]
    assert trees.backend.observe(trees.a, trees).role is ReplicaRole.COPY


def test_a_damaged_table_is_saved_as_it_is(trees: Trees) -> None:
    spoil(trees.xcat(trees.a) / "nodelist.sqlite")
    (trees.xcat(trees.a) / "hosts.sqlite").write_text("rubbish")
    raw = trees.files(trees.a)
    steps = trees.backend.steps_to_save_divergence(trees.a)
    execute_steps(steps, trees)
    execute_steps(steps, trees)
    (saved,) = trees.diverged(trees.a)
    assert {name: sha256(saved / name) for name in raw} == raw
    assert set(json.loads((saved / "manifest.json").read_text())["damaged"]) == {"nodelist.sqlite", "hosts.sqlite"}


def test_plans_are_data_and_options_are_checked(tmp_path: Path) -> None:
    trees = Trees(tmp_path, keep=3, lock_wait_s=5)
    source = evolve(trees.a, address="fd77::21")
    words = [str(word) for step in trees.backend.steps_to_sync(source, trees.b) for command in step.commands for word in command.argv]
    assert "--address=root@[fd77::21]:/var/lib/xcat-ha/sqlite-copy/outgoing/current/" in words
    assert {"--keep=3", "--wait-s=5"} <= set(words)
    assert BASE_DIR.startswith(STATE_DIR)
    for options in ({"keep": 0}, {"keep": "7"}, {"kept": 7}):
        with pytest.raises(ConfigError):
            SqliteCopy(trees.pair, options)


def test_a_wrong_call_says_so(trees: Trees) -> None:
    assert trees.side(trees.a, "observe", "--no-such").returncode == 1
    assert trees.side(trees.a, "erase").returncode == 2


def test_importing_the_programs_is_cheap() -> None:
    """Every question to a node pays for it."""
    # An editable installation imports modules of its own at start: only what comes on top counts.
    code = "import sys; before = set(sys.modules); import xcat_ha_drivers.sqlite_copy.node_side; print(*set(sys.modules) - before)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout.split()
    assert not {"attr", "xcat_ha", "sqlite3", "subprocess", "argparse"} & set(loaded)


def test_old_generations_are_pruned_and_cost_little(tmp_path: Path) -> None:
    trees = Trees(tmp_path, tables=SOME, keep=3)
    seed(trees)
    for number in range(5):
        write(trees.xcat(trees.a), f"n{number}", table="nodetype")
        sync(trees)
    names = [path.name for path in trees.generations(trees.b)]
    assert [name[:6] for name in names] == ["000004", "000005", "000006"]
    assert (trees.generations(trees.b)[0] / "nodelist.sqlite").stat().st_nlink == 3


def test_a_cut_line_leaves_the_last_good_copy(trees: Trees) -> None:
    seed(trees)
    kept = trees.everything(trees.b)
    write(trees.xcat(trees.a), "n1")
    (trees.top / "cut").touch()
    with pytest.raises(StepFailedError, match=r"rsync from mna ended with (12|255) .*No route to host"):
        sync(trees)
    assert {path for path in trees.everything(trees.b) if "sqlite-copy/generations/" in path} <= set(kept)
    (trees.top / "cut").unlink()
    sync(trees)
    assert trees.files(trees.b) == trees.files(trees.a)


def test_a_copy_that_was_changed_on_its_way_is_not_taken(trees: Trees) -> None:
    seed(trees)
    kept, generations = trees.files(trees.b), trees.generations(trees.b)
    write(trees.xcat(trees.a), "n1")
    assert trees.side(trees.a, "snapshot").ok
    sent = trees.base(trees.a) / "outgoing/current/nodelist.sqlite"
    with sent.open("r+b") as file:
        file.seek(5000)
        file.write(b"?")
    done = trees.run_words("mnb", trees.receive_words(trees.a, trees.b))
    assert done.returncode == 1
    assert "another checksum" in done.stderr
    (trees.base(trees.a) / "outgoing/current/extra.sqlite").touch()
    assert "does not fit its manifest" in trees.run_words("mnb", trees.receive_words(trees.a, trees.b)).stderr
    assert (trees.files(trees.b), trees.generations(trees.b)) == (kept, generations)


def test_a_damaged_generation_is_never_put_in_place(trees: Trees) -> None:
    seed(trees)
    kept = trees.files(trees.b)
    (generation,) = trees.generations(trees.b)
    with (generation / "nodelist.sqlite").open("r+b") as file:
        file.seek(5000)
        file.write(b"?")
    (trees.xcat(trees.b) / "nodelist.sqlite").unlink()
    with pytest.raises(StepFailedError, match="does not have the checksum"):
        execute_steps(trees.backend.steps_to_promote(trees.b, forced=True), trees)
    seed(trees)
    assert trees.files(trees.b) == kept
