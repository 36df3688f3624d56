"""Drivers by entry point: strangers' packages, laid out on disk as pip would, and everything that can be wrong with them."""

from __future__ import annotations

import configparser
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stevedore import ExtensionManager

from tests.unit.test_core_toys import ToyFiles, ToyIdentity, ToyReplication, ToySchedule, ToyServices, toy_pair
from xcat_ha.errors import ConfigError, DriverBrokenError, DriverNotFoundError, ExitCode, XcatHaError
from xcat_ha.interfaces import Drivers
from xcat_ha.models import DriverChoice
from xcat_ha.registry import INTERFACES, driver_class, installed_drivers, load_drivers

Install = Callable[..., None]
TOYS = """
[xcat_ha.replication]
toy = tests.unit.test_core_toys:ToyReplication
[xcat_ha.files]
toy = tests.unit.test_core_toys:ToyFiles
[xcat_ha.identity]
toy = tests.unit.test_core_toys:ToyIdentity
[xcat_ha.services]
toy = tests.unit.test_core_toys:ToyServices
[xcat_ha.schedule]
toy = tests.unit.test_core_toys:ToySchedule
[xcat_ha.images]
toy = tests.unit.test_core_toys:ToyImages
"""
REPLICATION = "xcat_ha.replication"
COMPLETE = """
from xcat_ha.interfaces import Capability, ReplicationBackend
from xcat_ha.models import Engine
from tests.unit.test_core_toys import ToyReplication
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install(package, entry points, module=text, requires=[...])`` puts a distribution on ``sys.path``."""
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def put(package: str, entry_points: str, *, requires: tuple[str, ...] = (), **modules: str) -> None:
        directory = tmp_path / package
        information = directory / f"{package.replace('-', '_')}-1.0.dist-info"
        information.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {package}", "Version: 1.0", *(f"Requires-Dist: {line}" for line in requires)]
        (information / "METADATA").write_text("\n".join(lines) + "\n")
        (information / "entry_points.txt").write_text(entry_points)
        for name, text in modules.items():
            (directory / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(sys, "path", [str(directory), *sys.path])
        importlib.invalidate_caches()
        monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})

    return put


def broken(name: str, group: str = REPLICATION) -> DriverBrokenError:
    with pytest.raises(DriverBrokenError) as caught:
        driver_class(group, name)
    error = caught.value
    assert f"'{name}'" in error.what
    assert group in error.what
    assert error.hint
    assert error.exit_code is ExitCode.REFUSED
    return error


def test_a_stranger_s_driver_is_found_like_one_of_ours(install: Install) -> None:
    install("toy-drivers", TOYS)
    assert driver_class(REPLICATION, "toy") is ToyReplication
    found = [info for info in installed_drivers(load=True) if info.name == "toy"]
    assert {info.group for info in found} == {
        "xcat_ha.replication",
        "xcat_ha.files",
        "xcat_ha.identity",
        "xcat_ha.services",
        "xcat_ha.schedule",
        "xcat_ha.images",
    }
    assert {(info.distribution, info.problem) for info in found} == {("toy-drivers 1.0", "")}
    drivers = load_drivers(toy_pair("/srv/toys"))
    assert isinstance(drivers, Drivers)
    kinds = (drivers.replication, drivers.files, drivers.identity, drivers.services, drivers.schedule)
    assert tuple(type(driver) for driver in kinds) == (ToyReplication, ToyFiles, ToyIdentity, ToyServices, ToySchedule)
    assert drivers.files.options["directory"] == "/srv/toys"


def test_every_interface_has_a_group() -> None:
    assert {interface.__name__ for interface in INTERFACES.values()} == {
        "ReplicationBackend",
        "FileSyncer",
        "NetworkIdentity",
        "OsImageProvisioner",
        "ServiceControl",
        "Schedule",
        "Fence",
    }


def test_a_name_that_nobody_registers_is_refused_with_those_there_are(install: Install) -> None:
    install("toy-drivers", TOYS)
    with pytest.raises(DriverNotFoundError, match="'nosuch'") as caught:
        driver_class(REPLICATION, "nosuch")
    assert "toy" in caught.value.hint
    assert caught.value.exit_code is ExitCode.REFUSED
    with pytest.raises(DriverNotFoundError):
        load_drivers(toy_pair(database=DriverChoice("nosuch")))


def test_a_driver_of_one_interface_is_none_of_another(install: Install) -> None:
    install("toy-drivers", f"[{REPLICATION}]\nonly-here = tests.unit.test_core_toys:ToyReplication\n")
    with pytest.raises(DriverNotFoundError):
        driver_class("xcat_ha.files", "only-here")


OUR_EXTRAS = {
    "db2": ("ibm_db", "ibm_db"),
    "postgres": ("psycopg2", "psycopg2-binary"),
    "mysql": ("mysql.connector", "mysql-connector-python"),
}


@pytest.mark.parametrize("extra", OUR_EXTRAS)
def test_a_missing_extra_is_named_as_one_types_it(extra: str, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    module, package = OUR_EXTRAS[extra]
    declared = configparser.ConfigParser()
    declared.read(Path(__file__).parents[2] / "setup.cfg")
    assert package in declared["options.extras_require"][extra]
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)  # not installed here, whatever this machine has
    install("xcat-ha", "", requires=tuple(f"{name} ; extra == '{key}'" for key, (_, name) in OUR_EXTRAS.items()))
    install(
        "pg-driver",
        f"[{REPLICATION}]\nneeds-it = pg_driver:Backend\n",
        pg_driver=f"import {module}\n{COMPLETE}\nclass Backend(ToyReplication): ...\n",
    )
    error = broken("needs-it")
    assert module.partition(".")[0] in error.what
    assert f"pip install 'xcat-ha[{extra}]'" in error.hint


def test_a_missing_module_of_a_stranger_is_named(install: Install) -> None:
    install("odd", f"[{REPLICATION}]\nodd = odd_driver:Backend\n", odd_driver="import surely_not_installed_anywhere\n")
    assert "pip install surely_not_installed_anywhere" in broken("odd").hint


BROKEN = {
    "syntax": ("def (:\n", "SyntaxError"),
    "an error at import": ("raise RuntimeError('no licence')\n", "no licence"),
    "an end at import": ("import sys\nsys.exit('I give up')\n", "I give up"),
    "no such class": ("", "Backend"),
    "a function": ("def Backend(pair, options): ...\n", "not a ReplicationBackend"),
    "a number": ("Backend = 7\n", "not a ReplicationBackend"),
    "a class of another interface": ("from tests.unit.test_core_toys import ToyFiles as Backend\n", "not a ReplicationBackend"),
    "a class that lacks methods": (
        f"{COMPLETE}\nclass Backend(ReplicationBackend):\n    def interpret(self, node, answers): ...\n",
        "lacks question_for_record, questions, steps_to_hand_over",
    ),
    "capabilities as strings": (
        f"{COMPLETE}\nclass Backend(ToyReplication):\n    capabilities = frozenset({{'streaming'}})\n",
        "['streaming']",
    ),
    "capabilities that are none": (
        f"{COMPLETE}\nclass Backend(ToyReplication):\n    capabilities = frozenset({{'levitation'}})\n",
        "levitation",
    ),
    "capabilities of no set": (f"{COMPLETE}\nclass Backend(ToyReplication):\n    capabilities = None\n", "capabilities"),
    "no engines": (f"{COMPLETE}\nclass Backend(ToyReplication):\n    engines = frozenset()\n", "which database engines"),
    "engines as strings": (f"{COMPLETE}\nclass Backend(ToyReplication):\n    engines = frozenset({{'Pg'}})\n", "which database engines"),
    "engines of no set": (f"{COMPLETE}\nclass Backend(ToyReplication):\n    engines = 5\n", "which database engines"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_driver_is_said_to_be_broken_and_why(case: str, install: Install) -> None:
    text, said = BROKEN[case]
    install("odd", f"[{REPLICATION}]\nodd = odd_driver:Backend\n", odd_driver=text)
    assert said in broken("odd").what


def test_capabilities_as_the_interface_names_them_are_fine(install: Install) -> None:
    text = f"{COMPLETE}\nclass Backend(ToyReplication):\n    capabilities = frozenset({{Capability.STREAMING, Capability.REWIND}})\n"
    text += "    engines = frozenset({Engine.DB2})\n"
    install("good", f"[{REPLICATION}]\ngood = good_driver:Backend\n", good_driver=text)
    assert driver_class(REPLICATION, "good").__name__ == "Backend"


def test_another_driver_s_broken_import_does_not_matter(install: Install, capfd: pytest.CaptureFixture[str]) -> None:
    install("odd", f"[{REPLICATION}]\nodd = odd_driver:Backend\n", odd_driver="raise SystemExit('odd')\n")
    install("toy-drivers", TOYS)
    assert driver_class(REPLICATION, "toy") is ToyReplication
    assert "odd_driver" not in sys.modules
    assert capfd.readouterr().err == ""


def test_a_list_shows_what_is_broken_beside_what_is_not(install: Install) -> None:
    install(
        "odd",
        f"[{REPLICATION}]\nodd = odd_driver:Backend\nneedy = needy_driver:Backend\n",
        odd_driver="1/0\n",
        needy_driver="import surely_not_there\n",
    )
    install("toy-drivers", TOYS)
    found = {info.name: info for info in installed_drivers(load=True) if info.group == REPLICATION}
    assert found["toy"].problem == ""
    assert "ZeroDivisionError" in found["odd"].problem
    assert "pip install surely_not_there" in found["needy"].problem
    assert found["odd"].distribution == "odd 1.0"
    assert found["odd"].target == "odd_driver:Backend"
    unloaded = {info.name: info.problem for info in installed_drivers() if info.group == REPLICATION}
    assert unloaded["odd"] == ""


def test_a_name_registered_by_two_packages_is_nobody_s(install: Install) -> None:
    install("first-one", f"[{REPLICATION}]\ntwice = tests.unit.test_core_toys:ToyReplication\n")
    install("second-one", f"[{REPLICATION}]\ntwice = tests.unit.test_core_toys:ToyReplication\n")
    error = broken("twice")
    assert "first-one, second-one" in error.what
    assert "uninstall" in error.hint


def test_a_driver_checks_its_options(install: Install) -> None:
    install("toy-drivers", TOYS)
    with pytest.raises(ConfigError, match="'colour'") as caught:
        load_drivers(toy_pair(network=DriverChoice("toy", {"colour": "red"})))
    assert caught.value.where == "/etc/xcat-ha/pair.toml"


def test_a_driver_that_fails_to_start_is_broken_not_a_traceback(install: Install) -> None:
    text = f"{COMPLETE}\nclass Backend(ToyReplication):\n    def __init__(self, pair, options):\n        self.x = options['nosuch']\n"
    install("odd", f"[{REPLICATION}]\nodd = odd_driver:Backend\n", odd_driver=text)
    install("toy-drivers", TOYS)
    with pytest.raises(XcatHaError) as caught:
        load_drivers(toy_pair(database=DriverChoice("odd")))
    assert "'odd'" in caught.value.what
    assert caught.value.exit_code is ExitCode.REFUSED


def test_a_read_only_home_is_no_obstacle(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("toy-drivers", TOYS)
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    monkeypatch.setenv("HOME", "/proc")
    assert driver_class(REPLICATION, "toy") is ToyReplication
    assert not (tmp_path / "proc").exists()
