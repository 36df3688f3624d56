"""The simulated AIX's NIM: what it shows, what it refuses, and how long it takes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.simulators.aix import nim_site
from tests.simulators.aix.trial import Answer, Trial
from tests.simulators.xcat.trial import Trial as XcatTrial

NIM = "/install/nim"
M_MKSPOT = "/usr/lpp/bos.sysmgt/nim/methods/m_mkspot"
GENEROUS_S = 60


@pytest.fixture
def aix(tmp_path: Path) -> Trial:
    """A master with its files, and nothing defined."""
    trial = Trial(tmp_path)
    nim_site.write_images(trial)
    nim_site.write_files(trial)
    trial.ok("nim_master_setup", "-a", "mk_resource=no", "-a", "device=/dev/cd0")
    return trial


def define(aix: Trial, kind: str, location: str, name: str, *more: str, **settings: str) -> Answer:
    extra = [word for text in more for word in ("-a", text)]
    words = ("nim", "-Fo", "define", "-t", kind, "-a", "server=master", "-a", f"location={location}", *extra, name)
    return aix.run(*words, **settings)


def attributes(aix: Trial, name: str) -> dict[str, str]:
    lines = aix.ok("lsnim", "-l", name).splitlines()
    assert lines[0] == f"{name}:"
    return {key.strip(): value for key, _, value in (line.partition(" = ") for line in lines[1:])}


def refused(done: Answer, number: int, *words: str) -> None:
    assert done.code == number
    assert done.out == ""
    assert f"0042-{number:03} " in done.err
    for word in words:
        assert word in done.err


def names(aix: Trial) -> list[str]:
    return [line.split()[0] for line in aix.ok("lsnim").splitlines()]


def with_spot(aix: Trial, name: str = "61cosi") -> None:
    assert define(aix, "lpp_source", f"{NIM}/lpp_source/{name}_lpp_source", f"{name}_lpp_source").code == 0
    assert define(aix, "spot", f"{NIM}/spot", name, f"source={name}_lpp_source").code == 0


# --- the master


def test_a_machine_that_is_no_master_says_so(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    for words in (
        ("lsnim",),
        ("lsnim", "-l"),
        ("lsnim", "-l", "master"),
        ("nim", "-o", "showres", "x"),
        (M_MKSPOT, "-o", "-a", "server=master", "-a", "location=/x", "-a", "source=no", "x"),
    ):
        done = trial.run(*words)
        assert done.code != 0
        assert done.out == ""
        assert "0042-" in done.err


def test_setting_up_the_master(aix: Trial) -> None:
    assert aix.ok("lsnim").splitlines() == [
        "master                machines        master",
        "boot                  resources       boot",
        "nim_script            resources       nim_script",
        "master_net            networks        ent",
    ]
    assert attributes(aix, "master")["if1"].split()[:2] == ["master_net", "aixmn1"]
    info = aix.read("etc/niminfo").splitlines()
    assert {"export NIM_NAME=master", "export NIM_HOSTNAME=aixmn1", "export NIM_MASTER_HOSTNAME=aixmn1"} <= set(info)
    assert aix.ok("lssrc", "-s", "nimesis").split()[-1] == "active"
    assert aix.ok("lsitab", "nim") == "nim:2:wait:/usr/bin/startsrc -g nim >/dev/console 2>&1\n"


def test_a_second_set_up_fails_and_changes_nothing(aix: Trial) -> None:
    before = aix.ok("lsnim", "-l")
    assert aix.run("nim_master_setup", "-a", "mk_resource=no").code != 0
    assert aix.run("nimconfig", "-a", "pif_name=en1", "-a", "netname=net2").code != 0
    assert aix.ok("lsnim", "-l") == before


def test_the_master_is_torn_down_and_made_again(aix: Trial) -> None:
    aix.ok("nim", "-o", "unconfig", "master")
    assert aix.run("lsnim").code != 0
    assert not (aix.root / "etc/niminfo").exists()
    assert aix.run("lsitab", "nim").code == 1
    assert "pif_name" in aix.run("nimconfig", "-a", "netname=clstr_net").err
    aix.ok("nimconfig", "-a", "pif_name=en1", "-a", "netname=clstr_net")
    assert "clstr_net" in names(aix)


def test_a_set_up_without_the_fileset_needs_the_device_that_has_it(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    levels = json.loads(trial.read("etc/objrepos/levels.json"))
    del levels["filesets"]["bos.sysmgt.nim.master"]
    trial.add("etc/objrepos/levels.json", json.dumps(levels))
    refused(trial.run("nim_master_setup", "-a", "mk_resource=no", "-a", "device=/install/none"), 154, "/install/none")
    trial.add("install/src/installp/ppc/bos.sysmgt.nim.master.7.1.4.2.I")
    trial.ok("nim_master_setup", "-a", "mk_resource=no", "-a", "device=/install/src")
    trial.ok("lslpp", "-l", "bos.sysmgt.nim.master")


def test_niminfo_follows_a_new_name_only_when_told(aix: Trial) -> None:
    aix.ok("hostname", "mn1")
    assert "export NIM_HOSTNAME=aixmn1\n" in aix.read("etc/niminfo")
    aix.ok("nimconfig", "-r")
    assert "export NIM_HOSTNAME=mn1\n" in aix.read("etc/niminfo")


def test_the_database_is_saved_and_restored(aix: Trial, tmp_path_factory: pytest.TempPathFactory) -> None:
    with_spot(aix)
    aix.ok("/usr/lpp/bos.sysmgt/nim/methods/m_backup_db", "/install/backup")
    other = Trial(tmp_path_factory.mktemp("other"), "aixmn2", "9.114.47.104")
    nim_site.sync(aix, other)
    other.ok("m_restore_db", "/install/backup")
    assert other.ok("lsnim", "-l") == aix.ok("lsnim", "-l")
    assert "export NIM_HOSTNAME=aixmn1\n" in other.read("etc/niminfo")
    assert other.run("m_restore_db", "/install/backup").code != 0
    assert other.run("m_restore_db", "/install/none").code != 0


def test_becoming_a_client(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "aixmn2", "9.114.47.104")
    said = trial.ok("niminit", "-a", "name=aixmn2", "-a", "pif_name=en1", "-a", "master=aixmn1", "-a", "is_alternate=yes").splitlines()
    assert said[0] == "nimsh:2:wait:/usr/bin/startsrc -g nimclient >/dev/console 2>&1"
    assert said[1] == "0513-077 Subsystem has been changed."
    assert said[2].startswith("0513-059 The nimsh Subsystem has been started.")
    assert "export NIM_MASTER_HOSTNAME=aixmn1\n" in trial.read("etc/niminfo")
    assert trial.run("niminit", "-a", "name=aixmn2", "-a", "pif_name=en1").code == 21


# --- definitions


@pytest.mark.parametrize(
    ("kind", "location", "more"),
    [
        ("bosinst_data", f"{NIM}/bosinst_data/610image_bosinst_data", ()),
        ("resolv_conf", f"{NIM}/resolv_conf/610image_resolv_conf", ()),
        ("image_data", f"{NIM}/image_data/610image_image_data", ()),
        ("installp_bundle", f"{NIM}/installp_bundle/IBMhpc_base.bnd", ()),
        ("script", f"{NIM}/scripts/mypost1", ()),
        ("mksysb", f"{NIM}/scripts/mypost2", ()),
        ("lpp_source", f"{NIM}/lpp_source/610image_lpp_source", ()),
        ("root", f"{NIM}/root/r", ()),
        ("home", f"{NIM}/home/r", ()),
        ("shared_home", f"{NIM}/home/r", ()),
        ("tmp", f"{NIM}/tmp/r", ()),
        ("paging", f"{NIM}/paging/r", ("size=64",)),
        ("dump", f"{NIM}/dump/r", ()),
        ("shared_root", f"{NIM}/shared_root/r", ("spot=61cosi",)),
    ],
)
def test_each_kind_of_resource_is_defined_once(aix: Trial, kind: str, location: str, more: tuple[str, ...]) -> None:
    with_spot(aix)
    assert define(aix, kind, location, "r", *more) == Answer(0, "", "")
    found = attributes(aix, "r")
    assert (found["class"], found["type"], found["location"], found["server"]) == ("resources", kind, location, "master")
    assert (found["Rstate"], found["alloc_count"]) == ("ready for use", "0")
    assert aix.ok("lsnim", "-t", kind).split()[0:3:2] == ["r", kind] or kind == "lpp_source"
    before = aix.ok("lsnim", "-l")
    refused(define(aix, kind, location, "r", *more), 32, "must be unique")
    assert aix.ok("lsnim", "-l") == before


@pytest.mark.parametrize("kind", ["lpp_source", "spot", "root", "shared_root", "paging", "script", "bosinst_data", "mksysb"])
@pytest.mark.parametrize("gone", ["server", "location"])
def test_a_definition_without_what_it_needs_names_it(aix: Trial, kind: str, gone: str) -> None:
    given = {"server": "master", "location": f"{NIM}/scripts/mypost1", "spot": "61cosi"}
    del given[gone]
    words = [word for name, value in given.items() if name != "spot" or kind == "shared_root" for word in ("-a", f"{name}={value}")]
    refused(aix.run("nim", "-Fo", "define", "-t", kind, *words, "r"), 21, f'the "{gone}" attribute is required')


def test_errors_of_operations_are_wrapped_and_name_the_master(aix: Trial) -> None:
    done = define(aix, "shared_root", f"{NIM}/shared_root/r", "r")
    assert done.code == 21
    assert done.err.splitlines()[0] == '0042-001 nim: processing error encountered on "master":'
    assert done.err.splitlines()[1].startswith("   0042-021 m_")
    assert define(aix, "shared_root", f"{NIM}/shared_root/r", "r", nim_inner_code="0").code == 1


@pytest.mark.parametrize(
    ("kind", "location"),
    [
        ("script", f"{NIM}/scripts/none"),
        ("script", f"{NIM}/scripts"),
        ("installp_bundle", f"{NIM}/installp_bundle/none.bnd"),
        ("lpp_source", f"{NIM}/lpp_source/none"),
        ("lpp_source", f"{NIM}/spot"),
        ("root", f"{NIM}/none/r"),
        ("spot", f"{NIM}/spot"),
        ("spot", "/none"),
    ],
)
def test_files_that_are_not_there(aix: Trial, kind: str, location: str) -> None:
    before = names(aix)
    refused(define(aix, kind, location, "r"), 154)
    assert names(aix) == before


def test_an_lpp_source_is_filled_from_its_source(aix: Trial) -> None:
    aix.add("mnt/cd/installp/ppc/bos", "bos")
    refused(define(aix, "lpp_source", f"{NIM}/lpp_source/r", "r", "source=/mnt/none"), 154, "/mnt/none")
    assert define(aix, "lpp_source", f"{NIM}/lpp_source/r", "r", "source=/mnt/cd").code == 0
    assert aix.read("install/nim/lpp_source/r/installp/ppc/bos") == "bos"


def test_nothing_may_lie_at_above_or_below_another_resource(aix: Trial) -> None:
    with_spot(aix)
    taken = f"{NIM}/lpp_source/61cosi_lpp_source"
    for location in (taken, f"{NIM}/lpp_source", f"{taken}/installp", f"{NIM}/spot/61cosi/usr"):
        refused(define(aix, "lpp_source", location, "r"), 81, "NFS export restrictions")
    assert define(aix, "lpp_source", f"{taken}x", "r").code == 154


def test_shared_root_needs_a_spot_that_is_ready_and_a_directory_that_is_not_there(aix: Trial) -> None:
    with_spot(aix)
    refused(define(aix, "shared_root", f"{NIM}/shared_root/r", "r", "spot=none"), 53)
    refused(define(aix, "shared_root", f"{NIM}/shared_root/r", "r", "spot=61cosi_lpp_source"), 23)
    aix.add("install/nim/shared_root/r/etc/hosts", "of a node")
    refused(define(aix, "shared_root", f"{NIM}/shared_root/r", "r", "spot=61cosi"), 81)
    aix.ok("mvdir", f"{NIM}/shared_root/r", f"{NIM}/shared_root/r.bak")
    assert define(aix, "shared_root", f"{NIM}/shared_root/r", "r", "spot=61cosi").code == 0
    assert attributes(aix, "r")["spot"] == "61cosi"


HOSTILE = ["two words", "it's", 'a"b', "a;reboot", "a\nb", "$(reboot)", "a`b`", "a|b", "a*", "a" * 300, "a" * 40, "", "ä"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_object_name_is_taken(aix: Trial, name: str) -> None:
    before = names(aix)
    for words in (("nim", "-Fo", "define", "-t", "script"), (M_MKSPOT, "-o", "-a", "source=no")):
        done = aix.run(*words, "-a", "server=master", "-a", f"location={NIM}/scripts/mypost1", name)
        assert done.code != 0
        assert done.err.startswith("0042-")
    assert names(aix) == before
    assert define(aix, "script", f"{NIM}/scripts/mypost1", "a" * 39).code == 0


@pytest.mark.parametrize(
    "location", ["/a b", "/it's", '/a"b', "/a;reboot", "/a\nb", "/$(reboot)", "/" + "a" * 1100, "relative", f"{NIM}/../nim/scripts/mypost1"]
)
def test_no_hostile_location_is_taken(aix: Trial, location: str) -> None:
    before = names(aix)
    for kind in ("script", "spot", "root"):
        refused(define(aix, kind, location, "r"), 23)
    assert names(aix) == before


def test_what_is_no_type_no_operation_no_attribute(aix: Trial) -> None:
    refused(define(aix, "nonsense", NIM, "r"), 16)
    refused(define(aix, "script", f"{NIM}/scripts/mypost1", "r", "colour=blue"), 16)
    refused(aix.run("nim", "-o", "replicate", "master"), 12)
    refused(define(aix, "script", f"{NIM}/scripts/mypost1", "r", "server=nobody"), 53)
    assert aix.run("nim").code != 0


# --- showing


def test_stanzas_are_laid_out_as_sampled(aix: Trial) -> None:
    with_spot(aix)
    assert aix.ok("lsnim", "-l", "61cosi_lpp_source").splitlines() == [
        "61cosi_lpp_source:",
        "   class       = resources",
        "   type        = lpp_source",
        "   arch        = power",
        "   Rstate      = ready for use",
        "   prev_state  = unavailable for use",
        f"   location    = {NIM}/lpp_source/61cosi_lpp_source",
        "   simages     = yes",
        "   alloc_count = 0",
        "   server      = master",
    ]
    assert attributes(aix, "61cosi")["location"] == f"{NIM}/spot/61cosi/usr"


def test_other_ways_to_ask(aix: Trial) -> None:
    with_spot(aix)
    assert aix.ok("lsnim", "-a", "location", "-Z", "61cosi") == f"#name:location:\n61cosi:{NIM}/spot/61cosi/usr:\n"
    assert [line.split()[0] for line in aix.ok("lsnim", "-c", "networks").splitlines()] == ["master_net"]
    assert aix.ok("lsnim", "-A", "if", "master") == "2\n"
    needs = aix.ok("lsnim", "-q", "define", "-t", "shared_root").splitlines()
    assert needs[1:4] == ["\t-a server=<value>", "\t-a location=<value>", "\t-a spot=<value>"]
    kinds = [line.partition(" = ")[0].strip() for line in aix.ok("lsnim", "-P", "-c", "resources").splitlines()]
    assert {"lpp_source", "spot", "shared_root", "dump", "script"} <= set(kinds)
    done = aix.run("lsnim", "-l", "quimby07")
    assert (done.code, done.out, done.err) == (53, "", '0042-053 lsnim: there is no NIM object named "quimby07"\n')


# --- SPOTs


def test_building_a_spot_shows_progress_and_takes_time(aix: Trial) -> None:
    define(aix, "lpp_source", f"{NIM}/lpp_source/61cosi_lpp_source", "61cosi_lpp_source")
    begun = time.monotonic()
    done = define(aix, "spot", f"{NIM}/spot", "61cosi", "source=61cosi_lpp_source", time_scale="0.0002")
    assert time.monotonic() - begun >= 0.3
    assert done.out.startswith(f' Creating SPOT in "{NIM}/spot" on machine "master" from "61cosi_lpp_source" ...\n')
    assert "Restoring files from BOS image" in done.out
    assert attributes(aix, "61cosi")["Rstate"] == "ready for use"


def test_a_spot_without_its_lpp_source_is_not_begun(aix: Trial) -> None:
    refused(define(aix, "spot", f"{NIM}/spot", "61cosi", "source=none"), 53)
    assert "61cosi" not in names(aix)


def test_m_mkspot_registers_a_tree_that_is_there_and_is_quiet(aix: Trial, tmp_path_factory: pytest.TempPathFactory) -> None:
    with_spot(aix)
    other = Trial(tmp_path_factory.mktemp("other"), "aixmn2", "9.114.47.104")
    other.ok("nim_master_setup", "-a", "mk_resource=no")
    words = (M_MKSPOT, "-o", "-a", "server=master", "-a", "location=/install/nim/spot/", "-a", "source=no", "61cosi")
    (other.root / "install/nim/spot").mkdir(parents=True)
    refused(other.run(*words), 154, f"{NIM}/spot/61cosi/usr")
    nim_site.sync(aix, other)
    assert other.run(*words) == Answer(0, "", "")
    assert attributes(other, "61cosi") == attributes(aix, "61cosi")
    other.ok("nim", "-Fo", "check", "61cosi")
    assert (other.root / "tftpboot/61cosi.chrp.64.ent").is_file()
    refused(other.run(*words), 32)


def test_half_a_tree_is_registered_but_fails_its_check(aix: Trial) -> None:
    aix.add("install/nim/spot/61cosi/usr/lib/objrepos/lpp", "x")
    assert define(aix, "spot", f"{NIM}/spot", "61cosi").code == 0
    refused(aix.run("nim", "-Fo", "check", "61cosi"), 154, "unix_64")


def test_removing_a_spot_deletes_its_tree_and_removing_an_lpp_source_does_not(aix: Trial) -> None:
    with_spot(aix)
    aix.ok("nim", "-Fo", "remove", "61cosi")
    aix.ok("nim", "-Fo", "remove", "61cosi_lpp_source")
    assert not (aix.root / "install/nim/spot/61cosi").exists()
    assert (aix.root / "install/nim/lpp_source/61cosi_lpp_source/installp/ppc/bos").exists()
    refused(aix.run("nim", "-Fo", "remove", "61cosi"), 53)
    refused(aix.run("nim", "-Fo", "remove", "master"), 12)


def building(aix: Trial) -> subprocess.Popen[str]:
    """A build in a process of its own, seen to have begun, that would take half an hour."""
    define(aix, "lpp_source", f"{NIM}/lpp_source/61cosi_lpp_source", "61cosi_lpp_source")
    words = ["-o", "define", "-t", "spot", "-a", "server=master", "-a", f"location={NIM}/spot", "-a", "source=61cosi_lpp_source", "61cosi"]
    process = subprocess.Popen(
        [aix.programs() / "nim", *words],
        env={**aix.environment, "AIXSIM_TIME_SCALE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(" Creating SPOT")
    return process


def test_while_a_spot_is_built_it_is_locked(aix: Trial) -> None:
    process = building(aix)
    try:
        found = attributes(aix, "61cosi")
        assert (found["Rstate"], found["locked"]) == ("unavailable for use", str(process.pid))
        refused(aix.run("nim", "-Fo", "check", "61cosi"), 146, "61cosi")
        refused(aix.run("nim", "-Fo", "remove", "61cosi"), 146)
        refused(define(aix, "shared_root", f"{NIM}/shared_root/r", "r", "spot=61cosi"), 146)
        assert define(aix, "script", f"{NIM}/scripts/mypost1", "mypost1").code == 0
    finally:
        process.kill()
        process.wait(GENEROUS_S)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 2), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_build_leaves_a_spot_nobody_can_use(aix: Trial, number: signal.Signals, code: int) -> None:
    process = building(aix)
    process.send_signal(number)
    process.communicate(timeout=GENEROUS_S)
    assert process.returncode == code
    assert attributes(aix, "61cosi")["Rstate"] == "unavailable for use"
    refused(define(aix, "shared_root", f"{NIM}/shared_root/r", "r", "spot=61cosi"), 23)
    refused(define(aix, "spot", f"{NIM}/spot", "61cosi", "source=61cosi_lpp_source"), 32)
    refused(aix.run("nim", "-Fo", "check", "61cosi"), 154)


def test_a_database_another_command_holds_is_waited_for_and_then_reported(aix: Trial) -> None:
    with (aix.root / "etc/objrepos/nim.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(define(aix, "script", f"{NIM}/scripts/mypost1", "r", nim_lock_wait_s="0.1"), 146, "locked")
    assert define(aix, "script", f"{NIM}/scripts/mypost1", "r").code == 0


def test_a_busy_master_takes_no_definitions(aix: Trial) -> None:
    database = json.loads(aix.read("etc/objrepos/nim.json"))
    parent = str(os.getppid())
    database["objects"]["master"]["attrs"].append(["locked", parent])
    aix.add("etc/objrepos/nim.json", json.dumps(database))
    refused(define(aix, "script", f"{NIM}/scripts/mypost1", "r"), 146, f'"master" is locked by the process {parent}')


# --- clients


def test_nodes_are_prepared_for_installation(aix: Trial) -> None:
    with_spot(aix, "610image")
    for kind in ("bosinst_data", "resolv_conf"):
        assert define(aix, kind, f"{NIM}/{kind}/610image_{kind}", f"610image_{kind}").code == 0
    assert aix.ok("nimnodeset", "-i", "610image", "node01,node02") == "aixmn1: AIX/NIM nodes were initialized.\n"
    assert attributes(aix, "node01")["spot"] == "610image"
    assert attributes(aix, "610image")["alloc_count"] == "2"
    held = [line.split()[0] for line in aix.ok("lsnim", "-c", "resources", "node01").splitlines()]
    assert sorted(held) == ["610image", "610image_bosinst_data", "610image_lpp_source", "610image_resolv_conf"]
    assert f"{NIM}/spot/610image/usr -ro,root=node01:node02,access=node01:node02\n" in aix.read("etc/exports")
    again = aix.run("nimnodeset", "-i", "610image", "node01")
    assert again.code == 1
    assert "The following node(s) could not be initialized." in again.err
    aix.ok("nimnodeset", "-f", "-i", "610image", "node01")
    assert attributes(aix, "610image")["alloc_count"] == "2"


def test_what_is_allocated_is_not_removed_until_it_is_given_back(aix: Trial) -> None:
    with_spot(aix, "610image")
    nodes = ("-i", "610image", "node01")
    assert aix.run("nimnodeset", *nodes).code == 1
    for kind in ("bosinst_data", "resolv_conf"):
        define(aix, kind, f"{NIM}/{kind}/610image_{kind}", f"610image_{kind}")
    aix.ok("nimnodeset", *nodes)
    refused(aix.run("nim", "-Fo", "remove", "610image"), 61, "currently allocated for client use")
    refused(aix.run("nim", "-Fo", "remove", "node01"), 52, "resources have been allocated to it")
    refused(aix.run("nim", "-o", "unconfig", "master"), 52)
    aix.ok("nim", "-Fo", "reset", "-a", "force=yes", "node01")
    aix.ok("nim", "-Fo", "deallocate", "-a", "subclass=all", "node01")
    assert aix.ok("exportfs") == ""
    aix.ok("nim", "-Fo", "remove", "610image")


def test_stale_exports_are_in_the_way(aix: Trial) -> None:
    with_spot(aix, "610image")
    for kind in ("bosinst_data", "resolv_conf"):
        define(aix, kind, f"{NIM}/{kind}/610image_{kind}", f"610image_{kind}")
    aix.ok("exportfs", "-i", "/install")
    done = aix.run("nimnodeset", "-i", "610image", "node01")
    assert done.code == 1
    assert "/usr/sbin/exportfs" in done.err
    assert attributes(aix, "610image")["alloc_count"] == "0"


def test_diskless_nodes_need_the_other_command(tmp_path: Path) -> None:
    aix = Trial(tmp_path)
    nim_site.make(aix)
    assert aix.run("nimnodeset", "-i", "61cosi", "node01").code == 1
    assert aix.ok("mkdsklsnode", "-i", "61cosi", "node01") == "aixmn1: AIX/NIM diskless nodes were initialized.\n"
    aix.ok("mkdsklsnode", "-i", "71Bdskls", "node02")
    assert (aix.root / "install/nim/root/71Bdskls_root/node02").is_dir()
    assert aix.run("mkdsklsnode", "-i", "61cosi", "node01").code == 1
    assert aix.run("mkdsklsnode", "-i", "rocky9.5-x86_64-install-compute", "node03").code == 1
    assert aix.run("mkdsklsnode", "-i", "nothing", "node03").code == 1


def test_an_alternate_master_is_overwritten_the_first_time_only_by_force(aix: Trial) -> None:
    aix.ok("nim", "-Fo", "define", "-t", "alternate_master", "-a", "if1=master_net aixmn2 0", "aixmn2")
    assert aix.run("nim", "-o", "sync", "aixmn2").code != 0
    aix.ok("nim", "-Fo", "sync", "aixmn2")
    aix.ok("nim", "-o", "sync", "aixmn2")
    refused(aix.run("nim", "-o", "sync", "master"), 12)
    refused(aix.run("nim", "-Fo", "takeover", "master"), 12)


# --- lsdef


def test_lsdef_shows_names_of_resources_not_places(aix: Trial) -> None:
    assert aix.ok("lsdef", "-t", "osimage").splitlines()[0] == "610image  (osimage)"
    lines = aix.ok("lsdef", "-t", "osimage", "-l").splitlines()
    assert lines[:4] == [
        "Object name: 610image",
        "    bosinst_data=610image_bosinst_data",
        "    imagetype=NIM",
        "    lpp_source=610image_lpp_source",
    ]
    assert "    installp_bundle=xCATaixSSH71,IBMhpc_base" in lines
    assert "Object name: rocky9.5-x86_64-install-compute" in lines
    assert aix.ok("lsdef", "-t", "osimage", "-o", "61cosi", "-i", "root,spot") == "Object name: 61cosi\n    root=\n    spot=61cosi\n"
    done = aix.run("lsdef", "-t", "osimage", "-l", "-o", "none")
    assert (done.code, done.err) == (1, "Error: Could not find an object named 'none' of type 'osimage'.\n")


def test_the_xcat_stand_in_shows_the_same_images_in_the_same_layout(aix: Trial, tmp_path_factory: pytest.TempPathFactory) -> None:
    xcat = XcatTrial(tmp_path_factory.mktemp("xcat"))
    assert xcat.run("mkdef", "-z", "-f", stdin=(nim_site.DATA / "osimages.stanza").read_text(encoding="ascii")).code == 0
    for name in ("610image", "61cosi", "71Bdskls"):
        assert xcat.run("lsdef", "-t", "osimage", "-l", name).out == aix.ok("lsdef", "-t", "osimage", "-l", name)
