"""An installation holds everything that the source tree does; no other test sees what a wheel would lack."""

from __future__ import annotations

import configparser
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def read_setup() -> configparser.ConfigParser:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    return setup


def packages_of(directory: str, package: str) -> set[str]:
    root = REPOSITORY / directory
    return {".".join((package, *init.parent.relative_to(root).parts)) for init in root.rglob("__init__.py")}


def test_every_package_is_installed() -> None:
    listed = set(read_setup()["options"]["packages"].split())
    assert listed == packages_of("xcat_ha", "xcat_ha") | packages_of("drivers", "xcat_ha_drivers")
