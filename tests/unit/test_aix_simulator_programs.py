"""The simulated AIX's commands as programs: by their names, in processes of their own, at AIX's places, several at once."""

from __future__ import annotations

import ast
import concurrent.futures
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.simulators.aix import install
from tests.simulators.aix.machine import commands
from tests.simulators.aix.trial import Trial

GENEROUS_S = 60
MACHINE = Path(install.__file__).parent / "machine"


@pytest.fixture(scope="module")
def aix(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    trial = Trial(tmp_path_factory.mktemp("aix"))
    trial.programs()
    return trial


def run(aix: Trial, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=aix.environment, capture_output=True, text=True, check=False, timeout=GENEROUS_S)


def test_a_program_answers_by_its_name_in_path(aix: Trial) -> None:
    done = run(aix, "lsattr", "-E", "-l", "en1", "-a", "netaddr", "-F", "value")
    assert (done.returncode, done.stdout, done.stderr) == (0, "9.114.47.103\n", "")


def test_exit_codes_and_errors_come_through(aix: Trial) -> None:
    done = run(aix, "lsnim", "-l", "x")
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith("0042-")


@pytest.mark.parametrize(
    "place",
    [
        "usr/sbin/mktcpip",
        "usr/sbin/nim",
        "usr/bin/lssrc",
        "usr/bin/hostname",
        "usr/lpp/bos.sysmgt/nim/methods/m_mkspot",
        "opt/xcat/sbin/nimnodeset",
    ],
)
def test_programs_are_at_the_places_where_aix_has_them(aix: Trial, place: str) -> None:
    done = run(aix, str(aix.root / place), "-?")
    assert done.returncode not in {126, 127}
    assert "Traceback" not in done.stderr


def test_every_command_has_a_function(tmp_path: Path) -> None:
    aix = Trial(tmp_path)
    for name in set(commands.MODULES) - set(commands.FAMILIES["daemons"].split()) - {"init", "srcstop"}:
        done = aix.run(name, "-?")
        assert isinstance(done.code, int)
        assert "not found" not in done.err or name == "systemctl"


def test_changes_made_at_the_same_time_are_all_kept(aix: Trial) -> None:
    def add(number: int) -> int:
        return run(aix, "mkssys", "-s", f"sub{number}", "-p", "/bin/true", "-u", "0").returncode

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(add, range(12))) == [0] * 12
    assert aix.ok("lssrc", "-a").count(" sub") == 12


def test_a_daemon_ends_with_sigterm_and_not_with_sighup(aix: Trial) -> None:
    with subprocess.Popen([aix.root / "usr/sbin/biod"], env=aix.environment) as process:
        path = Path(f"/proc/{process.pid}/status")
        deadline = time.monotonic() + GENEROUS_S
        while "SigCgt:\t0000000000004003" not in path.read_text(encoding="ascii"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(1)
        process.send_signal(15)
        assert process.wait(GENEROUS_S) == 0


def test_it_is_made_of_the_standard_library_alone() -> None:
    for file in MACHINE.rglob("*.py"):
        for found in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [one.name for one in found.names] if isinstance(found, ast.Import) else []
            if isinstance(found, ast.ImportFrom) and not found.level:
                names = [found.module or ""]
            assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names, file
