"""A stranger's driver: a package of its own, installed with pip and found by entry point; beside it three that are broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from xcat_ha_fence_libvirt import FenceLibvirt

from xcat_ha.interfaces import Fence

REPOSITORY = Path(__file__).parents[2]
STRANGERS = REPOSITORY / "tests/thirdparty"
BROKEN = {
    "unlicensed": ("xcat_ha.files", "xcat-ha-unlicensed 1.0", "RuntimeError: no licence found"),
    "half": ("xcat_ha.fencing", "xcat-ha-half-a-fence 0.1", "lacks is_fenced, steps_to_fence"),
    "boaster": ("xcat_ha.replication", "xcat-ha-boaster 2.0", "declares unknown capabilities: ['time-travel']"),
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has put them; without the network, and without touching this Python's own packages."""
    target, copies = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("sources")
    sources = [STRANGERS / "fence_libvirt", *sorted((STRANGERS / "broken").glob("*/"))]
    assert len(sources) == 4
    for source in sources:
        shutil.copytree(source, copies / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target))
    done = subprocess.run(
        (*pip, *(str(copies / source.name) for source in sources)), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def python(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python that has the strangers' packages, too."""
    path = os.pathsep.join((str(installed), *filter(None, sys.path)))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(
        (sys.executable, *words), capture_output=True, text=True, timeout=600, check=False, env=environment, cwd=REPOSITORY
    )


def listed(installed: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """What ``xcat-ha drivers`` says of them."""
    done = python(installed, "-c", "import sys; from xcat_ha.cli import main; sys.exit(main())", "drivers", "--json")
    return done.returncode, {info["name"]: info for info in json.loads(done.stdout)["drivers"]}


def test_it_is_found_with_version_and_origin(installed: Path) -> None:
    _, found = listed(installed)
    assert found["libvirt"] == {
        "group": "xcat_ha.fencing",
        "name": "libvirt",
        "distribution": "xcat-ha-fence-libvirt 0.3",
        "target": "xcat_ha_fence_libvirt:FenceLibvirt",
        "problem": "",
    }


def test_the_broken_ones_are_refused_with_the_reason_and_the_others_still_work(installed: Path) -> None:
    code, found = listed(installed)
    assert code == 1
    for name, (group, origin, reason) in BROKEN.items():
        assert (found[name]["group"], found[name]["distribution"]) == (group, origin)
        assert reason in found[name]["problem"]
    assert {name for name, info in found.items() if info["problem"]} == set(BROKEN)


@pytest.mark.parametrize("name", BROKEN)
def test_a_pair_that_chooses_a_broken_one_is_told_so_and_one_that_does_not_never_notices(
    installed: Path, name: str, tmp_path: Path
) -> None:
    table = {"xcat_ha.files": "files", "xcat_ha.fencing": "fencing", "xcat_ha.replication": "database"}[BROKEN[name][0]]
    text = (REPOSITORY / "docs/examples/pair.toml").read_text(encoding="utf-8")
    chosen = (
        text.replace('driver = "sqlite-copy"', f'driver = "{name}"') if table == "database" else f'{text}\n[{table}]\ndriver = "{name}"\n'
    )
    config = tmp_path / "pair.toml"
    load = "import sys; from xcat_ha import config, registry; print(registry.load_drivers(config.load_pair(sys.argv[1])))"
    config.write_text(chosen, encoding="utf-8")
    done = python(installed, "-c", load, str(config))
    assert "DriverBrokenError" in done.stderr
    assert BROKEN[name][2] in done.stderr
    config.write_text(f'{text}\n[fencing]\ndriver = "libvirt"\nuri = "qemu+ssh://hv1/system"\n', encoding="utf-8")
    done = python(installed, "-c", load, str(config))
    assert done.returncode == 0, done.stderr
    assert "FenceLibvirt" in done.stdout


def test_it_keeps_the_published_contract(installed: Path) -> None:
    where = ("-c", os.devnull, "--import-mode=importlib", "--rootdir", str(STRANGERS))
    tests = str(STRANGERS / "fence_libvirt/tests/test_contract.py")
    done = python(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", *where, tests)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_its_types_are_those_of_the_interface() -> None:
    """Mypy checks the stranger's package with ours, through this import."""
    assert issubclass(FenceLibvirt, Fence)
