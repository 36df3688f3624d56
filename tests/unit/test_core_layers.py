"""Imports point one way: the contracts of ``pyproject.toml``, kept by import-linter."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("importlinter")

REPOSITORY = Path(__file__).parents[2]
PROJECT = REPOSITORY / "pyproject.toml"


def test_every_import_contract_is_kept(tmp_path: Path) -> None:
    """The sources as they stand, under the names they are imported by (``setup.cfg``: ``drivers/`` is ``xcat_ha_drivers``)."""
    (tmp_path / "xcat_ha").symlink_to(REPOSITORY / "xcat_ha")
    (tmp_path / "xcat_ha_drivers").symlink_to(REPOSITORY / "drivers")
    linter = "from importlinter.cli import lint_imports_command as command; command()"
    done = subprocess.run(
        (sys.executable, "-c", linter, "--config", str(PROJECT), "--no-cache"),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path)), "COLUMNS": "200"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    contracts = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    assert f"Contracts: {len(contracts)} kept, 0 broken." in done.stdout


SHARED = {"xcat_ha_drivers.database", "xcat_ha_drivers.node_commands", "xcat_ha_drivers.postgres", "xcat_ha_drivers.replication"}
"""Packages that drivers share; they are no drivers, and import none."""


def test_every_built_in_driver_is_among_those_that_must_be_independent() -> None:
    contracts = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (independent,) = [contract for contract in contracts if contract["type"] == "independence"]
    drivers = {f"xcat_ha_drivers.{path.parent.name}" for path in (REPOSITORY / "drivers").glob("*/__init__.py")}
    assert set(independent["modules"]) == drivers - SHARED


def test_third_party_modules_are_imported_only_where_they_belong() -> None:
    """Plumbum in the command line and the runners, stevedore in the registry, rich where answers are printed."""
    places = {"plumbum": ("cli/", "runners/"), "stevedore": ("registry.py",), "rich": ("cli/",), "pytest": ("testing/",)}
    for path in (REPOSITORY / "xcat_ha").rglob("*.py"):
        name = str(path.relative_to(REPOSITORY / "xcat_ha"))
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) > 1 and words[0] in {"import", "from"}:
                allowed = places.get(words[1].partition(".")[0])
                assert allowed is None or name.startswith(allowed), f"{name}: {line}"


def test_drivers_import_no_third_party_module_but_attrs() -> None:
    known = set(sys.stdlib_module_names) | {"attrs", "xcat_ha", "xcat_ha_drivers"}
    for path in (REPOSITORY / "drivers").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.strip().split()
            if len(words) > 1 and (words[0] == "import" or (words[0] == "from" and "import" in words)):
                assert words[1].partition(".")[0].rstrip(",;") in known, f"{path}: {line}"
