"""The driver's plans, what it makes of receipts, and the built-in sets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping

import pytest
from attrs import evolve

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import SetState
from xcat_ha.models import FileSet
from xcat_ha.steps import Completed
from xcat_ha.testing import example_pair
from xcat_ha.xcat.file_sets import standard_file_sets
from xcat_ha_drivers.rsync import Rsync
from xcat_ha_drivers.rsync.spec import SyncSpec, from_words, to_words

PAIR = example_pair()
MNA, MNB = PAIR.nodes
TREE = FileSet("tree", ("/srv/tree",))


def received(text: str, code: int = 0) -> Mapping[str, SetState] | None:
    state = Rsync(PAIR, {}).interpret(MNB, (Completed(("sh",), code, text),))
    return state.sets if state.known else None


def test_one_step_per_set_on_the_source() -> None:
    steps = Rsync(PAIR, {}).steps_to_sync(MNA, MNB, (TREE, evolve(TREE, name="more")))
    assert [(step.name, step.host) for step in steps] == [("sync-tree", "mna"), ("sync-more", "mna")]
    for step in steps:
        assert [probe.host for check in step.only_if for probe in check.probes] == ["mnb"]
        assert [command.progress for command in step.commands] == ["rsync"]


def test_the_delete_guard_can_be_opened_for_all_sets() -> None:
    steps = Rsync(PAIR, {"max_delete_pct": 40}).steps_to_sync(MNA, MNB, (TREE, evolve(TREE, name="more", max_delete_pct=50.0)))
    limits = [word for step in steps for word in step.commands[0].argv if str(word).startswith("--max-delete-pct=")]
    assert limits == ["--max-delete-pct=40.0", "--max-delete-pct=50.0"]


def test_words_say_all_of_a_set() -> None:
    spec = SyncSpec(
        name="odd", paths=("/srv/-rf", "/srv/new\nline", "/srv/=a b"), source="a", target="b", target_name="b", target_address="fd77::22",
        target_python="/p", rsh="ssh -F x", excludes=("- x", "+ y"), keep_lines=("^a$",), delete=False, max_delete_pct=2.5,
        must_be_mounted=True, numeric_ids=True, io_timeout_s=7, bandwidth_kib_s=9,
    )  # fmt: skip
    assert from_words(to_words(spec)) == spec
    assert spec.rsync_destination == "root@[fd77::22]:."
    assert spec.ssh_destination == "root@fd77::22"


@pytest.mark.parametrize(
    "path", ["srv", "/", "/srv/../etc", "//", "/etc", "/var/lib", "/etc/xcat-ha/ssh", "/run/x", "/etc/hostname", "/var", "/proc"]
)
def test_paths_that_are_no_business_of_a_set(path: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Rsync(PAIR, {}).steps_to_sync(MNA, MNB, (FileSet("x", (path,)),))
    assert refusal.value.hint
    assert refusal.value.where == PAIR.source


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "a/b", "-a", "a.b", "$(x)"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError):
        Rsync(PAIR, {}).steps_to_sync(MNA, MNB, (FileSet(name, ("/srv/x",)),))


@pytest.mark.parametrize(
    "options", [{"timeout_s": 0}, {"io_timeout_s": "x"}, {"bandwidth_kib_s": -1}, {"max_delete_pct": 101}, {"other": 1}]
)
def test_options_are_checked(options: Mapping[str, object]) -> None:
    with pytest.raises(ConfigError):
        Rsync(PAIR, options)


def test_receipts() -> None:
    times = {"started": 1_700_000_000.5, "finished": 1_700_000_009}
    good = json.dumps({"set": "tree", "source": "mna", **times, "deleted": 2, "notes": ["a note"]})
    found = received(f"tree.json\t{good}\nhosts.json\t{{half\nother.unfinished\t123\n\nend\n")
    assert found == {
        "tree": SetState(1_700_000_000.5, "mna", "received from mna 2023-11-14 22:13:20Z; 2 deleted; a note"),
        "hosts": SetState(detail="its receipt cannot be read"),
        "other": SetState(detail="a later sync has begun and not ended"),
    }
    assert received("end\n") == {}
    assert received(f"tree.json\t{good}\n") is None, "an answer that was cut off"
    assert received("end\n", code=1) is None


@pytest.mark.parametrize("started", ['"x"', "true", "-1", "1e999", "NaN", "null", "1e300", "[]"])
def test_times_that_are_none(started: str) -> None:
    found = received(f'tree.json\t{{"source": "mna", "started": {started}}}\nend\n')
    assert found is not None
    assert found["tree"].last_sync is None


def test_the_program_on_the_node_starts_fast_and_with_the_standard_library_only() -> None:
    script = "import sys; import xcat_ha_drivers.rsync.node_side, xcat_ha_drivers.rsync.text_files; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {name for name in loaded if name.split(".")[0] in {"attr", "attrs", "cattrs", "plumbum", "xcat_ha", "dataclasses"}}
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("valid", [True, False])
def test_built_in_sets(*, valid: bool) -> None:
    credentials, install, tftp, hosts = standard_file_sets(installdir="/data/install/", tftpdir="/data/tftp", cfgloc_stays_valid=valid)
    assert [one.name for one in (credentials, install, tftp, hosts)] == ["credentials", "install", "tftp", "hosts"]
    assert ("/etc/xcat/cfgloc*" in credentials.paths) is valid
    assert {"/etc/xcat/ca", "/root/.xcat", "/root/.ssh/id_*", "/home/conserver/.xcat"} <= set(credentials.paths)
    assert {"authorized_keys", "*.sqlite", "*-journal"} <= set(credentials.excludes)
    assert not credentials.numeric_ids, "conserver has another number on every node"
    assert (install.paths, install.numeric_ids) == (("/data/install",), True)
    assert tftp.paths == ("/data/tftp",)
    regenerated = re.compile(r"dhcp|named|bind|conserver\.cf|exports|kea|goconserver|xCATMN|hostname|fstab|machine-id|/var/log")
    for one in (credentials, install, tftp, hosts):
        assert not [path for path in one.paths if regenerated.search(path)]
        Rsync(PAIR, {}).steps_to_sync(MNA, MNB, (one,))


@pytest.mark.parametrize("field", ["installdir", "tftpdir", "xcat_dir", "root_home"])
@pytest.mark.parametrize("value", ["", "/", "install", "/a/../b"])
def test_directories_that_are_none(field: str, value: str) -> None:
    good = {"installdir": "/install", "tftpdir": "/tftpboot", "xcat_dir": "/etc/xcat", "root_home": "/root"}
    with pytest.raises(ConfigError):
        standard_file_sets(**{**good, field: value}, cfgloc_stays_valid=True)
