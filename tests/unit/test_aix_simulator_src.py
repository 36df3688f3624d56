"""The simulated AIX's subsystems, inittab, crontab, exports and volume groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulators.aix.trial import Trial


@pytest.fixture
def aix(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def word(aix: Trial, name: str) -> str:
    return aix.ok("lssrc", "-s", name).splitlines()[1].split()[-1]


def test_starting(aix: Trial) -> None:
    said = aix.ok("startsrc", "-s", "snmpd")
    pid = said.split()[-1].rstrip(".")
    assert said == f"0513-059 The snmpd Subsystem has been started. Subsystem PID is {pid}.\n"
    assert aix.ok("lssrc", "-s", "snmpd").splitlines() == [
        "Subsystem         Group            PID          Status",
        f" snmpd            tcpip            {pid:<12} active",
    ]
    again = aix.run("startsrc", "-s", "snmpd")
    assert again.code != 0
    assert again.out + again.err == "0513-029 The snmpd Subsystem is already active.\nMultiple instances are not supported.\n"


def test_stopping_is_a_request_that_takes_its_time(aix: Trial) -> None:
    aix.ok("startsrc", "-s", "xcatd")
    assert aix.ok("stopsrc", "-s", "xcatd", stop_polls="3") == "0513-044 The xcatd Subsystem was requested to stop.\n"
    assert aix.run("startsrc", "-s", "xcatd").err.startswith("0513-029 ")
    assert [word(aix, "xcatd") for _ in range(4)] == ["stopping"] * 3 + ["inoperative"]
    done = aix.run("stopsrc", "-s", "xcatd")
    assert done.code != 0
    assert done.out + done.err == "0513-004 The Subsystem or Group, xcatd, is currently inoperative.\n"
    aix.ok("startsrc", "-s", "xcatd")


@pytest.mark.parametrize("flag", ["-f", "-c"])
def test_a_stop_can_be_forced(aix: Trial, flag: str) -> None:
    aix.ok("startsrc", "-s", "xcatd")
    aix.ok("stopsrc", "-s", "xcatd", stop_polls="9")
    assert word(aix, "xcatd") == "stopping"
    aix.ok("stopsrc", flag, "-s", "xcatd")
    assert word(aix, "xcatd") == "inoperative"


def test_lssrc_of_an_inoperative_one_ends_with_0_and_shows_no_pid(aix: Trial) -> None:
    assert aix.ok("lssrc", "-s", "xcatd").splitlines()[1].split() == ["xcatd", "xcat", "inoperative"]


@pytest.mark.parametrize("command", ["startsrc", "stopsrc", "lssrc", "refresh"])
def test_what_is_not_on_file(aix: Trial, command: str) -> None:
    done = aix.run(command, "-s", "chef")
    assert (done.code, done.out + done.err) == (1, "0513-085 The chef Subsystem is not on file.\n")
    done = aix.run(command, "-g", "chef")
    assert (done.code, done.out + done.err) == (1, "0513-086 The chef Group is not on file.\n")


def test_a_group_is_started_and_stopped_together(aix: Trial) -> None:
    assert aix.ok("startsrc", "-g", "nfs").count("0513-059") == 3
    assert aix.ok("lssrc", "-g", "nfs").count(" active") == 3
    assert aix.ok("stopsrc", "-g", "nfs").count("0513-044") == 3


def test_nothing_runs_after_a_boot_unless_the_inittab_starts_it(aix: Trial) -> None:
    aix.ok("startsrc", "-s", "xcatd")
    aix.reboot()
    assert word(aix, "xcatd") == "inoperative"


def test_a_subsystem_is_put_on_file_changed_and_removed(aix: Trial) -> None:
    words = ("-s", "guard", "-p", "/opt/guard", "-u", "0", "-a", "-f", "-S", "-n", "15", "-f", "9", "-G", "ha")
    assert aix.ok("mkssys", *words) == "0513-071 The guard Subsystem has been added.\n"
    assert aix.run("mkssys", *words).code == 1
    assert aix.ok("chssys", "-s", "guard", "-a", "-v") == "0513-077 Subsystem has been changed.\n"
    aix.ok("startsrc", "-s", "guard")
    assert aix.run("rmssys", "-s", "guard").code == 1
    aix.ok("stopsrc", "-s", "guard", stop_polls="0")
    assert aix.ok("rmssys", "-s", "guard") == "0513-083 Subsystem has been Deleted.\n"
    assert aix.run("rmssys", "-s", "guard").err == "0513-085 The guard Subsystem is not on file.\n"
    assert "guard" not in aix.ok("lssrc", "-a")


def test_what_is_on_file_outlives_a_boot(aix: Trial) -> None:
    aix.ok("rmssys", "-s", "xcatd")
    aix.reboot()
    assert aix.run("startsrc", "-s", "xcatd").code == 1


@pytest.mark.parametrize("name", ["two words", "it's", "a;reboot", "a\nb", "$(x)", "a" * 300, ""])
def test_no_hostile_subsystem_name_is_taken(aix: Trial, name: str) -> None:
    before = aix.ok("lssrc", "-a")
    assert aix.run("mkssys", "-s", name, "-p", "/opt/guard", "-u", "0").code == 1
    assert aix.ok("lssrc", "-a") == before


def test_refresh_reaches_only_what_runs_and_listens(aix: Trial) -> None:
    assert aix.run("refresh", "-s", "named").err.startswith("0513-036 ")
    aix.ok("startsrc", "-s", "named")
    assert aix.ok("refresh", "-s", "named") == "0513-095 The request for subsystem refresh was completed successfully.\n"
    aix.ok("startsrc", "-s", "xcatd")
    assert aix.run("refresh", "-s", "xcatd").code == 1


# --- inittab


def test_inittab_entries_are_added_changed_and_removed(aix: Trial) -> None:
    aix.ok("mkitab", "guard:2:once:/opt/guard start >/dev/console 2>&1")
    aix.ok("mkitab", "-i", "rctcpip", "early:2:wait:/opt/early")
    names = [line.partition(":")[0] for line in aix.ok("lsitab", "-a").splitlines()]
    assert names[names.index("rctcpip") + 1] == "early"
    assert names[-1] == "guard"
    aix.ok("chitab", "guard:2:respawn:/opt/guard run")
    assert aix.ok("lsitab", "guard") == "guard:2:respawn:/opt/guard run\n"
    aix.ok("rmitab", "guard")
    done = aix.run("lsitab", "guard")
    assert (done.code, done.out) == (1, "")


@pytest.mark.parametrize(
    "words",
    [
        ("mkitab", "cron:2:once:/x"),
        ("mkitab", "no such action:2:sometimes:/x"),
        ("mkitab", "a;b:2:once:/x"),
        ("mkitab", "a:2:once:/x\nb:2:once:/y"),
        ("mkitab", "a" * 300 + ":2:once:/x"),
        ("mkitab", "-i", "nobody", "a:2:once:/x"),
        ("chitab", "nobody:2:once:/x"),
        ("rmitab", "nobody"),
    ],
)
def test_what_the_inittab_refuses(aix: Trial, words: tuple[str, ...]) -> None:
    before = aix.read("etc/inittab")
    assert aix.run(*words).code == 1
    assert aix.read("etc/inittab") == before


# --- crontab


def test_a_crontab_is_replaced_shown_and_removed(aix: Trial) -> None:
    none = aix.run("crontab", "-l")
    assert (none.code, none.err) == (1, "0481-103 Cannot open a file in the /var/spool/cron/crontabs directory.\n")
    aix.ok("crontab", stdin="# sets\n0 3 * * 1-5 /opt/sync\n5,35 * 1 12 0 /opt/other %x\n")
    assert aix.ok("crontab", "-l") == "# sets\n0 3 * * 1-5 /opt/sync\n5,35 * 1 12 0 /opt/other %x\n"
    aix.add("tmp/new", "0 4 * * * /opt/sync\n")
    aix.ok("crontab", "/tmp/new")
    aix.reboot()
    assert aix.ok("crontab", "-l") == "0 4 * * * /opt/sync\n"
    aix.ok("crontab", "-r")
    assert aix.run("crontab", "-l").code == 1


@pytest.mark.parametrize("line", ["*/5 * * * * /x", "@daily /x", "MAILTO=root", "0 24 * * * /x", "0 3 * * mon /x", "0 3 * * *"])
def test_what_only_other_crons_understand_is_refused(aix: Trial, line: str) -> None:
    aix.ok("crontab", stdin="0 3 * * * /opt/sync\n")
    assert aix.run("crontab", stdin=f"{line}\n").code == 1
    assert aix.ok("crontab", "-l") == "0 3 * * * /opt/sync\n"


# --- exports, volume groups, directories


def test_exports(aix: Trial) -> None:
    aix.add("install/nim/x")
    aix.add("etc/exports", "/install -ro\n/install/nim -ro\n/gone -ro\n")
    done = aix.run("exportfs", "-a")
    assert done.code == 1
    assert "/install/nim: parent-directory or sub-directory (/install) already exported" in done.err
    assert "/gone: No such file or directory" in done.err
    assert aix.ok("exportfs") == "/install -ro\n"
    aix.ok("exportfs", "-u", "/install")
    assert aix.ok("exportfs") == ""
    assert aix.run("exportfs", "-u", "/install").code == 1
    aix.ok("exportfs", "-i", "-o", "rw", "/install/nim")
    assert aix.ok("exportfs") == "/install/nim rw\n"
    aix.reboot()
    assert aix.ok("exportfs") == ""
    assert aix.read("etc/exports").startswith("/install -ro\n")


def test_a_volume_group_in_use_is_not_varied_off(aix: Trial) -> None:
    aix.add("etc/objrepos/volumes.json", '{"rootvg": {}, "installvg": {"/install": "installlv"}}')
    assert aix.ok("lsvg") == "rootvg\ninstallvg\n"
    assert aix.ok("lsvg", "-o") == "rootvg\n"
    assert "0516-010" in aix.run("lsvg", "installvg").err
    assert "0516-306" in aix.run("varyonvg", "nope").err
    assert aix.run("mount", "/install").code == 1
    aix.ok("varyonvg", "installvg")
    aix.ok("mount", "/install")
    assert "/dev/installlv" in aix.ok("mount")
    assert "open/syncd" in aix.ok("lsvg", "-l", "installvg")
    assert "0516-012" in aix.run("varyoffvg", "installvg").err
    aix.ok("umount", "/install")
    aix.ok("varyoffvg", "installvg")
    assert aix.ok("lsvg", "-o") == "rootvg\n"
    aix.ok("varyonvg", "installvg")
    aix.reboot()
    assert aix.ok("lsvg", "-o") == "rootvg\n"


def test_mvdir_moves_a_directory_unless_something_is_in_the_way(aix: Trial) -> None:
    aix.add("install/a/x", "1")
    aix.ok("mvdir", "/install/a", "/install/b")
    aix.add("install/a/y", "2")
    assert aix.run("mvdir", "/install/a", "/install/b").code == 1
    assert aix.read("install/b/x") == "1"
    assert aix.read("install/a/y") == "2"


def test_there_is_no_systemctl(aix: Trial) -> None:
    assert aix.run("systemctl", "start", "xcatd").code == 127
