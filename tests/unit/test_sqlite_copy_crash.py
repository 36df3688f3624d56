"""sqlite-copy killed at every system call that matters, and the order of those calls (by strace; the product knows nothing of it)."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.test_sqlite_copy_trees import NODE_SIDE, Trees, die_in_a_transaction, sha256, write
from xcat_ha.execution import execute_steps
from xcat_ha.interfaces import ReplicaRole, ReplicaState


@pytest.fixture(autouse=True)
def strace_is_here() -> None:
    """Without it nothing here would be tested, and that must not look green."""
    assert shutil.which("strace"), "install strace: these tests kill programs at their n-th system call"


SOME = ("nodelist", "nodetype", "site", "hosts")
CHANGING_CALLS = "rename,fsync,unlink,rmdir,mkdir,link,symlink,fchmod"
KILLED = 128 + signal.SIGKILL


def strace(trees: Trees, host: str, argv: tuple[str, ...], *options: str) -> subprocess.CompletedProcess[str]:
    words = ["strace", "-f", "-qq", "-o", str(trees.top / "trace"), *options, sys.executable, *argv[1:]]
    return subprocess.run(words, env=trees.environment(host), capture_output=True, text=True, check=False)


def killed_at(trees: Trees, host: str, argv: tuple[str, ...], number: int) -> bool:
    """Run a program that is killed when one of its threads enters its n-th changing call; False if it ended before that."""
    done = strace(trees, host, argv, "-e", f"trace={CHANGING_CALLS}", "-e", f"inject={CHANGING_CALLS}:signal=KILL:when={number}")
    if done.returncode in (-signal.SIGKILL, KILLED):
        return True
    assert done.returncode == 0, done.stderr
    return False


def program(host: str, verb: str, *words: str) -> tuple[str, ...]:
    return ("python3", "-m", NODE_SIDE, verb, f"--node={host}", "--xcat-dir=/etc/xcat", *words)


def seeded(tmp_path: Path) -> Trees:
    trees = Trees(tmp_path, tables=SOME, keep=2)
    execute_steps(trees.backend.steps_to_seed(trees.a, trees.b), trees)
    return trees


def change_source(trees: Trees, word: str) -> None:
    """Two tables change, one vanishes and comes back."""
    write(trees.xcat(trees.a), f"n{word}")
    write(trees.xcat(trees.a), f"n{word}", table="nodetype")
    hosts = trees.xcat(trees.a) / "hosts.sqlite"
    if hosts.exists():
        hosts.rename(trees.top / "hosts")
    else:
        (trees.top / "hosts").rename(hosts)


def assert_nothing_is_left_over(trees: Trees) -> None:
    for node in trees.nodes:
        state = trees.top / node.id / "var/lib/xcat-ha"
        left = [path for path in [*state.rglob(".*"), *trees.xcat(node).iterdir()] if path.suffix != ".sqlite"]
        assert left == []
        assert not (trees.base(node) / "incoming").exists()
        for generation in trees.generations(node):
            assert (generation / "manifest.json").exists()
    assert len([path for path in (trees.base(trees.a) / "outgoing").iterdir() if path.is_dir() and not path.is_symlink()]) == 1


def assert_honest(trees: Trees, old: dict[str, str], new: dict[str, str]) -> ReplicaState:
    """The target is one whole generation, or says that it is not."""
    state = trees.backend.observe(trees.b, trees)
    assert state.role is ReplicaRole.COPY, state
    if state.healthy:
        assert trees.files(trees.b) in (old, new)
    else:
        assert "in place" in state.detail
    return state


def test_a_snapshot_killed_anywhere(tmp_path: Path) -> None:
    trees = seeded(tmp_path)
    for number in range(1, 100):
        change_source(trees, str(number))
        if not killed_at(trees, "mna", program("mna", "snapshot", "--unsent"), number):
            break
        if number % 2:
            write(trees.xcat(trees.a), f"late{number}")  # must not be missed because a killed run left a snapshot
        execute_steps(trees.backend.steps_to_sync(trees.a, trees.b), trees)
        assert trees.files(trees.b) == trees.files(trees.a)
        assert_nothing_is_left_over(trees)
    assert number > 5


def test_a_receive_killed_anywhere(tmp_path: Path) -> None:
    trees = seeded(tmp_path)
    seen = set()
    for number in range(1, 100):
        old = trees.files(trees.b)
        change_source(trees, str(number))
        if number % 3 == 0:
            die_in_a_transaction(trees.xcat(trees.b))
            old = trees.files(trees.b)
        assert trees.side(trees.a, "snapshot").ok
        new = trees.files(trees.a)
        killed = killed_at(trees, "mnb", trees.receive_words(trees.a, trees.b), number)
        if number % 3:
            seen.add(assert_honest(trees, old, new).healthy)
        if killed and number % 2:  # the primary is gone for good: the standby is promoted as it is
            execute_steps(trees.backend.steps_to_promote(trees.b, forced=True), trees)
            whole = {path.name: sha256(path) for path in trees.generations(trees.b)[-1].glob("*.sqlite")}
            assert trees.files(trees.b) == whole
            assert not list(trees.xcat(trees.b).glob("*-journal"))
            execute_steps(trees.backend.steps_to_seed(trees.a, trees.b), trees)
        else:
            execute_steps(trees.backend.steps_to_sync(trees.a, trees.b), trees)
        assert trees.files(trees.b) == new
        assert_nothing_is_left_over(trees)
        if not killed:
            break
    assert number > 12
    assert seen == {True, False}, "no kill hit the moment between the first rename and the marker"


def test_a_promotion_killed_anywhere(tmp_path: Path) -> None:
    trees = seeded(tmp_path)
    good = trees.files(trees.b)
    for number in range(1, 60):
        (trees.xcat(trees.b) / "nodelist.sqlite").write_bytes(b"rubbish")
        (trees.xcat(trees.b) / "site.sqlite").unlink()
        (trees.xcat(trees.b) / "stray.sqlite").touch()
        killed = killed_at(trees, "mnb", program("mnb", "promote"), number)
        execute_steps(trees.backend.steps_to_promote(trees.b, forced=True), trees)
        assert trees.files(trees.b) == good
        assert trees.backend.observe(trees.b, trees).role is ReplicaRole.SOURCE
        if not killed:
            break
        execute_steps(trees.backend.steps_to_seed(trees.a, trees.b), trees)
    assert number > 10


def test_a_seed_over_own_tables_killed_anywhere(tmp_path: Path) -> None:
    """Once the peer's copy is complete, a promotion never falls back to the tables it was to replace."""
    trees = Trees(tmp_path, tables=SOME)
    for number in range(1, 80):
        shutil.rmtree(trees.top / "mnb/var", ignore_errors=True)
        for path in trees.xcat(trees.b).iterdir():
            path.unlink()
        shutil.copyfile(trees.xcat(trees.a) / "nodelist.sqlite", trees.xcat(trees.b) / "nodelist.sqlite")
        write(trees.xcat(trees.b), "own")
        own = trees.files(trees.b)
        assert trees.side(trees.a, "snapshot").ok
        killed = killed_at(trees, "mnb", trees.receive_words(trees.a, trees.b, "--over-own"), number)
        complete = bool(trees.generations(trees.b))
        execute_steps(trees.backend.steps_to_promote(trees.b, forced=True), trees)
        assert trees.files(trees.b) == (trees.files(trees.a) if complete else own)
        if not killed:
            break
    assert number > 12


def test_a_saved_divergence_killed_anywhere(tmp_path: Path) -> None:
    trees = Trees(tmp_path, tables=SOME)
    steps = trees.backend.steps_to_save_divergence(trees.a)
    for number in range(1, 60):
        write(trees.xcat(trees.a), f"n{number}")
        killed = killed_at(trees, "mna", program("mna", "save"), number)
        execute_steps(steps, trees)
        assert len(trees.diverged(trees.a)) == number
        assert sha256(trees.diverged(trees.a)[-1] / "site.sqlite") == sha256(trees.xcat(trees.a) / "site.sqlite")
        if not killed:
            break
    assert number > 4


def test_killed_at_random_times_again_and_again(tmp_path: Path) -> None:
    trees = seeded(tmp_path)
    chance = random.Random(20)  # a seed that fails can be found again
    for number in range(25):
        change_source(trees, str(number))
        old, verb = trees.files(trees.b), chance.choice(("snapshot", "receive"))
        if verb == "receive":
            assert trees.side(trees.a, "snapshot").ok
        new = trees.files(trees.a)
        argv = program("mna", "snapshot") if verb == "snapshot" else trees.receive_words(trees.a, trees.b)
        with subprocess.Popen(
            [sys.executable, *argv[1:]],
            env=trees.environment("mna" if verb == "snapshot" else "mnb"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(chance.uniform(0.05, 0.4))  # the time of the kill is the test's input, not something waited for
            process.kill()
        assert_honest(trees, old, new)
        execute_steps(trees.backend.steps_to_sync(trees.a, trees.b), trees)
        assert trees.files(trees.b) == new
        assert_nothing_is_left_over(trees)


def calls(trees: Trees) -> list[tuple[str, str, str]]:
    """(call, first path, second path) of every finished call of the trace, in order."""
    lines = (trees.top / "trace").read_text().splitlines()
    unfinished: dict[str, str] = {}
    found = []
    for line in lines:
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            unfinished[thread] = rest.removesuffix("<unfinished ...>")
            continue
        if match := re.match(r"<\.\.\. \w+ resumed>(.*)", rest):
            rest = unfinished.pop(thread) + match.group(1)
        if match := re.match(r"(\w+)\((.*)\)\s*= 0", rest):
            paths = re.findall(r'"([^"]*)"|<(/[^>]*)>', match.group(2))
            names = ["".join(pair) for pair in paths] + ["", ""]
            found.append((match.group(1), names[0], names[1]))
    return found


def first(found: list[tuple[str, str, str]], call: str, one: str, two: str = "", after: int = 0) -> int:
    """Position of the first such call; the paths are regular expressions."""
    for position, (name, path, other) in enumerate(found[after:], after):
        if name == call and re.search(one, path) and re.search(two, other):
            return position
    raise AssertionError(f"no {call} of {one} {two} after {after}")


def test_the_order_of_write_fsync_and_rename(tmp_path: Path) -> None:
    trees = seeded(tmp_path)
    change_source(trees, "x")
    (trees.xcat(trees.b) / "nodelist.sqlite-journal").write_bytes(bytes(512))  # not hot (SQLite would have rolled that back), just left
    assert trees.side(trees.a, "snapshot").ok
    argv = trees.receive_words(trees.a, trees.b)
    done = strace(trees, "mnb", argv, "-y", "-e", "trace=rename,renameat,renameat2,fsync,fdatasync,unlink")
    assert done.returncode == 0, done.stderr
    found = calls(trees)
    # 1. the copy: every file and its directory durable before it is called a generation, the name durable before it is put in place
    named = first(found, "rename", "/incoming$", "/generations/000002-")
    for name in ("nodelist.sqlite", "nodetype.sqlite", "manifest.json"):  # the others are links to files that are durable already
        assert first(found, "fsync", f"/incoming/{name}$") < named
    assert first(found, "fsync", "/incoming$") < named
    generation_durable = first(found, "fsync", "/generations$", after=named)
    # 2. in place: all new files durable, then the marker, then the old journals away (durably), then the renames, then the marker
    applying = first(found, "rename", r"/\.in-place\.json\.xcat-ha$", after=generation_durable)
    changed = ("nodelist.sqlite", "nodetype.sqlite")
    renames = [first(found, "rename", rf"/etc/xcat/\.xcat-ha-{name}\.tmp$", f"/etc/xcat/{name}$") for name in changed]
    for name in changed:
        assert generation_durable < first(found, "fsync", rf"/etc/xcat/\.xcat-ha-{name}\.tmp$") < applying
    assert first(found, "fsync", r"/\.in-place\.json\.xcat-ha$") < applying
    marker_durable = first(found, "fsync", "/sqlite-copy$", after=applying)
    journal_gone = first(found, "unlink", "/etc/xcat/nodelist.sqlite-journal$")
    journal_durable = first(found, "fsync", "/etc/xcat$", after=journal_gone)
    assert applying < marker_durable < journal_gone < journal_durable < min(renames)
    vanished = first(found, "unlink", "/etc/xcat/hosts.sqlite$")
    in_place_durable = first(found, "fsync", "/etc/xcat$", after=max(*renames, vanished))
    applied = first(found, "rename", r"/\.in-place\.json\.xcat-ha$", after=applying + 1)
    assert in_place_durable < applied < first(found, "fsync", "/sqlite-copy$", after=applied)
    # 3. nothing else touches the tables
    unlinked = {path.rpartition("/")[2] for call, path, _ in found if call == "unlink" and "/etc/xcat/" in path}
    assert unlinked == {"nodelist.sqlite-journal", "hosts.sqlite"}


def test_the_disk_fills_up_at_any_write(tmp_path: Path) -> None:
    """ENOSPC is injected into every write of the receiving program in turn; the last good copy stays whole and usable."""
    trees = seeded(tmp_path)
    failures = 0
    for number in range(1, 40):
        old = trees.files(trees.b)
        change_source(trees, str(number))
        assert trees.side(trees.a, "snapshot").ok
        argv = trees.receive_words(trees.a, trees.b)
        inject = ("-e", "trace=write,fsync", "-e", f"inject=write,fsync:error=ENOSPC:when={number}")
        done = strace(trees, "mnb", argv, *inject, *(f"--trace-path={path}" for path in written_paths(trees)))
        if done.returncode == 0:
            break
        failures += 1
        full = r"mnb: cannot write below /.*: (No space left on device|the disk is full), \d+ bytes free"
        assert re.search(full, done.stderr), done.stderr
        state = assert_honest(trees, old, trees.files(trees.a))
        assert state.last_good is not None
        execute_steps(trees.backend.steps_to_sync(trees.a, trees.b), trees)
        assert trees.files(trees.b) == trees.files(trees.a)
        assert_nothing_is_left_over(trees)
    assert failures > 5


def written_paths(trees: Trees) -> list[Path]:
    """What the receiving program writes itself."""
    beside = [trees.xcat(trees.b) / f".xcat-ha-{name}.tmp" for name in ("nodelist.sqlite", "nodetype.sqlite", "hosts.sqlite")]
    return [*beside, trees.base(trees.b) / ".in-place.json.xcat-ha", trees.base(trees.b), trees.base(trees.b) / "incoming"]
