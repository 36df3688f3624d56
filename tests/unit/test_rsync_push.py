"""Trees pushed from one directory to another: what arrives, what is refused, what an interruption leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.rsync_nodes import TwoNodes, tree, write

ODD_NAMES = (
    "with blank", "-rf", "--delete", "new\nline", "quote'\"$(x)`y`", "ünï", "back\\slash", "*", "[a]", "a -> b", " lead", "tail ", "#012",
)  # fmt: skip


@pytest.fixture
def nodes(tmp_path: Path) -> TwoNodes:
    return TwoNodes(tmp_path)


def many(root: Path, count: int, name: str = "srv/tree/f") -> None:
    for number in range(count):
        write(root / f"{name}{number}", f"{number}\n")


def receipt(nodes: TwoNodes) -> dict[str, object]:
    found = json.loads((nodes.target / "var/lib/xcat-ha/files/things.json").read_text())
    assert isinstance(found, dict)
    return found


# --- what arrives


def test_a_first_sync_to_an_empty_target(nodes: TwoNodes) -> None:
    many(nodes.source, 20)
    spec = nodes.spec("/srv/tree")
    assert nodes.check(spec).startswith("FAILS: ")
    nodes.push(spec)
    assert nodes.check(spec) == "HOLDS: equal"
    assert tree(nodes.target / "srv") == tree(nodes.source / "srv")
    assert receipt(nodes)["source"] == "mna"


def test_odd_names_and_paths_arrive_and_vanish(nodes: TwoNodes) -> None:
    for name in ODD_NAMES:
        write(nodes.source / "srv/tree" / name, name)
        write(nodes.source / "srv" / name / name, name)
    raw = os.fsencode(nodes.source / "srv/tree") + b"/\xff\xfe"
    Path(os.fsdecode(raw)).write_text("not UTF-8")
    spec = nodes.spec("/srv/tree", *(f"/srv/{name}" for name in ODD_NAMES))
    nodes.push(spec)
    assert nodes.check(spec) == "HOLDS: equal"
    assert tree(nodes.target / "srv") == tree(nodes.source / "srv")
    for name in ODD_NAMES:
        (nodes.source / "srv/tree" / name).unlink()
    nodes.push(spec._replace(max_delete_pct=99.0))
    assert tree(nodes.target / "srv") == tree(nodes.source / "srv")


def test_hard_links_across_the_paths_of_a_set(nodes: TwoNodes) -> None:
    write(nodes.source / "srv/a/one")
    (nodes.source / "srv/b").mkdir()
    os.link(nodes.source / "srv/a/one", nodes.source / "srv/b/two")
    nodes.push(nodes.spec("/srv/a", "/srv/b"))
    assert (nodes.target / "srv/a/one").samefile(nodes.target / "srv/b/two")


def test_a_key_written_anew_within_the_same_second(nodes: TwoNodes) -> None:
    key = write(nodes.source / "etc/xcat/ddns.key", "old key\n")
    os.utime(key, ns=(0, 1_600_000_000_100_000_000))
    spec = nodes.spec("/etc/xcat/ddns.key")
    nodes.push(spec)
    key.write_text("new key\n")
    os.utime(key, ns=(0, 1_600_000_000_200_000_000))
    assert nodes.check(spec).startswith("FAILS")
    nodes.push(spec)
    assert (nodes.target / "etc/xcat/ddns.key").read_text() == "new key\n"


def test_a_glob_brings_files_and_takes_none(nodes: TwoNodes) -> None:
    write(nodes.source / "root/.ssh/id_rsa", "cluster's\n", 0o600)
    (nodes.source / "root/.ssh").chmod(0o700)
    write(nodes.source / "root/.ssh/authorized_keys", "mna's\n")
    spec = nodes.spec("/root/.ssh/id_*")
    nodes.push(spec)
    assert (nodes.target / "root/.ssh").stat().st_mode & 0o777 == 0o700
    write(nodes.target / "root/.ssh/authorized_keys", "mnb's\n")
    write(nodes.target / "root/.ssh/id_old", "mnb's\n")
    assert nodes.check(spec) == "HOLDS: equal"
    (nodes.source / "root/.ssh/id_rsa").write_text("new one\n")
    nodes.push(spec)
    assert tree(nodes.target / "root/.ssh") == {"authorized_keys": "mnb's\n", "id_old": "mnb's\n", "id_rsa": "new one\n"}


def test_directories_above_a_set_stay_as_they_are(nodes: TwoNodes) -> None:
    write(nodes.source / "srv/deep/tree/file")
    (nodes.source / "srv").chmod(0o711)
    (nodes.target / "srv").mkdir(mode=0o700)
    nodes.push(nodes.spec("/srv/deep/tree"))
    assert (nodes.target / "srv").stat().st_mode & 0o777 == 0o700


def test_what_is_not_there_is_said_and_not_deleted(nodes: TwoNodes) -> None:
    write(nodes.source / "etc/xcat/ca/serial")
    write(nodes.target / "etc/xcat/sshkeys/key", "precious\n")
    spec = nodes.spec("/etc/xcat/ca", "/etc/xcat/sshkeys", "/etc/xcat/ddns.key")
    said = nodes.push(spec)
    assert "not present on mna: /etc/xcat/sshkeys" in said
    assert nodes.check(spec) == "HOLDS: equal; not present on mna: /etc/xcat/sshkeys, /etc/xcat/ddns.key"
    assert (nodes.target / "etc/xcat/sshkeys/key").read_text() == "precious\n"


def test_equal_files_without_a_record_are_recorded(nodes: TwoNodes) -> None:
    many(nodes.source, 3)
    shutil.copytree(nodes.source / "srv", nodes.target / "srv")
    spec = nodes.spec("/srv/tree")
    assert nodes.check(spec) == "FAILS: equal, but mnb has no record of a sync from mna"
    nodes.push(spec)
    assert nodes.check(spec) == "HOLDS: equal"


def test_a_check_changes_nothing(nodes: TwoNodes) -> None:
    many(nodes.source, 3)
    nodes.check(nodes.spec("/srv/tree"))
    assert tree(nodes.target) == {}


# --- the delete guard


@pytest.mark.parametrize(("gone", "limit_pct", "refused"), [(1, 10.0, False), (2, 10.0, True), (2, 20.0, False), (1, 0.0, True)])
def test_the_limit_is_a_share_of_the_targets_files(nodes: TwoNodes, gone: int, limit_pct: float, *, refused: bool) -> None:
    many(nodes.source, 10)
    spec = nodes.spec("/srv/tree", max_delete_pct=limit_pct)
    nodes.push(spec)
    many(nodes.source, 100, "srv/tree/new")  # what is new on the source does not make the share smaller
    for number in range(gone):
        (nodes.source / f"srv/tree/f{number}").unlink()
    before = tree(nodes.target)
    if refused:
        said = nodes.refusal(spec)
        assert f"{gone} of the 10 files of set things on mnb are not on mna" in said
        assert "/srv/tree/f0" in said
        assert f"max_delete_pct = {gone * 10 + 1} below [files]" in said
        assert tree(nodes.target) == before
    else:
        nodes.push(spec)
        assert tree(nodes.target / "srv") == tree(nodes.source / "srv")


def test_a_directory_that_became_a_file_counts_with_all_it_held(nodes: TwoNodes) -> None:
    many(nodes.source, 20)
    many(nodes.source, 10, "srv/tree/sub/g")
    spec = nodes.spec("/srv/tree")
    nodes.push(spec)
    shutil.rmtree(nodes.source / "srv/tree/sub")
    write(nodes.source / "srv/tree/sub")
    before = tree(nodes.target)
    assert "10 of the 30 files" in nodes.refusal(spec)
    assert tree(nodes.target) == before
    nodes.push(spec._replace(max_delete_pct=50.0))
    assert tree(nodes.target / "srv") == tree(nodes.source / "srv")


def test_a_directory_that_became_a_link_counts_with_all_it_held(nodes: TwoNodes) -> None:
    many(nodes.source, 20)
    many(nodes.source, 10, "srv/tree/sub/deep/g")
    spec = nodes.spec("/srv/tree")
    nodes.push(spec)
    shutil.move(nodes.source / "srv/tree/sub", nodes.source / "moved")
    (nodes.source / "srv/tree/sub").symlink_to("/moved")
    assert "10 of the 30 files" in nodes.refusal(spec)
    nodes.push(spec._replace(max_delete_pct=50.0))
    assert tree(nodes.target / "srv") == tree(nodes.source / "srv")


@pytest.mark.parametrize("lost_and_found", [False, True])
def test_an_empty_source_is_refused_whatever_the_limit(nodes: TwoNodes, *, lost_and_found: bool) -> None:
    many(nodes.source, 3)
    write(nodes.source / "srv/other/file")
    spec = nodes.spec("/srv/tree", "/srv/other", max_delete_pct=100.0)
    nodes.push(spec)
    shutil.rmtree(nodes.source / "srv/tree")
    (nodes.source / "srv/tree").mkdir()
    if lost_and_found:
        (nodes.source / "srv/tree/lost+found").mkdir()
    before = tree(nodes.target)
    said = nodes.refusal(spec)
    assert "/srv/tree is empty on mna, but mnb has 3 files there" in said
    assert "mount /srv/tree" in said
    assert tree(nodes.target) == before
    assert nodes.check(spec).startswith("FAILS")


def test_empty_on_both_sides_is_equal(nodes: TwoNodes) -> None:
    (nodes.source / "srv/tree").mkdir(parents=True)
    nodes.push(nodes.spec("/srv/tree"))
    assert nodes.check(nodes.spec("/srv/tree")) == "HOLDS: equal"


def test_nothing_there_is_refused(nodes: TwoNodes) -> None:
    many(nodes.target, 3)
    assert "nothing of file set things is there on mna: /srv/tree" in nodes.refusal(nodes.spec("/srv/tree"))
    assert len(tree(nodes.target / "srv/tree")) == 3


def test_what_must_be_mounted(nodes: TwoNodes) -> None:
    many(nodes.source, 3)
    spec = nodes.spec("/srv/tree", must_be_mounted=True)
    assert "/srv/tree is not mounted on mna" in nodes.refusal(spec)
    assert tree(nodes.target) == {}
    nodes.mount("/srv/tree")
    nodes.push(spec)
    assert nodes.check(spec) == "HOLDS: equal"


@pytest.mark.parametrize("gone", [0, 1])
def test_unmounted_between_counting_and_sending(nodes: TwoNodes, gone: int) -> None:
    """Not more is deleted than was counted."""
    many(nodes.source, 30)
    spec = nodes.spec("/srv/tree")
    nodes.push(spec)
    for number in range(gone):
        (nodes.source / f"srv/tree/f{number}").unlink()
    rsync = shutil.which("rsync")
    unmount = f'case " $* " in *" --server "*|*" --dry-run "*) ;; *--info=*) rm -f {nodes.source}/srv/tree/*;; esac'
    nodes.shadow("rsync", f'#!/bin/sh\n{unmount}\nexec {rsync} "$@"\n')
    assert "more files vanished from the source than were counted" in nodes.refusal(spec)
    assert len(tree(nodes.target / "srv/tree")) == 30 - gone


# --- links on the target


def test_a_linked_directory_above_is_refused(nodes: TwoNodes) -> None:
    many(nodes.source, 3)
    write(nodes.target / "elsewhere/tree/f0", "precious\n")
    (nodes.target / "srv").symlink_to("elsewhere")
    said = nodes.refusal(nodes.spec("/srv/tree"))
    assert "/srv is a symbolic link on mnb" in said
    assert tree(nodes.target / "elsewhere") == {"tree": "/", "tree/f0": "precious\n"}


def test_a_linked_top_is_refused(nodes: TwoNodes) -> None:
    many(nodes.source, 3)
    write(nodes.target / "elsewhere/f0", "precious\n")
    (nodes.target / "srv").mkdir()
    (nodes.target / "srv/tree").symlink_to("../elsewhere")
    assert "/srv/tree is a symbolic link on mnb" in nodes.refusal(nodes.spec("/srv/tree"))
    assert tree(nodes.target / "elsewhere") == {"f0": "precious\n"}


def test_a_linked_directory_within_is_replaced_and_not_followed(nodes: TwoNodes) -> None:
    many(nodes.source, 30)
    write(nodes.source / "srv/tree/sub/file", "new\n")
    write(nodes.target / "elsewhere/file", "precious\n")
    write(nodes.target / "elsewhere/other", "precious\n")
    (nodes.target / "srv/tree").mkdir(parents=True)
    (nodes.target / "srv/tree/sub").symlink_to("../../elsewhere")
    nodes.push(nodes.spec("/srv/tree"))
    assert tree(nodes.target / "elsewhere") == {"file": "precious\n", "other": "precious\n"}
    assert tree(nodes.target / "srv") == tree(nodes.source / "srv")


def test_a_linked_file_is_replaced_and_not_followed(nodes: TwoNodes) -> None:
    write(nodes.source / "etc/xcat/cfgloc", "new\n")
    write(nodes.target / "shared/cfgloc", "precious\n")
    (nodes.target / "etc/xcat").mkdir(parents=True)
    (nodes.target / "etc/xcat/cfgloc").symlink_to("../../shared/cfgloc")
    nodes.push(nodes.spec("/etc/xcat/cfgloc*"))
    assert (nodes.target / "shared/cfgloc").read_text() == "precious\n"
    assert not (nodes.target / "etc/xcat/cfgloc").is_symlink()


def test_a_linked_directory_on_the_source_is_refused(nodes: TwoNodes) -> None:
    write(nodes.source / "data/file")
    (nodes.source / "install").symlink_to("data")
    assert "/install is a symbolic link to a directory on mna" in nodes.refusal(nodes.spec("/install"))


def test_a_file_where_a_directory_is_on_the_other_side(nodes: TwoNodes) -> None:
    write(nodes.source / "srv/one")
    write(nodes.target / "srv/one/precious")
    assert "is a directory on mnb, but a file on the source" in nodes.refusal(nodes.spec("/srv/one"))
    write(nodes.source / "srv/two/file")
    write(nodes.target / "srv/two", "precious\n")
    assert "is a file on mnb, but a directory on the source" in nodes.refusal(nodes.spec("/srv/two"))
    assert tree(nodes.target / "srv") == {"one": "/", "one/precious": "x\n", "two": "precious\n"}


# --- when something breaks


def test_a_broken_link_is_unknown_and_no_success(nodes: TwoNodes) -> None:
    many(nodes.source, 3)
    nodes.cut()
    assert nodes.check(nodes.spec("/srv/tree")).startswith("UNKNOWN: ")
    assert "ssh failed" in nodes.refusal(nodes.spec("/srv/tree"))


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (11, 'rsync: [receiver] write failed on "/srv/tree/f0": No space left on device (28)', "the disk of /srv/tree/f0 on mnb is full"),
        (23, 'rsync: [receiver] mkstemp "/srv/tree/.f0.x" failed: Read-only file system (30)', "is on a read-only file system"),
        (23, 'rsync: [sender] send_files failed to open "/srv/tree/f0": Input/output error (5)', "some files could not be transferred"),
        (12, "bash: line 1: rsync: command not found", "rsync is not installed on mnb"),
        (30, "rsync error: timeout in data send/receive (code 30) at io.c(197)", "silent for too long"),
        (137, "", "ended by signal 9"),
    ],
)
def test_what_rsync_says_is_explained(nodes: TwoNodes, code: int, said: str, told: str) -> None:
    many(nodes.source, 3)
    nodes.shadow("rsync", f"#!/bin/sh\n[ \"$1\" = --version ] && exec {shutil.which('rsync')} --version\necho '{said}' >&2\nexit {code}\n")
    assert told in nodes.refusal(nodes.spec("/srv/tree"))
    assert not (nodes.target / "var/lib/xcat-ha/files/things.json").exists()


def test_vanished_files_are_a_note_after_a_second_try(nodes: TwoNodes) -> None:
    many(nodes.source, 3)
    rsync, tries = shutil.which("rsync"), nodes.base / "tries"
    vanish = f'case "$*" in *--server*|*--dry-run*|--version) ;; *) echo >>{tries}; exit 24;; esac'
    nodes.shadow("rsync", f'#!/bin/sh\n{rsync} "$@" || exit\n{vanish}\n')
    said = nodes.push(nodes.spec("/srv/tree"))
    assert said.endswith("files vanished on mna while they were being sent")
    assert len(tries.read_text()) == 2
    assert nodes.check(nodes.spec("/srv/tree")) == "HOLDS: equal"


def slow_push(nodes: TwoNodes, size_mib: int) -> subprocess.Popen[bytes]:
    """A sync of one new version of a big file at 1 MiB/s, some way in."""
    big = nodes.source / "srv/tree/big"
    write(nodes.source / "srv/tree/small")
    write(big, "good old version\n")
    nodes.push(nodes.spec("/srv/tree"))
    big.write_bytes(os.urandom(size_mib << 20))
    spec = nodes.spec("/srv/tree", bandwidth_kib_s=1024, numeric_ids=True)
    quiet = subprocess.DEVNULL
    started = subprocess.Popen(nodes.argv("push", spec), env=nodes.environment, stdout=quiet, stderr=quiet, start_new_session=True)
    deadline = time.monotonic() + 20
    while not any(path.stat().st_size > 100_000 for path in (nodes.target / "srv/tree").rglob("*") if path.is_file()):
        assert time.monotonic() < deadline, "the transfer does not begin"
        assert started.poll() is None
        time.sleep(0.05)
    return started


def test_killed_in_the_middle_the_last_good_file_stays(nodes: TwoNodes) -> None:
    started = slow_push(nodes, 5)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    target = nodes.target / "srv/tree"
    assert (target / "big").read_text() == "good old version\n"
    assert (nodes.target / "var/lib/xcat-ha/files/things.unfinished").exists()
    time.sleep(0.5)  # the receiver notices that its sender is gone
    spec = nodes.spec("/srv/tree", numeric_ids=True)
    nodes.push(spec)
    assert tree(target) == tree(nodes.source / "srv/tree"), "an interrupted sync left something behind"
    assert not (nodes.target / "var/lib/xcat-ha/files/things.unfinished").exists()


def test_a_transfer_that_outlived_its_caller_is_waited_for(nodes: TwoNodes) -> None:
    started = slow_push(nodes, 4)
    os.kill(started.pid, signal.SIGKILL)  # rsync itself goes on
    started.wait()
    began = time.monotonic()
    nodes.push(nodes.spec("/srv/tree", numeric_ids=True))
    assert time.monotonic() - began > 1
    assert tree(nodes.target / "srv/tree") == tree(nodes.source / "srv/tree")


def test_ended_by_its_caller_it_ends_rsync(nodes: TwoNodes) -> None:
    started = slow_push(nodes, 8)
    started.terminate()
    assert started.wait(10) == 128 + signal.SIGTERM
    began = time.monotonic()
    nodes.push(nodes.spec("/srv/tree", numeric_ids=True))
    assert time.monotonic() - began < 5, "rsync went on"


def test_leftovers_of_a_killed_transfer_do_not_trip_the_guard(nodes: TwoNodes) -> None:
    many(nodes.source, 3)
    spec = nodes.spec("/srv/tree")
    nodes.push(spec)
    write(nodes.target / "srv/tree/.f0.AbCd12")
    write(nodes.target / "srv/tree/.xcat-ha-partial/f0")
    write(nodes.target / "var/lib/xcat-ha/files/things.unfinished", "")
    nodes.push(spec)
    assert tree(nodes.target / "srv/tree") == tree(nodes.source / "srv/tree")
